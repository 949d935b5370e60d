#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

fn vectors() -> Json {
    serde_json::from_str(include_str!("../../tests/vectors/bep52.json")).unwrap()
}

fn hash(json: &Json) -> Hash {
    let parsed: crate::id::InfoHashV2 = json.as_str().unwrap().parse().unwrap();
    parsed.0
}

fn hashes(json: &Json) -> Vec<Hash> {
    json.as_array().unwrap().iter().map(hash).collect()
}

/// The content generator of the vectors: xorshift32, little-endian.
fn content(seed: u64, len: u64) -> Vec<u8> {
    let mut x = (seed * 2_654_435_761 + 1) as u32;
    let mut out = Vec::new();
    while (out.len() as u64) < len {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out.extend_from_slice(&x.to_le_bytes());
    }
    out.truncate(len as usize);
    out
}

fn leaves(seed: u64, len: u64) -> Vec<Hash> {
    let content = content(seed, len);
    content.chunks(BLOCK_LEN as usize).map(leaf).collect()
}

#[test]
fn missing_nodes_have_the_digests_of_the_vectors() {
    let expected = hashes(&vectors()["pad_hashes"]);
    assert_eq!(expected.len(), 13);
    for (height, expected) in (0..).zip(expected) {
        assert_eq!(pad(height), expected);
    }
}

#[test]
fn roots_and_piece_layers_are_those_of_the_vectors() {
    let vectors = vectors();
    let cases = vectors["merkle"].as_array().unwrap();
    assert_eq!(cases.len(), 11);
    for case in cases {
        let name = &case["name"];
        let piece_len = case["piece_length"].as_u64().unwrap() as u32;
        let leaves = leaves(
            case["seed"].as_u64().unwrap(),
            case["size"].as_u64().unwrap(),
        );
        assert_eq!(
            leaves.len() as u64,
            case["num_leaves"].as_u64().unwrap(),
            "{name}"
        );
        let expected = &case["leaf_hashes"];
        if expected.is_array() {
            assert_eq!(leaves, hashes(expected), "{name}");
        } else {
            let digest = sha256(&[leaves.as_flattened()]);
            assert_eq!(digest, hash(&expected["sha256_of_concatenation"]), "{name}");
        }
        let root = hash(&case["pieces_root"]);
        assert_eq!(root_of_leaves(&leaves), root, "{name}");
        let tree = Tree::from_leaves(leaves.clone());
        assert_eq!(tree.root(), root, "{name}");
        let width = case["padded_leaves"].as_u64().unwrap() as u32;
        assert_eq!(tree.height(), width.ilog2(), "{name}");
        assert_eq!(
            height_of(case["size"].as_u64().unwrap()),
            width.ilog2(),
            "{name}"
        );
        if !case["piece_layer"].is_null() {
            let layer = piece_layer(&leaves, piece_len);
            assert_eq!(layer, hashes(&case["piece_layer"]), "{name}");
            assert_eq!(root_of_piece_layer(&layer, piece_len), root, "{name}");
            let above = Tree::from_layer(layer, piece_height(piece_len));
            assert_eq!(above.root(), root, "{name}");
        }
    }
}

#[test]
fn hash_requests_are_answered_as_in_the_vectors() {
    let vectors = vectors();
    let file = &vectors["hash_messages"]["file"];
    let leaves = leaves(
        file["seed"].as_u64().unwrap(),
        file["size"].as_u64().unwrap(),
    );
    let tree = Tree::from_leaves(leaves);
    let cases = vectors["hash_messages"]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let number = |key: &str| case[key].as_u64().unwrap() as u32;
        let (base, index) = (number("base_layer"), number("index"));
        let proof = tree
            .proof(base, index, number("length"), number("proof_layers"))
            .unwrap();
        assert_eq!(proof.hashes, hashes(&case["hashes"]));
        assert_eq!(proof.uncles, hashes(&case["uncles"]));
        let whole = proof.uncles.len() as u32 + proof.hashes.len().ilog2() + base == tree.height();
        assert_eq!(
            verify(&tree.root(), tree.height(), base, index, &proof),
            whole
        );
    }
}

#[test]
fn requests_outside_the_tree_are_not_answered() {
    let tree = Tree::from_leaves(vec![[1; 32]; 5]);
    assert!(tree.proof(0, 0, 8, 10).is_some());
    assert!(
        tree.proof(0, 6, 2, 10).is_some(),
        "missing leaves can be asked for"
    );
    for (base, index, length) in [
        (0, 0, 1),
        (0, 0, 3),
        (0, 1, 2),
        (0, 8, 2),
        (0, 0, 16),
        (3, 0, 2),
        (4, 0, 2),
        (u32::MAX, 0, 2),
        (0, u32::MAX - 1, 2),
        (0, 0, 1 << 31),
    ] {
        assert_eq!(
            tree.proof(base, index, length, 10),
            None,
            "{base} {index} {length}"
        );
    }
    assert_eq!(
        Tree::from_layer(vec![[1; 32]; 4], 2).proof(1, 0, 2, 9),
        None
    );
}

