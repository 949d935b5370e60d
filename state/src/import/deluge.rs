//! The resume data of Deluge.
//!
//! # Format
//! `state/torrents.fastresume` is a bencoded dictionary: the info-hash in hexadecimal, and the
//! [resume data](super::libtorrent) of libtorrent as a byte string. Metadata lies beside it in `HASH.torrent`.
//!
//! `torrents.state` is not read: it is a pickle, a program for Python's stack machine that builds objects of Deluge. What it has
//! and libtorrent does not know (who owns a torrent, where it moves once it is complete, at which ratio it stops) is
//! left behind.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use protocol::bencode::{self, Limits};

use super::fault::{Fault, FaultKind};
use super::{Imported, MOST_DELUGE, libtorrent};

/// Where the resume data of each torrent is in the file, with its name.
///
/// # Errors
/// [`Fault`] names the torrent whose entry is malformed.
pub fn split(bytes: &[u8]) -> Result<Vec<(String, Range<usize>)>, Fault> {
    let limits = Limits {
        depth: 4,
        tokens: 2_000_002,
        bytes: MOST_DELUGE,
    };
    let value =
        bencode::decode(bytes, &limits).map_err(|error| Fault::whole(FaultKind::Bencode(error)))?;
    let dict = value.as_dict();
    let dict = dict.ok_or_else(|| Fault::whole(FaultKind::Kind("a dictionary")))?;
    let start = bytes.as_ptr() as usize;
    let mut entries = Vec::new();
    for (name, value) in dict {
        let name = String::from_utf8_lossy(name).into_owned();
        let plain = name.len() == 40 && name.bytes().all(|c| c.is_ascii_hexdigit());
        if !plain {
            let name: String = name.chars().take(40).collect();
            let why = FaultKind::Kind("named by 40 hexadecimal digits");
            return Err(Fault::new(name, why));
        }
        let Some(data) = value.as_bytes() else {
            return Err(Fault::new(name, FaultKind::Kind("a byte string")));
        };
        let from = (data.as_ptr() as usize).saturating_sub(start);
        entries.push((name, from..from.saturating_add(data.len())));
    }
    Ok(entries)
}

/// Reads the resume data of a torrent, as [`libtorrent::parse`] does.
///
/// # Errors
/// As there.
pub fn parse(bytes: &[u8], beside: Option<&[u8]>, written: Option<i64>) -> Result<Imported, Fault> {
    libtorrent::parse(bytes, beside, written)
}
