//! Meetings of peers behind NATs (BEP 55), as a pure machine: whom to ask to bring us together with a peer that cannot be
//! dialled, for whom to do the same, and which of such messages to believe.
//!
//! A relay makes others send packets: to a peer of its own, and that one to the address of who asked. So no message
//! names an address of the sender's choice: who asks is named by the address that we know it at, and who is asked for must
//! be connected. Everyone gets so many messages and dials in a while, and no more.

mod allowance;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::Scope;
use protocol::peer::holepunch::Refusal;

use self::allowance::{Allowance, Rate};
use crate::peer::key::PeerKey;
use crate::torrent::pex::may_name;

/// Meetings that a peer may ask for. Dials fail in bursts, when many peers were told of at once.
const PER_ASKER: Rate = Rate::new(6, Duration::from_secs(10));

/// Meetings that others may ask for with one peer: each costs it a dial.
const PER_TARGET: Rate = Rate::new(6, Duration::from_secs(10));

/// Meetings that all peers of the torrent together may ask for.
const IN_ALL: Rate = Rate::new(30, Duration::from_secs(1));

/// Dials that one relay may have us make for others: as many as an honest one of our kind would.
const PER_RELAY: Rate = PER_TARGET;

/// Dials that all relays together may have us make for others.
const DIALS: Rate = Rate::new(20, Duration::from_secs(2));

/// Meetings that we ask of one relay: fewer than it grants.
const ASKED_OF_RELAY: Rate = Rate::new(4, Duration::from_secs(15));

/// Messages beyond what a peer may send, until it is taken for hostile.
const MOST_EXCESS: u32 = 50;

/// Addresses that peers could be met at, and relays of each, that are remembered.
const MOST_TOLD: usize = 1000;
const MOST_RELAYS: usize = 4;

/// Meetings that are waited for at the same time.
const MOST_ASKED: usize = 64;

/// How long a relay is given to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How long an address is left alone after a meeting there was asked for or tried.
const REST: Duration = Duration::from_mins(2);

/// Addresses of past meetings that are remembered.
const MOST_RESTING: usize = 1000;

/// A peer, as a relay knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Our connection to it.
    pub key: PeerKey,
    /// Where others can reach it by uTP.
    pub addr: SocketAddr,
}

/// What to do about a wish to meet a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Have both connect to each other.
    Connect,
    /// Say that it cannot be.
    Refuse(Refusal),
    /// Nothing: it is too much.
    Ignore,
    /// End the connection: it is far too much.
    Flood,
}

/// What to do about an invitation to connect somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invitation {
    /// Connect.
    Taken,
    /// Nothing.
    Ignored,
    /// End the connection: there are far too many.
    Flood,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Punch {
    links: BTreeMap<PeerKey, Link>,
    /// Who has told of an address at which a peer can be met.
    relays: BTreeMap<SocketAddr, Vec<PeerKey>>,
    /// Whom we wait for.
    asked: BTreeMap<SocketAddr, Asked>,
    /// Until when addresses are left alone.
    resting: BTreeMap<SocketAddr, Instant>,
    in_all: Allowance,
    dials: Allowance,
}

/// A peer that speaks `ut_holepunch`.
#[derive(Debug, Default)]
struct Link {
    /// For its wishes to meet others.
    wishes: Allowance,
    /// For those of others to meet it.
    wanted: Allowance,
    /// For its invitations that we did not ask for.
    invitations: Allowance,
    /// For our wishes.
    ours: Allowance,
    excess: u32,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    relay: PeerKey,
    until: Instant,
}

impl Punch {
    /// A peer speaks `ut_holepunch`.
    pub fn joined(&mut self, key: PeerKey) {
        self.links.entry(key).or_default();
    }

    /// The connection to a peer has ended.
    pub fn left(&mut self, key: PeerKey) {
        if self.links.remove(&key).is_none() {
            return;
        }
        self.relays.retain(|_, relays| {
            relays.retain(|relay| *relay != key);
            !relays.is_empty()
        });
        self.asked.retain(|_, asked| asked.relay != key);
    }

    /// Whether a peer speaks `ut_holepunch`.
    pub fn speaks(&self, key: PeerKey) -> bool {
        self.links.contains_key(&key)
    }

    /// A peer tells that it is connected to one at this address, which can be met.
    pub fn told(&mut self, by: PeerKey, addr: SocketAddr) {
        if !self.speaks(by) || self.relays.len() >= MOST_TOLD && !self.relays.contains_key(&addr) {
            return;
        }
        let relays = self.relays.entry(addr).or_default();
        if relays.len() < MOST_RELAYS && !relays.contains(&by) {
            relays.push(by);
        }
    }

