//! Values that others keep here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::key::Mid;

use super::NodeId;

/// Values of a key that are kept at most; then the last one goes.
const MAX_PER_KEY: usize = 64;

/// Keys that are kept at most; a further one waits until another has expired.
const MAX_KEYS: usize = 8192;

/// Values under their keys, the newest of each key first. A value of the key's own identity comes last.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    items: BTreeMap<NodeId, Vec<Stored>>,
}

#[derive(Clone, Debug)]
struct Stored {
    id: [u8; 20],
    data: Vec<u8>,
    version: u32,
    until: Instant,
}

impl Storage {
    /// Keeps a value until a time. A value with the same id is replaced, unless that has a newer version. The id of a signed
    /// value is its signer's name, that of another the SHA-1 of it.
    pub fn put(&mut self, key: NodeId, id: Mid, data: Vec<u8>, version: u32, until: Instant) {
        if !self.items.contains_key(&key) && self.items.len() >= MAX_KEYS {
            return;
        }
        let values = self.items.entry(key).or_default();
        if let Some(at) = values.iter().position(|value| value.id == id.0) {
            if values.get(at).is_some_and(|old| version < old.version) {
                return;
            }
            values.remove(at);
        }
        let value = Stored {
            id: id.0,
            data,
            version,
            until,
        };
        values.insert(0, value);
        values.sort_by_key(|value| value.id == key.0);
        values.truncate(MAX_PER_KEY);
    }

    /// The values of a key that have not expired, but for the first few, at most so many.
    pub fn get(&self, now: Instant, key: NodeId, offset: usize, most: usize) -> Vec<&[u8]> {
        let values = self.items.get(&key).into_iter().flatten();
        let good = values.filter(|value| value.until > now);
        good.skip(offset)
            .take(most)
            .map(|value| value.data.as_slice())
            .collect()
    }

    /// Forgets what has expired.
    pub fn clean(&mut self, now: Instant) {
        self.items.retain(|_, values| {
            values.retain(|value| value.until > now);
            !values.is_empty()
        });
    }

    /// All values that have not expired, with their keys, by these.
    pub fn all(&self, now: Instant) -> impl Iterator<Item = (NodeId, &[u8])> {
        let all = self.items.iter();
        let all = all.flat_map(|(key, values)| values.iter().map(move |value| (*key, value)));
        let good = all.filter(move |(_, value)| value.until > now);
        good.map(|(key, value)| (key, value.data.as_slice()))
    }

    /// How many keys have values.
    pub fn keys(&self) -> usize {
        self.items.len()
    }
}

/// How long a value is kept, less the more nodes are nearer to it, so that what is sought often is not kept everywhere.
pub(super) fn max_age(nearer: usize) -> Duration {
    let halvings = (nearer + 1).saturating_sub(8).min(16);
    Duration::from_secs(86_400 >> halvings)
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

    use super::*;
    use crate::testing::{from_hex, list, number, text, vectors};

    #[test]
    fn values_stand_in_the_order_of_the_vectors() {
        let vectors = vectors(include_str!("../../tests/vectors/dht.json"));
        let case = &vectors["storage"];
        let key = NodeId(from_hex(text(&case["key"])).try_into().unwrap());
        let now = Instant::now();
        let until = now + Duration::from_secs(60);
        let mut storage = Storage::default();
        for op in list(&case["ops"]) {
            let data = text(&op["put"]).as_bytes().to_vec();
            let id = match op["id"].as_str() {
                Some(id) => from_hex(id),
                None => digest(&SHA1_FOR_LEGACY_USE_ONLY, &data).as_ref().to_vec(),
            };
            let version = number(&op["version"]) as u32;
            storage.put(key, Mid(id.try_into().unwrap()), data, version, until);
            let expected: Vec<&str> = list(&op["list_after"]).iter().map(text).collect();
            let values = storage.get(now, key, 0, 100);
            let values: Vec<&str> = values
                .iter()
                .map(|value| std::str::from_utf8(value).unwrap())
                .collect();
            assert_eq!(values, expected);
        }
        assert!(storage.get(until, key, 0, 100).is_empty());
        storage.clean(until);
        assert_eq!(storage.keys(), 0);
    }

    #[test]
    fn neither_a_key_nor_the_whole_grows_without_bound() {
        let now = Instant::now();
        let until = now + Duration::from_secs(60);
        let mut storage = Storage::default();
        for number in 0..100u8 {
            storage.put(NodeId([0; 20]), Mid([number; 20]), vec![number], 0, until);
        }
        assert_eq!(
            storage.get(now, NodeId([0; 20]), 0, 1000).len(),
            MAX_PER_KEY
        );
        assert_eq!(storage.get(now, NodeId([0; 20]), 60, 8).len(), 4);
        for number in 0..10_000u16 {
            let mut key = [1; 20];
            key[..2].copy_from_slice(&number.to_be_bytes());
            storage.put(NodeId(key), Mid([1; 20]), vec![1], 0, until);
        }
        assert_eq!(storage.keys(), MAX_KEYS);
    }

    #[test]
    fn the_more_nodes_are_nearer_the_sooner_a_value_is_forgotten() {
        assert_eq!(max_age(0).as_secs(), 86_400);
        assert_eq!(max_age(7).as_secs(), 86_400);
        assert_eq!(max_age(8).as_secs(), 43_200);
        assert_eq!(max_age(20).as_secs(), 86_400 >> 13);
    }
}
