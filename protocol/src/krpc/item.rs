//! Items: values that the DHT stores (BEP 44), and the info-hash that one can hold (BEP 46).

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::NodeId;
use crate::bencode::{self, Encoder, Limits};
use crate::id::InfoHash;

/// The longest encoding of a value (BEP 44).
pub const MAX_VALUE: usize = 1000;

/// The longest salt (BEP 44).
pub const MAX_SALT: usize = 64;

/// A value that its owner may replace: found by key and salt, signed by the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MutableItem<'a> {
    /// The owner's Ed25519 public key.
    pub key: &'a [u8; 32],
    /// Tells several items of one owner apart; empty for none.
    pub salt: &'a [u8],
    /// The version.
    pub seq: i64,
    /// The value's encoding.
    pub value: &'a [u8],
    /// Over salt, version and value.
    pub signature: &'a [u8; 64],
}

/// What signs mutable items.
pub struct ItemKey(Ed25519KeyPair);

/// Where an immutable item is found: the SHA-1 of its encoding.
pub fn immutable_target(value: &[u8]) -> NodeId {
    NodeId(sha1_smol::Sha1::from(value).digest().bytes())
}

/// Where a mutable item is found: the SHA-1 of key and salt.
pub fn mutable_target(key: &[u8; 32], salt: &[u8]) -> NodeId {
    let mut sha = sha1_smol::Sha1::from(key);
    sha.update(salt);
    NodeId(sha.digest().bytes())
}

/// What is signed: salt (where there is one), version and value, as they stand in a dictionary.
pub fn signed_bytes(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut e = Encoder::append_to(Vec::with_capacity(128));
    if !salt.is_empty() {
        e.str("salt").bytes(salt);
    }
    e.str("seq").int(seq).bytes(b"v").raw(value);
    e.finish()
}

impl MutableItem<'_> {
    /// Where it is found.
    pub fn target(&self) -> NodeId {
        mutable_target(self.key, self.salt)
    }

    /// Whether the signature is the owner's; costs some 30 us.
    pub fn is_authentic(&self) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key)
            .verify(
                &signed_bytes(self.salt, self.seq, self.value),
                self.signature,
            )
            .is_ok()
    }
}

impl ItemKey {
    /// The key of a 32-byte seed (RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        let mut public = [0; 32];
        for (out, byte) in public.iter_mut().zip(self.0.public_key().as_ref()) {
            *out = *byte;
        }
        public
    }

    /// Signs a version of an item.
    pub fn sign(&self, salt: &[u8], seq: i64, value: &[u8]) -> [u8; 64] {
        let signature = self.0.sign(&signed_bytes(salt, seq, value));
        let mut bytes = [0; 64];
        for (out, byte) in bytes.iter_mut().zip(signature.as_ref()) {
            *out = *byte;
        }
        bytes
    }
}

/// The value of an item that names a torrent (BEP 46).
pub fn torrent_value(info_hash: InfoHash) -> Vec<u8> {
    let mut e = Encoder::new();
    e.begin_dict().key(b"ih").bytes(&info_hash.0).end();
    e.finish()
}

/// The torrent that a value names (BEP 46).
pub fn torrent_of(value: &[u8]) -> Option<InfoHash> {
    let dict = bencode::decode(value, &Limits::MESSAGE).ok()?.as_dict()?;
    dict.bytes(b"ih")?.try_into().ok().map(InfoHash)
}

