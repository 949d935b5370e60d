//! Messages of any number, lengths and cuts, on every back end of the machine, against `sha1_smol` and `ring`.

use std::sync::LazyLock;

use crate::steps::Steps;
use hash::Lanes;

static LANES: LazyLock<Vec<Lanes>> = LazyLock::new(Lanes::available);

/// Longer than 40 blocks, so that lanes go on while others end.
const MESSAGE: u32 = 40 * 64 + 2;

fn oracle1(data: &[u8]) -> [u8; 20] {
    sha1_smol::Sha1::from(data).digest().bytes()
}

fn oracle256(data: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    digest.as_ref().try_into().expect("32 bytes")
}

/// Cuts `data` into at most seven parts, some of them empty.
fn cut<'a>(mut data: &'a [u8], steps: &mut Steps<'_>) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    for _ in 0..steps.byte() % 7 {
        let (head, tail) = data.split_at(steps.below(data.len() as u32 + 1) as usize);
        parts.push(head);
        data = tail;
    }
    parts.push(data);
    parts
}

fn trees(lanes: &Lanes, data: &[u8], steps: &mut Steps<'_>) {
    let block_len = 1 + steps.below(1000) as usize;
    let mut leaves = Vec::new();
    lanes.sha256_blocks(data, block_len, &mut leaves);
    let want: Vec<[u8; 32]> = data.chunks(block_len).map(oracle256).collect();
    assert_eq!(leaves, want);

    leaves.truncate(leaves.len() / 2 * 2);
    let mut layer = vec![[0; 32]; leaves.len() / 2];
    lanes.sha256_pairs(&leaves, &mut layer);
    let pairs = leaves.chunks(2).map(|pair| oracle256(pair.as_flattened()));
    assert!(layer.into_iter().eq(pairs));
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let lanes = &LANES[usize::from(steps.byte()) % LANES.len()];
    let count = steps.below(41);
    let spans: Vec<(usize, usize)> = (0..count)
        .map(|_| (usize::from(steps.byte()), steps.below(MESSAGE + 1) as usize))
        .collect();
    // The input once more as content, stirred so that no two blocks are equal.
    let content: Vec<u8> = (0..256 + MESSAGE as usize)
        .map(|i| {
            data.get(i % data.len().max(1)).unwrap_or(&0) ^ (i.wrapping_mul(0x9e37) >> 8) as u8
        })
        .collect();
    let messages: Vec<&[u8]> = spans
        .iter()
        .map(|&(at, len)| &content[at..at + len])
        .collect();
    let parts: Vec<Vec<&[u8]>> = messages
        .iter()
        .map(|message| cut(message, &mut steps))
        .collect();
    let parts: Vec<&[&[u8]]> = parts.iter().map(Vec::as_slice).collect();

    let mut whole = vec![[0; 20]; messages.len()];
    let mut pieced = whole.clone();
    lanes.sha1_many(&messages, &mut whole);
    lanes.sha1_many_parts(&parts, &mut pieced);
    let want: Vec<[u8; 20]> = messages.iter().map(|message| oracle1(message)).collect();
    assert_eq!(whole, want);
    assert_eq!(pieced, want);

    let mut whole = vec![[0; 32]; messages.len()];
    let mut pieced = whole.clone();
    lanes.sha256_many(&messages, &mut whole);
    lanes.sha256_many_parts(&parts, &mut pieced);
    let want: Vec<[u8; 32]> = messages.iter().map(|message| oracle256(message)).collect();
    assert_eq!(whole, want);
    assert_eq!(pieced, want);

    trees(lanes, &content[..steps.below(2000) as usize], &mut steps);
}
