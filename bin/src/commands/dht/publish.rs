//! `dht publish`: signs which torrent is the newest version of another (BEP 46).

use std::sync::Arc;
use std::time::Duration;

use dht::{Item, NewItem, Wanted};
use protocol::krpc::item::{mutable_target, torrent_value};
use protocol::magnet::{Magnet, MutableItem};

use super::Work;
use super::items::{key, salt};
use super::line::Line;
use crate::cli::dht::PublishArgs;
use crate::failure::Failure;
use crate::source::Source;
use crate::text::hex;

/// How often an item is stored again (BEP 44).
const AGAIN: Duration = Duration::from_secs(3600);

impl Work<'_> {
    /// Stores which torrent the newest version is; again every hour where that is asked for.
    pub(super) async fn publish(&self, args: &PublishArgs) -> Result<(), Failure> {
        let torrent = &args.torrent;
        let source = Source::read_local(torrent)?;
        let v1 = source.hashes().and_then(|hashes| hashes.get_v1());
        let info_hash = v1.ok_or_else(|| {
            let why = "has no v1 info-hash, by which alone BEP 46 names torrents; a hybrid has one";
            Failure::Usage(format!("{torrent} {why}"))
        })?;
        let owner = Arc::new(key(&args.key)?);
        let named = MutableItem {
            public_key: owner.public(),
            salt: salt(&args.salt)?,
        };
        let link = Magnet {
            name: source.name().map(str::to_owned),
            mutable: Some(named.clone()),
            ..Magnet::default()
        };
        let value = torrent_value(info_hash);
        let target = mutable_target(&named.public_key, &named.salt);
        self.ready().await?;
        let mut new = NewItem::Sign {
            key: Arc::clone(&owner),
            salt: named.salt.clone(),
            value: value.clone(),
            seq: args.seq,
            cas: None,
        };
        let wanted = Wanted::Mutable {
            key: named.public_key,
            salt: named.salt.clone(),
        };
        let found = self.dht.get(wanted).await.map_err(Failure::failed)?;
        if let Some(item) = found.filter(|item| item.value() == value && args.seq.is_none()) {
            // It is the newest already: it is kept alive, and no version is counted up.
            new = NewItem::Ready { item, cas: None };
        }
        loop {
            let stored = self.dht.put(new.clone()).await.map_err(Failure::failed)?;
            let known = match &new {
                NewItem::Ready { item, .. } => item.seq(),
                NewItem::Sign { .. } => stored.seq,
            };
            self.tell(&Line::Published {
                info_hash: info_hash.to_string(),
                target: target.to_string(),
                nodes: stored.nodes,
                seq: known,
                key: hex(&named.public_key),
                magnet: link.to_string(),
                refused: stored.refused,
            })?;
            if !args.stay {
                return if stored.nodes > 0 {
                    Ok(())
                } else {
                    Err(Failure::Told)
                };
            }
            if let Some(seq) = known {
                // The same version again, so that nobody takes it for a newer one.
                let signature = owner.sign(&named.salt, seq, &value);
                let item = Item::Mutable {
                    key: named.public_key,
                    salt: named.salt.clone(),
                    seq,
                    value: value.clone(),
                    signature,
                };
                new = NewItem::Ready { item, cas: None };
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
