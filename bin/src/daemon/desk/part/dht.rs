//! The overlay's own DHT as the REST API sees it.

use std::time::{SystemTime, UNIX_EPOCH};

use api::{Bucket, BucketNode, Dht, DhtPeer, DhtSearch, DhtStatus, DhtValue, Promise, Unfound};
use overlay::dht::{DhtClient, DhtClientError, Failure, MAX_VALUE, NodeId, Value};
use overlay::key::Mid;

use super::ago;

/// A node of it.
pub(super) struct OverlayDht(pub(super) DhtClient);

impl Dht for OverlayDht {
    fn status(&self) -> Promise<'_, Option<DhtStatus>> {
        Box::pin(async {
            let look = |dht: &mut overlay::dht::Dht, _| {
                let status = dht.status();
                DhtStatus {
                    node_id: dht.table().own().0,
                    peer_id: dht.introducer().key().public().mid().0,
                    nodes: status.nodes as u64,
                    buckets: dht.table().buckets().len() as u64,
                    keys: status.keys as u64,
                    tokens: status.tokens as u64,
                    peers: dht.peers().map(|mid| mid.0).collect(),
                    keepers: status.keepers as u64,
                }
            };
            self.0.host().with(look).await.ok()
        })
    }

    fn stored(&self, most: usize) -> Promise<'_, Vec<([u8; 20], DhtValue)>> {
        Box::pin(async move {
            let look = move |dht: &mut overlay::dht::Dht, now| {
                let all = dht.storage().all(now).take(most);
                let all = all.map(|(key, value)| (key.0, value.to_vec()));
                all.collect::<Vec<_>>()
            };
            let stored = self.0.host().with(look).await.unwrap_or_default();
            // Signatures are looked at, which takes its time.
            let read = tokio::task::spawn_blocking(move || {
                let values = stored.iter().filter_map(|(key, value)| {
                    let value = Value::read(value).ok()?;
                    let signer = value.signer.map(|(key, _)| key.as_bytes().to_vec());
                    let data = value.data.to_vec();
                    Some((*key, DhtValue { data, signer }))
                });
                values.collect()
            });
            read.await.unwrap_or_default()
        })
    }

    fn find(&self, key: [u8; 20]) -> Promise<'_, Result<(Vec<DhtValue>, DhtSearch), Unfound>> {
        Box::pin(async move {
            let (values, search) = self.0.search_values(NodeId(key)).await.map_err(unfound)?;
            let values = values.into_iter().map(|found| DhtValue {
                data: found.data,
                signer: found.signer.map(|key| key.as_bytes().to_vec()),
            });
            let search = DhtSearch {
                asked: search.asked as u64,
                answered: search.answered as u64,
                with_nodes: search.with_nodes as u64,
                with_values: search.with_values as u64,
            };
            Ok((values.collect(), search))
        })
    }

    fn store(&self, key: [u8; 20], value: Vec<u8>, sign: bool) -> Promise<'_, Result<(), Unfound>> {
        Box::pin(async move {
            let key = NodeId(key);
            let stored = if sign {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let version = now.map_or(0, |now| now.as_secs());
                let version = u32::try_from(version).unwrap_or(u32::MAX);
                self.0.store_signed(key, &value, version).await
            } else {
                self.0.store(key, &value).await
            };
            stored.map(drop).map_err(unfound)
        })
    }

    fn connect(&self, mid: [u8; 20]) -> Promise<'_, Result<Vec<DhtPeer>, Unfound>> {
        Box::pin(async move {
            let found = self.0.connect_peer(Mid(mid)).await.map_err(unfound)?;
            let found = found.into_iter().map(|node| DhtPeer {
                key: node.key.as_bytes().to_vec(),
                at: node.addr,
            });
            Ok(found.collect())
        })
    }

    fn buckets(&self) -> Promise<'_, Vec<Bucket>> {
        Box::pin(async {
            let look = |dht: &mut overlay::dht::Dht, _| {
                let ago = ago();
                let own = dht.table().own();
                let buckets = dht.table().buckets().map(|bucket| {
                    let nodes = bucket.nodes().iter().map(|node| BucketNode {
                        at: node.addr(),
                        mid: node.mid().0,
                        id: node.id().0,
                        failed: node.failed(),
                        heard: node.last_contact().map(ago),
                        distance: node.id().distance(&own).0,
                    });
                    Bucket {
                        prefix: bucket.prefix(),
                        changed: bucket.changed().map(ago),
                        nodes: nodes.collect(),
                    }
                });
                buckets.collect()
            };
            self.0.host().with(look).await.unwrap_or_default()
        })
    }

    fn refresh(&self, prefix: String) -> Promise<'_, Result<bool, Unfound>> {
        Box::pin(async move { self.0.refresh(&prefix).await.map_err(unfound) })
    }
}

fn unfound(error: DhtClientError) -> Unfound {
    if error != DhtClientError::Failed(Failure::BadValue) {
        return Unfound::Failed(error.to_string());
    }
    Unfound::Wrong(format!(
        "{error}: it has {} bytes at most, and {} where it is signed",
        MAX_VALUE - 1,
        MAX_VALUE - SIGNED
    ))
}

/// Bytes of a signed value beside its data: kind, length, version, the public key with its length, and the signature.
const SIGNED: usize = 147;

#[cfg(test)]
mod tests {
    use overlay::key::SecretKey;

    use super::*;

    #[test]
    fn who_stores_too_much_is_told_how_much_may_be_stored() {
        let key = SecretKey::from_bytes(&[7; 64]).unwrap();
        assert_eq!(Value::signed(&[], 0, &key).len(), SIGNED);
        let why = unfound(DhtClientError::Failed(Failure::BadValue));
        let due = "the value cannot be stored: it has 169 bytes at most, and 23 where it is signed";
        assert_eq!(why, Unfound::Wrong(due.to_owned()));
    }
}
