//! Nothing leads outside the chosen folder, and whatever stands in the way is an error at once.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use storage::{Chunk, ErrorKind, FileSpec, Store, StoreError, StoreOptions, WriteMode};

use crate::support::{Torrent, skipped};

const LEN: u64 = 50_000;

fn torrent(root: &Path) -> Torrent {
    Torrent::new(root, 16_384, vec![FileSpec::new(["t", "sub", "file"], LEN)])
}

fn write(torrent: &Torrent, write: WriteMode) -> Result<(), StoreError> {
    let store = torrent.store(&StoreOptions {
        write,
        ..StoreOptions::default()
    });
    store.write(&[Chunk {
        offset: 0,
        data: &torrent.content,
    }])
}

fn read(torrent: &Torrent) -> Result<(), StoreError> {
    let store = torrent.store(&StoreOptions::default());
    let mut out = [0; 10];
    store.view(0, 10)?;
    store.read(0, &mut out)
}

/// Puts `obstacle` somewhere, then expects writing to fail in each mode.
fn expect(kind: ErrorKind, obstacle: impl Fn(&Path)) {
    for mode in [WriteMode::Pwrite, WriteMode::Map] {
        let dir = tempfile::tempdir().unwrap();
        obstacle(dir.path());
        let torrent = torrent(dir.path());
        let error = write(&torrent, mode).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.path(), dir.path().join("t/sub/file"));
        assert!(error.to_string().contains("t/sub/file"), "{error}");
        assert!(read(&torrent).is_err());
    }
}

#[test]
fn a_symbolic_link_below_the_folder_is_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "precious").unwrap();
    expect(ErrorKind::UnsafePath, |root| {
        fs::create_dir(root.join("t")).unwrap();
        symlink(outside.path(), root.join("t/sub")).unwrap();
    });
    expect(ErrorKind::UnsafePath, |root| {
        symlink(outside.path(), root.join("t")).unwrap();
    });
    expect(ErrorKind::UnsafePath, |root| {
        fs::create_dir_all(root.join("t/sub")).unwrap();
        symlink(outside.path().join("file"), root.join("t/sub/file")).unwrap();
    });
    expect(ErrorKind::UnsafePath, |root| {
        fs::create_dir_all(root.join("t/sub")).unwrap();
        symlink("nowhere", root.join("t/sub/file")).unwrap();
    });
    assert_eq!(
        fs::read_to_string(outside.path().join("file")).unwrap(),
        "precious"
    );
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn the_folder_itself_may_be_a_symbolic_link() {
    let real = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(real.path(), dir.path().join("link")).unwrap();
    let torrent = torrent(&dir.path().join("link"));
    write(&torrent, WriteMode::Pwrite).unwrap();
    assert_eq!(
        fs::read(real.path().join("t/sub/file")).unwrap(),
        torrent.content
    );
}

#[test]
fn folders_pipes_and_files_in_the_way_are_errors_and_never_block() {
    expect(ErrorKind::InTheWay, |root| {
        fs::create_dir_all(root.join("t/sub/file")).unwrap();
    });
    expect(ErrorKind::InTheWay, |root| {
        fs::create_dir(root.join("t")).unwrap();
        fs::write(root.join("t/sub"), "a file").unwrap();
    });
    expect(ErrorKind::InTheWay, |root| {
        fs::create_dir_all(root.join("t/sub")).unwrap();
        let pipe = root.join("t/sub/file");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    });
    expect(ErrorKind::InTheWay, |root| {
        fs::create_dir_all(root.join("t/sub")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(root.join("t/sub/file")).unwrap());
    });
}

#[test]
fn a_device_in_the_way_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("t/sub")).unwrap();
    let made = Command::new("mknod")
        .arg(dir.path().join("t/sub/file"))
        .args(["c", "1", "3"])
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skipped("making a device needs root");
    }
    let error = write(&torrent(dir.path()), WriteMode::Pwrite).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InTheWay | ErrorKind::Permission),
        "{error}"
    );
}

