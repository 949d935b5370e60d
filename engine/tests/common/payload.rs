//! Bytes with a torrent around them, the same for the same seed.

use std::sync::Arc;

use protocol::metainfo::{LoadLimits, Metainfo};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Bytes with a torrent around them.
pub(crate) struct Payload {
    bytes: Vec<u8>,
    metainfo: Arc<Metainfo>,
}

impl Payload {
    pub(crate) fn new(seed: u64, len: usize, piece_len: usize) -> Self {
        Self::of(seed, len, piece_len, "")
    }

    /// One whose peers may come from its trackers only (BEP 27).
    pub(crate) fn private(seed: u64, len: usize, piece_len: usize) -> Self {
        Self::of(seed, len, piece_len, "7:privatei1e")
    }

    /// One that names a certificate.
    pub(crate) fn ssl(seed: u64, len: usize, piece_len: usize) -> Self {
        Self::of(seed, len, piece_len, "8:ssl-cert4:cert")
    }

    /// `last` are the keys of the info dictionary after `pieces`.
    fn of(seed: u64, len: usize, piece_len: usize, last: &str) -> Self {
        let mut bytes = vec![0; len];
        StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
        let pieces: Vec<u8> = bytes.chunks(piece_len).flat_map(hash::sha1).collect();
        let mut torrent = format!(
            "d4:infod6:lengthi{len}e4:name7:payload12:piece lengthi{piece_len}e6:pieces{}:",
            pieces.len()
        )
        .into_bytes();
        torrent.extend_from_slice(&pieces);
        torrent.extend_from_slice(last.as_bytes());
        torrent.extend_from_slice(b"ee");
        let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).expect("a torrent");
        Self {
            bytes,
            metainfo: Arc::new(metainfo),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn metainfo(&self) -> Arc<Metainfo> {
        Arc::clone(&self.metainfo)
    }
}
