//! Finds the files of a new torrent.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::exclude::Exclude;
use super::hashing::broken_off;
use crate::failure::{Failure, reason};
use crate::text::printable;

/// Folders deeper than this below the start are taken for a loop.
const MAX_DEPTH: usize = 128;

/// One file to share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) at: PathBuf,
    /// Path below the start, by component; empty where the start is the file itself.
    pub(crate) path: Vec<String>,
    /// Bytes.
    pub(crate) len: u64,
    /// Whether its owner may execute it.
    pub(crate) executable: bool,
    /// When it was last changed, to notice a change while it is read.
    pub(crate) changed: Option<SystemTime>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The folder, without links on the way to it; empty where the start is a file.
    root: PathBuf,
    /// The files, by the bytes of their path's components.
    pub(crate) files: Vec<Found>,
    /// Sockets, devices and pipes, which a torrent cannot hold.
    pub(crate) skipped: Vec<PathBuf>,
    /// Links that lead out of the folder, and where to.
    pub(crate) followed: Vec<(PathBuf, PathBuf)>,
    /// Why it cannot be shared as it is, a line for each name that is in the way.
    pub(crate) obstacles: Vec<String>,
    /// Folders without a file in them or below, which a torrent cannot hold.
    pub(crate) empty: u64,
    /// Files and folders that were asked to be left out.
    pub(crate) excluded: u64,
}

/// Where a walk is.
#[derive(Debug)]
struct Place<'a> {
    /// Turns true when nobody wants it any more.
    stop: &'a AtomicBool,
    /// Below the start, by component.
    path: Vec<String>,
    /// The folders on the way here, so that a link back to one is noticed.
    above: Vec<(u64, u64)>,
}

/// Lists the files at and below `start`, in the order in which a torrent names them.
///
/// Symbolic links are followed; hidden files are taken like any other; empty folders are counted. What `exclude` takes is not
/// looked at. `stop` turns true when nobody wants it any more.
///
/// # Errors
/// [`Failure::NotFound`] where `start` is not there; [`Failure::Failed`] where a folder cannot be read, or it was broken off.
pub(crate) fn walk(
    start: &Path,
    exclude: &mut Exclude,
    stop: &AtomicBool,
) -> Result<Tree, Failure> {
    let meta = fs::metadata(start).map_err(|error| Failure::on_file(start, &error))?;
    let mut tree = Tree::default();
    if meta.is_dir() {
        tree.root = fs::canonicalize(start).map_err(|error| Failure::on_file(start, &error))?;
        let mut place = Place {
            stop,
            path: Vec::new(),
            above: vec![(meta.dev(), meta.ino())],
        };
        tree.enter(start, &mut place, exclude)?;
        tree.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    } else {
        tree.take(start.to_owned(), &[], &meta);
    }
    Ok(tree)
}

impl Tree {
    /// Takes all of a folder. Says whether anything but empty folders was in it.
    fn enter(
        &mut self,
        folder: &Path,
        place: &mut Place<'_>,
        exclude: &mut Exclude,
    ) -> Result<bool, Failure> {
        if place.path.len() >= MAX_DEPTH {
            return Err(Failure::Failed(format!(
                "{}: folders are nested too deep",
                folder.display()
            )));
        }
        let failed = |error: std::io::Error| {
            Failure::Failed(format!("{}: {}", folder.display(), reason(&error)))
        };
        let mut any = false;
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if place.stop.load(Ordering::Relaxed) {
                return Err(broken_off());
            }
            let name = entry.file_name();
            let below: PathBuf = place.path.iter().collect();
            if exclude.takes(&below.join(&name), &name) {
                self.excluded += 1;
                any = true;
                continue;
            }
            match self.look_at(entry.path(), name, place) {
                Ok((at, meta)) if meta.is_dir() => {
                    let inside = self.enter(&at, place, exclude)?;
                    self.empty += u64::from(!inside);
                    any |= inside;
                    place.above.pop();
                    place.path.pop();
                }
                Ok((at, meta)) => {
                    self.take(at, &place.path, &meta);
                    place.path.pop();
                    any = true;
                }
                Err(obstacle) => {
                    self.obstacles.push(obstacle);
                    any = true;
                }
            }
        }
        Ok(any)
    }

    /// What is at a path in the folder where the walk is; moves on to it, unless it cannot be shared.
    fn look_at(
        &mut self,
        at: PathBuf,
        name: OsString,
        place: &mut Place<'_>,
    ) -> Result<(PathBuf, Metadata), String> {
        let Ok(name) = name.into_string() else {
            return Err(unfit(&at, "is not valid UTF-8"));
        };
        if name.chars().any(char::is_control) {
            return Err(unfit(&at, "has control characters"));
        }
        let meta = fs::metadata(&at).map_err(|error| unreadable(&at, &error))?;
        if meta.is_dir() {
            let this = (meta.dev(), meta.ino());
            if place.above.contains(&this) {
                let at = printable(&at.display().to_string());
                return Err(format!("{at}: the link leads back to a folder above it"));
            }
            place.above.push(this);
        }
        self.note_link(&at);
        place.path.push(name);
        Ok((at, meta))
    }

    /// Notes a link that leads out of the folder.
    fn note_link(&mut self, at: &Path) {
        if fs::symlink_metadata(at).is_ok_and(|meta| meta.is_symlink())
            && let Ok(to) = fs::canonicalize(at)
            && !to.starts_with(&self.root)
        {
            self.followed.push((at.to_owned(), to));
        }
    }

    fn take(&mut self, at: PathBuf, path: &[String], meta: &Metadata) {
        if !meta.is_file() {
            self.skipped.push(at);
            return;
        }
        self.files.push(Found {
            at,
            path: path.to_vec(),
            len: meta.len(),
            executable: meta.permissions().mode() & 0o100 != 0,
            changed: meta.modified().ok(),
        });
    }
}