#[test]
fn paths_that_no_file_may_have_are_refused_before_anything_is_made() {
    let bad: [&[&str]; 9] = [
        &[],
        &[""],
        &["."],
        &[".."],
        &["t", "..", "x"],
        &["/etc/passwd"],
        &["t", "a/b"],
        &["t", "a\0b"],
        &["t", ""],
    ];
    for path in bad {
        let dir = tempfile::tempdir().unwrap();
        let mut torrent = torrent(dir.path());
        torrent.spec.files[0].path = path.iter().map(ToString::to_string).collect();
        let error = Store::open(torrent.spec.clone(), StoreOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsafePath, "{path:?}");
        torrent.spec.files[0].path = vec!["fine".into()];
        torrent.spec.part_file = path.join("/");
        let refused = Store::open(torrent.spec, StoreOptions::default());
        assert!(refused.is_err(), "{path:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_path_may_be_claimed_once_only_and_not_as_folder_and_file() {
    let clashes: [[&[&str]; 2]; 4] = [
        [&["t", "a"], &["t", "a"]],
        [&["t", "a"], &["t", "a", "b"]],
        [&["t", "a", "b"], &["t"]],
        [&["t", "a"], &[".parts"]],
    ];
    for [one, other] in clashes {
        let files = vec![
            FileSpec::new(one.iter().copied(), 10),
            FileSpec::new(["t", "a.b"], 1),
            FileSpec::new(other.iter().copied(), 10),
        ];
        let torrent = Torrent::new(Path::new("/nowhere"), 16_384, files);
        let error = Store::open(torrent.spec, StoreOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{one:?} {other:?}");
    }
}

#[test]
fn links_of_a_torrent_are_made_relative_and_stay_inside() {
    let dir = tempfile::tempdir().unwrap();
    let link = |path: &[&str], target: &[&str]| FileSpec {
        symlink: Some(target.iter().map(ToString::to_string).collect()),
        ..FileSpec::new(path.iter().copied(), 0)
    };
    let files = vec![
        FileSpec::new(["t", "sub", "file"], 10),
        link(&["t", "deep", "down", "link"], &["t", "sub", "file"]),
        link(&["t", "loop"], &["t", "loop"]),
    ];
    let torrent = Torrent::new(dir.path(), 16_384, files.clone());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    store.prepare().unwrap();
    store.prepare().unwrap();
    let made = dir.path().join("t/deep/down/link");
    assert_eq!(
        fs::read_link(&made).unwrap(),
        Path::new("../../../t/sub/file")
    );
    assert_eq!(fs::read(&made).unwrap(), torrent.content);
    assert!(fs::symlink_metadata(dir.path().join("t/loop")).is_err());
    for target in [["..", "etc"], ["t", ".."], ["/", "etc"]] {
        let mut files = files.clone();
        files[1] = link(&["t", "link"], &target);
        let torrent = Torrent::new(dir.path(), 16_384, files);
        let error = Store::open(torrent.spec, StoreOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsafePath);
    }
}

#[test]
fn removing_takes_the_torrents_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    fs::write(dir.path().join("t/mine"), "keep").unwrap();
    store.remove_files().unwrap();
    assert!(!dir.path().join("t/sub").exists());
    assert!(dir.path().join("t/mine").exists());
    fs::remove_file(dir.path().join("t/mine")).unwrap();
    torrent.write_all(&store);
    store.remove_files().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    store.remove_files().unwrap();

    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "precious").unwrap();
    fs::create_dir(dir.path().join("t")).unwrap();
    symlink(outside.path(), dir.path().join("t/sub")).unwrap();
    assert_eq!(
        store.remove_files().unwrap_err().kind(),
        ErrorKind::UnsafePath
    );
    assert!(outside.path().join("file").exists());
}

#[test]
fn executable_files_are_made_executable_and_others_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = vec![
        FileSpec {
            executable: true,
            ..FileSpec::new(["run"], 5)
        },
        FileSpec::new(["read"], 5),
    ];
    let torrent = Torrent::new(dir.path(), 16_384, files);
    torrent.write_all(&torrent.store(&StoreOptions::default()));
    let mode = |name| {
        fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("run") & 0o100, 0o100);
    assert_eq!(mode("read") & 0o111, 0);
}
