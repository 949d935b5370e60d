//! Every back end of this machine against `sha1_smol` and `ring`.

use hash::{Backend, Lanes};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn oracle1(data: &[u8]) -> [u8; 20] {
    sha1_smol::Sha1::from(data).digest().bytes()
}

fn oracle256(data: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, data)
        .as_ref()
        .try_into()
        .expect("32 bytes")
}

/// `len` bytes that differ from place to place and from salt to salt.
fn bytes(len: usize, salt: u64) -> Vec<u8> {
    let mut x = salt.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x.to_le_bytes()[3]
        })
        .collect()
}

/// Hashes `messages` by `lanes` with both functions and compares with the oracles.
fn agrees(lanes: &Lanes, messages: &[&[u8]]) {
    let mut sha1 = vec![[0; 20]; messages.len()];
    let mut sha256 = vec![[0; 32]; messages.len()];
    lanes.sha1_many(messages, &mut sha1);
    lanes.sha256_many(messages, &mut sha256);
    for (i, message) in messages.iter().enumerate() {
        let at = (lanes, i, message.len());
        assert_eq!(sha1[i], oracle1(message), "SHA-1, {at:?}");
        assert_eq!(sha256[i], oracle256(message), "SHA-256, {at:?}");
    }
}

/// As [`agrees`], for messages in parts.
fn agrees_in_parts(lanes: &Lanes, messages: &[Vec<&[u8]>]) {
    let parts: Vec<&[&[u8]]> = messages.iter().map(Vec::as_slice).collect();
    let mut sha1 = vec![[0; 20]; messages.len()];
    let mut sha256 = vec![[0; 32]; messages.len()];
    lanes.sha1_many_parts(&parts, &mut sha1);
    lanes.sha256_many_parts(&parts, &mut sha256);
    for (i, message) in messages.iter().enumerate() {
        let whole = message.concat();
        let cuts: Vec<usize> = message.iter().map(|part| part.len()).collect();
        assert_eq!(
            sha1[i],
            oracle1(&whole),
            "SHA-1, {lanes:?}, message {i}, parts {cuts:?}"
        );
        assert_eq!(
            sha256[i],
            oracle256(&whole),
            "SHA-256, {lanes:?}, message {i}, parts {cuts:?}"
        );
    }
}

/// Cuts `data` at `cuts`, in any order and possibly past the end.
fn cut<'a>(data: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (data.len() + 1)).collect();
    cuts.sort_unstable();
    let mut parts = Vec::new();
    let mut from = 0;
    for to in cuts {
        parts.push(&data[from..to]);
        from = to;
    }
    parts.push(&data[from..]);
    parts
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
}

#[test]
fn nist_examples_come_out_of_every_back_end() {
    let two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    let four = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    let million = vec![b'a'; 1_000_000];
    let messages: [&[u8]; 5] = [b"", b"abc", two_blocks, four, &million];
    let sha1 = [
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
        "a49b2446a02c645bf419f995b67091253a04a259",
        "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
    ];
    let sha256 = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ];
    for lanes in Lanes::available() {
        let mut out1 = [[0; 20]; 5];
        let mut out256 = [[0; 32]; 5];
        lanes.sha1_many(&messages, &mut out1);
        lanes.sha256_many(&messages, &mut out256);
        assert_eq!(out1, sha1.map(hex), "{lanes:?}");
        assert_eq!(out256, sha256.map(hex), "{lanes:?}");
    }
}

#[test]
fn each_length_across_the_padding_boundaries_is_padded_right() {
    let data = bytes(200, 1);
    for lanes in Lanes::available() {
        for len in 0..=200 {
            agrees(&lanes, &[&data[..len]]);
        }
        let all: Vec<&[u8]> = (0..=200).map(|len| &data[..len]).collect();
        agrees(&lanes, &all);
    }
}

#[test]
fn each_cut_of_a_short_message_gives_the_digest_of_the_whole() {
    let data = bytes(200, 2);
    for lanes in Lanes::available() {
        for len in [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 200] {
            let cuts: Vec<Vec<&[u8]>> = (0..=len)
                .map(|at| vec![&data[..at], &[], &data[at..len]])
                .collect();
            agrees_in_parts(&lanes, &cuts);
        }
        let single_bytes: Vec<&[u8]> = data.chunks(1).collect();
        agrees_in_parts(
            &lanes,
            &[single_bytes, vec![], vec![&[]], vec![&[], &data, &[]]],
        );
    }
}

