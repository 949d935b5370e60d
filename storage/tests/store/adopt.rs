//! Content that lies elsewhere is taken over by its hashes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use protocol::bitfield::Bitfield;
use storage::{Adopted, Donor, ErrorKind, FileSpec, PieceHashes, Store, StoreOptions, Verdict};
use tempfile::TempDir;

use crate::support::{Torrent, verify_all};

const PIECE: u32 = 32_768;

/// A torrent, a folder for its content, and one for what lies elsewhere.
struct Scene {
    dirs: [TempDir; 2],
    torrent: Torrent,
}

impl Scene {
    fn new(files: Vec<FileSpec>, piece_len: u32) -> Self {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let torrent = Torrent::new(dirs[0].path(), piece_len, files);
        Self { dirs, torrent }
    }

    fn elsewhere(&self) -> &Path {
        self.dirs[1].path()
    }

    fn content(&self, file: usize) -> &[u8] {
        let files = &self.torrent.spec.files;
        let from: u64 = files[..file].iter().map(|file| file.len).sum();
        &self.torrent.content[from as usize..(from + files[file].len) as usize]
    }

    fn put(&self, path: &str, content: &[u8]) {
        let path = self.elsewhere().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn store(&self) -> Store {
        self.torrent.store(&StoreOptions::default())
    }

    /// Takes over what the other folder has: which pieces are there now, and what was taken.
    fn adopt(&self, store: &Store) -> (Vec<u32>, Adopted) {
        let go_on = AtomicBool::new(false);
        let donors = store.search(self.elsewhere(), &go_on).unwrap();
        let mut have = Bitfield::new(store.geometry().pieces());
        let mut last = None;
        let mut progress = |at| last = Some(at);
        let adopted = store
            .adopt(&donors, &mut have, &mut progress, &go_on)
            .unwrap();
        assert_eq!(adopted.pieces, have.count());
        let last = last.unwrap();
        assert_eq!((last.done, last.good), (last.total, adopted.pieces));
        (have.ones().collect(), adopted)
    }
}

fn three() -> Vec<FileSpec> {
    vec![
        FileSpec::new(["t", "one"], 100_000),
        FileSpec::new(["t", "two"], 50),
        FileSpec::new(["t", "three"], 70_000),
    ]
}

#[test]
fn files_are_found_by_length_under_any_name_and_pieces_across_them_are_whole() {
    let scene = Scene::new(three(), PIECE);
    scene.put("a/b/other name", scene.content(0));
    scene.put("x", &[7; 50]);
    scene.put("two", scene.content(1));
    scene.put("y", scene.content(2));
    let store = scene.store();
    let (have, adopted) = scene.adopt(&store);
    assert_eq!(have, [0, 1, 2, 3, 4, 5]);
    assert_eq!(adopted.bytes, 170_050);
    assert!(verify_all(&store).iter().all(Verdict::is_good));
}

#[test]
fn of_a_changed_file_only_what_is_right_is_taken_and_nothing_else_written() {
    let scene = Scene::new(three(), PIECE);
    let mut changed = scene.content(0).to_vec();
    changed[40_000] ^= 1;
    scene.put("one", &changed);
    let store = scene.store();
    let (have, _) = scene.adopt(&store);
    assert_eq!(
        have,
        [0, 2],
        "the last piece reaches into files that nobody has"
    );
    let written = fs::read(scene.dirs[0].path().join("t/one")).unwrap();
    assert!(written[..32_768] == scene.content(0)[..32_768]);
    assert!(written[32_768..65_536].iter().all(|byte| *byte == 0));
    assert!(!scene.dirs[0].path().join("t/three").exists());
}

#[test]
fn a_file_of_the_same_name_gives_what_was_there_before_more_was_appended() {
    let scene = Scene::new(vec![FileSpec::new(["log"], 100_000)], PIECE);
    scene.put("old/log", &scene.content(0)[..70_000]);
    assert_eq!(scene.adopt(&scene.store()).0, [0, 1]);
    let longer = [scene.content(0), &[1; 5]].concat();
    scene.put("old/log", &longer);
    assert_eq!(scene.adopt(&scene.store()).0, [0, 1, 2, 3]);
}

#[test]
fn links_are_not_followed_and_the_torrents_own_files_are_no_donors() {
    let scene = Scene::new(vec![FileSpec::new(["data"], 70_000)], PIECE);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("data"), scene.content(0)).unwrap();
    symlink(outside.path(), scene.elsewhere().join("folder")).unwrap();
    symlink(outside.path().join("data"), scene.elsewhere().join("data")).unwrap();
    let store = scene.store();
    let go_on = AtomicBool::new(false);
    assert_eq!(store.search(scene.elsewhere(), &go_on).unwrap(), []);
    // Nor where somebody names them.
    for path in ["folder/data", "data"] {
        let donor = Donor {
            file: 0,
            root: scene.elsewhere().to_owned(),
            path: path.into(),
        };
        let mut have = Bitfield::new(3);
        let adopted = store.adopt(&[donor], &mut have, &mut |_| (), &go_on);
        assert_eq!(adopted.unwrap(), Adopted::default());
    }
    scene.torrent.write_all(&store);
    assert_eq!(store.search(scene.dirs[0].path(), &go_on).unwrap(), []);
    fs::hard_link(
        scene.dirs[0].path().join("data"),
        scene.elsewhere().join("same"),
    )
    .unwrap();
    assert_eq!(scene.adopt(&store).1, Adopted::default());
}

