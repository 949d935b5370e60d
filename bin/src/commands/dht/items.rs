//! `dht get` and `dht put`.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use dht::{Item, NewItem, Wanted};
use protocol::bencode::{self, Encoder, Limits};
use protocol::krpc::NodeId;
use protocol::krpc::item::{
    ItemKey, MAX_SALT, MAX_VALUE, immutable_target, mutable_target, torrent_of,
};
use protocol::magnet::Magnet;
use rand::Rng;

use super::line::Line;
use super::{Work, unhex};
use crate::cli::dht::{GetArgs, PutArgs};
use crate::failure::Failure;
use crate::text::hex;

impl Work<'_> {
    /// Finds an item; says whether there is one.
    pub(super) async fn get(&self, args: &GetArgs) -> Result<bool, Failure> {
        let link = args.target.as_deref().map(Magnet::parse);
        let named = link.and_then(|link| link.ok()?.mutable);
        let wanted = match (&args.target, &args.key) {
            _ if let Some(named) = named => Wanted::Mutable {
                key: named.public_key,
                salt: named.salt,
            },
            (_, Some(key)) => Wanted::Mutable {
                key: owner(key)?,
                salt: salt(&args.salt)?,
            },
            (Some(target), None) => Wanted::Immutable(NodeId(unhex(target)?)),
            (None, None) => return Err(Failure::Usage("name a target, or --key".to_owned())),
        };
        self.ready().await?;
        let found = self.dht.get(wanted).await.map_err(Failure::failed)?;
        let Some(item) = found else {
            return Ok(false);
        };
        let text = bencode::decode(item.value(), &Limits::MESSAGE).ok();
        let text = text.and_then(|value| value.as_str().map(str::to_owned));
        let (key, signature) = match &item {
            Item::Mutable { key, signature, .. } => (Some(hex(key)), Some(hex(signature))),
            Item::Immutable { .. } => (None, None),
        };
        self.tell(&Line::Item {
            target: item.target().to_string(),
            text,
            info_hash: torrent_of(item.value()).map(|hash| hash.to_string()),
            value: hex(item.value()),
            seq: item.seq(),
            key,
            signature,
        })?;
        Ok(true)
    }

    /// Stores an item.
    pub(super) async fn put(&self, args: &PutArgs) -> Result<(), Failure> {
        let value = value(args)?;
        let (item, target, public) = match &args.key {
            None => (
                NewItem::Ready {
                    item: Item::Immutable {
                        value: value.clone(),
                    },
                    cas: None,
                },
                immutable_target(&value),
                None,
            ),
            Some(file) => {
                let key = key(file)?;
                let salt = salt(&args.salt)?;
                let public = key.public();
                let target = mutable_target(&public, &salt);
                let item = NewItem::Sign {
                    key: Arc::new(key),
                    salt,
                    value,
                    seq: args.seq,
                    cas: args.cas,
                };
                (item, target, Some(hex(&public)))
            }
        };
        self.ready().await?;
        let stored = self.dht.put(item).await.map_err(Failure::failed)?;
        self.tell(&Line::Stored {
            target: target.to_string(),
            nodes: stored.nodes,
            seq: stored.seq,
            key: public,
            refused: stored.refused,
        })?;
        if stored.nodes > 0 {
            Ok(())
        } else {
            Err(Failure::Told)
        }
    }
}

/// The bencode of the value.
fn value(args: &PutArgs) -> Result<Vec<u8>, Failure> {
    let mut value = args.value.clone().into_bytes();
    if args.value == "-" {
        value.clear();
        let input = std::io::stdin().lock();
        let read = input.take(4 * MAX_VALUE as u64).read_to_end(&mut value);
        read.map_err(|error| Failure::failed(&error))?;
    }
    if !args.bencoded {
        let mut e = Encoder::new();
        e.bytes(&value);
        value = e.finish();
    } else if !bencode::is_canonical(&value, &Limits::MESSAGE) {
        return Err(Failure::Usage(
            "the value is not canonical bencode".to_owned(),
        ));
    }
    if value.len() > MAX_VALUE {
        return Err(Failure::Usage(format!(
            "the value has {} bytes as bencode, and {MAX_VALUE} is the most",
            value.len()
        )));
    }
    Ok(value)
}

pub(super) fn salt(text: &str) -> Result<Vec<u8>, Failure> {
    if text.len() > MAX_SALT {
        return Err(Failure::Usage(format!(
            "--salt: more than {MAX_SALT} bytes"
        )));
    }
    Ok(text.as_bytes().to_vec())
}

/// The public key of an owner: 64 hexadecimal digits, or the file that holds the secret one.
fn owner(key: &str) -> Result<[u8; 32], Failure> {
    if let Ok(public) = unhex(key) {
        return Ok(public);
    }
    let file = Path::new(key);
    if !file.exists() {
        let why = "is neither 64 hexadecimal digits nor a key file";
        return Err(Failure::Usage(format!("--key {key} {why}")));
    }
    Ok(read_key(file)?.public())
}

/// The key in a file, which is made where it is not there.
pub(super) fn key(file: &Path) -> Result<ItemKey, Failure> {
    if !file.exists() {
        make_key(file)?;
    }
    read_key(file)
}

/// Writes a new key: 64 hexadecimal digits of an Ed25519 seed (RFC 8032).
fn make_key(file: &Path) -> Result<(), Failure> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.exists() {
        let (file, folder) = (file.display(), folder.display());
        let why = format!("--key {file}: there is no folder {folder} to make the key in");
        return Err(Failure::NotFound(why));
    }
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    made.and_then(|mut made| made.write_all((hex(&seed) + "\n").as_bytes()))
        .map_err(|error| Failure::on_file(file, &error))
}

fn read_key(file: &Path) -> Result<ItemKey, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::on_file(file, &error))?;
    let seed = unhex(text.trim()).ok();
    let key = seed.and_then(|seed| ItemKey::from_seed(&seed));
    key.ok_or_else(|| Failure::Failed(format!("{} holds no key", file.display())))
}
