//! Local service discovery: what is accepted names a port and torrents, and means the same once written again.

use protocol::lsd::{Announcement, GROUP_V4, MOST_BYTES, write};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(announcement) = Announcement::parse(data) else {
        return;
    };
    assert!(announcement.port > 0 && !announcement.hashes.is_empty());
    let mut out = Vec::new();
    let written = write(
        &mut out,
        GROUP_V4,
        announcement.port,
        &announcement.hashes,
        "cookie",
    );
    assert!(written > 0 && out.len() <= MOST_BYTES);
    let again = Announcement::parse(&out).expect("an announcement of ours");
    assert_eq!(again.port, announcement.port);
    assert_eq!(again.hashes[..], announcement.hashes[..written]);
}
