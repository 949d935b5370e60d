//! What a job stores, with whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use protocol::krpc::item::MutableItem;
use protocol::krpc::{Announce, Method, Put};

use super::Job;
use crate::items::Item;
use crate::request::{GetPeers, NewItem, Request, StoredOutcome};

/// Nodes with an id that BEP 42 does not allow that something is stored with, beside the others.
const UNFIT_STORES: usize = 4;

/// Something is being stored.
#[derive(Debug, Default)]
pub(crate) struct Storing {
    /// The nodes that have not said yet whether they have it, with their tokens.
    pub(crate) waiting: BTreeMap<SocketAddr, Vec<u8>>,
    /// What is stored, when it is an item.
    pub(crate) item: Option<Item>,
    pub(crate) outcome: StoredOutcome,
}

impl Job {
    /// Turns to storing, where that is wanted: chooses the nodes and makes the item.
    pub(crate) fn begin_storing(&mut self) -> bool {
        let item = match &self.request {
            Request::GetPeers(GetPeers {
                announce: Some(_), ..
            }) => None,
            Request::Put(NewItem::Ready { item, .. }) => Some(item.clone()),
            Request::Put(NewItem::Sign {
                key,
                salt,
                value,
                seq,
                ..
            }) => {
                let newest = self.item.as_ref().and_then(Item::seq);
                let next = newest.map_or(1, |seq| seq.saturating_add(1));
                let seq = seq.unwrap_or(next);
                Some(Item::Mutable {
                    key: key.public(),
                    salt: salt.clone(),
                    seq,
                    value: value.clone(),
                    signature: key.sign(salt, seq, value),
                })
            }
            Request::Ask(..)
            | Request::FindNode(_)
            | Request::Get(_)
            | Request::GetPeers(_)
            | Request::Ping(_)
            | Request::Sample(_) => return false,
        };
        let mut waiting = BTreeMap::new();
        for lookup in self.lookups.iter().flatten() {
            let mut unfit = 0;
            for node in lookup.nearest() {
                unfit += usize::from(!node.valid);
                if let Some(token) = node.token.as_ref()
                    && (node.valid || unfit <= UNFIT_STORES)
                {
                    waiting.insert(node.addr, token.clone());
                }
            }
        }
        self.storing = Some(Storing {
            waiting,
            outcome: StoredOutcome {
                seq: item.as_ref().and_then(Item::seq),
                ..StoredOutcome::default()
            },
            item,
        });
        true
    }

    /// What a node is asked to store.
    pub(crate) fn store_method<'a>(&'a self, token: &'a [u8]) -> Option<Method<'a>> {
        if let Request::GetPeers(GetPeers {
            info_hash,
            announce: Some(announce),
            ..
        }) = &self.request
        {
            return Some(Method::AnnouncePeer(Announce {
                info_hash: *info_hash,
                port: announce.port,
                seed: announce.seed,
                token,
            }));
        }
        let Request::Put(NewItem::Ready { cas, .. } | NewItem::Sign { cas, .. }) = &self.request
        else {
            return None;
        };
        Some(Method::Put(match self.storing.as_ref()?.item.as_ref()? {
            Item::Immutable { value } => Put::Immutable { token, value },
            Item::Mutable {
                key,
                salt,
                seq,
                value,
                signature,
            } => Put::Mutable {
                token,
                cas: *cas,
                item: MutableItem {
                    key,
                    salt,
                    seq: *seq,
                    value,
                    signature,
                },
            },
        }))
    }
}
