//! Resume files of Transmission, and the .torrent files and links beside them.

use crate::imported::{check, torrent};
use state::import::transmission::{Origin, parse};

/// Checks one input.
pub fn run(data: &[u8]) {
    let (file, link) = (
        torrent(),
        b"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567",
    );
    let bare = b"d11:destination4:/tmp8:progressd6:blocks3:allee";
    let cases = [
        (data, Origin::File(&file)),
        (data, Origin::Link(link)),
        (bare, Origin::File(data)),
        (bare, Origin::Link(data)),
    ];
    for (record, origin) in cases {
        if let Ok(it) = parse(record, origin) {
            check(it);
        }
    }
}
