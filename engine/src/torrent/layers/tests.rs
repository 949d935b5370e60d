use protocol::merkle::{BLOCK_LEN, leaf, piece_layer};
use protocol::metainfo::build::{Extras, FileHashes, Hashes, Layout, Padding, Plan, SourceFile};
use protocol::metainfo::{LoadLimits, Version};

use super::*;
use crate::peer::driver::now;

const A: PeerKey = PeerKey(1);
const B: PeerKey = PeerKey(2);

/// A torrent whose files have so many pieces of one block each, as its metadata alone tells of it, and its layers.
fn torrent(pieces: &[u32]) -> (Metainfo, Metainfo) {
    let block = u64::from(BLOCK_LEN);
    let files = (0..)
        .zip(pieces)
        .map(|(number, pieces): (u32, &u32)| SourceFile {
            path: vec![number.to_string()],
            len: u64::from(*pieces) * block,
            ..SourceFile::default()
        });
    let plan = Plan::new(
        "t",
        Version::V2,
        Layout::Directory,
        files.collect(),
        Padding::None,
        Some(BLOCK_LEN),
    );
    let plan = plan.unwrap();
    let tree = |(number, pieces): (u32, &u32)| {
        let leaves: Vec<Hash> = (0..*pieces)
            .map(|at| leaf(&[number.to_be_bytes(), at.to_be_bytes()].concat()))
            .collect();
        assert_eq!(piece_layer(&leaves, BLOCK_LEN), leaves);
        FileHashes::from_leaves(&leaves, BLOCK_LEN)
    };
    let hashes = Hashes {
        pieces: Vec::new(),
        files: (0..).zip(pieces).map(tree).collect(),
    };
    let (bytes, _) = plan.write(&hashes, &Extras::default()).unwrap();
    let whole = Metainfo::from_bytes(&bytes, &LoadLimits::default()).unwrap();
    let bare = Metainfo::from_info(whole.info_bytes(), &LoadLimits::default()).unwrap();
    (bare, whole)
}

/// What a peer that has everything answers.
fn answer(whole: &Metainfo, request: &HashRequest) -> Proof {
    let len = whole
        .files()
        .iter()
        .find(|file| file.root == Some(request.root));
    let mut tree = FileTree::new(request.root, len.unwrap().len, BLOCK_LEN);
    if let Some(layer) = whole.piece_layer(&request.root) {
        assert!(tree.set_layer(layer.as_chunks::<32>().0.to_vec()));
    }
    tree.proof(request.span()).unwrap()
}

#[test]
fn a_torrent_that_lacks_nothing_needs_no_fetch() {
    let (bare, whole) = torrent(&[1, 3]);
    assert!(LayerFetch::of(&whole).is_none());
    assert!(LayerFetch::of(&bare).is_some());
    assert!(
        LayerFetch::of(&torrent(&[1, 1]).0).is_none(),
        "their roots are enough"
    );
}

#[test]
fn two_peers_bring_all_layers_in_parts() {
    let (mut bare, whole) = torrent(&[1300, 2, 1, 600]);
    let mut fetch = LayerFetch::of(&bare).unwrap();
    assert_eq!(fetch.progress(), (0, 3 + 1 + 2));
    let mut last = Progress::More;
    let begin = now();
    while last == Progress::More {
        for key in [A, B] {
            let requests = fetch.next_requests(begin, key);
            assert!(requests.len() <= PER_PEER);
            for request in requests {
                assert_eq!(last, Progress::More);
                last = fetch.answered(key, &request, &answer(&whole, &request));
            }
        }
    }
    assert_eq!(last, Progress::Complete);
    for (root, layer) in fetch.into_layers() {
        assert!(bare.set_piece_layer(&root, layer));
    }
    assert!(bare.has_piece_layers());
}

#[test]
fn a_liar_is_told_and_its_part_asked_for_elsewhere() {
    let (bare, whole) = torrent(&[600]);
    let mut fetch = LayerFetch::of(&bare).unwrap();
    let begin = now();
    let asked = fetch.next_requests(begin, A);
    assert_eq!(asked.len(), 2);
    assert!(fetch.next_requests(begin, B).is_empty(), "all is asked for");
    let mut wrong = answer(&whole, &asked[0]);
    wrong.hashes[77][3] ^= 1;
    assert_eq!(fetch.answered(A, &asked[0], &wrong), Progress::PeerLied);
    assert!(fetch.next_requests(begin, A).is_empty());
    let again = fetch.next_requests(begin, B);
    assert_eq!(again.len(), 2);
    // What was not asked for changes nothing.
    let right = answer(&whole, &asked[0]);
    assert_eq!(fetch.answered(A, &asked[0], &right), Progress::More);
    assert_eq!(fetch.progress().0, 0);
    for request in &again {
        fetch.answered(B, request, &answer(&whole, request));
    }
    assert_eq!(fetch.progress(), (2, 2));
}

#[test]
fn who_refuses_or_is_silent_is_left_alone_for_a_while() {
    let (bare, _) = torrent(&[600]);
    let mut fetch = LayerFetch::of(&bare).unwrap();
    let begin = now();
    let asked = fetch.next_requests(begin, A);
    fetch.rejected(A, &asked[0], begin);
    assert!(fetch.next_requests(begin, A).is_empty());
    assert_eq!(fetch.next_requests(begin, B).len(), 2);
    fetch.handle_timeout(begin + PATIENCE / 2);
    let rested = begin + REST;
    assert!(fetch.next_requests(rested, A).is_empty(), "B is asked");
    fetch.handle_timeout(begin + PATIENCE);
    assert_eq!(fetch.next_requests(rested, A).len(), 2);
    assert!(fetch.next_requests(begin + PATIENCE, B).is_empty());
}

#[test]
fn an_answer_that_comes_late_counts_unless_somebody_else_is_asked() {
    let (bare, whole) = torrent(&[600]);
    let mut fetch = LayerFetch::of(&bare).unwrap();
    let begin = now();
    let asked = fetch.next_requests(begin, A);
    let late = begin + PATIENCE;
    fetch.handle_timeout(late);
    assert!(fetch.awaits(A, &asked[0]) && !fetch.awaits(B, &asked[0]));
    let answered = fetch.answered(A, &asked[0], &answer(&whole, &asked[0]));
    assert_eq!((answered, fetch.progress().0), (Progress::More, 1));
    assert_eq!(fetch.next_requests(late, B).len(), 1);
    assert!(!fetch.awaits(A, &asked[1]), "B is asked");
    assert_eq!(
        fetch.answered(A, &asked[1], &answer(&whole, &asked[1])),
        Progress::More
    );
    assert_eq!(fetch.progress().0, 1);
}
