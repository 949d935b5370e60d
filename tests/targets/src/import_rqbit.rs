//! Sessions of rqbit, with and without metadata and bitfields beside them.

use crate::imported::{check, torrent};
use state::import::rqbit::session;

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(entries) = session(data) else {
        return;
    };
    let torrent = torrent();
    for entry in entries.into_iter().take(8) {
        for (file, bits) in [
            (None, None),
            (Some(&*torrent), None),
            (Some(&*torrent), Some(&b"\xf8"[..])),
        ] {
            if let Ok(it) = entry.parse(file, bits, Some(0)) {
                check(it);
            }
        }
    }
}
