//! A backup in place of a store.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};

use redb::StorageBackend;

use super::*;
use crate::store::restoring::replace_in;

/// A folder in which only so many changes of names come off.
#[derive(Debug)]
struct Failing {
    folder: Folder,
    left: AtomicI64,
}

impl Failing {
    fn may(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            Ok(())
        } else {
            Err(io::Error::other("the power is gone"))
        }
    }
}

impl Medium for Failing {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>> {
        self.folder.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        self.may()?;
        self.folder.create(name)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.folder.len(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.may()?;
        self.folder.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.may()?;
        self.folder.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.may()?;
        self.folder.sync()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn fmt::Debug + Send + Sync>>> {
        self.folder.lock()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }
}

/// A backup with torrent 1, and a store with torrent 2 and its previous generation.
fn backup_and_store() -> (tempfile::TempDir, PathBuf, tempfile::TempDir) {
    let (dir, living) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = dir.path().join("backup");
    stocked(dir.path()).0.backup(&backup, 1).unwrap();
    let (store, _) = open(living.path());
    let mut batch = Batch::new();
    batch.torrent(store.next_key().unwrap(), torrent(2));
    store.commit(&batch).unwrap();
    store.save_generation(1, &false.into()).unwrap();
    store.close().unwrap();
    (dir, backup, living)
}

fn names(dir: &Path) -> Vec<String> {
    let (store, opening) = open(dir);
    let opened = matches!(
        opening,
        Opening::Ready | Opening::Previous { why: None, .. }
    );
    assert!(opened, "{opening:?}");
    let torrents = store.summaries().unwrap().torrents.into_iter();
    torrents.map(|(_, torrent)| torrent.name).collect()
}

#[test]
fn a_backup_takes_the_place_of_a_store_which_is_put_aside() {
    let (_dir, backup, living) = backup_and_store();
    let aside = replace(&backup, living.path()).unwrap();
    assert_eq!(aside, Some(living.path().join(REPLACED)));
    assert_eq!(names(living.path()), ["torrent 1"]);
    // What was put aside is whole, and can be put back in the same way.
    assert!(crate::is_store(&living.path().join(REPLACED)).unwrap());
    replace(&living.path().join(REPLACED), living.path()).unwrap();
    assert_eq!(names(living.path()), ["torrent 2"]);

    let empty = tempfile::tempdir().unwrap();
    assert_eq!(replace(&backup, empty.path()).unwrap(), None);
    assert_eq!(names(empty.path()), ["torrent 1"]);
}

#[test]
fn a_damaged_store_can_be_replaced_and_one_in_use_cannot() {
    let (_dir, backup, living) = backup_and_store();
    let (store, _) = open(living.path());
    let error = replace(&backup, living.path()).unwrap_err();
    assert!(matches!(error, StateError::InUse { .. }), "{error}");
    drop(store);
    std::fs::write(living.path().join(FILE), b"rot").unwrap();
    replace(&backup, living.path()).unwrap();
    assert_eq!(names(living.path()), ["torrent 1"]);
}

#[test]
fn a_bad_backup_changes_nothing() {
    let (dir, backup, living) = backup_and_store();
    std::fs::write(&backup, b"something else").unwrap();
    let error = replace(&backup, living.path()).unwrap_err();
    assert!(error.is_damage(), "{error}");
    let error = replace(&dir.path().join("gone"), living.path()).unwrap_err();
    assert!(matches!(error, StateError::Absent { .. }), "{error}");
    assert_eq!(names(living.path()), ["torrent 2"]);
}

#[test]
fn cut_off_anywhere_it_leaves_the_old_store_or_the_new_one() {
    let mut ends = Vec::new();
    for left in 0.. {
        let (_dir, backup, living) = backup_and_store();
        let medium = Failing {
            folder: Folder::new(living.path().to_path_buf()),
            left: left.into(),
        };
        let done = replace_in(&backup, &medium).is_ok();
        let found = names(living.path());
        assert!(
            found == ["torrent 1"] || found == ["torrent 2"],
            "{left}: {found:?}"
        );
        assert!(!done || found == ["torrent 1"]);
        ends.push(found);
        if done {
            break;
        }
    }
    assert!(ends.len() > 6, "{ends:?}");
    // Once it has taken the place, it stays there.
    let first = ends.iter().position(|end| *end == ["torrent 1"]).unwrap();
    assert!(ends[first..].iter().all(|end| *end == ["torrent 1"]));
}
