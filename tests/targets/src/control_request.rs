//! The command channel of a daemon: however bytes are cut when they come, the same lines come of them; what is read of a line is
//! a request that is read back, or it is said what is wrong; and words name the same torrents whatever they are. The first byte says
//! how the bytes are cut.

use control::{Answer, Ask, Lines, Named, Names, Request};
use protocol::id::{InfoHash, InfoHashes};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else {
        return;
    };
    let cut = usize::from(*cut).max(1);
    let mut lines = Lines::new(1 << 16);
    let mut whole = Vec::new();
    for chunk in data.chunks(cut) {
        lines.push(chunk);
        while let Ok(Some(line)) = lines.line() {
            whole.push(line);
        }
    }
    let mut due: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let rest = due.pop().unwrap_or_default();
    assert_eq!(whole, due);
    assert_eq!(lines.gathered(), rest.len());
    for line in whole.iter().map(Vec::as_slice).chain([rest]) {
        request(line);
        let _ = serde_json::from_slice::<Answer>(line);
    }
}

fn request(line: &[u8]) {
    let Ok(request) = Request::parse(line) else {
        return;
    };
    let again = request.to_line().expect("a request is JSON");
    let again = again.strip_suffix(b"\n").expect("a line");
    assert_eq!(Request::parse(again).as_ref(), Ok(&request));
    if let Ask::Pause(which) | Ask::Resume(which) = request.ask {
        let torrents = [(1, [0x11; 20], "film"), (2, [0x12; 20], "song")];
        let torrents = torrents.map(|(id, hash, name)| Named {
            id,
            hashes: InfoHashes::v1(InfoHash(hash)),
            name,
        });
        if let Ok(named) = Names::new(which.torrents.clone()).among(torrents.iter().copied()) {
            assert!(named.len() <= torrents.len() && named.is_empty() == which.torrents.is_empty());
        }
    }
}
