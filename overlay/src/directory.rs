//! Who is known, where they are, and which communities they are in.
//!
//! The communities of an identity share one directory, so that a member of one can be found for another. An address is
//! *known* once somebody has named it; its owner is *verified* once a signed message has come from there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::IteratorRandom;

use crate::key::{Mid, PublicKey};
use crate::packet::CommunityId;
use crate::wire::{NO_ADDRESS, Reader};

/// Addresses that are known at most; of those that nobody was seen at, the ones named first are forgotten first.
pub const MAX_KNOWN: usize = 4096;

/// Peers that are verified at most; then the one goes that has been silent for longest.
pub const MAX_VERIFIED: usize = 2048;

/// Communities that are noted of a peer at most.
pub const MAX_SERVICES: usize = 128;

/// Round trips that are kept of a peer.
pub const SAMPLES: usize = 5;

/// A peer that has proven its identity.
#[derive(Clone, Debug)]
pub struct Peer {
    key: PublicKey,
    addr: SocketAddrV4,
    last_response: Option<Instant>,
    round_trips: VecDeque<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    introducer: Option<Mid>,
    community: Option<CommunityId>,
    order: u64,
}

/// Peers and addresses.
#[derive(Debug, Default)]
pub struct Directory {
    own: BTreeSet<Mid>,
    excluded: BTreeSet<SocketAddrV4>,
    known: BTreeMap<SocketAddrV4, Known>,
    named: u64,
    /// Known addresses that nobody was verified at, in the order in which they were named.
    unverified: BTreeMap<u64, SocketAddrV4>,
    verified: BTreeMap<Mid, Peer>,
    by_addr: BTreeMap<SocketAddrV4, Mid>,
    services: BTreeMap<Mid, BTreeSet<CommunityId>>,
}

impl Peer {
    /// Whose it is.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its short name.
    pub fn mid(&self) -> Mid {
        self.key.mid()
    }

    /// Where it was when its last introduction came.
    pub const fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    /// When a packet came from there last, if one has come since it is known.
    pub const fn last_response(&self) -> Option<Instant> {
        self.last_response
    }

    /// The last round trips, the newest last.
    pub fn round_trips(&self) -> impl ExactSizeIterator<Item = Duration> {
        self.round_trips.iter().copied()
    }

