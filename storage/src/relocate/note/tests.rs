use proptest::prelude::*;

use super::*;

fn note() -> impl Strategy<Value = MoveNote> {
    let folder = || proptest::collection::vec(1_u8.., 0..40);
    let files = || proptest::collection::btree_set(any::<u32>(), 0..9);
    let flags = any::<(bool, bool)>();
    (folder(), folder(), flags, files(), files()).prop_map(
        |(from, to, (done, copy), theirs, left)| MoveNote {
            from: OsString::from_vec(from).into(),
            to: OsString::from_vec(to).into(),
            stage: if done {
                MoveStage::Done
            } else {
                MoveStage::UnderWay
            },
            way: if copy { MoveWay::Copy } else { MoveWay::Rename },
            theirs,
            left,
        },
    )
}

proptest! {
    #[test]
    fn a_note_is_read_as_it_was_written(note in note()) {
        prop_assert_eq!(MoveNote::decode(&note.encode()).unwrap(), note);
    }

    #[test]
    fn a_damaged_note_is_refused(note in note(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = note.encode();
        let at = at.index(bytes.len());
        prop_assert!(MoveNote::decode(bytes.split_at(at).0).is_err());
        *bytes.get_mut(at).unwrap() ^= 1 << bit;
        prop_assert!(MoveNote::decode(&bytes).is_err());
    }
}

#[test]
fn the_bytes_are_as_documented() {
    let note = MoveNote {
        from: "/a".into(),
        to: "/bc".into(),
        stage: MoveStage::Done,
        way: MoveWay::Rename,
        theirs: BTreeSet::from([1, 7]),
        left: BTreeSet::new(),
    };
    let mut bytes = b"TRMV\x01\x01\x00\0\0\0\x02/a\0\0\0\x03/bc".to_vec();
    bytes.extend(b"\0\0\0\x02\0\0\0\x01\0\0\0\x07\0\0\0\0");
    bytes.extend(hash::sha1(&bytes));
    assert_eq!(note.encode(), bytes);
}

#[test]
fn notes_are_kept_replaced_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.move");
    assert_eq!(MoveNote::load(&path).unwrap(), None);
    let mut note = MoveNote {
        from: "a".into(),
        to: "b".into(),
        stage: MoveStage::UnderWay,
        way: MoveWay::Copy,
        theirs: BTreeSet::new(),
        left: BTreeSet::from([3]),
    };
    note.save(&path, &Watcher::default()).unwrap();
    note.stage = MoveStage::Done;
    note.save(&path, &Watcher::default()).unwrap();
    assert_eq!(MoveNote::load(&path).unwrap(), Some(note));
    MoveNote::remove(&path, &Watcher::default()).unwrap();
    MoveNote::remove(&path, &Watcher::default()).unwrap();
    assert_eq!(MoveNote::load(&path).unwrap(), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
