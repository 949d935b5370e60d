//! `--exclude`: what of a folder is not shared.

use std::ffi::OsStr;
use std::path::Path;

use globset::GlobMatcher;

use crate::failure::Failure;
use crate::selection::glob;

/// Patterns, any of which leaves out a file or a folder with all that is in it.
///
/// Like those of `--files`, they match the path below the folder that is shared, or, where they hold no `/`, the name alone.
#[derive(Debug, Default)]
pub(crate) struct Exclude {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    matcher: GlobMatcher,
    whole_path: bool,
    /// How often it has left out something.
    hits: u64,
}

impl Exclude {
    /// Reads the values of `--exclude`.
    ///
    /// # Errors
    /// [`Failure::Usage`] names the value that is no pattern.
    pub(crate) fn parse(values: &[String]) -> Result<Self, Failure> {
        let wrong = |value: &str, why: &str| Failure::Usage(format!("--exclude '{value}': {why}"));
        let patterns = values.iter().map(|value| {
            // Folders are often written so.
            let text = value.strip_suffix('/').unwrap_or(value);
            if text.is_empty() || text.starts_with('/') {
                let why = "give a pattern such as '*.tmp' or 'cache/*', of what is in the folder";
                return Err(wrong(value, why));
            }
            let glob = glob(text).map_err(|why| wrong(value, &why))?;
            Ok(Pattern {
                text: value.clone(),
                matcher: glob.compile_matcher(),
                whole_path: text.contains('/'),
                hits: 0,
            })
        });
        let patterns = patterns.collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether what has this path below the folder, and this name, is left out.
    pub(crate) fn takes(&mut self, path: &Path, name: &OsStr) -> bool {
        let mut taken = false;
        for pattern in &mut self.patterns {
            let hit = if pattern.whole_path {
                pattern.matcher.is_match(path)
            } else {
                pattern.matcher.is_match(Path::new(name))
            };
            pattern.hits += u64::from(hit);
            taken |= hit;
        }
        taken
    }

    /// The values that have left out nothing.
    pub(crate) fn idle(&self) -> impl Iterator<Item = &str> {
        let idle = self.patterns.iter().filter(|pattern| pattern.hits == 0);
        idle.map(|pattern| pattern.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(value: &str, path: &str) -> bool {
        let mut exclude = Exclude::parse(&[value.to_owned()]).unwrap();
        let path = Path::new(path);
        exclude.takes(path, path.file_name().unwrap())
    }

    #[test]
    fn a_pattern_matches_names_or_paths() {
        for (value, path, taken) in [
            ("*.tmp", "a.tmp", true),
            ("*.tmp", "deep/down/a.tmp", true),
            ("*.tmp", "a.tmp.bin", false),
            ("cache", "cache", true),
            ("cache/", "x/cache", true),
            ("x/cache", "x/cache", true),
            ("x/cache", "y/x/cache", false),
            ("x/*", "x/y", true),
            ("x/*", "x/y/z", false),
            ("**/y", "a/b/y", true),
        ] {
            assert_eq!(takes(value, path), taken, "{value} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_wrong_usage() {
        for value in ["", "/", "/abs", "[a"] {
            let parsed = Exclude::parse(&[value.to_owned()]);
            assert_eq!(parsed.unwrap_err().code(), 2, "{value}");
        }
    }

    #[test]
    fn patterns_without_effect_are_known() {
        let values = ["*.tmp".to_owned(), "*.bak".to_owned()];
        let mut exclude = Exclude::parse(&values).unwrap();
        exclude.takes(Path::new("a.tmp"), OsStr::new("a.tmp"));
        assert_eq!(exclude.idle().collect::<Vec<_>>(), ["*.bak"]);
    }
}