#[test]
fn a_folder_that_is_not_there_is_an_error_that_names_it() {
    let scene = Scene::new(three(), PIECE);
    let go_on = AtomicBool::new(false);
    let error = scene
        .store()
        .search(&scene.elsewhere().join("none"), &go_on);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Vanished);
    assert!(error.path().ends_with("none"));
}

#[test]
fn what_nobody_wants_is_not_taken() {
    let mut files = three();
    files[0].wanted = false;
    let scene = Scene::new(files, PIECE);
    for file in 0..3 {
        scene.put(&file.to_string(), scene.content(file));
    }
    assert_eq!(scene.adopt(&scene.store()).0, [3, 4, 5]);
    assert!(!scene.dirs[0].path().join("t/one").exists());
}

#[test]
fn pieces_larger_than_the_buffer_are_taken_in_steps() {
    let piece_len = 9 * 1024 * 1024;
    let files = vec![
        FileSpec::new(["a"], 10_000_000),
        FileSpec::new(["b"], 12_000_000),
    ];
    let scene = Scene::new(files, piece_len);
    scene.put("a", scene.content(0));
    scene.put("b", scene.content(1));
    let store = scene.store();
    assert_eq!(scene.adopt(&store).0, [0, 1, 2]);
    assert!(verify_all(&store).iter().all(Verdict::is_good));
}

#[test]
fn a_hybrid_that_contradicts_itself_is_found_out() {
    let mut scene = Scene::new(vec![FileSpec::new(["a"], 70_000)], PIECE);
    let PieceHashes::V1(v1) = scene.torrent.spec.hashes.clone() else {
        panic!("a v1 torrent");
    };
    let v2 = vec![1; 96].into();
    scene.torrent.spec.hashes = PieceHashes::Both { v1, v2 };
    scene.put("a", scene.content(0));
    let (store, go_on) = (scene.store(), AtomicBool::new(false));
    let donors = store.search(scene.elsewhere(), &go_on).unwrap();
    let error = store.adopt(&donors, &mut Bitfield::new(3), &mut |_| (), &go_on);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Inconsistent);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Files elsewhere are right, changed in one place, cut or missing; there may be several of a length.
    #[test]
    fn whatever_lies_elsewhere_only_right_pieces_are_taken(
        lens in prop::collection::vec(1_usize..60_000, 1..6),
        fates in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 6),
        piece in 0_u32..3,
    ) {
        let files = lens.iter().enumerate();
        let files = files.map(|(at, len)| FileSpec::new(["t".to_owned(), at.to_string()], *len as u64));
        let scene = Scene::new(files.collect(), 16_384 << piece);
        let mut right = true;
        for (at, (fate, place)) in fates.iter().take(lens.len()).enumerate() {
            let mut content = scene.content(at).to_vec();
            let place = place.index(content.len());
            match fate {
                0 => scene.put(&format!("{at}.other"), &content),
                1 => { content[place] ^= 1; scene.put(&at.to_string(), &content); }
                2 => { content.truncate(place); scene.put(&at.to_string(), &content); }
                _ => {}
            }
            right &= *fate == 0;
        }
        let store = scene.store();
        let (have, _) = scene.adopt(&store);
        prop_assert!(!right || have.len() as u32 == store.geometry().pieces());
        for (at, verdict) in (0..).zip(verify_all(&store)) {
            prop_assert_eq!(have.contains(&at), verdict.is_good(), "piece {}", at);
        }
    }
}
