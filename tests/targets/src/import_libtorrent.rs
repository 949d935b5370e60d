//! Resume data of libtorrent and qBittorrent, with metadata in it and beside it.

use crate::imported::{check, torrent};
use state::import::libtorrent::parse;

/// Checks one input.
pub fn run(data: &[u8]) {
    for beside in [None, Some(torrent())] {
        for written in [None, Some(0)] {
            if let Ok(it) = parse(data, beside.as_deref(), written) {
                check(it);
            }
        }
    }
}
