//! The routing table (BEP 5): which nodes there are, many near us and few far away.
//!
//! Bucket `i` holds nodes whose ids share exactly `i` leading bits with ours, which is what splitting the bucket around
//! our id leads to. The first buckets are larger, so that lookups begin closer to their target. A full bucket keeps its
//! old nodes as long as they answer; newcomers wait in its replacement cache.

mod bucket;
mod contact;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::krpc::{NodeId, secure};
use protocol::tracker::compact::CompactNode;

use crate::family::Subnet;
use bucket::Bucket;
pub(crate) use contact::Contact;

/// Nodes of a bucket, and nodes that an answer names (BEP 5).
pub(crate) const K: usize = 8;

/// Capacities of the first buckets; the others have [`K`].
const FIRST: [usize; 3] = [32, 16, 16];

/// Nodes of one network in the table: as many Sybils as one network can place.
const PER_SUBNET: usize = 4;

/// After which a bucket is refreshed, and a node asked whether it is still there (BEP 5).
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(15 * 60);

/// The routing table of one family.
#[derive(Debug)]
pub(crate) struct Table {
    own: NodeId,
    restrict: bool,
    give_up: u8,
    buckets: Vec<Bucket>,
    by_addr: BTreeMap<SocketAddr, NodeId>,
    subnets: BTreeMap<Subnet, usize>,
}

impl Table {
    /// An empty table; `restrict` allows one node for each address and few for each network.
    pub(crate) const fn new(own: NodeId, restrict: bool) -> Self {
        Self {
            own,
            restrict,
            give_up: GIVE_UP,
            buckets: Vec::new(),
            by_addr: BTreeMap::new(),
            subnets: BTreeMap::new(),
        }
    }

    /// Goes by other rules from now on; nobody is put out for them. A node is forgotten after `give_up` failures in a row.
    pub(crate) const fn tune(&mut self, restrict: bool, give_up: u8) {
        self.restrict = restrict;
        self.give_up = give_up;
    }

    /// The same, but with `give_up` failures in a row after which a node is forgotten.
    pub(crate) const fn giving_up_after(mut self, give_up: u8) -> Self {
        self.give_up = give_up;
        self
    }

    /// Our id.
    pub(crate) const fn own(&self) -> NodeId {
        self.own
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// How many nodes are kept to take the place of those.
    pub(crate) fn spares(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.spares.len()).sum()
    }

