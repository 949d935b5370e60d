//! Items: what others have stored with us (BEP 44), and the owned form of one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use net::scope::origin;
use protocol::krpc::item::{MutableItem, immutable_target, mutable_target};
use protocol::krpc::{ErrorCode, NodeId};

/// An item that is owned, of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Found by the digest of its value.
    Immutable {
        /// The encoding of the value.
        value: Vec<u8>,
    },
    /// Found by key and salt.
    Mutable {
        /// The owner's public key.
        key: [u8; 32],
        /// Empty for none.
        salt: Vec<u8>,
        /// The version.
        seq: i64,
        /// The encoding of the value.
        value: Vec<u8>,
        /// The owner's signature.
        signature: [u8; 64],
    },
}

/// How many items are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemLimits {
    /// In all.
    pub total: usize,
    /// From one address (IPv6: one /64).
    pub per_address: usize,
    /// How long one is kept that nobody stores again.
    pub lifetime: Duration,
}

impl Default for ItemLimits {
    /// 1,000 in all (a megabyte), 20 from an address, two hours each.
    fn default() -> Self {
        Self {
            total: 1000,
            per_address: 20,
            lifetime: LIFETIME,
        }
    }
}

/// How long an item is usually kept that nobody stores again (BEP 44).
pub(crate) const LIFETIME: Duration = Duration::from_secs(2 * 3600);

#[derive(Debug)]
struct Stored {
    item: Item,
    from: IpAddr,
    until: Instant,
}

/// Items by target. When it is full, the one that is farthest from our id makes room.
#[derive(Debug)]
pub(crate) struct ItemStore {
    limits: ItemLimits,
    items: BTreeMap<NodeId, Stored>,
}

impl Item {
    /// The owned form of a mutable item.
    pub fn from_mutable(item: &MutableItem<'_>) -> Self {
        Self::Mutable {
            key: *item.key,
            salt: item.salt.to_vec(),
            seq: item.seq,
            value: item.value.to_vec(),
            signature: *item.signature,
        }
    }

    /// Where it is found.
    pub fn target(&self) -> NodeId {
        match self {
            Self::Immutable { value } => immutable_target(value),
            Self::Mutable { key, salt, .. } => mutable_target(key, salt),
        }
    }

    /// The encoding of the value.
    pub fn value(&self) -> &[u8] {
        match self {
            Self::Immutable { value } | Self::Mutable { value, .. } => value,
        }
    }

    /// The version, of a mutable item.
    pub const fn seq(&self) -> Option<i64> {
        match self {
            Self::Immutable { .. } => None,
            Self::Mutable { seq, .. } => Some(*seq),
        }
    }
}

impl ItemStore {
    pub(crate) const fn new(limits: ItemLimits) -> Self {
        Self {
            limits,
            items: BTreeMap::new(),
        }
    }

