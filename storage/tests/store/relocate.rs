//! Content that is moved to another folder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use protocol::bitfield::Bitfield;
use storage::resume::BlockBits;
use storage::{
    Call, Chunk, FileSpec, MoveError, MoveExisting, MoveNote, MoveStage, MoveWay, RecheckOptions,
    Relocation, Store, StoreOptions, Watcher,
};
use tempfile::TempDir;

use crate::support::{Torrent, skipped};

mod cuts;

const PIECE: u32 = 64 * 1024;
const LENS: [u64; 5] = [100_000, 10, 0, 300_000, 70_000];
/// Written blocks of the piece that is not whole.
const PARTIAL: u32 = 2;

/// A torrent of a few files of which one piece is not whole and the last file is not wanted, in one of several folders.
struct Scene {
    dir: TempDir,
    torrent: Torrent,
    have: Bitfield,
    partial: BTreeMap<u32, BlockBits>,
    /// The piece of which only some blocks are there.
    half: u32,
    /// Where the content is, as whoever moves it keeps before the note goes.
    kept: RefCell<Option<PathBuf>>,
}

impl Scene {
    fn new() -> Self {
        Self::at(TempDir::new().unwrap())
    }

    fn at(dir: TempDir) -> Self {
        let mut files: Vec<FileSpec> = vec![
            FileSpec::new(["t", "a"], LENS[0]),
            FileSpec::new(["t", "in", "tiny"], LENS[1]),
            FileSpec::new(["t", "empty"], LENS[2]),
            FileSpec::padding(11_000),
            FileSpec::new(["t", "in", "deep", "b"], LENS[3]),
            FileSpec::new(["t", "unwanted"], LENS[4]),
        ];
        files[5].wanted = false;
        let mut link = FileSpec::new(["t", "link"], 0);
        link.symlink = Some(vec!["t".to_owned(), "a".to_owned()]);
        files.push(link);
        let torrent = Torrent::new(&dir.path().join("from"), PIECE, files);
        let pieces = torrent.spec.geometry.pieces();
        let last_wanted = (LENS.iter().take(4).sum::<u64>() + 11_000) / u64::from(PIECE);
        let half = 1;
        let mut have = Bitfield::new(pieces);
        for piece in torrent.spec.geometry.iter() {
            if piece.get() != half && u64::from(piece.get()) <= last_wanted {
                have.insert(piece);
            }
        }
        let scene = Self {
            dir,
            torrent,
            have,
            partial: BTreeMap::new(),
            half,
            kept: RefCell::default(),
        };
        scene.filled()
    }

