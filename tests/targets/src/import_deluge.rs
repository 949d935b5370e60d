//! The file in which Deluge has the resume data of all torrents.

use crate::imported::check;
use state::import::deluge::{parse, split};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(entries) = split(data) else {
        return;
    };
    for (name, range) in entries.into_iter().take(8) {
        assert_eq!(name.len(), 40);
        let bytes = data.get(range).expect("a part of the file");
        if let Ok(it) = parse(bytes, None, Some(0)) {
            check(it);
        }
    }
}
