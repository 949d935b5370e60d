//! Files get other paths.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use storage::{ErrorKind, FileSpec, Op, RecheckOptions, Store, StoreOptions};

use crate::support::Torrent;

/// Three files of a folder, with pieces that reach over their borders.
fn torrent(dir: &Path) -> Torrent {
    let files = vec![
        FileSpec::new(["t", "one"], 100_000),
        FileSpec::new(["t", "sub", "two"], 300_000),
        FileSpec::new(["t", "three"], 50_000),
    ];
    Torrent::new(dir, 65_536, files)
}

fn path(components: &[&str]) -> Vec<String> {
    components.iter().map(|it| (*it).to_owned()).collect()
}

fn is_whole(store: &Store) -> bool {
    let options = RecheckOptions::default();
    let have = store.recheck(&options, &|_| (), &AtomicBool::new(false));
    have.unwrap().is_full()
}

#[test]
fn a_file_is_found_at_its_new_path_and_its_empty_folder_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let renamed = store
        .rename(&[(1, path(&["t", "new", "name"]))], None)
        .unwrap();
    assert!(is_whole(&store), "both names are there");
    renamed.finish().unwrap();
    assert!(!dir.path().join("t/sub").exists());
    assert_eq!(
        fs::read(dir.path().join("t/new/name")).unwrap(),
        torrent.content[100_000..400_000]
    );
    assert_eq!(store.path_of(1), dir.path().join("t/new/name"));
    store.close_files();
    assert!(is_whole(&store));
    store.remove_files().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_not_there_yet_comes_into_being_at_its_new_path() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    let renamed = store.rename(&[(0, path(&["t", "uno"])), (2, path(&["tres"]))], None);
    renamed.unwrap().finish().unwrap();
    torrent.write_all(&store);
    assert!(!dir.path().join("t/one").exists());
    assert!(!dir.path().join("t/three").exists());
    assert!(dir.path().join("t/uno").exists());
    assert!(dir.path().join("tres").exists());
    assert!(is_whole(&store));
}

#[test]
fn nothing_that_is_there_is_overwritten_and_all_files_stay_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    fs::write(dir.path().join("t/taken"), b"somebody's").unwrap();
    fs::create_dir(dir.path().join("t/folder")).unwrap();
    symlink("nowhere", dir.path().join("t/link")).unwrap();
    for there in ["taken", "folder", "link"] {
        let both = [(0, path(&["t", "free"])), (1, path(&["t", there]))];
        let error = store.rename(&both, None).unwrap_err();
        assert_eq!(
            (error.kind(), error.op()),
            (ErrorKind::InTheWay, Op::Rename)
        );
        assert!(!dir.path().join("t/free").exists(), "{there}");
        assert!(dir.path().join("t/one").exists(), "{there}");
    }
    assert_eq!(fs::read(dir.path().join("t/taken")).unwrap(), b"somebody's");
    assert!(is_whole(&store));
    // Nor by a file that is yet to come.
    fs::remove_file(dir.path().join("t/three")).unwrap();
    let error = store
        .rename(&[(2, path(&["t", "taken"]))], None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InTheWay);
}

#[test]
fn no_path_leads_outside_or_to_another_file_of_the_torrent() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    symlink(outside.path(), dir.path().join("way")).unwrap();
    let cases: [(&[&str], ErrorKind); 9] = [
        (&[], ErrorKind::UnsafePath),
        (&["..", "x"], ErrorKind::UnsafePath),
        (&["t", ".", "x"], ErrorKind::UnsafePath),
        (&["t/../../x"], ErrorKind::UnsafePath),
        (&["t", ""], ErrorKind::UnsafePath),
        (&["t", "a\0b"], ErrorKind::UnsafePath),
        (&["way", "x"], ErrorKind::UnsafePath),
        (&["t", "three"], ErrorKind::Invalid),
        (&["t", "three", "x"], ErrorKind::Invalid),
    ];
    for (components, kind) in cases {
        let error = store.rename(&[(0, path(components))], None).unwrap_err();
        assert_eq!(error.kind(), kind, "{components:?}");
    }
    let error = store.rename(&[(9, path(&["x"]))], None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let twice = [(0, path(&["x"])), (1, path(&["x"]))];
    assert_eq!(
        store.rename(&twice, None).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(is_whole(&store));
}

#[test]
fn whoever_is_killed_in_between_finds_the_file_under_either_name_and_can_do_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    drop(store.rename(&[(0, path(&["t", "uno"]))], None).unwrap());
    drop(store);
    // It was noted.
    let mut noted = torrent.spec.clone();
    noted.files[0].path = path(&["t", "uno"]);
    assert!(is_whole(
        &Store::open(noted, StoreOptions::default()).unwrap()
    ));
    // It was not.
    let store = torrent.store(&StoreOptions::default());
    assert!(is_whole(&store));
    let again = store.rename(&[(0, path(&["t", "uno"]))], None).unwrap();
    again.finish().unwrap();
    assert!(!dir.path().join("t/one").exists());
    assert!(is_whole(&store));
}

#[test]
fn what_is_undone_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let all = [(0, path(&["u", "one"])), (1, path(&["u", "sub", "two"]))];
    store.rename(&all, None).unwrap().undo();
    assert!(!dir.path().join("u").exists());
    store.close_files();
    assert!(is_whole(&store));
}

#[test]
fn those_who_write_meanwhile_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let name = format!("n{number}");
                let renamed = store.rename(&[(1, path(&["t", &name]))], None).unwrap();
                store.close_files();
                renamed.finish().unwrap();
            }
        });
        for _ in 0..40 {
            torrent.write_all(&store);
            assert!(is_whole(&store));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(is_whole(&store));
    assert_eq!(fs::read_dir(dir.path().join("t")).unwrap().count(), 3);
}

#[test]
fn those_who_write_while_a_file_becomes_wanted_lose_nothing() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let mut torrent = torrent(dir.path());
        torrent.spec.files[1].wanted = false;
        let store = torrent.store(&StoreOptions::default());
        thread::scope(|scope| {
            scope.spawn(|| torrent.write_all(&store));
            store.set_wanted(1, true).unwrap();
        });
        assert!(is_whole(&store));
        assert!(dir.path().join("t/sub/two").exists());
    }
}

#[test]
fn a_file_that_became_wanted_between_two_runs_has_what_the_part_file_had() {
    let dir = tempfile::tempdir().unwrap();
    let mut torrent = torrent(dir.path());
    torrent.spec.files[1].wanted = false;
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    drop(store);
    assert!(!dir.path().join("t/sub/two").exists());
    torrent.spec.files[1].wanted = true;
    let store = torrent.store(&StoreOptions::default());
    store.reclaim().unwrap();
    assert!(is_whole(&store));
    assert!(!dir.path().join(".parts").exists());
}

#[test]
fn a_folder_that_is_there_is_not_moved_into_unless_a_killed_run_has_begun_to() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let all = [
        (0, path(&["u", "one"])),
        (1, path(&["u", "sub", "two"])),
        (2, path(&["u", "three"])),
    ];
    fs::create_dir(dir.path().join("u")).unwrap();
    let error = store.rename(&all, Some("u")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InTheWay);
    // As it is when the process ends after the first file.
    fs::hard_link(dir.path().join("t/one"), dir.path().join("u/one")).unwrap();
    store.rename(&all, Some("u")).unwrap().finish().unwrap();
    assert!(!dir.path().join("t").exists());
    assert!(is_whole(&store));
}
