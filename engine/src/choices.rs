//! What was decided about the files and pieces of a torrent: how much each is wanted, and where it lies. What is decided while
//! a torrent is here is kept beside its progress, before it holds.
//!
//! # Format of the note
//! A file `<info-hash>.choices` in the state directory, a dictionary in bencoding. `files` and `pieces` are lists of pairs, a number and a priority from 0 to 7; `others` is the
//! priority of all other files; `renamed` is a list of pairs, the number of a file and the elements of its path.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::bencode::{self, Limits};
use protocol::id::InfoHash;
use serde::{Deserialize, Serialize};
use storage::{Call, Watcher};

use crate::AddTorrent;
use crate::torrent::picker::Priority;

/// What was decided about the files and pieces of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// How much files are wanted, by their number in the metadata, pad files counted.
    pub files: BTreeMap<usize, Priority>,
    /// How much all other files are wanted; [`AddTorrent::files`] goes before it.
    pub others: Priority,
    /// How much pieces are wanted, where that is not as their files are.
    pub pieces: BTreeMap<u32, Priority>,
    /// Where files lie below the folder instead of at their path in the metadata: the elements of the path, from where that of
    /// the metadata begins, which is with the torrent's name.
    pub renamed: BTreeMap<usize, Vec<String>>,
}

impl Choices {
    /// Whether nothing is said of what is wanted.
    pub(crate) fn wants_as_usual(&self) -> bool {
        self.files.is_empty() && self.pieces.is_empty() && self.others == Priority::NORMAL
    }

    /// Takes over what was kept where `add` says nothing else.
    pub(crate) fn fill_in(add: &mut AddTorrent, kept: Self) {
        let own = &mut add.choices;
        if own.renamed.is_empty() {
            own.renamed = kept.renamed;
        }
        if add.files.is_none() && own.wants_as_usual() {
            own.files = kept.files;
            own.others = kept.others;
            own.pieces = kept.pieces;
        }
    }
}

impl AddTorrent {
    /// How much a file is wanted.
    pub(crate) fn priority(&self, file: usize) -> Priority {
        let own = self.choices.files.get(&file).copied();
        own.unwrap_or_else(|| match &self.files {
            Some(list) if list.contains(&file) => Priority::NORMAL,
            Some(_) => Priority::SKIP,
            None => self.choices.others,
        })
    }

    /// How much each of so many files is wanted.
    pub(crate) fn priorities(&self, files: usize) -> Vec<Priority> {
        let listed = self.files.as_ref();
        let listed: Option<BTreeSet<usize>> = listed.map(|list| list.iter().copied().collect());
        let usual = |file: usize| match &listed {
            Some(list) if list.contains(&file) => Priority::NORMAL,
            Some(_) => Priority::SKIP,
            None => self.choices.others,
        };
        let own = |file| self.choices.files.get(&file).copied();
        (0..files)
            .map(|file| own(file).unwrap_or_else(|| usual(file)))
            .collect()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    files: Vec<(u64, u8)>,
    others: u8,
    pieces: Vec<(u32, u8)>,
    renamed: Vec<(u64, Vec<String>)>,
}

impl From<&Choices> for Note {
    fn from(choices: &Choices) -> Self {
        let files = choices.files.iter();
        let pieces = choices.pieces.iter();
        let renamed = choices.renamed.iter();
        Self {
            files: files.map(|(file, it)| (*file as u64, it.get())).collect(),
            others: choices.others.get(),
            pieces: pieces.map(|(piece, it)| (*piece, it.get())).collect(),
            renamed: renamed
                .map(|(file, path)| (*file as u64, path.clone()))
                .collect(),
        }
    }
}

impl From<Note> for Choices {
    fn from(note: Note) -> Self {
        let files = note.files.into_iter();
        let pieces = note.pieces.into_iter();
        let renamed = note.renamed.into_iter();
        Self {
            files: files
                .map(|(file, it)| (file as usize, Priority::new(it)))
                .collect(),
            others: Priority::new(note.others),
            pieces: pieces
                .map(|(piece, it)| (piece, Priority::new(it)))
                .collect(),
            renamed: renamed.map(|(file, path)| (file as usize, path)).collect(),
        }
    }
}

/// Where the choices for a torrent are kept.
pub(crate) fn path(dir: &Path, hash: InfoHash) -> PathBuf {
    dir.join(format!("{hash}.choices"))
}

/// What was kept under one of these names. A note that cannot be read is none: content is found by a check.
pub(crate) fn load(dir: &Path, names: &[[u8; 20]]) -> Option<Choices> {
    let path = |name: &[u8; 20]| path(dir, InfoHash(*name));
    names.iter().find_map(|name| load_from(&path(name)))
}

fn load_from(path: &Path) -> Option<Choices> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "choices of files could not be read");
            }
            return None;
        }
    };
    let choices = parse(&bytes);
    if choices.is_none() {
        tracing::warn!(path = %path.display(), "choices of files are damaged, and of no effect");
    }
    choices
}

