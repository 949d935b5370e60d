//! `--files` and `--choose`: which files of a torrent are meant.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use protocol::metainfo::Metainfo;

use crate::failure::Failure;

/// What a flag such as `--files` asked for: numbers, ranges and patterns, any of which takes a file.
///
/// Numbers count from 0 in the torrent's file list, padding included, as `info` shows them and as BEP 53 counts.
/// Patterns match the whole path below the torrent's folder, or, where they hold no `/`, the file's own name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    flag: &'static str,
    /// Ascending, with something between any two.
    ranges: Vec<(u32, u32)>,
    paths: GlobSet,
    names: GlobSet,
}

impl Selection {
    /// Reads the values of a flag; `None` where there are none, which takes everything.
    ///
    /// # Errors
    /// [`Failure::Usage`] names the value that is neither a list of numbers nor a pattern.
    pub(crate) fn parse(flag: &'static str, values: &[String]) -> Result<Option<Self>, Failure> {
        if values.is_empty() {
            return Ok(None);
        }
        let wrong = |value: &str, why: &str| Failure::Usage(format!("{flag} {value}: {why}"));
        let mut ranges = Vec::new();
        let (mut paths, mut names) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for value in values {
            if value.is_empty() {
                return Err(wrong(
                    "''",
                    "give numbers such as 0,3-7 or a pattern such as '*.mkv'",
                ));
            }
            if value
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, ',' | '-' | ' '))
            {
                let read = value.split(',').map(|part| range(part.trim()));
                let read: Option<Vec<_>> = read.collect();
                ranges.extend(read.ok_or_else(|| wrong(value, "write numbers as 0,3-7"))?);
            } else {
                let glob = glob(value).map_err(|why| wrong(value, &why))?;
                let set = if value.contains('/') {
                    &mut paths
                } else {
                    &mut names
                };
                set.add(glob);
            }
        }
        let build = |set: GlobSetBuilder| set.build().map_err(Failure::failed);
        Ok(Some(Self {
            flag,
            ranges: merged(ranges),
            paths: build(paths)?,
            names: build(names)?,
        }))
    }

    /// Whether the file with this index and these components is taken. `path` starts with the torrent's name in a
    /// torrent of several files.
    fn takes(&self, index: u32, path: &[String]) -> bool {
        let below = if path.len() > 1 { &path[1..] } else { path };
        let name = path.last().map_or("", String::as_str);
        let before = self.ranges.partition_point(|&(from, _)| from <= index);
        let nearest = before.checked_sub(1).and_then(|at| self.ranges.get(at));
        nearest.is_some_and(|&(_, to)| index <= to)
            || self.names.is_match(name)
            || self.paths.is_match(below.join("/"))
            || self.paths.is_match(path.join("/"))
    }

    /// The numbers of the files of a torrent that are taken.
    ///
    /// # Errors
    /// [`Failure::NotFound`] where a number is too large or nothing is taken.
    pub(crate) fn of(&self, metainfo: &Metainfo) -> Result<Vec<usize>, Failure> {
        let (flag, files) = (self.flag, metainfo.files());
        let most = self.ranges.iter().map(|&(_, to)| to).max();
        if let Some(most) = most.filter(|most| *most as usize >= files.len()) {
            return Err(Failure::NotFound(format!(
                "{flag}: there is no file number {most}; the last is {}",
                files.len().saturating_sub(1)
            )));
        }
        let numbered = files
            .iter()
            .enumerate()
            .filter(|(_, file)| file.is_stored());
        let taken = numbered.filter(|(index, file)| self.takes(*index as u32, &file.path));
        let taken: Vec<usize> = taken.map(|(index, _)| index).collect();
        if taken.is_empty() {
            let pad = self.ranges.iter().find(|(from, _)| {
                let file = files.get(*from as usize);
                file.is_some_and(|file| file.attr.pad)
            });
            return Err(Failure::NotFound(match pad {
                Some((number, _)) => format!(
                    "{flag}: number {number} is padding and no file; `tribler-rs info` lists the numbers"
                ),
                None => format!("{flag}: no file of the torrent is named so"),
            }));
        }
        Ok(taken)
    }
}

/// A pattern in which `*` and `?` stand for no `/`.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn glob(text: &str) -> Result<Glob, String> {
    let built = GlobBuilder::new(text).literal_separator(true).build();
    built.map_err(|error| error.kind().to_string())
}

/// The same numbers in order, each once: a program may name as many as there are files.
fn merged(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = next.0 <= kept.1.saturating_add(1);
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
    ranges
}

fn range(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(value: &str) -> Selection {
        Selection::parse("--files", &[value.to_owned()])
            .unwrap()
            .unwrap()
    }

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn numbers_and_ranges_take_those_files() {
        let some = selection("0,3-7");
        let taken: Vec<u32> = (0..10).filter(|&i| some.takes(i, &path("t/f"))).collect();
        assert_eq!(taken, [0, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn ranges_in_any_order_take_what_any_of_them_takes() {
        for (text, due) in [
            ("7,1-3,2-4,9", vec![1, 2, 3, 4, 7, 9]),
            ("5,4,3", vec![3, 4, 5]),
            ("1-8,2-3", (1..9).collect()),
            ("0,4294967295", vec![0]),
            ("3,3", vec![3]),
        ] {
            let some = selection(text);
            let taken = (0..12).filter(|&i| some.takes(i, &path("t/f")));
            assert_eq!(taken.collect::<Vec<u32>>(), due, "{text}");
        }
        assert_eq!(
            merged(vec![(5, 6), (0, 1), (2, 2), (9, 9)]),
            [(0, 2), (5, 6), (9, 9)]
        );
        assert_eq!(
            merged(vec![(0, u32::MAX), (u32::MAX, u32::MAX)]),
            [(0, u32::MAX)]
        );
    }

    #[test]
    fn a_pattern_without_a_slash_matches_the_name_in_any_folder() {
        let films = selection("*.mkv");
        assert!(films.takes(0, &path("t/a.mkv")));
        assert!(films.takes(0, &path("t/deep/b.mkv")));
        assert!(films.takes(0, &path("single.mkv")));
        assert!(!films.takes(0, &path("t/a.txt")));
    }

    #[test]
    fn a_pattern_with_a_slash_matches_the_path_with_or_without_the_top_folder() {
        let season = selection("s1/*.mkv");
        assert!(season.takes(0, &path("t/s1/a.mkv")));
        assert!(!season.takes(0, &path("t/s2/a.mkv")));
        assert!(!season.takes(0, &path("t/s1/x/a.mkv")));
        assert!(selection("t/**/*.mkv").takes(0, &path("t/s1/x/a.mkv")));
    }

    #[test]
    fn what_is_neither_is_wrong_usage() {
        for value in ["", "3-", "7-3", ",", "1,,2", "[a"] {
            let parsed = Selection::parse("--files", &[value.to_owned()]);
            assert_eq!(parsed.map(|_| ()).unwrap_err().code(), 2, "{value}");
        }
        assert!(Selection::parse("--files", &[]).unwrap().is_none());
    }
}
