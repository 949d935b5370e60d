//! Who may announce, and what.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use protocol::id::InfoHash;
use serde::Deserialize;

mod key;

pub use key::{Key, KeyError};

/// Which torrents are served.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// All.
    #[default]
    Open,
    /// Those on the list.
    Allow,
    /// Those not on the list.
    Deny,
}

/// How access is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Which torrents are served.
    pub listing: Listing,
    /// Only who has a key is served.
    pub private: bool,
    /// Keys end at their time; else they hold for ever.
    pub keys_expire: bool,
}

/// A moment, in Unix seconds.
pub type Unix = u64;

/// The lists of torrents and keys, as they are in memory. They are changed while others read them.
#[derive(Debug, Default)]
pub struct Access {
    mode: ArcSwap<Mode>,
    list: RwLock<HashSet<InfoHash, ahash::RandomState>>,
    /// With the second after which a key is refused; `None` for never.
    keys: RwLock<HashMap<Key, Option<Unix>, ahash::RandomState>>,
}

/// Why somebody is not served. The text is meant for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The tracker is private, and there is no key.
    #[error("Authentication error: Missing authentication key param for private tracker")]
    NoKey,
    /// The key is not 32 letters and digits.
    #[error("Authentication error: Invalid format for authentication key param")]
    BadKey,
    /// The key is not known.
    #[error("Tracker error: The authentication key is not known")]
    UnknownKey,
    /// The key's time is over.
    #[error("Tracker error: The authentication key has expired")]
    ExpiredKey,
    /// The tracker serves a list of torrents, and this is none of them.
    #[error("Tracker error: The torrent: {0}, is not whitelisted")]
    NotListed(InfoHash),
    /// The tracker does not serve this torrent.
    #[error("Tracker error: The torrent: {0}, is not served here")]
    Denied(InfoHash),
}

impl Refusal {
    /// Whether what was shown cannot be a key.
    pub const fn is_malformed(&self) -> bool {
        matches!(self, Self::BadKey)
    }
}