impl fmt::Debug for MutableItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutableItem")
            .field("target", &self.target())
            .field("seq", &self.seq)
            .field("value", &self.value.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// Without the secret.
impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ItemKey")
            .field(&self.0.public_key())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

    use super::*;
    use crate::krpc::{Body, DecodeError, ErrorCode, Message, Method, Put, Query};
    use crate::testing::{hex, vectors};

    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().unwrap()
    }

    #[test]
    fn every_item_of_the_vectors_agrees() {
        let vectors = vectors(include_str!("../../tests/vectors/bep44.json"));
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 8);
        for case in cases {
            let name = &case["name"];
            let value = hex(&case["value_bencoded_hex"]);
            let target = case["target"].as_str().unwrap().parse().unwrap();
            if case["kind"] == "immutable" {
                assert_eq!(immutable_target(&value), target, "{name}");
                continue;
            }
            let salt = case["salt_hex"]
                .as_str()
                .map_or(Vec::new(), |_| hex(&case["salt_hex"]));
            let key = array(&hex(&case["public_key"]));
            let signature = array(&hex(&case["signature"]));
            let item = MutableItem {
                key: &key,
                salt: &salt,
                seq: case["seq"].as_i64().unwrap(),
                value: &value,
                signature: &signature,
            };
            assert_eq!(item.target(), target, "{name}");
            let signed = hex(&case["signed_buffer_hex"]);
            assert_eq!(signed_bytes(&salt, item.seq, &value), signed, "{name}");
            assert!(item.is_authentic(), "{name}");
            if case["seed_32"].is_string() {
                let own = ItemKey::from_seed(&array(&hex(&case["seed_32"]))).unwrap();
                assert_eq!(own.public(), key, "{name}");
                assert_eq!(own.sign(&salt, item.seq, &value), signature, "{name}");
            }
        }
    }

    /// The put query of the first vector with changes, as it comes from the wire.
    fn put(seq: i64, salt: &[u8], value: &[u8], signature: &[u8]) -> Vec<u8> {
        let vectors = vectors(include_str!("../../tests/vectors/bep44.json"));
        let case = &vectors["cases"][0];
        let mut e = Encoder::new();
        e.begin_dict().key(b"a").begin_dict();
        e.key(b"id")
            .bytes(&[1; 20])
            .key(b"k")
            .bytes(&hex(&case["public_key"]));
        if !salt.is_empty() {
            e.key(b"salt").bytes(salt);
        }
        e.key(b"seq").int(seq).key(b"sig").bytes(signature);
        e.key(b"token").str("t").key(b"v").raw(value).end();
        e.key(b"q")
            .str("put")
            .key(b"t")
            .str("aa")
            .key(b"y")
            .str("q")
            .end();
        e.finish()
    }

    #[test]
    fn every_reject_of_the_vectors_that_shows_in_the_message_has_its_code() {
        let vectors = vectors(include_str!("../../tests/vectors/bep44.json"));
        let base = &vectors["cases"][0];
        let mut seen = 0;
        for reject in vectors["rejects"].as_array().unwrap() {
            let change = &reject["change"];
            if change["stored_seq"].is_i64() {
                // About what is stored already: not the message's fault.
                continue;
            }
            seen += 1;
            let of = |key: &str| {
                if change[key].is_string() {
                    hex(&change[key])
                } else {
                    hex(&base[key])
                }
            };
            let seq = change["seq"]
                .as_i64()
                .or_else(|| base["seq"].as_i64())
                .unwrap();
            let bytes = put(
                seq,
                &of("salt_hex"),
                &of("value_bencoded_hex"),
                &of("signature"),
            );
            let code = match Message::decode(&bytes) {
                Err(DecodeError::Query { code, .. }) => code,
                Ok(Message {
                    body:
                        Body::Query(Query {
                            method: Method::Put(Put::Mutable { item, .. }),
                            ..
                        }),
                    ..
                }) => {
                    assert!(!item.is_authentic(), "{reject}");
                    ErrorCode::Signature
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(
                u64::from(code.number()),
                reject["expected_error_code"].as_u64().unwrap(),
                "{reject}"
            );
        }
        assert_eq!(seen, 5);
    }

    #[test]
    fn the_items_of_updatable_torrents_are_where_the_vectors_say() {
        let vectors = vectors(include_str!("../../tests/vectors/bep46.json"));
        for case in vectors["cases"].as_array().unwrap() {
            let key = array(&hex(&case["public_key"]));
            let target = mutable_target(&key, &hex(&case["salt_hex"]));
            assert_eq!(target.to_string(), case["target"].as_str().unwrap());
        }
        let value = hex(&vectors["value_example_bencoded"]);
        let named = torrent_of(&value).unwrap();
        assert_eq!(torrent_value(named), value);
        assert_eq!(torrent_of(b"i1e"), None);
        assert_eq!(torrent_of(b"d2:ih3:abce"), None);
    }
}