    /// All nodes, the farthest buckets first.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.buckets.iter().flat_map(|bucket| &bucket.contacts)
    }

    /// A node has answered. Returns one that should be asked whether it is still there, where the newcomer waits for
    /// its place.
    pub(crate) fn heard(
        &mut self,
        now: Instant,
        id: NodeId,
        addr: SocketAddr,
        rtt: Duration,
    ) -> Option<CompactNode> {
        let index = self.index(&id)?;
        match self.by_addr.get(&addr) {
            Some(known) if *known == id => {
                let bucket = &mut self.buckets[index];
                bucket.touched = Some(now);
                if let Some(contact) = bucket.find(&id) {
                    contact.answered(now, rtt);
                }
                return None;
            }
            // It has another id by now.
            Some(known) => {
                let known = *known;
                self.remove(&known);
            }
            None => {}
        }
        let newcomer = Contact::new(now, id, addr, rtt);
        if let Some(known) = self.buckets[index].find(&id) {
            // Somebody else has this id. Who was there first keeps it, as long as it answers.
            if known.failures == 0 {
                return None;
            }
            self.remove(&id);
        }
        self.admit(now, index, newcomer)
    }

    /// A node has asked us something. Says whether it should be asked whether it can be reached, because there is a
    /// place for it.
    pub(crate) fn queried(&mut self, now: Instant, id: &NodeId, addr: SocketAddr) -> bool {
        let Some(index) = self.index(id) else {
            return false;
        };
        match self.by_addr.get(&addr) {
            Some(known) if known == id => {
                if let Some(contact) = self.buckets[index].find(id) {
                    contact.queried = Some(now);
                }
                false
            }
            Some(_) => false,
            None => {
                self.fits(index, addr)
                    && self.buckets[index].find(id).is_none()
                    && self.buckets[index].has_room(now, capacity(index))
            }
        }
    }

    /// A query to this address was not answered.
    pub(crate) fn failed(&mut self, addr: &SocketAddr) {
        let Some(id) = self.by_addr.get(addr).copied() else {
            return;
        };
        let Some(index) = self.index(&id) else { return };
        let lonely = self.len() <= K;
        let bucket = &mut self.buckets[index];
        let Some(contact) = bucket.find(&id) else {
            return;
        };
        contact.failures = contact.failures.saturating_add(1);
        contact.pinging = false;
        let failures = contact.failures;
        if contact.is_bad() && !bucket.spares.is_empty() || failures >= self.give_up && !lonely {
            self.remove(&id);
            self.promote(index);
        }
    }

    /// A node that was to be asked whether it is there cannot be asked now.
    pub(crate) fn not_asked(&mut self, addr: &SocketAddr) {
        let Some(id) = self.by_addr.get(addr).copied() else {
            return;
        };
        if let Some(index) = self.index(&id)
            && let Some(contact) = self.buckets[index].find(&id)
        {
            contact.pinging = false;
        }
    }

    /// The `most` nodes nearest to a target; `good` leaves out those that failed to answer last time.
    pub(crate) fn closest(&self, target: &NodeId, most: usize, good: bool) -> Vec<CompactNode> {
        let mut near: Vec<&Contact> = Vec::with_capacity(4 * K);
        let wanted = |contact: &&Contact| {
            if good {
                contact.failures == 0
            } else {
                !contact.is_bad()
            }
        };
        let index = self.own.shared_bits(target) as usize;
        let at = index.min(self.buckets.len());
        // What shares as many bits with us as the target does is nearest to it, then all that shares more.
        let (far, rest) = self.buckets.split_at(at);
        if let Some(bucket) = rest.first() {
            near.extend(bucket.contacts.iter().filter(wanted));
        }
        if near.len() < most {
            for bucket in rest.iter().skip(1) {
                near.extend(bucket.contacts.iter().filter(wanted));
            }
        }
        for bucket in far.iter().rev() {
            if near.len() >= most {
                break;
            }
            near.extend(bucket.contacts.iter().filter(wanted));
        }
        near.sort_unstable_by_key(|contact| target.distance(&contact.id));
        near.truncate(most);
        near.into_iter().map(Contact::node).collect()
    }

    /// A bucket to refresh: one with room that never was, or one that nobody was heard of for long. Its index is how many
    /// bits a fitting target shares with our id.
    pub(crate) fn stale(&self, now: Instant) -> Option<u32> {
        let depth = self.buckets.iter().rposition(|b| !b.contacts.is_empty());
        let depth = depth.map_or(0, |depth| depth + 1).min(159);
        let stale = (0..=depth).find(|index| {
            let Some(bucket) = self.buckets.get(*index) else {
                return true;
            };
            let news = bucket.touched.max(bucket.refreshed);
            let silent = news.is_none_or(|at| now.saturating_duration_since(at) >= STALE_AFTER);
            silent || bucket.refreshed.is_none() && bucket.contacts.len() < capacity(*index)
        });
        stale.map(|index| index as u32)
    }

    /// Notes that a bucket is being refreshed.
    pub(crate) fn refreshing(&mut self, now: Instant, index: u32) {
        let index = index as usize;
        if self.buckets.len() <= index {
            self.buckets.resize_with(index + 1, Bucket::default);
        }
        self.buckets[index].refreshed = Some(now);
    }

    /// Up to `most` nodes that have been silent for long or failed once, the most silent first; they count as asked.
    pub(crate) fn questionable(&mut self, now: Instant, most: usize) -> Vec<CompactNode> {
        let mut silent: Vec<&mut Contact> = self
            .buckets
            .iter_mut()
            .flat_map(|bucket| &mut bucket.contacts)
            .filter(|contact| !contact.pinging && contact.is_questionable(now))
            .collect();
        silent.sort_by_key(|contact| contact.answered);
        let chosen = silent.into_iter().take(most);
        chosen
            .map(|contact| {
                contact.pinging = true;
                contact.node()
            })
            .collect()
    }

    /// How far the [`K`] nearest nodes are, as a part of the id space; `None` while so few are known.
    pub(crate) fn radius(&self) -> Option<f64> {
        let near = self.closest(&self.own, K, false);
        let last = near.get(K - 1)?;
        Some(self.own.distance(&NodeId(last.id)).fraction())
    }

    fn index(&mut self, id: &NodeId) -> Option<usize> {
        let shared = self.own.shared_bits(id) as usize;
        if shared >= 160 {
            return None;
        }
        if self.buckets.len() <= shared {
            self.buckets.resize_with(shared + 1, Bucket::default);
        }
        Some(shared)
    }

    /// Whether a node at this address may be in this bucket, besides those that are there.
    fn fits(&self, index: usize, addr: SocketAddr) -> bool {
        if !self.restrict {
            return true;
        }
        let ip = addr.ip();
        let ports = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
        let subnet = Subnet::of(ip);
        self.by_addr.range(ports).next().is_none()
            && self.subnets.get(&subnet).copied().unwrap_or(0) < PER_SUBNET
            && self.buckets.get(index).is_none_or(|bucket| {
                let mut nodes = bucket.contacts.iter();
                nodes.all(|contact| Subnet::of(contact.addr.ip()) != subnet)
            })
    }

    fn admit(&mut self, now: Instant, index: usize, newcomer: Contact) -> Option<CompactNode> {
        if !self.fits(index, newcomer.addr) {
            return None;
        }
        let bucket = &self.buckets[index];
        let victim = if bucket.contacts.len() < capacity(index) {
            None
        } else {
            let bad = bucket.contacts.iter().find(|contact| contact.is_bad());
            // An id that its address may have is worth more than one that it may not (BEP 42).
            let unfit = || bucket.contacts.iter().find(|contact| !contact.valid);
            match bad.or_else(|| newcomer.valid.then(unfit).flatten()) {
                Some(victim) => Some(victim.id),
                None => return self.buckets[index].wait(now, newcomer),
            }
        };
        if let Some(victim) = victim {
            self.remove(&victim);
        }
        self.insert(now, index, newcomer);
        None
    }

    fn insert(&mut self, now: Instant, index: usize, contact: Contact) {
        self.by_addr.insert(contact.addr, contact.id);
        *self
            .subnets
            .entry(Subnet::of(contact.addr.ip()))
            .or_default() += 1;
        let bucket = &mut self.buckets[index];
        bucket.touched = Some(now);
        bucket.spares.retain(|spare| spare.addr != contact.addr);
        bucket.contacts.push(contact);
    }

    fn remove(&mut self, id: &NodeId) {
        let Some(index) = self.index(id) else { return };
        let contacts = &mut self.buckets[index].contacts;
        let Some(at) = contacts.iter().position(|contact| contact.id == *id) else {
            return;
        };
        let gone = contacts.remove(at);
        self.by_addr.remove(&gone.addr);
        let subnet = Subnet::of(gone.addr.ip());
        if let Some(count) = self.subnets.get_mut(&subnet) {
            *count -= 1;
            if *count == 0 {
                self.subnets.remove(&subnet);
            }
        }
    }

    /// Gives a free place to the newest of those that wait for one.
    fn promote(&mut self, index: usize) {
        while let Some(spare) = self.buckets[index].spares.pop_back() {
            if self.fits(index, spare.addr) && !self.by_addr.contains_key(&spare.addr) {
                let since = spare.answered;
                self.insert(since, index, spare);
                return;
            }
        }
    }
}

/// Failures in a row after which a node goes even when nobody waits for its place.
const GIVE_UP: u8 = 4;

fn capacity(index: usize) -> usize {
    FIRST.get(index).copied().unwrap_or(K)
}

/// Whether a node has an id that its address may have.
pub(crate) fn is_valid(id: &NodeId, addr: &SocketAddr) -> bool {
    secure::is_valid(id, addr.ip())
}

#[cfg(test)]
mod tests;