#[test]
fn each_number_of_messages_is_served() {
    let data: Vec<Vec<u8>> = (0..50).map(|i| bytes(1000, i)).collect();
    let whole: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    let mixed: Vec<&[u8]> = data
        .iter()
        .enumerate()
        .map(|(i, d)| &d[..i * 389 % 1001])
        .collect();
    for lanes in Lanes::available() {
        for count in 0..=50 {
            agrees(&lanes, &whole[..count]);
            agrees(&lanes, &mixed[..count]);
        }
    }
}

#[test]
fn inputs_of_every_alignment_are_read_right() {
    let data = bytes(4096 + 64, 3);
    let shifted: Vec<&[u8]> = (0..64).map(|at| &data[at..at + 4096]).collect();
    for lanes in Lanes::available() {
        agrees(&lanes, &shifted);
    }
}

#[test]
fn blocks_are_the_leaves_of_their_data() {
    for lanes in Lanes::available() {
        for (len, block_len) in [
            (0, 16),
            (1, 16),
            (16, 16),
            (17, 16),
            (300_000, 16384),
            (70, 64),
        ] {
            let data = bytes(len, 4);
            let mut out = vec![[9; 32]];
            lanes.sha256_blocks(&data, block_len, &mut out);
            let want: Vec<[u8; 32]> = std::iter::once([9; 32])
                .chain(data.chunks(block_len).map(oracle256))
                .collect();
            assert_eq!(out, want, "{lanes:?}, {len} bytes in blocks of {block_len}");
        }
    }
}

#[test]
fn pairs_are_the_digests_of_two_nodes() {
    let nodes: Vec<[u8; 32]> = (0..100).map(|i| oracle256(&bytes(9, i))).collect();
    for lanes in Lanes::available() {
        for pairs in 0..=50 {
            let mut out = vec![[0; 32]; pairs];
            lanes.sha256_pairs(&nodes[..2 * pairs], &mut out);
            let want: Vec<[u8; 32]> = nodes[..2 * pairs]
                .chunks(2)
                .map(|pair| oracle256(pair.as_flattened()))
                .collect();
            assert_eq!(out, want, "{lanes:?}, {pairs} pairs");
        }
    }
}

#[test]
fn free_functions_agree_with_the_oracles() {
    let data = bytes(1 << 16, 5);
    assert_eq!(hash::sha1(&data), oracle1(&data));
    assert_eq!(hash::sha256(&data), oracle256(&data));
    assert_eq!(
        hash::hash_many::<[u8; 20]>(&[&data, b"x"]),
        [oracle1(&data), oracle1(b"x")]
    );
    assert_eq!(
        hash::hash_many::<[u8; 32]>(&[&data, b"x"]),
        [oracle256(&data), oracle256(b"x")]
    );
    assert_eq!(hash::lanes().backend(), Backend::Adaptive);
    assert!((1..=16).contains(&hash::lanes().full()));
}

#[test]
#[should_panic(expected = "one digest per message")]
fn a_short_output_is_refused() {
    hash::sha1_many(&[b"a", b"b"], &mut [[0; 20]]);
}

#[test]
#[should_panic(expected = "two nodes per digest")]
fn an_odd_node_is_refused() {
    hash::sha256_pairs(&[[0; 32]; 3], &mut [[0; 32]]);
}

/// A length that is often near a block boundary, sometimes long.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..200usize,
        (0..40usize, 0..3usize).prop_map(|(n, d)| (64 * n + d).saturating_sub(1)),
        0..20_000usize
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(0x5eed_0001),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_messages_agree_with_the_oracles(lengths in prop::collection::vec(length(), 0..40), salt: u64) {
        let data: Vec<Vec<u8>> =
            lengths.iter().zip(0u64..).map(|(&len, i)| bytes(len, salt ^ i)).collect();
        let messages: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
        for lanes in Lanes::available() {
            agrees(&lanes, &messages);
        }
    }

    #[test]
    fn any_parts_agree_with_the_oracles(
        messages in prop::collection::vec((length(), prop::collection::vec(any::<usize>(), 0..8)), 0..40),
        salt: u64,
    ) {
        let data: Vec<Vec<u8>> =
            messages.iter().zip(0u64..).map(|((len, _), i)| bytes(*len, salt ^ i)).collect();
        let parts: Vec<Vec<&[u8]>> =
            data.iter().zip(&messages).map(|(data, (_, cuts))| cut(data, cuts)).collect();
        for lanes in Lanes::available() {
            agrees_in_parts(&lanes, &parts);
        }
    }
}