fn parse(bytes: &[u8]) -> Option<Choices> {
    let limits = Limits {
        tokens: 1 << 24,
        bytes: 1 << 30,
        ..Limits::default()
    };
    let note: Note = bencode::typed::from_bytes(bytes, &limits).ok()?;
    Some(note.into())
}

/// Keeps choices: whatever happens, either these or the former are found afterwards. `watch` is asked before each call.
///
/// # Errors
/// What the system says.
pub(crate) fn save(path: &Path, choices: &Choices, watch: &Watcher) -> io::Result<()> {
    let body = bencode::typed::to_bytes(&Note::from(choices)).map_err(io::Error::other)?;
    let new = path.with_extension("choices.new");
    let write = || {
        watch.ask(Call::Create, &new)?;
        let mut file = File::create(&new)?;
        file.write_all(&body)?;
        watch.ask(Call::Sync, &new)?;
        file.sync_data()?;
        watch.ask(Call::Rename, &new)?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |dir| {
            watch.ask(Call::Sync, dir)?;
            File::open(dir)?.sync_all()
        })
    };
    let written = write();
    if written.is_err() {
        // It may not even have come into being.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use proptest::prelude::*;
    use protocol::metainfo::{LoadLimits, Metainfo};

    use super::*;
    use crate::Source;

    fn priority() -> impl Strategy<Value = Priority> {
        (0..=7_u8).prop_map(Priority::new)
    }

    fn choices() -> impl Strategy<Value = Choices> {
        let path = prop::collection::vec(".{1,9}", 1..4);
        let files = prop::collection::btree_map(0..99_usize, priority(), 0..9);
        let pieces = prop::collection::btree_map(any::<u32>(), priority(), 0..9);
        let renamed = prop::collection::btree_map(0..99_usize, path, 0..9);
        (files, priority(), pieces, renamed).prop_map(|(files, others, pieces, renamed)| Choices {
            files,
            others,
            pieces,
            renamed,
        })
    }

    proptest! {
        #[test]
        fn what_is_kept_is_found_again_and_a_part_of_it_is_nothing(
            choices in choices(),
            at in any::<prop::sample::Index>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = path(dir.path(), InfoHash([7; 20]));
            save(&path, &choices, &Watcher::default()).unwrap();
            prop_assert_eq!(load(dir.path(), &[[1; 20], [7; 20]]), Some(choices));
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(at.index(bytes.len()));
            fs::write(&path, &bytes).unwrap();
            prop_assert_eq!(load(dir.path(), &[[7; 20]]), None);
        }
    }

    fn add() -> AddTorrent {
        let torrent =
            b"d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
        let metainfo = Metainfo::from_bytes(torrent, &LoadLimits::default()).unwrap();
        AddTorrent::new(Source::Metainfo(Arc::new(metainfo)), PathBuf::new())
    }

    #[test]
    fn what_is_said_now_goes_before_what_was_kept() {
        let kept = Choices {
            files: BTreeMap::from([(1, Priority::SKIP)]),
            renamed: BTreeMap::from([(0, vec!["b".to_owned()])]),
            ..Choices::default()
        };
        let mut silent = add();
        Choices::fill_in(&mut silent, kept.clone());
        assert_eq!(silent.choices, kept);
        let mut listed = add();
        listed.files = Some(vec![1]);
        Choices::fill_in(&mut listed, kept.clone());
        assert!(listed.choices.files.is_empty(), "the list counts");
        assert_eq!(
            listed.choices.renamed, kept.renamed,
            "files lie where they lie"
        );
    }

    #[test]
    fn a_file_has_its_own_priority_or_that_of_all_others() {
        let mut add = add();
        let [top, low] = [7, 1].map(Priority::new);
        add.choices.files = BTreeMap::from([(0, top)]);
        add.choices.others = low;
        assert_eq!(add.priorities(3), [top, low, low]);
        add.files = Some(vec![2]);
        assert_eq!(add.priorities(3), [top, Priority::SKIP, Priority::NORMAL]);
    }
}
