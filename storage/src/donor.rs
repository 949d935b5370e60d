//! Files elsewhere on this machine that may hold content of a torrent (BEP 38), and the search for them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::layout::FileKind;
use crate::{Op, Store, StoreError};

/// A file elsewhere that may hold content of one of a torrent's files. It is only ever read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Donor {
    /// Which of the torrent's files, by its index in the specification.
    pub file: usize,
    /// The folder below which it is looked for.
    pub root: PathBuf,
    /// Its path below that; no symbolic link on the way is followed.
    pub path: PathBuf,
}

/// Donors that one file is given by a search at most: those with its name first.
const MOST_DONORS: usize = 8;

/// Entries of folders that a search looks at, at most.
const MOST_ENTRIES: usize = 1_000_000;

/// Folders in folders that a search goes into, at most.
const MOST_DEPTH: usize = 64;

/// The files of a torrent that a search is for.
struct Sought {
    by_len: BTreeMap<u64, Vec<usize>>,
    by_name: BTreeMap<OsString, Vec<usize>>,
    /// Where the torrent's own files lie.
    own: BTreeSet<PathBuf>,
}

impl Store {
    /// Looks through a folder, and the folders in it, for files that may hold content of this torrent's files: those that
    /// have the length of one, or its name. Contents are not looked at, symbolic links not followed, and what cannot be
    /// listed is passed over. Looks at a million entries at most, and stops when `cancel` turns true.
    ///
    /// # Errors
    /// The folder itself cannot be listed.
    pub fn search(&self, dir: &Path, cancel: &AtomicBool) -> Result<Vec<Donor>, StoreError> {
        let fail = |error: std::io::Error| StoreError::new(Op::Read, dir, error);
        let dir = fs::canonicalize(dir).map_err(fail)?;
        let sought = self.sought();
        // By the torrent's file: whether name and length differ, and the path.
        let mut found: BTreeMap<usize, BTreeSet<(bool, bool, PathBuf)>> = BTreeMap::new();
        let mut folders = vec![(PathBuf::new(), fs::read_dir(&dir).map_err(fail)?)];
        let mut seen = 0;
        while let Some((below, entries)) = folders.last_mut() {
            let Some(entry) = entries.next() else {
                folders.pop();
                continue;
            };
            seen += 1;
            if seen > MOST_ENTRIES {
                tracing::warn!(dir = %dir.display(), "too many files: not all were looked at");
                break;
            }
            if cancel.load(Ordering::Relaxed) {
                break;
            }
            let Ok(entry) = entry else { continue };
            let (path, Ok(kind)) = (below.join(entry.file_name()), entry.file_type()) else {
                continue;
            };
            if kind.is_dir() && folders.len() < MOST_DEPTH {
                folders.extend(fs::read_dir(entry.path()).ok().map(|inside| (path, inside)));
            } else if kind.is_file()
                && let Ok(stat) = entry.metadata()
                && !sought.own.contains(&entry.path())
            {
                let name = entry.file_name();
                for (file, rank) in sought.matches(stat.len(), &name) {
                    let best = found.entry(file).or_default();
                    best.insert((rank.0, rank.1, path.clone()));
                    if best.len() > MOST_DONORS {
                        best.pop_last();
                    }
                }
            }
        }
        let donors = found
            .into_iter()
            .flat_map(|(file, best)| best.into_iter().map(move |(_, _, path)| (file, path)));
        let donor = |(file, path)| Donor {
            file,
            root: dir.clone(),
            path,
        };
        Ok(donors.map(donor).collect())
    }

    fn sought(&self) -> Sought {
        let mut sought = Sought {
            by_len: BTreeMap::new(),
            by_name: BTreeMap::new(),
            own: BTreeSet::new(),
        };
        let root = fs::canonicalize(self.root()).ok();
        for (at, meta) in self.0.layout.files().iter().enumerate() {
            if !matches!(meta.kind, FileKind::Plain { .. }) || meta.len == 0 {
                continue;
            }
            sought.by_len.entry(meta.len).or_default().push(at);
            let path = meta.path();
            if let Some(name) = path.file_name() {
                sought.by_name.entry(name.to_owned()).or_default().push(at);
            }
            sought
                .own
                .extend(root.as_ref().map(|root| root.join(&path)));
        }
        sought
    }
}

impl Sought {
    /// The torrent's files that a file of this length and name may be like: whether the length differs, and the name.
    fn matches(&self, len: u64, name: &OsString) -> impl Iterator<Item = (usize, (bool, bool))> {
        let same_len = self.by_len.get(&len).into_iter().flatten();
        let same_name = self.by_name.get(name.as_os_str()).into_iter().flatten();
        let mut all: BTreeMap<usize, (bool, bool)> =
            same_len.map(|file| (*file, (false, true))).collect();
        for file in same_name.filter(|_| len > 0) {
            all.entry(*file).or_insert((true, true)).1 = false;
        }
        // A torrent of many files of one length would be given each of as many files in the folder.
        all.into_iter().take(4096)
    }
}