    /// Holds to other limits from now on; what is there stays until its time is over.
    pub(crate) const fn set_limits(&mut self, limits: ItemLimits) {
        self.limits = limits;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many of them an owner has signed.
    pub(crate) fn mutable(&self) -> usize {
        let items = self.items.values();
        items.filter(|stored| stored.item.seq().is_some()).count()
    }

    /// The item under a target.
    pub(crate) fn get(&self, now: Instant, target: &NodeId) -> Option<&Item> {
        let stored = self.items.get(target)?;
        (stored.until > now).then_some(&stored.item)
    }

    /// Stores an item, or refreshes it, for a node at `from`; the caller has checked the signature.
    ///
    /// # Errors
    /// [`ErrorCode::CasMismatch`], [`ErrorCode::SeqTooLow`], or [`ErrorCode::Server`] when there is no room.
    pub(crate) fn put(
        &mut self,
        now: Instant,
        own: &NodeId,
        from: IpAddr,
        item: Item,
        cas: Option<i64>,
    ) -> Result<(), ErrorCode> {
        let target = item.target();
        let until = now + self.limits.lifetime;
        let known = self.items.get_mut(&target).filter(|s| s.until > now);
        if let Some(known) = known {
            if let (Some(there), Some(seq)) = (known.item.seq(), item.seq()) {
                if cas.is_some_and(|cas| cas != there) {
                    return Err(ErrorCode::CasMismatch);
                }
                if seq < there || seq == there && known.item.value() != item.value() {
                    return Err(ErrorCode::SeqTooLow);
                }
            }
            known.item = item;
            known.until = until;
            return Ok(());
        }
        let from = origin(from);
        if self.items.len() >= self.limits.total {
            self.sweep(now);
        }
        let of_address = self.items.values().filter(|s| s.from == from).count();
        if of_address >= self.limits.per_address {
            return Err(ErrorCode::Server);
        }
        if self.items.len() >= self.limits.total {
            let farthest = self.items.keys().copied();
            let farthest = farthest.max_by_key(|target| own.distance(target));
            match farthest {
                Some(far) if own.distance(&far) > own.distance(&target) => self.items.remove(&far),
                _ => return Err(ErrorCode::Server),
            };
        }
        self.items.insert(target, Stored { item, from, until });
        Ok(())
    }

    /// Forgets items that were not stored again.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.items.retain(|_, stored| stored.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([0; 20]);

    fn version(seq: i64, value: &[u8]) -> Item {
        Item::Mutable {
            key: [7; 32],
            salt: b"salt".to_vec(),
            seq,
            value: value.to_vec(),
            signature: [0; 64],
        }
    }

    fn from(n: u8) -> IpAddr {
        [9, 9, 9, n].into()
    }

    #[test]
    fn versions_only_go_up_and_cas_names_the_one_before() {
        let mut store = ItemStore::new(ItemLimits::default());
        let now = Instant::now();
        let mut put = |seq, value, cas| store.put(now, &OWN, from(1), version(seq, value), cas);
        assert_eq!(put(5, b"1:a", Some(4)), Ok(()));
        assert_eq!(put(4, b"1:b", None), Err(ErrorCode::SeqTooLow));
        assert_eq!(put(5, b"1:b", None), Err(ErrorCode::SeqTooLow));
        assert_eq!(put(5, b"1:a", None), Ok(()));
        assert_eq!(put(6, b"1:b", Some(4)), Err(ErrorCode::CasMismatch));
        assert_eq!(put(6, b"1:b", Some(5)), Ok(()));
        let target = version(0, b"").target();
        assert_eq!(store.get(now, &target), Some(&version(6, b"1:b")));
        assert_eq!(store.get(now + LIFETIME, &target), None);
        assert_eq!(
            store.put(now + LIFETIME, &OWN, from(1), version(1, b"0:"), None),
            Ok(())
        );
    }

    #[test]
    fn limits_hold_and_the_farthest_makes_room() {
        let limits = ItemLimits {
            lifetime: LIFETIME,
            total: 10,
            per_address: 3,
        };
        let mut store = ItemStore::new(limits);
        let now = Instant::now();
        let item = |n: u8| Item::Immutable {
            value: format!("i{n}e").into_bytes(),
        };
        let one = (0..20).filter(|n| store.put(now, &OWN, from(1), item(*n), None).is_ok());
        assert_eq!(one.count(), 3);
        for n in 20..200 {
            let _ = store.put(now, &OWN, from(n), item(n), None);
        }
        assert_eq!(store.len(), 10);
        let mut all: Vec<_> = (0..200)
            .filter(|n| *n < 3 || *n >= 20)
            .map(|n| item(n).target())
            .collect();
        all.sort_by_key(|target| OWN.distance(target));
        assert!(
            all[..10]
                .iter()
                .all(|target| store.get(now, target).is_some())
        );
        store.sweep(now + LIFETIME);
        assert_eq!(store.len(), 0);
    }
}
