//! Extensions that the session does not know itself (BEP 10): it agrees on their numbers, and passes their messages on.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use crate::bencode::{self, Limits, Tree};
use crate::peer::codec::MAX_EXTENDED_LEN;
use crate::peer::extension::Extension;

/// The first sub-id under which their messages come; the last is [`LAST_ID`].
pub const FIRST_ID: u8 = 16;

/// See [`FIRST_ID`].
pub const LAST_ID: u8 = 31;

/// How many a session can have.
pub const MOST_CUSTOM: usize = (LAST_ID - FIRST_ID) as usize + 1;

/// Bytes of a peer's own entry in its handshake that are kept of each.
pub const MAX_ENTRY: usize = 4096;

/// Keys of the extension handshake that are not to be had.
const TAKEN: [&[u8]; 10] = [
    b"complete_ago",
    b"e",
    b"ipv4",
    b"ipv6",
    b"m",
    b"metadata_size",
    b"p",
    b"reqq",
    b"upload_only",
    b"v",
];

/// An extension of somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomExtension {
    /// Its name in the handshake.
    pub name: String,
    /// The sub-id under which we want to get its messages, from [`FIRST_ID`] to [`LAST_ID`].
    pub id: u8,
    /// An entry of its own in our handshake.
    pub entry: Option<(String, Tree)>,
}

/// What a peer said of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomPeer {
    /// The sub-id under which it wants to get messages; 0 where it has turned the extension off.
    pub id: Option<u8>,
    /// Its entry under the key of ours, if it has one of at most [`MAX_ENTRY`] bytes.
    pub entry: Option<Tree>,
}

/// Why an extension cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CustomError {
    /// The name is empty, longer than 64 bytes, or not of printable ASCII.
    #[error("the name of an extension is 1 to 64 printable ASCII characters")]
    Name,
    /// The name is one that sessions know themselves.
    #[error("there is an extension of this name already")]
    Known,
    /// The key is that of another entry of the handshake, or none at all.
    #[error("the key of the entry is not to be had")]
    Key,
    /// The entry is too long.
    #[error("the entry is longer than 4096 bytes")]
    Entry,
}

impl CustomExtension {
    /// Whether it can be.
    ///
    /// # Errors
    /// [`CustomError`] says what cannot.
    pub fn check(&self) -> Result<(), CustomError> {
        let printable = |c: char| c.is_ascii_graphic() || c == ' ';
        if !(1..=64).contains(&self.name.len()) || !self.name.chars().all(printable) {
            return Err(CustomError::Name);
        }
        if Extension::ALL.iter().any(|known| known.name() == self.name) {
            return Err(CustomError::Known);
        }
        let Some((key, value)) = &self.entry else {
            return Ok(());
        };
        let taken = TAKEN.contains(&key.as_bytes()) || key == "yourip";
        if taken || !(1..=64).contains(&key.len()) {
            return Err(CustomError::Key);
        }
        if value.to_bytes().len() > MAX_ENTRY {
            return Err(CustomError::Entry);
        }
        Ok(())
    }
}

/// The bits of the sub-ids of these.
pub(crate) fn mask(all: &[CustomExtension]) -> u32 {
    let bits = all.iter().map(|one| 1_u32.checked_shl(one.id.into()));
    bits.flatten().fold(0, |mask, bit| mask | bit)
}

/// Our handshake with these in it.
pub(crate) fn add(handshake: Vec<u8>, all: &[CustomExtension]) -> Vec<u8> {
    if all.is_empty() {
        return handshake;
    }
    let Ok(Tree::Dict(mut dict)) = read(&handshake).map(Tree::from) else {
        return handshake;
    };
    if let Some(Tree::Dict(ids)) = dict.get_mut(&b"m"[..]) {
        ids.extend(all.iter().map(|one| {
            let name = one.name.as_bytes().to_vec();
            (name, Tree::Int(one.id.into()))
        }));
    }
    let entries = all.iter().filter_map(|one| one.entry.as_ref());
    let entries = entries.map(|(key, value)| (key.as_bytes().to_vec(), value.clone()));
    let entries: BTreeMap<Vec<u8>, Tree> = entries.collect();
    for (key, value) in entries {
        dict.entry(key).or_insert(value);
    }
    Tree::Dict(dict).to_bytes()
}