impl Access {
    /// Empty lists.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode: ArcSwap::from_pointee(mode),
            ..Self::default()
        }
    }

    /// How access is decided.
    pub fn mode(&self) -> Mode {
        **self.mode.load()
    }

    /// Decides otherwise from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(Arc::new(mode));
    }

    /// Whether whoever shows `key` may announce this torrent.
    ///
    /// # Errors
    /// [`Refusal`]; that of the key comes first.
    pub fn check(&self, info_hash: &InfoHash, key: Option<&str>, now: Unix) -> Result<(), Refusal> {
        self.check_key(key, now)?;
        self.check_torrent(info_hash)
    }

    /// Whether whoever shows `key` is served at all.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_key(&self, key: Option<&str>, now: Unix) -> Result<(), Refusal> {
        let mode = self.mode();
        if !mode.private {
            return Ok(());
        }
        let key = key.ok_or(Refusal::NoKey)?;
        let key: Key = key.parse().map_err(|_| Refusal::BadKey)?;
        match self.keys.read().get(&key) {
            None => Err(Refusal::UnknownKey),
            Some(Some(end)) if mode.keys_expire && *end < now => Err(Refusal::ExpiredKey),
            Some(_) => Ok(()),
        }
    }

    /// Whether a torrent is served.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_torrent(&self, info_hash: &InfoHash) -> Result<(), Refusal> {
        match self.mode().listing {
            Listing::Allow if self.list.read().contains(info_hash) => Ok(()),
            Listing::Allow => Err(Refusal::NotListed(*info_hash)),
            Listing::Deny if self.list.read().contains(info_hash) => {
                Err(Refusal::Denied(*info_hash))
            }
            Listing::Open | Listing::Deny => Ok(()),
        }
    }

    /// Puts a torrent on the list; tells whether it was not there.
    pub fn list(&self, info_hash: InfoHash) -> bool {
        self.list.write().insert(info_hash)
    }

    /// Takes a torrent from the list; tells whether it was there.
    pub fn unlist(&self, info_hash: &InfoHash) -> bool {
        self.list.write().remove(info_hash)
    }

    /// Takes another list of torrents; until then everybody is answered by the old one.
    pub fn replace_list(&self, torrents: impl IntoIterator<Item = InfoHash>) {
        let list: HashSet<_, _> = torrents.into_iter().collect();
        let old = std::mem::replace(&mut *self.list.write(), list);
        // Outside of the lock: this may take a while.
        drop(old);
    }

    /// Torrents on the list.
    pub fn listed(&self) -> usize {
        self.list.read().len()
    }

    /// Makes a key good until the end of a second, or for ever.
    pub fn add_key(&self, key: Key, until: Option<Unix>) {
        self.keys.write().insert(key, until);
    }

    /// Makes a key bad; tells whether it was known.
    pub fn remove_key(&self, key: &Key) -> bool {
        self.keys.write().remove(key).is_some()
    }

    /// Takes other keys; until then everybody is answered by the old ones.
    pub fn replace_keys(&self, keys: impl IntoIterator<Item = (Key, Option<Unix>)>) {
        let keys: HashMap<_, _, _> = keys.into_iter().collect();
        let old = std::mem::replace(&mut *self.keys.write(), keys);
        drop(old);
    }

    /// Known keys, those whose time is over included.
    pub fn keys(&self) -> usize {
        self.keys.read().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: InfoHash = InfoHash([1; 20]);

    #[test]
    fn everybody_is_served_without_lists() {
        assert_eq!(Access::default().check(&HASH, None, 0), Ok(()));
        assert_eq!(Access::default().check(&HASH, Some("?"), 0), Ok(()));
    }

    #[test]
    fn lists_allow_or_deny() {
        for (listing, before, after) in [
            (Listing::Allow, Err(Refusal::NotListed(HASH)), Ok(())),
            (Listing::Deny, Ok(()), Err(Refusal::Denied(HASH))),
        ] {
            let access = Access::new(Mode {
                listing,
                ..Mode::default()
            });
            assert_eq!(access.check(&HASH, None, 0), before);
            assert!(access.list(HASH) && !access.list(HASH));
            assert_eq!(access.check(&HASH, None, 0), after);
            access.replace_list([InfoHash([2; 20])]);
            assert_eq!(access.check(&HASH, None, 0), before);
            access.replace_list([HASH]);
            assert!(access.unlist(&HASH) && !access.unlist(&HASH));
            assert_eq!(access.check(&HASH, None, 0), before);
        }
        let text = "Tracker error: The torrent: 0101010101010101010101010101010101010101, is not whitelisted";
        assert_eq!(Refusal::NotListed(HASH).to_string(), text);
    }

    #[test]
    fn keys_hold_until_the_end_of_their_second() {
        let mode = Mode {
            private: true,
            keys_expire: true,
            ..Mode::default()
        };
        let access = Access::new(mode);
        let key = "YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ";
        assert_eq!(access.check(&HASH, None, 0), Err(Refusal::NoKey));
        assert_eq!(access.check(&HASH, Some("short"), 0), Err(Refusal::BadKey));
        assert_eq!(access.check(&HASH, Some(key), 0), Err(Refusal::UnknownKey));
        access.add_key(key.parse().unwrap(), Some(60));
        assert_eq!(access.check(&HASH, Some(key), 60), Ok(()));
        assert_eq!(access.check(&HASH, Some(key), 61), Err(Refusal::ExpiredKey));
        access.replace_keys([(key.parse().unwrap(), None)]);
        assert_eq!(access.check(&HASH, Some(key), u64::MAX), Ok(()));
        assert!(access.remove_key(&key.parse().unwrap()));
        assert_eq!(access.check(&HASH, Some(key), 0), Err(Refusal::UnknownKey));

        let for_ever = Access::new(Mode {
            keys_expire: false,
            ..mode
        });
        for_ever.add_key(key.parse().unwrap(), Some(60));
        assert_eq!(for_ever.check(&HASH, Some(key), 61), Ok(()));
    }
}