    /// The median of the last round trips.
    pub fn round_trip(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.round_trips.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

impl Directory {
    /// Knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that an identity is our own, so that it never becomes a peer.
    pub fn exclude_own(&mut self, mid: Mid) {
        self.own.insert(mid);
        self.remove(mid);
    }

    /// Notes that nobody at an address is a peer: bootstrap servers are asked and never walked to.
    pub fn exclude_address(&mut self, addr: SocketAddrV4) {
        self.excluded.insert(addr);
    }

    /// Whether nobody at an address becomes a peer.
    pub fn is_excluded(&self, addr: SocketAddrV4) -> bool {
        self.excluded.contains(&addr)
    }

    /// A peer has named an address, in a community. The first to name it counts, as long as it is verified.
    pub fn discover(&mut self, introducer: Mid, addr: SocketAddrV4, community: CommunityId) {
        if self.excluded.contains(&addr) || !is_usable(addr) {
            return;
        }
        let held = self.known.get(&addr).is_some_and(|known| {
            let by = known.introducer;
            by.is_some_and(|by| self.verified.contains_key(&by))
        });
        if !held {
            self.know(addr, Some(introducer), Some(community));
        }
    }

    /// A peer has said which communities it is in.
    pub fn discover_services(&mut self, mid: Mid, services: impl IntoIterator<Item = CommunityId>) {
        if self.own.contains(&mid) {
            return;
        }
        if !self.services.contains_key(&mid) && self.services.len() >= MAX_KNOWN {
            let unverified = |mid: &&Mid| !self.verified.contains_key(*mid);
            let Some(forgotten) = self.services.keys().find(unverified).copied() else {
                return;
            };
            self.services.remove(&forgotten);
        }
        let noted = self.services.entry(mid).or_default();
        for service in services {
            if noted.len() < MAX_SERVICES {
                noted.insert(service);
            }
        }
    }

    /// A signed message of a peer has come from an address. Says whether it is a peer now.
    pub fn verify(&mut self, key: &PublicKey, addr: SocketAddrV4) -> bool {
        let mid = key.mid();
        if self.own.contains(&mid) {
            return false;
        }
        if let Some(peer) = self.verified.get_mut(&mid) {
            let before = std::mem::replace(&mut peer.addr, addr);
            if before != addr {
                if self.by_addr.get(&before) == Some(&mid) {
                    self.by_addr.remove(&before);
                    self.settle(before);
                }
                self.by_addr.insert(addr, mid);
                self.settle(addr);
            }
            return true;
        }
        if !self.known.contains_key(&addr) {
            if self.excluded.contains(&addr) || !is_usable(addr) {
                return false;
            }
            self.know(addr, None, None);
        }
        if self.verified.len() >= MAX_VERIFIED {
            self.remove_most_silent();
        }
        self.verified.insert(
            mid,
            Peer {
                key: key.clone(),
                addr,
                last_response: None,
                round_trips: VecDeque::new(),
            },
        );
        self.by_addr.insert(addr, mid);
        self.settle(addr);
        true
    }

    /// A packet has come from an address.
    pub fn heard(&mut self, now: Instant, from: SocketAddrV4) {
        let mid = self.by_addr.get(&from);
        if let Some(peer) = mid.and_then(|mid| self.verified.get_mut(mid)) {
            peer.last_response = Some(now);
        }
    }

    /// A peer has answered after this time.
    pub fn round_trip(&mut self, mid: Mid, took: Duration) {
        if let Some(peer) = self.verified.get_mut(&mid) {
            if peer.round_trips.len() >= SAMPLES {
                peer.round_trips.pop_front();
            }
            peer.round_trips.push_back(took);
        }
    }

    /// Adds an address that may be walked to in any community that asks for it by [`Directory::walkable`] with this id.
    pub fn add_address(&mut self, addr: SocketAddrV4, community: CommunityId) {
        if !self.known.contains_key(&addr) && !self.excluded.contains(&addr) && is_usable(addr) {
            self.know(addr, None, Some(community));
        }
    }

    /// Forgets a peer and its address.
    pub fn remove(&mut self, mid: Mid) {
        self.services.remove(&mid);
        if let Some(peer) = self.verified.remove(&mid) {
            if self.by_addr.get(&peer.addr) == Some(&mid) {
                self.by_addr.remove(&peer.addr);
            }
            self.forget(peer.addr);
        }
    }

    /// Forgets an address and who is there.
    pub fn remove_address(&mut self, addr: SocketAddrV4) {
        if let Some(mid) = self.by_addr.get(&addr).copied() {
            self.remove(mid);
        }
        self.forget(addr);
    }

    /// A verified peer.
    pub fn peer(&self, mid: Mid) -> Option<&Peer> {
        self.verified.get(&mid)
    }

    /// Who is at an address.
    pub fn peer_at(&self, addr: SocketAddrV4) -> Option<&Peer> {
        self.verified.get(self.by_addr.get(&addr)?)
    }

    /// All verified peers, by their names.
    pub fn all(&self) -> impl Iterator<Item = &Peer> {
        self.verified.values()
    }

    /// How many peers are verified.
    pub fn len(&self) -> usize {
        self.verified.len()
    }

    /// Whether nobody is verified.
    pub fn is_empty(&self) -> bool {
        self.verified.is_empty()
    }

    /// How many addresses are known.
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// The verified members of a community, by their names.
    pub fn peers(&self, community: CommunityId) -> impl Iterator<Item = &Peer> {
        let all = self.verified.values();
        all.filter(move |peer| self.offers(peer.mid(), community))
    }

    /// Whether a peer is in a community.
    pub fn offers(&self, mid: Mid, community: CommunityId) -> bool {
        let services = self.services.get(&mid);
        services.is_some_and(|services| services.contains(&community))
    }

    /// The communities of a peer.
    pub fn services(&self, mid: Mid) -> impl Iterator<Item = CommunityId> {
        self.services.get(&mid).into_iter().flatten().copied()
    }

    /// Addresses at which there may be members of a community that are not known yet.
    pub fn walkable(&self, community: CommunityId) -> impl Iterator<Item = SocketAddrV4> {
        let known = self.known.iter();
        known
            .filter(move |(addr, known)| {
                let there = self.by_addr.get(addr);
                let member = there.is_some_and(|mid| self.offers(*mid, community));
                let introduced = known.community == Some(community);
                let by = known.introducer;
                !member && (introduced || by.is_some_and(|by| self.offers(by, community)))
            })
            .map(|(addr, _)| *addr)
    }

    /// The addresses that a peer has named.
    pub fn introduced_by(&self, mid: Mid) -> impl Iterator<Item = SocketAddrV4> {
        let known = self.known.iter();
        known
            .filter(move |(_, known)| known.introducer == Some(mid))
            .map(|(addr, _)| *addr)
    }

    /// A random member of a community, of those that `allow` lets through.
    pub fn random_peer(
        &self,
        community: CommunityId,
        rng: &mut impl Rng,
        allow: impl Fn(&Peer) -> bool,
    ) -> Option<&Peer> {
        let peers = self.peers(community);
        peers.filter(|peer| allow(peer)).choose(rng)
    }

    /// What the next run can begin with: the addresses of verified peers, 4 bytes and `u16` port each.
    pub fn snapshot(&self) -> Vec<u8> {
        let addrs = self.verified.values().map(|peer| peer.addr);
        let told = addrs.filter(|addr| *addr != NO_ADDRESS);
        told.flat_map(|addr| {
            let [a, b, c, d] = addr.ip().octets();
            let [high, low] = addr.port().to_be_bytes();
            [a, b, c, d, high, low]
        })
        .collect()
    }

    /// Adds the addresses of a [`Directory::snapshot`], to be walked to in a community; what is broken is passed over.
    pub fn load(&mut self, snapshot: &[u8], community: CommunityId) {
        let mut reader = Reader::new(snapshot);
        while let Ok(addr) = reader.ipv4("address") {
            self.add_address(addr, community);
        }
    }

    fn know(
        &mut self,
        addr: SocketAddrV4,
        introducer: Option<Mid>,
        community: Option<CommunityId>,
    ) {
        if let Some(before) = self.known.get(&addr) {
            self.unverified.remove(&before.order);
        } else if self.known.len() >= MAX_KNOWN
            && let Some((_, oldest)) = self.unverified.pop_first()
        {
            self.known.remove(&oldest);
        }
        self.named += 1;
        let order = self.named;
        let known = Known {
            introducer,
            community,
            order,
        };
        self.known.insert(addr, known);
        self.settle(addr);
    }

    /// Sees to it that an address waits to be forgotten exactly while nobody is verified there.
    fn settle(&mut self, addr: SocketAddrV4) {
        let Some(known) = self.known.get(&addr) else {
            return;
        };
        if self.by_addr.contains_key(&addr) {
            self.unverified.remove(&known.order);
        } else {
            self.unverified.insert(known.order, addr);
        }
    }

    fn forget(&mut self, addr: SocketAddrV4) {
        if let Some(known) = self.known.remove(&addr) {
            self.unverified.remove(&known.order);
        }
    }

    fn remove_most_silent(&mut self) {
        let silent = self.verified.values().min_by_key(|peer| peer.last_response);
        if let Some(mid) = silent.map(Peer::mid) {
            self.remove(mid);
        }
    }
}

/// Whether a datagram can be sent to an address: it has a port, and is one host's.
pub fn is_usable(addr: SocketAddrV4) -> bool {
    let ip = addr.ip();
    addr.port() != 0
        && !ip.is_unspecified()
        && !ip.is_broadcast()
        && !ip.is_multicast()
        && ip.octets().first() != Some(&0)
}

/// Whether an address lies in a local network: the private ranges, this host, and links without a router.
pub fn is_lan(ip: Ipv4Addr) -> bool {
    ip.is_private() || ip.is_loopback() || ip.is_link_local()
}

#[cfg(test)]
mod tests;
