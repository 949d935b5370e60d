//! Torrents of files and folders that a program names.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use api::{Made, Make};
use protocol::metainfo::Version;
use protocol::metainfo::build::{self, Extras, Padding, Plan};

use super::exclude::Exclude;
use super::hashing::{self, Work};
use super::layout::Layout;
use super::walk::{self, Found};
use super::{CREATED_BY, hashes, read, shared};
use crate::failure::Failure;
use crate::wire;

/// Reads and hashes everything, on half of the cores. What every client reads comes of it (BEP 3), without files between files, so
/// that their numbers are those of the list. `stop` turns true when nobody wants it any more.
///
/// # Errors
/// [`Failure`] names the file that is not there or cannot be shared, or the tracker that is none.
pub(crate) fn make(given: &Make, stop: &AtomicBool) -> Result<Made, Failure> {
    for url in given.trackers.iter().flatten() {
        super::flags::check_url("trackers", url, &["http", "https", "udp", "ws", "wss"])?;
    }
    let paths = outermost(&given.paths);
    let top = top(&paths)?;
    let files = files(&paths, &top, stop)?;
    let layout = match files.as_slice() {
        [file] if file.path.is_empty() => build::Layout::SingleFile,
        _ => build::Layout::Directory,
    };
    let name = top.file_name().and_then(OsStr::to_str);
    let name = name.ok_or_else(|| unshareable(&top, "has no name that a torrent can have"))?;
    let sources = files.iter().map(shared).collect();
    let plan = Plan::new(name, Version::V1, layout, sources, Padding::None, None);
    let plan = plan.map_err(Failure::failed)?;
    let layout = Layout::of(&plan);
    let work = Work {
        files: &files,
        layout: &layout,
        v1: true,
        v2: false,
        stop,
    };
    let digests = hashing::hash_all(&work, wire::cores().div_ceil(2), &AtomicU64::new(0))?;
    if let Some(file) = files.iter().find(|file| !file.is_unchanged()) {
        return Err(Failure::Failed(read::changed(file)));
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let extras = Extras {
        trackers: given.trackers.clone(),
        comment: given.comment.clone(),
        created_by: Some(CREATED_BY.to_owned()),
        created: since.and_then(|since| i64::try_from(since.as_secs()).ok()),
        ..Extras::default()
    };
    let written = plan.write(&hashes(&plan, digests), &extras);
    Ok(Made {
        torrent: written.map_err(Failure::failed)?.0,
        dir: top.parent().unwrap_or_else(|| Path::new("/")).to_owned(),
    })
}

/// Each path once, without those that are below others.
fn outermost(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut sorted = paths.to_vec();
    // A folder comes before what is in it.
    sorted.sort();
    sorted.dedup_by(|path, kept| path.starts_with(&*kept));
    sorted
}

/// What the torrent is of: the only path, or the folder that all of them are in.
fn top(paths: &[PathBuf]) -> Result<PathBuf, Failure> {
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    for path in paths {
        if !path.is_absolute() || !path.components().all(plain) {
            return Err(unshareable(path, "is not named from the root"));
        }
    }
    let (first, others) = match paths {
        [] => return Err(Failure::Usage("no file is named".to_owned())),
        [only] => return Ok(only.clone()),
        [first, others @ ..] => (first, others),
    };
    let mut folders = first.ancestors().skip(1);
    let common = folders.find(|folder| {
        let is_below = |path: &PathBuf| path.starts_with(folder);
        others.iter().all(is_below)
    });
    Ok(common.unwrap_or_else(|| Path::new("/")).to_owned())
}

/// All files, in the order in which the torrent names them.
fn files(paths: &[PathBuf], top: &Path, stop: &AtomicBool) -> Result<Vec<Found>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let tree = walk::walk(path, &mut Exclude::default(), stop).map_err(of_whom)?;
        if let Some((link, _)) = tree.followed.first() {
            return Err(unshareable(link, "is a link that leads out of the folder"));
        }
        if let Some(obstacle) = tree.obstacles.into_iter().next() {
            return Err(of_whom(Failure::Failed(obstacle)));
        }
        let parts = path.strip_prefix(top).unwrap_or(path).components();
        let parts = parts.map(|part| part.as_os_str().to_str().filter(|name| fits(name)));
        let parts: Option<Vec<&str>> = parts.collect();
        let parts =
            parts.ok_or_else(|| unshareable(path, "has no name that a torrent can have"))?;
        files.extend(tree.files.into_iter().map(|mut file| {
            let above = parts.iter().map(|part| (*part).to_owned());
            file.path = above.chain(file.path).collect();
            file
        }));
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    if files.iter().all(|file| file.len == 0) {
        return Err(unshareable(top, "has nothing in it to share"));
    }
    Ok(files)
}