    fn filled(mut self) -> Self {
        let store = self.store(&Watcher::default());
        store.prepare().unwrap();
        let geometry = self.torrent.spec.geometry;
        for piece in geometry.iter().filter(|piece| self.have.get(*piece)) {
            self.torrent.write(&store, piece);
        }
        let half = geometry.piece(self.half).unwrap();
        let active = store.activate(half);
        for block in 0..PARTIAL {
            let lease = active.lease(block, storage::NOBODY).unwrap();
            let offset = geometry.offset_of(half) + u64::from(block) * 16_384;
            let data = &self.torrent.piece(half)[block as usize * 16_384..][..16_384];
            store.write(&[Chunk { offset, data }]).unwrap();
            let _ = lease.commit();
        }
        self.partial.insert(self.half, BlockBits::of(&active));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn note(&self) -> PathBuf {
        self.path("note.move")
    }

    fn store(&self, watch: &Watcher) -> Store {
        self.store_at(&self.path("from"), watch)
    }

    fn store_at(&self, root: &Path, watch: &Watcher) -> Store {
        let mut spec = self.torrent.spec.clone();
        spec.root = root.to_owned();
        let options = StoreOptions {
            watch: watch.clone(),
            ..StoreOptions::default()
        };
        Store::open(spec, options).unwrap()
    }

    /// Moves, as an engine does.
    fn play(
        &self,
        to: &Path,
        existing: MoveExisting,
        copies: bool,
        watch: &Watcher,
    ) -> Result<MoveWay, MoveError> {
        let store = self.store(watch);
        let never = AtomicBool::new(false);
        let (mut relocation, mut done) = store.relocate(to, existing, &self.have, &never)?;
        if copies {
            relocation = relocation.by_copies();
        }
        match self.go(&mut relocation, &mut done, watch) {
            Ok(()) => Ok(relocation.note().way),
            Err(error) => {
                if relocation.note().stage == MoveStage::UnderWay && relocation.undo().is_ok() {
                    // It stays where it cannot be removed, which is as good.
                    let _ = MoveNote::remove(&self.note(), watch);
                }
                Err(error)
            }
        }
    }

    fn go(
        &self,
        relocation: &mut Relocation,
        done: &mut Bitfield,
        watch: &Watcher,
    ) -> Result<(), MoveError> {
        let unsaved = |_| MoveError::Storage {
            kind: storage::ErrorKind::Other,
            message: "the note cannot be kept".into(),
        };
        relocation
            .note()
            .save(&self.note(), watch)
            .map_err(unsaved)?;
        if relocation.note().way == MoveWay::Rename {
            match relocation.rename() {
                Err(MoveError::Apart) => {
                    *relocation = relocation.clone().by_copies();
                    relocation
                        .note()
                        .save(&self.note(), watch)
                        .map_err(unsaved)?;
                }
                other => other?,
            }
        }
        if relocation.note().way == MoveWay::Copy {
            while relocation.copy(&self.have, done, u64::from(PIECE))? > 0 {}
            relocation.copy_blocks(&self.partial)?;
            relocation.settle_copies()?;
        }
        relocation.mark_done();
        relocation
            .note()
            .save(&self.note(), watch)
            .map_err(unsaved)?;
        relocation.clean_up()?;
        *self.kept.borrow_mut() = Some(relocation.note().to.clone());
        MoveNote::remove(&self.note(), watch).map_err(unsaved)
    }

    /// What a later run does: gives the folder that counts.
    fn recover(&self) -> PathBuf {
        let Some(note) = MoveNote::load(&self.note()).unwrap() else {
            let kept = self.kept.borrow().clone();
            return kept.unwrap_or_else(|| self.path("from"));
        };
        let store = self.store(&Watcher::default());
        let relocation = Relocation::after_restart(&store, note.clone());
        let counts = if note.stage == MoveStage::Done {
            relocation.clean_up().unwrap();
            note.to
        } else {
            relocation.undo().unwrap();
            note.from
        };
        MoveNote::remove(&self.note(), &Watcher::default()).unwrap();
        counts
    }

    /// Everything that was verified is at this folder, and the blocks besides; and nothing of it at the other.
    fn assert_at(&self, root: &Path) {
        let store = self.store_at(root, &Watcher::default());
        let never = AtomicBool::new(false);
        let found = store
            .recheck(&RecheckOptions::default(), &|_| (), &never)
            .unwrap();
        assert_eq!(found, self.have, "at {}", root.display());
        let half = self.torrent.spec.geometry.piece(self.half).unwrap();
        let mut blocks = vec![0; PARTIAL as usize * 16_384];
        let offset = self.torrent.spec.geometry.offset_of(half);
        store.read(offset, &mut blocks).unwrap();
        assert_eq!(blocks, self.torrent.piece(half)[..blocks.len()]);
        assert!(root.join("t/empty").exists());
        assert_eq!(
            fs::read_link(root.join("t/link")).unwrap(),
            Path::new("../t/a")
        );
    }
}

/// The files below a folder, or nothing where it is not there.
fn listing(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            let inside = listing(&path);
            found.extend(if inside.is_empty() {
                vec![path]
            } else {
                inside
            });
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_move_on_one_file_system_gives_files_other_names() {
    let scene = Scene::new();
    let before = fs::metadata(scene.path("from/t/a")).unwrap().ino();
    let to = scene.path("some/where");
    let way = scene.play(&to, MoveExisting::Adopt, false, &Watcher::default());
    assert_eq!(way, Ok(MoveWay::Rename));
    scene.assert_at(&to);
    assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
    assert_eq!(fs::metadata(to.join("t/a")).unwrap().ino(), before);
}

#[test]
fn a_move_by_copies_leaves_nothing_behind_and_looks_the_same() {
    let scene = Scene::new();
    let to = scene.path("to");
    let before = scene.store(&Watcher::default()).stamps();
    let way = scene.play(&to, MoveExisting::Adopt, true, &Watcher::default());
    assert_eq!(way, Ok(MoveWay::Copy));
    scene.assert_at(&to);
    assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
    assert_eq!(scene.store_at(&to, &Watcher::default()).stamps(), before);
}

#[test]
fn a_move_between_file_systems_is_done_by_copies() {
    let scene = Scene::new();
    let Ok(other) = TempDir::new_in("/dev/shm") else {
        return skipped("there is no /dev/shm");
    };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(other.path()) == device(scene.dir.path()) {
        return skipped("/dev/shm is on the same file system");
    }
    let way = scene.play(other.path(), MoveExisting::Fail, false, &Watcher::default());
    assert_eq!(way, Ok(MoveWay::Copy));
    scene.assert_at(other.path());
    assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
}

#[test]
fn names_that_do_not_do_are_taken_back_and_bytes_are_copied() {
    let scene = Scene::new();
    let renamed = AtomicUsize::new(0);
    let watch = Watcher::new(move |call, _| {
        let third = call == Call::Rename && renamed.fetch_add(1, Ordering::Relaxed) == 3;
        if third {
            return Err(std::io::Error::from_raw_os_error(libc_exdev()));
        }
        Ok(())
    });
    let to = scene.path("to");
    let way = scene.play(&to, MoveExisting::Adopt, false, &watch);
    assert_eq!(way, Ok(MoveWay::Copy));
    scene.assert_at(&to);
    assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
}

/// `EXDEV`.
const fn libc_exdev() -> i32 {
    18
}

#[test]
fn folders_with_files_of_others_stay() {
    for copies in [false, true] {
        let scene = Scene::new();
        fs::write(scene.path("from/t/in/deep/foreign"), "mine").unwrap();
        let to = scene.path("to");
        scene
            .play(&to, MoveExisting::Adopt, copies, &Watcher::default())
            .unwrap();
        scene.assert_at(&to);
        let left = listing(&scene.path("from"));
        assert_eq!(left, [scene.path("from/t/in/deep/foreign")]);
    }
}

#[test]
fn an_unwanted_file_that_is_none_of_ours_stays_where_it_is() {
    for copies in [false, true] {
        let mut scene = Scene::new();
        // Without the piece that reaches into it, nothing of the file was ever ours.
        let shared = (LENS.iter().take(4).sum::<u64>() + 11_000) / u64::from(PIECE);
        let mut have = Bitfield::new(scene.have.len());
        for piece in scene.torrent.spec.geometry.iter() {
            if scene.have.get(piece) && u64::from(piece.get()) < shared {
                have.insert(piece);
            }
        }
        scene.have = have;
        fs::remove_file(scene.path("from/.parts")).unwrap();
        fs::write(scene.path("from/t/unwanted"), "mine").unwrap();
        let to = scene.path("to");
        scene
            .play(&to, MoveExisting::Adopt, copies, &Watcher::default())
            .unwrap();
        scene.assert_at(&to);
        assert_eq!(
            listing(&scene.path("from")),
            [scene.path("from/t/unwanted")]
        );
        assert_eq!(fs::read(scene.path("from/t/unwanted")).unwrap(), b"mine");
    }
}

#[test]
fn bytes_at_the_new_folder_that_verify_are_not_written_again() {
    let scene = Scene::new();
    let to = scene.path("to");
    // The larger file is there already, with a page of rubbish in it.
    fs::create_dir_all(to.join("t/in/deep")).unwrap();
    fs::copy(scene.path("from/t/in/deep/b"), to.join("t/in/deep/b")).unwrap();
    let theirs = fs::metadata(to.join("t/in/deep/b")).unwrap().ino();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(to.join("t/in/deep/b"))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[9; 5000], 150_000).unwrap();
    drop(file);
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let watch = Watcher::new(move |call, path| {
        if call == Call::Write && path.ends_with("b") {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let way = scene.play(&to, MoveExisting::Adopt, false, &watch);
    assert_eq!(way, Ok(MoveWay::Copy));
    scene.assert_at(&to);
    assert_eq!(fs::metadata(to.join("t/in/deep/b")).unwrap().ino(), theirs);
    // The piece with the rubbish, and those at its ends, which it shares with files that were not there.
    let written = written.load(Ordering::Relaxed);
    assert!((1..=3).contains(&written), "{written} writes");
}

#[test]
fn content_that_is_there_already_only_has_to_be_removed_at_the_old_folder() {
    let scene = Scene::new();
    let to = scene.path("to");
    scene
        .play(&to, MoveExisting::Fail, true, &Watcher::default())
        .unwrap();
    let scene = scene.filled();
    let content = ["from/t", "to/t"].map(|at| scene.path(at));
    let watch = Watcher::new(move |call, path| {
        let ours = content.iter().any(|at| path.starts_with(at));
        let written = call == Call::Write && ours && !path.ends_with("a");
        assert!(!written, "{}", path.display());
        Ok(())
    });
    scene.play(&to, MoveExisting::Adopt, false, &watch).unwrap();
    scene.assert_at(&to);
    assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
}

#[test]
fn files_of_others_are_never_written_to_unless_that_is_wished() {
    let scene = Scene::new();
    let to = scene.path("to");
    fs::create_dir_all(to.join("t")).unwrap();
    fs::write(to.join("t/a"), "mine").unwrap();
    let watch = Watcher::default();
    for (existing, refused) in [
        (MoveExisting::Fail, MoveError::Exists(to.join("t/a"))),
        (MoveExisting::Adopt, MoveError::Foreign(to.join("t/a"))),
    ] {
        assert_eq!(scene.play(&to, existing, false, &watch), Err(refused));
        assert_eq!(fs::read(to.join("t/a")).unwrap(), b"mine");
        assert_eq!(listing(&to), [to.join("t/a")]);
        scene.assert_at(&scene.path("from"));
        assert!(!scene.note().exists());
    }
    scene
        .play(&to, MoveExisting::Replace, false, &watch)
        .unwrap();
    scene.assert_at(&to);
}

#[test]
fn a_small_file_that_has_the_same_bytes_is_taken_over() {
    let mut scene = Scene::new();
    scene.have = Bitfield::full(scene.have.len());
    scene.torrent.write_all(&scene.store(&Watcher::default()));
    let to = scene.path("to");
    fs::create_dir_all(to.join("t/in")).unwrap();
    // Its only piece has bytes of files that are not there, so that no hash says that it is right.
    fs::copy(scene.path("from/t/in/tiny"), to.join("t/in/tiny")).unwrap();
    scene
        .play(&to, MoveExisting::Adopt, false, &Watcher::default())
        .unwrap();
    assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
}

#[test]
fn places_that_meet_are_refused() {
    let scene = Scene::new();
    let watch = Watcher::default();
    let from = scene.path("from");
    let linked = scene.path("link");
    std::os::unix::fs::symlink(&from, &linked).unwrap();
    for same in [from.clone(), from.join("t/.."), linked] {
        let refused = scene.play(&same, MoveExisting::Replace, false, &watch);
        let expected = if same.ends_with("..") {
            // What leads up again is another name until it is looked up.
            refused.clone().unwrap_err()
        } else {
            MoveError::Same(same)
        };
        assert_eq!(refused, Err(expected));
    }
    // `t/t/a` would lie where `t/t/a` of a torrent with such a file is.
    let files = vec![
        FileSpec::new(["t", "a"], 70_000),
        FileSpec::new(["t", "t", "a"], 70_000),
    ];
    let torrent = Torrent::new(&scene.path("other"), PIECE, files);
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let have = Bitfield::full(store.geometry().pieces());
    let never = AtomicBool::new(false);
    let into = scene.path("other/t");
    let refused = store.relocate(&into, MoveExisting::Replace, &have, &never);
    assert_eq!(refused.unwrap_err(), MoveError::Overlap(into.join("t/a")));
    // A torrent that has no such file can be moved into its own folder.
    let to = from.join("t");
    scene.play(&to, MoveExisting::Fail, false, &watch).unwrap();
    scene.assert_at(&to);
}

#[test]
fn a_file_that_becomes_wanted_on_the_way_has_its_bytes_where_it_goes() {
    let scene = Scene::new();
    let to = scene.path("to");
    let watch = Watcher::default();
    let store = scene.store(&watch);
    let never = AtomicBool::new(false);
    let moving = store.relocate(&to, MoveExisting::Adopt, &scene.have, &never);
    let (relocation, mut done) = moving.unwrap();
    let mut relocation = relocation.by_copies();
    let all = u64::MAX;
    assert!(relocation.copy(&scene.have, &mut done, all).unwrap() > 0);
    store.set_wanted(5, true).unwrap();
    scene.go(&mut relocation, &mut done, &watch).unwrap();
    let mut spec = scene.torrent.spec.clone();
    spec.files[5].wanted = true;
    spec.root.clone_from(&to);
    let store = Store::open(spec, StoreOptions::default()).unwrap();
    let found = store.recheck(&RecheckOptions::default(), &|_| (), &never);
    assert_eq!(found.unwrap(), scene.have);
    assert!(to.join("t/unwanted").exists());
    assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
}

#[test]
fn an_unwanted_file_in_which_a_piece_has_begun_meanwhile_goes_along() {
    for by_blocks in [false, true] {
        let mut scene = Scene::new();
        let store = scene.store(&Watcher::default());
        // It is there with all its length, and nothing of it is ours yet.
        let unwanted = scene.path("from/t/unwanted");
        fs::write(&unwanted, vec![0; LENS[4] as usize]).unwrap();
        let last = scene.torrent.spec.geometry.pieces() - 1;
        let last = scene.torrent.spec.geometry.piece(last).unwrap();
        let none = Bitfield::new(scene.have.len());
        let never = AtomicBool::new(false);
        let to = scene.path("to");
        let begun = store.relocate(&to, MoveExisting::Adopt, &none, &never);
        let (mut relocation, mut done) = begun.unwrap();
        assert!(relocation.note().left.contains(&5));
        assert_eq!(
            relocation.take_along(Some(&none), &BTreeMap::new()),
            Ok(false)
        );
        let store = scene.store(&Watcher::default());
        scene.torrent.write(&store, last);
        if by_blocks {
            let blocks = store.activate_with(last, |_| true);
            scene.partial.insert(last.get(), BlockBits::of(&blocks));
        } else {
            scene.have.insert(last);
        }
        assert_eq!(
            relocation.take_along(Some(&scene.have), &scene.partial),
            Ok(true)
        );
        scene
            .go(&mut relocation, &mut done, &Watcher::default())
            .unwrap();
        let mut verdicts = Vec::new();
        let there = scene.store_at(&to, &Watcher::default());
        there.verify(&[last], &mut verdicts);
        assert!(verdicts[0].is_good(), "{verdicts:?}");
        assert!(!unwanted.exists());
    }
}

#[test]
fn nothing_takes_the_place_of_what_stands_where_a_file_would_go_along() {
    let scene = Scene::new();
    let store = scene.store(&Watcher::default());
    fs::write(scene.path("from/t/unwanted"), "of no use").unwrap();
    let none = Bitfield::new(scene.have.len());
    let never = AtomicBool::new(false);
    let to = scene.path("to");
    fs::create_dir_all(to.join("t")).unwrap();
    fs::write(to.join("t/unwanted"), "mine").unwrap();
    let begun = store.relocate(&to, MoveExisting::Adopt, &none, &never);
    let (mut relocation, _) = begun.unwrap();
    let taken = relocation.take_along(Some(&Bitfield::full(none.len())), &BTreeMap::new());
    assert_eq!(taken, Err(MoveError::Exists(to.join("t/unwanted"))));
    assert_eq!(fs::read(to.join("t/unwanted")).unwrap(), b"mine");
}

#[test]
fn an_empty_file_goes_along_whether_it_is_wanted_or_not() {
    for way in [MoveWay::Rename, MoveWay::Copy] {
        let scene = Scene::new();
        let store = scene.store(&Watcher::default());
        store.set_wanted(2, false).unwrap();
        let to = scene.path("to");
        if way == MoveWay::Copy {
            // Something is there already.
            fs::create_dir_all(to.join("t")).unwrap();
            fs::copy(scene.path("from/t/a"), to.join("t/a")).unwrap();
        }
        let never = AtomicBool::new(false);
        let begun = store.relocate(&to, MoveExisting::Adopt, &scene.have, &never);
        let (relocation, mut done) = begun.unwrap();
        assert_eq!(relocation.note().way, way);
        if way == MoveWay::Rename {
            relocation.rename().unwrap();
        } else {
            while relocation.copy(&scene.have, &mut done, 1 << 20).unwrap() > 0 {}
            relocation.copy_blocks(&scene.partial).unwrap();
            relocation.settle_copies().unwrap();
        }
        relocation.clean_up().unwrap();
        assert_eq!(listing(&scene.path("from")), Vec::<PathBuf>::new());
        assert!(to.join("t/empty").exists(), "{way:?}");
    }
}

#[test]
fn content_behind_a_link_is_left_alone() {
    let scene = Scene::new();
    fs::rename(scene.path("from/t/a"), scene.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(scene.path("elsewhere"), scene.path("from/t/a")).unwrap();
    let refused = scene.play(
        &scene.path("to"),
        MoveExisting::Adopt,
        false,
        &Watcher::default(),
    );
    assert_eq!(refused, Err(MoveError::Linked(scene.path("from/t/a"))));
    assert!(scene.path("elsewhere").exists() && !scene.path("to").exists());
}

#[test]
fn a_piece_that_somebody_changed_ends_the_move_and_nothing_is_lost() {
    let scene = Scene::new();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(scene.path("from/t/in/deep/b"))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[9], 200_000).unwrap();
    let to = scene.path("to");
    let refused = scene.play(&to, MoveExisting::Adopt, true, &Watcher::default());
    assert!(matches!(refused, Err(MoveError::Changed(_))), "{refused:?}");
    assert_eq!(listing(&to), Vec::<PathBuf>::new());
    assert!(!scene.note().exists());
    std::os::unix::fs::FileExt::write_all_at(&file, &[crate::support::byte_at(311_010)], 200_000)
        .unwrap();
}

#[test]
fn what_was_copied_is_not_removed_while_the_original_is_away() {
    let scene = Scene::new();
    let to = scene.path("to");
    let watch = Watcher::new(|call, path| {
        // Killed when everything is copied and nothing says so.
        if call == Call::Rename
            && path.ends_with("note.move.new")
            && path.with_extension("").exists()
        {
            return Err(std::io::Error::other("killed"));
        }
        Ok(())
    });
    let never = AtomicBool::new(false);
    let store = scene.store(&watch);
    let moving = store.relocate(&to, MoveExisting::Adopt, &scene.have, &never);
    let (relocation, mut done) = moving.unwrap();
    let mut relocation = relocation.by_copies();
    scene.go(&mut relocation, &mut done, &watch).unwrap_err();
    let note = MoveNote::load(&scene.note()).unwrap().unwrap();
    assert_eq!(note.stage, MoveStage::UnderWay);
    let copies = listing(&to);
    assert!(copies.len() > 3);
    // Its disk is unmounted.
    fs::rename(scene.path("from"), scene.path("away")).unwrap();
    let again = Relocation::after_restart(&store, note);
    again.undo().unwrap_err();
    assert_eq!(listing(&to), copies);
    fs::create_dir(scene.path("from")).unwrap();
    again.undo().unwrap_err();
    assert_eq!(listing(&to), copies);
    fs::remove_dir(scene.path("from")).unwrap();
    fs::rename(scene.path("away"), scene.path("from")).unwrap();
    assert_eq!(scene.recover(), scene.path("from"));
    scene.assert_at(&scene.path("from"));
    assert_eq!(listing(&to), Vec::<PathBuf>::new());
}
