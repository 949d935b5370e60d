//! Whom to tell of whom (BEP 11), as a pure machine: one message a minute to each peer, of what has changed since the last,
//! and no more than that is taken from any.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::Scope;
use protocol::peer::pex::MAX_PEX;
use protocol::peer::{PexFlags, PexMessage, PexPeer};

use crate::peer::key::PeerKey;

/// The least time between two messages (BEP 11).
const EVERY: Duration = Duration::from_mins(1);

/// Messages that may come without the time between: clients send one at the start and do not count it.
const BURST: u32 = 2;

/// Messages that come too early before the peer is taken for hostile.
const MOST_EARLY: u32 = 20;

/// A peer that others can connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Our connection to it.
    pub key: PeerKey,
    /// What others may know of it.
    pub flags: PexFlags,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Taken,
    /// Leave it: it comes too early.
    Early,
    /// End the connection: too many came too early.
    Flood,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Pex {
    links: BTreeMap<PeerKey, Link>,
}

#[derive(Debug)]
struct Link {
    addr: SocketAddr,
    told: BTreeSet<SocketAddr>,
    next: Instant,
    /// Messages that may come now, and since when that is so.
    allowance: (u32, Instant),
    early: u32,
}

impl Pex {
    /// A peer at this address takes messages.
    pub fn joined(&mut self, key: PeerKey, addr: SocketAddr, now: Instant) {
        self.links.entry(key).or_insert_with(|| Link {
            addr,
            told: BTreeSet::new(),
            next: now,
            allowance: (BURST, now),
            early: 0,
        });
    }

    /// The connection to a peer has ended.
    pub fn left(&mut self, key: PeerKey) {
        self.links.remove(&key);
    }

    /// Whether anybody could be told something now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.links.values().any(|link| link.next <= now)
    }

    /// The messages that are due, given everyone who can be connected to.
    pub fn messages(
        &mut self,
        now: Instant,
        contacts: &BTreeMap<SocketAddr, Contact>,
    ) -> Vec<(PeerKey, PexMessage)> {
        let due = self.links.iter_mut().filter(|(_, link)| link.next <= now);
        let messages = due.filter_map(|(key, link)| {
            let message = link.message(*key, contacts);
            if message.is_empty() {
                return None;
            }
            link.next = now + EVERY;
            Some((*key, message))
        });
        messages.collect()
    }

    /// A message has come from a peer.
    pub fn heard(&mut self, key: PeerKey, now: Instant) -> Verdict {
        let Some(link) = self.links.get_mut(&key) else {
            return Verdict::Early;
        };
        let (left, since) = link.allowance;
        let earned = now.saturating_duration_since(since).as_secs() / EVERY.as_secs();
        let left = left.saturating_add(earned as u32).min(BURST);
        let since = since + EVERY * earned as u32;
        let Some(rest) = left.checked_sub(1) else {
            link.early += 1;
            return if link.early > MOST_EARLY {
                Verdict::Flood
            } else {
                Verdict::Early
            };
        };
        link.allowance = (rest, since);
        Verdict::Taken
    }
}

impl Link {
    fn message(&mut self, key: PeerKey, contacts: &BTreeMap<SocketAddr, Contact>) -> PexMessage {
        let gone = self.told.iter().filter(|addr| !contacts.contains_key(addr));
        let dropped: Vec<SocketAddr> = gone.take(MAX_PEX).copied().collect();
        let new = contacts.iter().filter(|(addr, contact)| {
            contact.key != key && !self.told.contains(addr) && may_name(self.addr, **addr)
        });
        let added: Vec<PexPeer> = new
            .take(MAX_PEX)
            .map(|(addr, contact)| PexPeer {
                addr: *addr,
                flags: contact.flags,
            })
            .collect();
        for addr in &dropped {
            self.told.remove(addr);
        }
        self.told.extend(added.iter().map(|peer| peer.addr));
        PexMessage { added, dropped }
    }
}

/// Whether an address can be of use between us and a peer: nobody far away is told of our home, or believed about it.
pub fn may_name(peer: SocketAddr, addr: SocketAddr) -> bool {
    let mut addrs = vec![addr];
    Scope::admit(&mut addrs, Some(peer));
    !addrs.is_empty()
}

#[cfg(test)]
mod tests;