    /// A peer tells that it is connected to the one at this address no longer.
    pub fn dropped(&mut self, by: PeerKey, addr: SocketAddr) {
        if let Some(relays) = self.relays.get_mut(&addr) {
            relays.retain(|relay| *relay != by);
            if relays.is_empty() {
                self.relays.remove(&addr);
            }
        }
    }

    /// An address could not be dialled: whom to ask for a meeting, if anybody can help and it is time to.
    pub fn unreachable(&mut self, addr: SocketAddr, now: Instant) -> Option<PeerKey> {
        self.asked.retain(|_, asked| asked.until > now);
        if self.is_resting(addr, now) || self.asked.len() >= MOST_ASKED {
            return None;
        }
        let relay = self.ask(addr, now)?;
        self.rest(addr, now);
        Some(relay)
    }

    /// A relay says that it cannot help; whom else to ask. What we did not ask of it is not believed.
    pub fn refused(&mut self, by: PeerKey, addr: SocketAddr, now: Instant) -> Option<PeerKey> {
        let asked = self.asked.get(&addr)?;
        if asked.relay != by {
            return None;
        }
        self.asked.remove(&addr);
        self.dropped(by, addr);
        self.ask(addr, now)
    }

    /// A relay invites us to connect to an address: because we asked it to, or because another did.
    pub fn invited(&mut self, by: PeerKey, addr: SocketAddr, now: Instant) -> Invitation {
        let Some(link) = self.links.get_mut(&by) else {
            return Invitation::Ignored;
        };
        let asked = self.asked.get(&addr);
        if asked.is_some_and(|asked| asked.relay == by && asked.until > now) {
            self.asked.remove(&addr);
            return Invitation::Taken;
        }
        if !link.invitations.take(PER_RELAY, now) {
            return if link.is_flooding() {
                Invitation::Flood
            } else {
                Invitation::Ignored
            };
        }
        if self.is_resting(addr, now) || !self.dials.take(DIALS, now) {
            return Invitation::Ignored;
        }
        self.rest(addr, now);
        Invitation::Taken
    }

    /// A peer asks us to bring it together with the one at `wanted`, which is `found` among those who are connected, and
    /// which may be at an address that is `own`. It stands at `asker.addr`.
    pub fn wished(
        &mut self,
        asker: Party,
        wanted: SocketAddr,
        found: Option<Party>,
        own: bool,
        now: Instant,
    ) -> Answer {
        let Some(link) = self.links.get_mut(&asker.key) else {
            return Answer::Ignore;
        };
        if !link.wishes.take(PER_ASKER, now) {
            return if link.is_flooding() {
                Answer::Flood
            } else {
                Answer::Ignore
            };
        }
        if wanted.port() == 0 || Scope::of(wanted.ip()).is_none() {
            return Answer::Refuse(Refusal::NoSuchPeer);
        }
        if own || found.is_some_and(|found| found.key == asker.key) {
            return Answer::Refuse(Refusal::NoSelf);
        }
        // Who would not be told of the other by us must not learn here that it is connected.
        let found = found
            .filter(|found| may_name(asker.addr, found.addr) && may_name(found.addr, asker.addr));
        let Some(found) = found else {
            return Answer::Refuse(Refusal::NotConnected);
        };
        let Some(target) = self.links.get_mut(&found.key) else {
            return Answer::Refuse(Refusal::NoSupport);
        };
        if target.wanted.take(PER_TARGET, now) && self.in_all.take(IN_ALL, now) {
            Answer::Connect
        } else {
            Answer::Ignore
        }
    }

    fn ask(&mut self, addr: SocketAddr, now: Instant) -> Option<PeerKey> {
        let links = &mut self.links;
        let relay = self.relays.get(&addr)?.iter().copied().find(|relay| {
            let link = links.get_mut(relay);
            link.is_some_and(|link| link.ours.take(ASKED_OF_RELAY, now))
        })?;
        let until = now + ANSWER;
        self.asked.insert(addr, Asked { relay, until });
        Some(relay)
    }

    fn is_resting(&self, addr: SocketAddr, now: Instant) -> bool {
        self.resting.get(&addr).is_some_and(|until| *until > now)
    }

    fn rest(&mut self, addr: SocketAddr, now: Instant) {
        if self.resting.len() >= MOST_RESTING {
            self.resting.retain(|_, until| *until > now);
        }
        if self.resting.len() < MOST_RESTING {
            self.resting.insert(addr, now + REST);
        }
    }
}

impl Link {
    /// One more message than it may send.
    const fn is_flooding(&mut self) -> bool {
        self.excess = self.excess.saturating_add(1);
        self.excess > MOST_EXCESS
    }
}

#[cfg(test)]
mod tests;