/// A name that a torrent cannot hold, and what can be done.
fn unfit(at: &Path, why: &str) -> String {
    // What is in the name would act on the terminal.
    let at = printable(&at.display().to_string());
    format!("{at}: the name {why}, and no torrent can hold it: rename it, or --exclude it")
}

/// A file that cannot be looked at: a link to nothing, perhaps.
fn unreadable(at: &Path, error: &std::io::Error) -> String {
    let path = at.display();
    match fs::read_link(at) {
        Ok(to) if error.kind() == std::io::ErrorKind::NotFound => {
            let to = to.display();
            format!("{path}: the link leads to {to}, which does not exist")
        }
        _ => format!("{path}: {}", reason(error)),
    }
}

impl Found {
    /// Whether the file is as it was when it was found.
    pub(crate) fn is_unchanged(&self) -> bool {
        fs::metadata(&self.at)
            .is_ok_and(|now| now.len() == self.len && now.modified().ok() == self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree_of(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let at = dir.path().join(file);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, file).unwrap();
        }
        dir
    }

    fn walk(start: &Path) -> Result<Tree, Failure> {
        super::walk(start, &mut Exclude::default(), &AtomicBool::new(false))
    }

    fn paths(tree: &Tree) -> Vec<String> {
        tree.files.iter().map(|f| f.path.join("/")).collect()
    }

    #[test]
    fn files_come_in_the_byte_order_of_their_components() {
        let dir = tree_of(&["b", "a/z", "a.txt", "a/B", "Z", ".hidden"]);
        let tree = walk(dir.path()).unwrap();
        // "a/…" sorts before "a.txt" by component, though '.' is a smaller byte than '/'.
        assert_eq!(paths(&tree), [".hidden", "Z", "a/B", "a/z", "a.txt", "b"]);
        assert_eq!(tree.files[1].len, 1);
    }

    #[test]
    fn a_single_file_has_no_path_below_itself() {
        let dir = tree_of(&["only"]);
        let tree = walk(&dir.path().join("only")).unwrap();
        assert_eq!(tree.files[0].path, Vec::<String>::new());
    }

    #[test]
    fn links_are_followed_and_circles_are_refused() {
        let dir = tree_of(&["in/file"]);
        symlink(dir.path().join("in/file"), dir.path().join("link")).unwrap();
        assert_eq!(paths(&walk(dir.path()).unwrap()), ["in/file", "link"]);
        symlink(dir.path(), dir.path().join("in/up")).unwrap();
        let [obstacle] = &walk(dir.path()).unwrap().obstacles[..] else {
            panic!("one circle");
        };
        assert!(obstacle.contains("leads back"), "{obstacle}");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert_eq!(walk(Path::new("/nonexistent/x")).unwrap_err().code(), 3);
    }

    #[test]
    fn folders_count_as_empty_where_no_file_is_below_them() {
        let dir = tree_of(&["full/file", "cut/a.tmp"]);
        fs::create_dir_all(dir.path().join("empty/too")).unwrap();
        let mut exclude = Exclude::parse(&["*.tmp".to_owned()]).unwrap();
        let tree = super::walk(dir.path(), &mut exclude, &AtomicBool::new(false)).unwrap();
        assert_eq!(paths(&tree), ["full/file"]);
        assert_eq!((tree.empty, tree.excluded), (2, 1));
    }

    #[test]
    fn every_name_that_is_in_the_way_is_told() {
        let dir = tree_of(&["good", "bad\n1", "sub/bad\t2", "left/bad\t3"]);
        symlink("nowhere", dir.path().join("sub/link")).unwrap();
        let mut exclude = Exclude::parse(&["left".to_owned()]).unwrap();
        let tree = super::walk(dir.path(), &mut exclude, &AtomicBool::new(false)).unwrap();
        assert_eq!(tree.obstacles.len(), 3, "{:?}", tree.obstacles);
        assert_eq!(paths(&tree), ["good"]);
    }

    #[test]
    fn a_change_is_noticed() {
        let dir = tree_of(&["f"]);
        let tree = walk(dir.path()).unwrap();
        assert!(tree.files[0].is_unchanged());
        fs::write(dir.path().join("f"), "longer than before").unwrap();
        assert!(!tree.files[0].is_unchanged());
    }
}