/// What stands in the way where it is only looked which files there are is a matter of what was named.
fn of_whom(failure: Failure) -> Failure {
    if let Failure::Failed(why) = failure {
        return Failure::Usage(why);
    }
    failure
}

fn fits(name: &str) -> bool {
    !name.chars().any(char::is_control)
}

fn unshareable(path: &Path, why: &str) -> Failure {
    Failure::Usage(format!("{}: this {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use protocol::metainfo::{LoadLimits, Metainfo};

    use super::*;

    fn made(paths: &[PathBuf]) -> Result<(Metainfo, PathBuf), Failure> {
        let given = Make {
            paths: paths.to_vec(),
            ..Make::default()
        };
        let made = make(&given, &AtomicBool::new(false))?;
        let metainfo = Metainfo::from_bytes(&made.torrent, &LoadLimits::default());
        Ok((metainfo.unwrap(), made.dir))
    }

    fn names(metainfo: &Metainfo) -> Vec<String> {
        let files = metainfo.files().iter();
        files.map(|file| file.path.join("/")).collect()
    }

    #[test]
    fn a_torrent_has_the_name_of_the_only_path_or_of_the_folder_that_all_are_in() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        for file in ["b/2", "b/1", "a", "left"] {
            let at = top.join(file);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(at, file).unwrap();
        }
        let (one, at) = made(&[top.join("a")]).unwrap();
        assert_eq!((one.name(), &at), ("a", &top));
        assert!(one.is_single_file());
        let paths = [top.join("b"), top.join("a"), top.join("b/1")];
        let (some, at) = made(&paths).unwrap();
        assert_eq!((some.name(), at.as_path()), ("top", dir.path()));
        assert_eq!(names(&some), ["top/a", "top/b/1", "top/b/2"]);
        let (whole, _) = made(std::slice::from_ref(&top)).unwrap();
        assert_eq!(names(&whole).len(), 4);
    }

    #[test]
    fn what_stands_in_the_way_is_the_fault_of_whoever_named_it() {
        let dir = tempfile::tempdir().unwrap();
        let name = std::ffi::OsString::from_vec(b"\xff".to_vec());
        std::fs::write(dir.path().join(name), "x").unwrap();
        let failure = made(&[dir.path().to_owned()]).unwrap_err();
        assert_eq!(failure.code(), 2, "{failure}");
    }

    #[test]
    fn what_cannot_be_shared_is_named() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("out")).unwrap();
        let dir = dir.path().to_owned();
        for (paths, why) in [
            (vec![], "no file is named"),
            (vec!["a".into()], "a: this is not named from the root"),
            (vec![dir.join("../x")], "is not named from the root"),
            (vec![dir.join("nofile")], "nofile"),
            (vec![dir.clone()], "leads out of the folder"),
            (
                vec!["/etc/hostname".into(), "/proc/version".into()],
                "has no name",
            ),
        ] {
            let failure = made(&paths).unwrap_err().to_string();
            assert!(failure.contains(why), "{paths:?}: {failure}");
        }
        let given = Make {
            paths: vec!["/etc/hostname".into()],
            trackers: vec![vec!["gopher://x".to_owned()]],
            ..Make::default()
        };
        let failure = make(&given, &AtomicBool::new(false))
            .unwrap_err()
            .to_string();
        assert!(failure.contains("gopher://x"), "{failure}");
    }

    #[test]
    fn what_nobody_wants_any_more_is_neither_looked_for_nor_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "content").unwrap();
        let stop = AtomicBool::new(true);
        // A file needs no looking for.
        for path in [dir.path().to_owned(), file] {
            let given = Make {
                paths: vec![path.clone()],
                ..Make::default()
            };
            let failure = make(&given, &stop).unwrap_err().to_string();
            assert!(failure.contains("broken off"), "{path:?}: {failure}");
        }
        let failure = walk::walk(dir.path(), &mut Exclude::default(), &stop).unwrap_err();
        assert!(failure.to_string().contains("broken off"), "{failure}");
    }
}
