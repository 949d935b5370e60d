//! Datagrams by their communities and messages, where somebody wants to know.
//!
//! While nobody does, a datagram costs one look at a flag.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::time;

use crate::packet::Prefix;

/// Communities that are counted at most.
const MOST: usize = 64;

/// The datagrams of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Measured {
    /// Those that were sent.
    pub sent: Way,
    /// Those that were received.
    pub received: Way,
}

/// The datagrams that went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Way {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first and the last one went.
    pub between: Option<(Instant, Instant)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Measures {
    /// Whether any community is counted.
    any: AtomicBool,
    by_prefix: Mutex<BTreeMap<Prefix, Community>>,
}

#[derive(Debug, Default)]
struct Community {
    on: bool,
    by_message: BTreeMap<u8, Measured>,
}

impl Way {
    fn add(&mut self, now: Instant, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
        let first = self.between.map_or(now, |(first, _)| first);
        self.between = Some((first, now));
    }
}

impl Measures {
    pub(super) fn set(&self, prefix: Prefix, on: bool) {
        let mut all = self.by_prefix.lock();
        if let Some(community) = all.get_mut(&prefix) {
            if on && !community.on {
                community.by_message.clear();
            }
            community.on = on;
        } else if on && all.len() < MOST {
            let by_message = BTreeMap::new();
            all.insert(prefix, Community { on, by_message });
        }
        let any = all.values().any(|community| community.on);
        self.any.store(any, Ordering::Relaxed);
    }

    pub(super) fn of(&self, prefix: Prefix) -> BTreeMap<u8, Measured> {
        let all = self.by_prefix.lock();
        let community = all.get(&prefix);
        community.map_or_else(BTreeMap::new, |community| community.by_message.clone())
    }

    pub(super) fn sent<'a>(&self, datagrams: impl IntoIterator<Item = &'a [u8]>) {
        self.note(datagrams, |measured| &mut measured.sent);
    }

    pub(super) fn received(&self, datagram: &[u8]) {
        self.note([datagram], |measured| &mut measured.received);
    }

    fn note<'a>(
        &self,
        datagrams: impl IntoIterator<Item = &'a [u8]>,
        way: fn(&mut Measured) -> &mut Way,
    ) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let now = time::Instant::now().into_std();
        let mut all = self.by_prefix.lock();
        for datagram in datagrams {
            let community = Prefix::of(datagram).and_then(|prefix| all.get_mut(&prefix));
            let community = community.filter(|community| community.on);
            if let (Some(community), Some(message)) = (community, datagram.get(Prefix::LEN)) {
                let measured = community.by_message.entry(*message).or_default();
                way(measured).add(now, datagram.len());
            }
        }
    }
}
