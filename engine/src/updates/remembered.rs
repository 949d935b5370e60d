//! Items that outlive the process, by where the DHT has them: each in a file of its own, or all in the store.

use std::fs;
use std::io;
use std::path::Path;

use dht::Item;
use protocol::bencode::{self, Encoder, Limits};
use protocol::krpc::NodeId;
use protocol::krpc::item::{MAX_SALT, MAX_VALUE, MutableItem as SignedItem, mutable_target};
use protocol::magnet::MutableItem;
use state::Batch;
use storage::Watcher;

use crate::{Memory, state_file};

/// The item that was seen last, if it is there and signed.
pub(super) fn load(memory: &Memory, named: &MutableItem) -> Option<Item> {
    let target = mutable_target(&named.public_key, &named.salt);
    // A kilobyte or so: not worth a thread.
    let bytes = match memory {
        Memory::None => None,
        Memory::Files(dir) => read(&dir.join(file_name(&target))),
        Memory::Store(keeper) => {
            let item = keeper.item(target.0);
            let item = item.unwrap_or_else(|error| {
                tracing::warn!(%target, %error, "what was published could not be read");
                None
            });
            item.map(|bytes| bytes.to_vec())
        }
    };
    decode(&bytes?, named)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "what was published could not be read");
            }
            None
        }
    }
}

/// Keeps an item.
pub(super) fn save(memory: &Memory, item: &Item) {
    let Some(bytes) = encode(item) else { return };
    let target = item.target();
    match memory {
        Memory::None => {}
        Memory::Files(dir) => {
            let path = dir.join(file_name(&target));
            let new = path.with_extension("item.new");
            if let Err(error) =
                state_file::replace((&path, &new), &bytes, &Watcher::default(), || Ok(()))
            {
                tracing::warn!(path = %path.display(), %error, "what was published could not be saved");
            }
        }
        Memory::Store(keeper) => {
            let mut batch = Batch::new();
            batch.item(target.0, Some(bytes.into()));
            if let Err(error) = keeper.offer(batch) {
                tracing::warn!(%target, %error, "what was published could not be saved");
            }
        }
    }
}

/// Named by where the DHT has it.
fn file_name(target: &NodeId) -> String {
    format!("{target}.item")
}

/// A dictionary: `k` key, `salt`, `seq`, `sig` signature, `v` the value as it is, as BEP 44 has them.
fn encode(item: &Item) -> Option<Vec<u8>> {
    let Item::Mutable {
        key,
        salt,
        seq,
        value,
        signature,
    } = item
    else {
        return None;
    };
    let mut e = Encoder::new();
    e.begin_dict();
    e.key(b"k").bytes(key);
    e.key(b"salt").bytes(salt);
    e.key(b"seq").int(*seq);
    e.key(b"sig").bytes(signature);
    e.key(b"v").raw(value);
    e.end();
    Some(e.finish())
}

fn decode(bytes: &[u8], named: &MutableItem) -> Option<Item> {
    if bytes.len() > MAX_VALUE + MAX_SALT + 256 {
        return None;
    }
    let dict = bencode::decode(bytes, &Limits::MESSAGE).ok()?.as_dict()?;
    let item = SignedItem {
        key: dict.bytes(b"k")?.try_into().ok()?,
        salt: dict.bytes(b"salt")?,
        seq: dict.int(b"seq")?,
        value: dict.get(b"v")?.raw(),
        signature: dict.bytes(b"sig")?.try_into().ok()?,
    };
    let own = *item.key == named.public_key && item.salt == named.salt;
    (own && item.is_authentic()).then(|| Item::from_mutable(&item))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use protocol::id::InfoHash;
    use protocol::krpc::item::{ItemKey, torrent_value};
    use state::{Folder, Keeper, KeeperOptions};

    use super::*;

    fn item(seq: i64, salt: &[u8]) -> (Item, MutableItem) {
        let key = ItemKey::from_seed(&[7; 32]).unwrap();
        let value = torrent_value(InfoHash([seq as u8; 20]));
        let signature = key.sign(salt, seq, &value);
        let public_key = key.public();
        let salt = salt.to_vec();
        let named = MutableItem {
            public_key,
            salt: salt.clone(),
        };
        let item = Item::Mutable {
            key: public_key,
            salt,
            seq,
            value,
            signature,
        };
        (item, named)
    }

    #[test]
    fn an_item_is_read_as_it_was_saved_and_only_for_its_name() {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (item, named) = item(3, b"s");
        let (_, other) = self::item(3, b"t");
        let folder = Arc::new(Folder::new(dirs[1].path().into()));
        let (keeper, _) = Keeper::open(folder, KeeperOptions::default()).unwrap();
        let keeper = Arc::new(keeper);
        for memory in [
            Memory::Files(dirs[0].path().into()),
            Memory::Store(Arc::clone(&keeper)),
        ] {
            assert_eq!(load(&memory, &named), None);
            save(&memory, &item);
            assert_eq!(load(&memory, &named), Some(item.clone()));
            assert_eq!(load(&memory, &other), None);
        }
        assert_eq!(decode(&encode(&item).unwrap(), &other), None);
        keeper.close(std::time::Duration::from_secs(60)).unwrap();
    }

    proptest! {
        #[test]
        fn what_was_changed_on_disk_is_not_believed(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let (item, named) = item(3, b"salt");
            let mut bytes = encode(&item).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(decode(&bytes, &named), None);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&bytes, &item(1, b"").1), None);
        }
    }
}