fn file(len: u64, piece_len: u32) -> (FileTree, Vec<Hash>) {
    let blocks = len.div_ceil(u64::from(BLOCK_LEN));
    let leaves: Vec<Hash> = (0..blocks).map(|at| leaf(&at.to_be_bytes())).collect();
    let mut file = FileTree::new(root_of_leaves(&leaves), len, piece_len);
    if len > u64::from(piece_len) {
        assert!(!file.has_layer());
        assert!(file.set_layer(piece_layer(&leaves, piece_len)));
    }
    assert!(file.has_layer());
    (file, leaves)
}

/// The leaves of one piece.
fn of_piece(leaves: &[Hash], piece: u32, piece_len: u32) -> Vec<Hash> {
    let per = (piece_len / BLOCK_LEN) as usize;
    let pieces: Vec<&[Hash]> = leaves.chunks(per).collect();
    pieces[piece as usize].to_vec()
}

#[test]
fn a_file_known_by_its_pieces_answers_as_in_the_vectors() {
    let vectors = vectors();
    let file = &vectors["hash_messages"]["file"];
    let number = |json: &Json, key: &str| json[key].as_u64().unwrap();
    let (size, piece_len) = (number(file, "size"), number(file, "piece_length") as u32);
    let leaves = leaves(number(file, "seed"), size);
    let mut tree = FileTree::new(hash(&file["pieces_root"]), size, piece_len);
    assert!(tree.set_layer(piece_layer(&leaves, piece_len)));
    let mut seen = [0, 0];
    for case in vectors["hash_messages"]["cases"].as_array().unwrap() {
        let span = Span {
            base: number(case, "base_layer") as u32,
            index: number(case, "index") as u32,
            length: number(case, "length") as u32,
            proof_layers: number(case, "proof_layers") as u32,
        };
        let proof = match tree.needs(span) {
            Some(Needs::Nothing) => {
                seen[0] += 1;
                tree.proof(span).unwrap()
            }
            Some(Needs::LeavesOf(piece)) => {
                seen[1] += 1;
                assert_eq!(tree.proof(span), None);
                let own = of_piece(&leaves, piece, piece_len);
                tree.proof_within(span, own).unwrap()
            }
            None => {
                let below = 1 << tree.piece_height();
                assert!(span.base == 0 && span.length > below, "{span:?}");
                continue;
            }
        };
        assert_eq!(proof.hashes, hashes(&case["hashes"]));
        assert_eq!(proof.uncles, hashes(&case["uncles"]));
        assert_eq!(proof.uncles.len() as u32, span.uncles());
        let bytes = proof.to_bytes();
        assert_eq!(Proof::parse(&bytes, span.length), Some(proof));
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_wrong_layer_is_not_taken() {
    let (mut file, leaves) = file(10 * u64::from(BLOCK_LEN), 2 * BLOCK_LEN);
    let layer = piece_layer(&leaves, 2 * BLOCK_LEN);
    let mut wrong = layer.clone();
    wrong[3][0] ^= 1;
    assert!(!file.set_layer(wrong));
    assert!(!file.set_layer(layer[..4].to_vec()));
    assert!(file.set_layer(layer));
}

#[test]
fn hashes_of_several_pieces_below_their_layer_are_refused() {
    let (file, leaves) = file(10 * u64::from(BLOCK_LEN), 2 * BLOCK_LEN);
    let span = |base, index, length| Span {
        base,
        index,
        length,
        proof_layers: 20,
    };
    assert_eq!(file.needs(span(0, 0, 2)), Some(Needs::LeavesOf(0)));
    assert_eq!(file.needs(span(0, 8, 2)), Some(Needs::LeavesOf(4)));
    assert_eq!(file.needs(span(1, 4, 4)), Some(Needs::Nothing));
    assert_eq!(file.needs(span(0, 0, 4)), None, "two pieces");
    assert_eq!(file.needs(span(0, 10, 2)), None, "behind the last piece");
    assert_eq!(file.needs(span(4, 0, 2)), None, "above the root");
    assert_eq!(file.needs(span(u32::MAX, 0, 2)), None);
    assert_eq!(file.needs(span(0, u32::MAX - 1, 2)), None);
    let own = of_piece(&leaves, 1, 2 * BLOCK_LEN);
    assert!(file.proof_within(span(0, 2, 2), own.clone()).is_some());
    assert_eq!(file.proof_within(span(0, 0, 2), own), None);
    assert_eq!(file.proof_within(span(0, 0, 2), Vec::new()), None);
    assert_eq!(file.proof_within(span(0, 0, 2), leaves), None);
}

proptest! {
    #[test]
    fn a_file_answers_each_part_that_another_asks_for(
        blocks in 1_u64..200,
        tail in 0..u64::from(BLOCK_LEN),
        shift in 0_u32..5,
        most in 1_u32..5,
        flip in any::<prop::sample::Index>(),
    ) {
        let (len, piece_len) = (blocks * u64::from(BLOCK_LEN) - tail, BLOCK_LEN << shift);
        let (full, leaves) = file(len, piece_len);
        let mut bare = FileTree::new(*full.root(), len, piece_len);
        let mut layer = Vec::new();
        for span in bare.layer_spans(1 << most) {
            prop_assert!(span.is_sound());
            let mut proof = full.proof(span).unwrap();
            prop_assert_eq!(proof.uncles.len() as u32, span.uncles());
            prop_assert!(bare.admits_layer(span, &proof));
            layer.extend_from_slice(&proof.hashes);
            let at = flip.index(proof.hashes.len() + proof.uncles.len());
            proof.hashes.iter_mut().chain(&mut proof.uncles).nth(at).unwrap()[7] ^= 4;
            prop_assert!(!bare.admits_layer(span, &proof));
        }
        if !bare.has_layer() {
            layer.truncate(bare.pieces() as usize);
            prop_assert!(bare.set_layer(layer));
        }
        prop_assert_eq!(&bare, &full);
        for piece in 0..bare.pieces() {
            let own = of_piece(&leaves, piece, piece_len);
            let mut got = Vec::new();
            for span in bare.leaf_spans(piece, 1 << most) {
                prop_assert!(span.is_sound());
                let mut proof = full.proof_within(span, own.clone()).unwrap();
                prop_assert_eq!(proof.uncles.len() as u32, span.uncles());
                prop_assert!(bare.admits_leaves(span, &proof));
                got.extend_from_slice(&proof.hashes);
                let at = flip.index(proof.hashes.len() + proof.uncles.len());
                proof.hashes.iter_mut().chain(&mut proof.uncles).nth(at).unwrap()[7] ^= 4;
                prop_assert!(!bare.admits_leaves(span, &proof));
            }
            if got.is_empty() {
                prop_assert_eq!(bare.piece_node(piece), Some(own[0]), "one block");
            } else {
                got.truncate(own.len());
                prop_assert_eq!(got, own);
            }
        }
        prop_assert_eq!(bare.piece_node(bare.pieces()), None);
    }

    #[test]
    fn every_proof_leads_to_the_root_and_no_changed_one_does(
        count in 2_usize..40,
        layer in 0_u32..4,
        place in any::<prop::sample::Index>(),
        length in 1_u32..5,
        flip in any::<prop::sample::Index>(),
    ) {
        let leaves: Vec<Hash> = (0..count).map(|at| [at as u8 + 1; 32]).collect();
        let tree = Tree::from_leaves(leaves.clone());
        prop_assert_eq!(tree.root(), root_of_leaves(&leaves));
        let length = 1 << length;
        let width = 1_u32.checked_shl(tree.height() - layer.min(tree.height())).unwrap();
        prop_assume!(layer < tree.height() && length <= width);
        let index = place.index((width / length) as usize) as u32 * length;
        let mut proof = tree.proof(layer, index, length, 31).unwrap();
        prop_assert!(verify(&tree.root(), tree.height(), layer, index, &proof));
        let at = flip.index(proof.hashes.len() + proof.uncles.len());
        // The same nodes, taken for those of another layer, are as wrong as changed ones.
        prop_assert!(!verify(&tree.root(), tree.height(), layer + 1, index, &proof));
        let node = proof.hashes.iter_mut().chain(&mut proof.uncles).nth(at).unwrap();
        node[31] ^= 1;
        prop_assert!(!verify(&tree.root(), tree.height(), layer, index, &proof));
    }

    #[test]
    fn a_piece_layer_leads_to_the_root_of_the_leaves(count in 1_usize..80, shift in 0_u32..5) {
        let leaves: Vec<Hash> = (0..count).map(|at| [at as u8; 32]).collect();
        let piece_len = BLOCK_LEN << shift;
        prop_assume!(count > 1 << shift);
        let layer = piece_layer(&leaves, piece_len);
        prop_assert_eq!(root_of_piece_layer(&layer, piece_len), root_of_leaves(&leaves));
        prop_assert_eq!(layer.len(), count.div_ceil(1 << shift));
    }
}
