//! What is in a folder at a moment, and how to make it so again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// What is below a folder, by paths below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) names: BTreeMap<PathBuf, Entry>,
    pub(crate) files: BTreeMap<FileId, Content>,
    ids: BTreeMap<(u64, u64), FileId>,
    next: FileId,
}

/// A file, whatever its names are.
pub(crate) type FileId = u64;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Folder,
    File(FileId),
    Link(PathBuf),
}

/// The bytes of a file, and when they were changed last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) len: usize,
    /// The last one may be shorter.
    pub(crate) pages: Vec<Arc<[u8]>>,
    /// Seconds since 1970, and nanoseconds.
    pub(crate) mtime: (u64, u32),
}

impl Tree {
    /// Looks at a folder; what has not changed since `before` is shared with it.
    pub(crate) fn look(root: &Path, before: &Self) -> Self {
        let mut tree = Self {
            next: before.next,
            ..Self::default()
        };
        tree.walk(root, Path::new(""), before);
        tree
    }

    fn walk(&mut self, root: &Path, below: &Path, before: &Self) {
        for found in fs::read_dir(root.join(below)).expect("a folder") {
            let found = found.expect("listed");
            let path = below.join(found.file_name());
            let meta = found.metadata().expect("it is there");
            let entry = if meta.is_dir() {
                self.walk(root, &path, before);
                Entry::Folder
            } else if meta.is_symlink() {
                Entry::Link(fs::read_link(found.path()).expect("a link"))
            } else {
                let inode = (meta.dev(), meta.ino());
                let known = before.ids.get(&inode).or_else(|| self.ids.get(&inode));
                let id = known.copied().unwrap_or_else(|| {
                    self.next += 1;
                    self.next
                });
                self.ids.insert(inode, id);
                let bytes = fs::read(found.path()).expect("read");
                let mtime = (meta.mtime() as u64, meta.mtime_nsec() as u32);
                let content = Content::new(&bytes, mtime, before.files.get(&id));
                self.files.insert(id, content);
                Entry::File(id)
            };
            self.names.insert(path, entry);
        }
    }

    /// Makes a folder hold this and nothing else.
    pub(crate) fn put(&self, root: &Path) {
        for found in fs::read_dir(root).expect("a folder") {
            let path = found.expect("listed").path();
            if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path).expect("removed");
            } else {
                fs::remove_file(&path).expect("removed");
            }
        }
        let mut first = BTreeMap::new();
        for (path, entry) in &self.names {
            let at = root.join(path);
            match entry {
                Entry::Folder => fs::create_dir(&at).expect("made"),
                Entry::Link(text) => symlink(text, &at).expect("made"),
                Entry::File(id) => {
                    if let Some(first) = first.get(id) {
                        fs::hard_link(first, &at).expect("linked");
                        continue;
                    }
                    let content = &self.files[id];
                    fs::write(&at, content.bytes()).expect("written");
                    let (seconds, nanos) = content.mtime;
                    let time = UNIX_EPOCH + Duration::new(seconds, nanos);
                    let file = File::options().write(true).open(&at).expect("opened");
                    file.set_times(FileTimes::new().set_modified(time))
                        .expect("set");
                    first.insert(*id, at);
                }
            }
        }
    }

    /// Drops what no name leads to.
    pub(crate) fn prune(&mut self) {
        let folders: BTreeSet<PathBuf> = self.names.iter().fold(
            BTreeSet::from([PathBuf::new()]),
            |mut folders, (path, entry)| {
                // Folders sort before what they hold.
                let reached = path.parent().is_some_and(|parent| folders.contains(parent));
                if reached && *entry == Entry::Folder {
                    folders.insert(path.clone());
                }
                folders
            },
        );
        self.names
            .retain(|path, _| path.parent().is_some_and(|parent| folders.contains(parent)));
    }

    /// The file with this name.
    pub(crate) fn file(&self, path: &Path) -> Option<FileId> {
        match self.names.get(path) {
            Some(Entry::File(id)) => Some(*id),
            _ => None,
        }
    }
}

impl Content {
    fn new(bytes: &[u8], mtime: (u64, u32), before: Option<&Self>) -> Self {
        let page = |(number, bytes): (usize, &[u8])| {
            let old = before.and_then(|before| before.pages.get(number));
            old.filter(|old| ***old == *bytes)
                .cloned()
                .unwrap_or_else(|| bytes.into())
        };
        Self {
            len: bytes.len(),
            pages: bytes.chunks(PAGE).enumerate().map(page).collect(),
            mtime,
        }
    }

    /// Its bytes in one.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        for page in &self.pages {
            all.extend_from_slice(page);
            // A page that is not the last is whole.
            all.resize(all.len().next_multiple_of(PAGE), 0);
        }
        all.resize(self.len, 0);
        all
    }
}
