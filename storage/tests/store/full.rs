//! Full and read-only disks: small file systems of our own.

use std::path::{Path, PathBuf};
use std::process::Command;

use storage::{Chunk, ErrorKind, FileSpec, Op, Preallocate, StoreOptions, WriteMode};

use crate::support::{Torrent, skipped};

const MIB: u64 = 1 << 20;

/// A mounted file system, unmounted on drop.
struct Mount {
    dir: tempfile::TempDir,
}

impl Mount {
    fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    fn new(prepare: impl Fn(&Path, &Path) -> bool) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Self { dir };
        std::fs::create_dir(mount.path()).unwrap();
        if !prepare(mount.dir.path(), &mount.path()) {
            skipped("mounting a file system needs root");
            return None;
        }
        Some(mount)
    }

    /// A file system of 8 MiB in memory.
    fn tmpfs() -> Option<Self> {
        Self::new(|_, at| {
            run(
                "mount",
                &["-t", "tmpfs", "-o", "size=8m", "tmpfs", text(at)],
            )
        })
    }

    /// An ext4 of 8 MiB in a file.
    fn ext4() -> Option<Self> {
        Self::new(|dir, at| {
            let image = dir.join("image");
            let made = std::fs::File::create(&image).and_then(|file| file.set_len(8 * MIB));
            made.is_ok()
                && run(
                    "mkfs.ext4",
                    &["-q", "-m", "0", "-O", "^has_journal", text(&image)],
                )
                && run("mount", &["-o", "loop", text(&image), text(at)])
        })
    }

    fn remount(&self, option: &str) {
        assert!(run(
            "mount",
            &["-o", &format!("remount,{option}"), text(&self.path())]
        ));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["-l", text(&self.path())]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn options(write: WriteMode, preallocate: Preallocate) -> StoreOptions {
    StoreOptions {
        write,
        preallocate,
        ..StoreOptions::default()
    }
}

/// Writes until the disk is full, makes room, and goes on.
fn fills_and_recovers(root: &Path) {
    let torrent = Torrent::new(root, 1 << 20, vec![FileSpec::new(["t", "big"], 12 * MIB)]);
    let store = torrent.store(&options(WriteMode::Pwrite, Preallocate::Sparse));
    let ballast = root.join("ballast");
    std::fs::write(&ballast, vec![1; 5 << 20]).unwrap();
    let write = |index: u32| {
        let piece = torrent.spec.geometry.piece(index).unwrap();
        store.write(&[Chunk {
            offset: torrent.spec.geometry.offset_of(piece),
            data: torrent.piece(piece),
        }])
    };
    let mut done = 0;
    let error = loop {
        match write(done).and_then(|()| store.flush()) {
            Ok(()) => done += 1,
            Err(error) => break error,
        }
    };
    assert!((1..8).contains(&done), "{done} pieces");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert_eq!(error.path(), root.join("t/big"));
    // What is there is good, and it goes on when there is room.
    let pieces: Vec<_> = torrent.spec.geometry.iter().collect();
    let mut verdicts = Vec::new();
    store.verify(&pieces[..done as usize], &mut verdicts);
    assert!(verdicts.iter().all(storage::Verdict::is_good));
    assert_eq!(write(done).unwrap_err().kind(), ErrorKind::Full);
    // Its room is free at once only so: a program that another test is starting at this moment has inherited the file, if it
    // was just being written, and holds it until it runs.
    std::fs::File::create(&ballast).unwrap();
    write(done).unwrap();
    store.flush().unwrap();
    store.verify(&pieces[..=done as usize], &mut verdicts);
    assert!(verdicts.iter().all(storage::Verdict::is_good));
}

#[test]
fn a_full_tmpfs_is_an_error_that_names_the_file_and_passes() {
    if let Some(mount) = Mount::tmpfs() {
        fills_and_recovers(&mount.path());
    }
}

#[test]
fn a_full_ext4_is_an_error_that_names_the_file_and_passes() {
    if let Some(mount) = Mount::ext4() {
        fills_and_recovers(&mount.path());
    }
}

#[test]
fn with_full_preallocation_a_full_disk_shows_at_the_start() {
    for mount in [Mount::tmpfs(), Mount::ext4()].into_iter().flatten() {
        let files = vec![FileSpec::new(["big"], 12 * MIB)];
        let torrent = Torrent::new(&mount.path(), 1 << 20, files);
        let store = torrent.store(&options(WriteMode::Pwrite, Preallocate::Full));
        let error = store.prepare().unwrap_err();
        assert_eq!(
            (error.op(), error.kind()),
            (Op::Preallocate, ErrorKind::Full)
        );
        assert_eq!(error.path(), mount.path().join("big"));
        let store = torrent.store(&options(WriteMode::Map, Preallocate::Sparse));
        let piece = torrent.spec.geometry.piece(0).unwrap();
        let data = torrent.piece(piece);
        let error = store.write(&[Chunk { offset: 0, data }]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
    }
}

#[test]
fn a_read_only_disk_is_an_error_for_writing_and_fine_for_reading() {
    let Some(mount) = Mount::tmpfs() else {
        return;
    };
    let torrent = Torrent::new(
        &mount.path(),
        1 << 20,
        vec![
            FileSpec::new(["there"], 100_000),
            FileSpec::new(["empty"], 0),
            FileSpec::new(["not"], 10),
            FileSpec {
                symlink: Some(vec!["there".into()]),
                ..FileSpec::new(["link"], 0)
            },
        ],
    );
    let chunk = |offset: usize| Chunk {
        offset: offset as u64,
        data: &torrent.content[offset..offset + 10],
    };
    std::fs::write(mount.path().join("there"), &torrent.content[..100_000]).unwrap();
    std::fs::write(mount.path().join("empty"), "").unwrap();
    mount.remount("ro");
    for write in [WriteMode::Pwrite, WriteMode::Map] {
        let store = torrent.store(&options(write, Preallocate::Sparse));
        store.prepare().unwrap();
        for offset in [0, 100_000] {
            let error = store.write(&[chunk(offset)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        }
        assert_eq!(
            store.view(0, 100_000).unwrap().to_vec(),
            torrent.content[..100_000]
        );
    }
    let store = torrent.store(&options(WriteMode::Pwrite, Preallocate::Full));
    let error = store.prepare().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert_eq!(
        error.path(),
        mount.path().join("not"),
        "the others need no change"
    );
    mount.remount("rw");
    let store = torrent.store(&StoreOptions::default());
    store.write(&[chunk(0), chunk(100_000)]).unwrap();
}

#[test]
fn a_folder_that_may_not_be_written_is_an_error_of_permission() {
    let dir = tempfile::tempdir().unwrap();
    if !run("chattr", &["+i", text(dir.path())]) {
        return skipped("making a folder immutable needs root and a file system with attributes");
    }
    let torrent = Torrent::new(dir.path(), 1 << 20, vec![FileSpec::new(["t", "f"], 10)]);
    let store = torrent.store(&StoreOptions::default());
    let error = store.write(&[Chunk {
        offset: 0,
        data: &torrent.content,
    }]);
    assert!(run("chattr", &["-i", text(dir.path())]));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Permission);
    torrent.write_all(&store);
}
