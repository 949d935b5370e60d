//! Torrents of files and folders that a program names.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
/// [`Failure`] names the file that is not there, cannot be read or cannot be shared, or the tracker that is none.
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
    let threads = wire::cores().div_ceil(2);
    let digests = hashing::hash_all(&work, threads, &AtomicU64::new(0));
    if stop.load(Ordering::Relaxed) {
        return Err(hashing::broken_off());
    }
    let digests = digests.map_err(|failure| unreadable(&files).unwrap_or(failure))?;
    if let Some(file) = files.iter().find(|file| !file.is_unchanged()) {
        return Err(gone_or_changed(file));
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

/// The first file that is not what it was when it was found, or that cannot be opened: what was named is at fault, and not this program.
fn unreadable(files: &[Found]) -> Option<Failure> {
    files.iter().find_map(|file| {
        // Only what is a file still is opened, which waits for nobody.
        if !file.is_unchanged() {
            return Some(gone_or_changed(file));
        }
        let error = File::open(&file.at).err()?;
        Some(of_whom(Failure::on_file(&file.at, &error)))
    })
}

fn gone_or_changed(file: &Found) -> Failure {
    match fs::metadata(&file.at) {
        Err(error) => of_whom(Failure::on_file(&file.at, &error)),
        Ok(_) => Failure::Usage(read::changed(file)),
    }
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
    use std::os::unix::fs::PermissionsExt as _;

    use protocol::metainfo::{LoadLimits, Metainfo};
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

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
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, file).unwrap();
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
        fs::write(dir.path().join(name), "x").unwrap();
        let failure = made(&[dir.path().to_owned()]).unwrap_err();
        assert_eq!(failure.code(), 2, "{failure}");
    }

    /// Runs as a user who may not read what is another's, in this thread and those that it starts.
    fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        let work = move || {
            set_capabilities(None, none).unwrap();
            work()
        };
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    #[test]
    fn a_file_that_cannot_be_read_while_it_is_hashed_is_named_and_the_fault_of_whoever_named_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "content").unwrap();
        // What is short is read, and what is long is mapped.
        for len in [7, 1 << 20] {
            let locked = dir.path().join("locked");
            fs::write(&locked, vec![7; len]).unwrap();
            let mode = fs::Permissions::from_mode(0o000);
            fs::set_permissions(&locked, mode).unwrap();
            let failure = without_privileges(|| made(&[dir.path().to_owned()]).unwrap_err());
            let why = failure.to_string();
            assert_eq!(failure.code(), 2, "{why}");
            assert!(why.ends_with("locked: Permission denied"), "{why}");
            fs::remove_file(locked).unwrap();
        }
    }

    #[test]
    fn a_file_that_goes_or_changes_meanwhile_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a", "b"] {
            fs::write(dir.path().join(file), "content").unwrap();
        }
        let path = dir.path().to_owned();
        let files = files(std::slice::from_ref(&path), &path, &AtomicBool::new(false)).unwrap();
        assert!(unreadable(&files).is_none());
        fs::write(path.join("b"), "other content").unwrap();
        let changed = unreadable(&files).unwrap();
        assert_eq!(changed.code(), 2);
        assert!(changed.to_string().contains("b changed while"), "{changed}");
        fs::remove_file(path.join("a")).unwrap();
        let gone = unreadable(&files).unwrap();
        assert_eq!(gone.code(), 3);
        assert!(gone.to_string().contains("a does not exist"), "{gone}");
        // Nobody writes into it, and it is not waited for.
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path.join("a"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let other = unreadable(&files).unwrap();
        assert_eq!(other.code(), 2, "{other}");
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
        fs::write(&file, "content").unwrap();
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
