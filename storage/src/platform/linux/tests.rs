//! Paths below a folder, with and without the kernel's help.

use std::fs as std_fs;
use std::io::IoSlice;
use std::os::unix::fs::symlink;

use super::*;
use crate::watch::Watcher;

const WRITE: Access = Access::Write { executable: false };

/// The folder opened in both ways.
fn roots(path: &Path) -> [Root; 2] {
    let mut by_hand = Root::open(path, false, &Watcher::default()).unwrap();
    by_hand.resolve = false;
    [
        Root::open(path, false, &Watcher::default()).unwrap(),
        by_hand,
    ]
}

#[test]
fn both_ways_open_what_lies_inside_and_nothing_else() {
    let outside = tempfile::tempdir().unwrap();
    std_fs::write(outside.path().join("file"), "precious").unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("away")).unwrap();
    symlink("inside", dir.path().join("alias")).unwrap();
    symlink(outside.path().join("file"), dir.path().join("link")).unwrap();
    for (turn, root) in roots(dir.path()).into_iter().enumerate() {
        let inside = format!("inside/{turn}/deep/file");
        let inside = Path::new(&inside);
        assert!(
            root.open_file(inside, Access::Read)
                .unwrap_err()
                .is_not_found()
        );
        root.open_file(inside, WRITE).unwrap().set_len(5).unwrap();
        assert_eq!(root.stat(inside).unwrap().len, 5);
        assert!(root.open_file(inside, Access::Read).is_ok());
        for access in [Access::Read, WRITE] {
            for path in ["away/file", "link", "alias/file"] {
                let error = root.open_file(Path::new(path), access).unwrap_err();
                assert_eq!(error, Cause::Symlink, "{path}");
            }
            for path in ["../file", "/etc/hostname", "inside/../../file", "."] {
                assert!(root.open_file(Path::new(path), access).is_err(), "{path}");
            }
            let folder = root.open_file(Path::new("inside"), access).unwrap_err();
            assert_eq!(folder.kind(), crate::ErrorKind::InTheWay);
        }
        assert!(root.make_parents(Path::new("away/new/file")).is_err());
        assert!(root.symlink(Path::new("away/new"), Path::new("x")).is_err());
        assert!(root.remove(Path::new("away/file")).is_err());
        assert!(!root.remove_dir(Path::new("away/file")));
        assert!(root.stat(Path::new("link")).is_err());
    }
    assert_eq!(std_fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_is_made_only_when_something_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    assert!(
        Root::open(&path, false, &Watcher::default())
            .unwrap_err()
            .is_not_found()
    );
    assert!(!path.exists());
    assert!(Root::open(&path, true, &Watcher::default()).is_ok());
    assert!(path.is_dir());
}

#[test]
fn holes_are_found_and_data_too() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path(), false, &Watcher::default()).unwrap();
    let file = root.open_file(Path::new("f"), WRITE).unwrap();
    file.set_len(10 << 20).unwrap();
    assert_eq!(next_data(&file, 0), None);
    let mut slices = [IoSlice::new(b"some"), IoSlice::new(b"thing")];
    write_all_at(&file, &mut slices, 5 << 20).unwrap();
    assert_eq!(next_data(&file, 0), Some(5 << 20));
    assert_eq!(next_data(&file, 6 << 20), None);
    let mut out = [0; 9];
    read_exact_at(&file, &mut out, 5 << 20).unwrap();
    assert_eq!(out, *b"something");
    assert_eq!(
        read_exact_at(&file, &mut out, (10 << 20) - 8),
        Err(Cause::TooShort)
    );
    read_ahead(&file, 0, 10 << 20);
}

#[test]
fn links_are_followed_to_read_only_where_that_is_asked_for_and_never_to_write() {
    let outside = tempfile::tempdir().unwrap();
    std_fs::write(outside.path().join("file"), "shared").unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("away")).unwrap();
    symlink("away/file", dir.path().join("link")).unwrap();
    symlink("nowhere", dir.path().join("broken")).unwrap();
    symlink("round", dir.path().join("round")).unwrap();
    for root in roots(dir.path()).map(Root::following_links) {
        for path in ["away/file", "link"].map(Path::new) {
            assert_eq!(root.stat(path).unwrap().len, 6);
            let file = root.open_file(path, Access::Read).unwrap();
            let mut out = [0; 6];
            read_exact_at(&file, &mut out, 0).unwrap();
            assert_eq!(&out, b"shared");
            assert_eq!(root.open_file(path, WRITE).unwrap_err(), Cause::Symlink);
            assert!(root.remove(Path::new("away/file")).is_err());
        }
        for path in ["broken", "round", "away", "../file", "/etc/hostname"] {
            let path = Path::new(path);
            assert!(root.open_file(path, Access::Read).is_err());
            assert!(root.stat(path).is_err());
        }
    }
    assert_eq!(
        std_fs::read(outside.path().join("file")).unwrap(),
        b"shared"
    );
}

#[test]
fn a_file_without_a_name_is_made_with_and_without_the_help_of_the_file_system() {
    let dir = tempfile::tempdir().unwrap();
    for root in roots(dir.path()) {
        for file in [root.open_unnamed().unwrap(), root.open_forgotten().unwrap()] {
            write_all_at(&file, &mut [IoSlice::new(b"four")], 0).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 4);
            assert_eq!(std_fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}
