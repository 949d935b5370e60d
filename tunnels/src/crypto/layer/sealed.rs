//! What is sealed on this thread while somebody watches.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

/// A key, its salt, and a counter.
type Nonce = (u64, [u8; 4], u64);

thread_local! {
    static SEEN: RefCell<Option<BTreeSet<Nonce>>> = const { RefCell::new(None) };
}

pub(super) fn name(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

/// Panics where a key seals with a nonce that it has sealed with before.
pub(super) fn note(nonce: Nonce) {
    SEEN.with_borrow_mut(|seen| {
        let is_new = seen.as_mut().is_none_or(|seen| seen.insert(nonce));
        assert!(is_new, "a nonce is used twice: {nonce:?}");
    });
}

/// Watches from now on.
pub(crate) fn watch() {
    SEEN.set(Some(BTreeSet::new()));
}

/// Watches no longer; says with how many keys something was sealed, and how often.
pub(crate) fn seen() -> (usize, usize) {
    let seen = SEEN.take().unwrap_or_default();
    let keys: BTreeSet<u64> = seen.iter().map(|(key, ..)| *key).collect();
    (keys.len(), seen.len())
}