/// Takes over what a handshake of the peer says of these; what it does not name stays.
pub(crate) fn update(known: &mut Vec<CustomPeer>, all: &[CustomExtension], handshake: &[u8]) {
    known.resize_with(all.len(), CustomPeer::default);
    let Ok(value) = read(handshake) else { return };
    let Some(dict) = value.as_dict() else { return };
    let ids = dict.dict(b"m");
    for (known, one) in known.iter_mut().zip(all) {
        let id = ids.and_then(|ids| ids.int(one.name.as_bytes()));
        known.id = id.and_then(|id| u8::try_from(id).ok()).or(known.id);
        let entry = one.entry.as_ref();
        let entry = entry.and_then(|(key, _)| dict.get(key.as_bytes()));
        let entry = entry.filter(|entry| entry.raw().len() <= MAX_ENTRY);
        if let Some(entry) = entry {
            known.entry = Some(Tree::from(entry));
        }
    }
}

fn read(handshake: &[u8]) -> Result<bencode::Value<'_>, bencode::Error> {
    let limits = Limits::MESSAGE.with_bytes(MAX_EXTENDED_LEN as usize);
    bencode::decode(handshake, &limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::ExtensionHandshake;

    fn chat(id: u8) -> CustomExtension {
        CustomExtension {
            name: "xx_chat".to_owned(),
            id,
            entry: Some(("xx_room".to_owned(), Tree::Bytes(b"lobby".to_vec()))),
        }
    }

    #[test]
    fn ours_stand_in_the_handshake_beside_all_that_stood_there() {
        let plain = ExtensionHandshake {
            port: Some(6881),
            client: Some("x".to_owned()),
            ..ExtensionHandshake::default()
        };
        let said = add(plain.encode(), &[chat(16)]);
        assert_eq!(said, b"d1:md7:xx_chati16ee1:pi6881e1:v1:x7:xx_room5:lobbye");
        assert_eq!(ExtensionHandshake::parse(&said), Ok(plain));
        let mut heard = Vec::new();
        update(&mut heard, &[chat(20)], &said);
        let peer = CustomPeer {
            id: Some(16),
            entry: Some(Tree::Bytes(b"lobby".to_vec())),
        };
        assert_eq!(heard, std::slice::from_ref(&peer));
        // What a later one does not name stays; 0 turns it off.
        update(&mut heard, &[chat(20)], b"d1:mdee");
        assert_eq!(heard, [peer]);
        update(&mut heard, &[chat(20)], b"d1:md7:xx_chati0eee");
        assert_eq!(heard.first().and_then(|peer| peer.id), Some(0));
    }

    #[test]
    fn what_peers_say_amiss_is_passed_over() {
        for odd in [
            &b""[..],
            b"le",
            b"de",
            b"d1:mi1ee",
            b"d1:md7:xx_chati256eee",
            b"d1:md7:xx_chati-1eee",
            b"d1:md7:xx_chat1:aee",
        ] {
            let mut heard = Vec::new();
            update(&mut heard, &[chat(16)], odd);
            assert_eq!(heard, [CustomPeer::default()], "{odd:?}");
        }
        let long = Tree::Bytes(vec![0; MAX_ENTRY]);
        let dict = BTreeMap::from([(b"xx_room".to_vec(), long)]);
        let mut heard = Vec::new();
        update(&mut heard, &[chat(16)], &Tree::Dict(dict).to_bytes());
        assert_eq!(heard, [CustomPeer::default()]);
    }

    #[test]
    fn names_and_keys_that_are_taken_are_refused() {
        let named = |name: &str| CustomExtension {
            name: name.to_owned(),
            ..chat(16)
        };
        let keyed = |key: &str| CustomExtension {
            entry: Some((key.to_owned(), Tree::Int(1))),
            ..chat(16)
        };
        assert_eq!(chat(16).check(), Ok(()));
        assert_eq!(named("ut_pex").check(), Err(CustomError::Known));
        for odd in ["", "ä", &"x".repeat(65)] {
            assert_eq!(named(odd).check(), Err(CustomError::Name), "{odd}");
        }
        for odd in ["m", "yourip", ""] {
            assert_eq!(keyed(odd).check(), Err(CustomError::Key), "{odd}");
        }
        let long = CustomExtension {
            entry: Some(("x".to_owned(), Tree::Bytes(vec![0; MAX_ENTRY]))),
            ..chat(16)
        };
        assert_eq!(long.check(), Err(CustomError::Entry));
        assert_eq!(mask(&[chat(16), chat(31)]), 1 << 16 | 1 << 31);
    }
}
