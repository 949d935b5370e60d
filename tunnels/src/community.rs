//! A community of the tunnels as a machine: who is in it, and what each of them does for others.
//!
//! Introductions carry what their sender does for others ([`Flags`]); whoever has told that and is still there is a
//! candidate for circuits. Cells do not come here: they are taken in the pump of the endpoint, see [`Tunnels::hook`].
//!
//! [`Tunnels::hook`]: crate::Tunnels::hook

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use overlay::community::Community;
use overlay::directory::is_usable;
use overlay::introducer::{Introduced, Introducer, Settings, Transmit};
use overlay::key::{Mid, PublicKey};
use overlay::packet::{CommunityId, Packet, PacketError, Prefix};
use overlay::walk::{RandomWalk, STEP_EVERY};
use rand::Rng;
use rand::seq::IteratorRandom;

use crate::Flags;

/// Members with which the walk contents itself.
pub(crate) const ENOUGH: usize = 30;

/// Members beyond which strangers are not noted.
const MAX_MEMBERS: usize = 64;

/// Members beyond which some are let go of, so that there is always room for others.
const CROWDED: usize = 48;

/// The share of exits that is kept where there are many members, of 16: that of py-ipv8's golden ratio.
const EXITS_OF_16: usize = 7;

/// How often steps are taken while too few are known for circuits of three hops.
const HURRIED_STEP: Duration = Duration::from_millis(100);

/// For how long steps are taken so often at most, from the first one on.
const HURRY: Duration = Duration::from_secs(20);

/// Relays and exits that are known when there is no more hurry.
const USABLE: (usize, usize) = (8, 2);

/// How often a member is asked at most what it does for others, while it has not told.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// Addresses from before that are asked at once.
const REMEMBERED: usize = 32;

/// Events that may wait to be fetched before the oldest are dropped.
const MAX_EVENTS: usize = 1024;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Member {
    /// A member is there, or has changed.
    Known {
        /// Who.
        key: PublicKey,
        /// Where.
        addr: SocketAddrV4,
        /// What it does for others.
        flags: Flags,
    },
    /// A member is gone.
    Gone(PublicKey),
    /// Others see us at this address.
    Located(SocketAddrV4),
}

/// See the module.
#[derive(Debug)]
pub struct TunnelCommunity {
    introducer: Introducer,
    walk: RandomWalk,
    members: BTreeMap<Mid, (PublicKey, SocketAddrV4, Flags)>,
    /// Members that have not told what they do for others, and when they were asked.
    mute: BTreeMap<Mid, Instant>,
    located: Option<SocketAddrV4>,
    begun: Option<Instant>,
    next_step: Instant,
    events: VecDeque<Member>,
}

impl TunnelCommunity {
    /// A member that knows nobody and does for others what `flags` say.
    pub fn new(
        settings: &Settings,
        community: CommunityId,
        flags: Flags,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Self {
        let mut settings = settings.for_community(community);
        settings.max_peers = Some(MAX_MEMBERS);
        let located = Some(settings.lan).filter(|lan| is_usable(*lan));
        let mut introducer = Introducer::new(settings, rng);
        let extra = flags.0.to_be_bytes().to_vec();
        introducer.set_extra(extra.clone(), extra);
        Self {
            introducer,
            walk: RandomWalk::default(),
            members: BTreeMap::new(),
            mute: BTreeMap::new(),
            located: None,
            begun: None,
            next_step: now,
            events: located.map(Member::Located).into_iter().collect(),
        }
    }

    /// Does for others from now on what `flags` say, and tells the members.
    pub fn set_flags(&mut self, now: Instant, flags: Flags) {
        let extra = flags.0.to_be_bytes().to_vec();
        self.introducer.set_extra(extra.clone(), extra);
        for (_, addr, _) in self.members.values() {
            self.introducer.walk_to(now, *addr);
        }
    }

    /// The introductions of the community.
    pub const fn introducer(&self) -> &Introducer {
        &self.introducer
    }

    /// The introductions of the community.
    pub const fn introducer_mut(&mut self) -> &mut Introducer {
        &mut self.introducer
    }

    /// Asks at addresses that are known from before, the first 32 at once and the others as steps are taken.
    pub fn remember(&mut self, now: Instant, addrs: &[SocketAddrV4]) {
        for (at, addr) in addrs.iter().enumerate() {
            if at < REMEMBERED {
                self.introducer.walk_to(now, *addr);
            }
            let community = self.introducer.community();
            self.introducer.directory().add_address(*addr, community);
        }
    }

    /// Members that have told what they do for others, those that let traffic out first.
    pub fn members(&self) -> Vec<(SocketAddrV4, Flags)> {
        let members = self.members.values();
        let mut members: Vec<_> = members.map(|(_, addr, flags)| (*addr, *flags)).collect();
        members.sort_by_key(|(_, flags)| !flags.contain(Flags::EXIT));
        members
    }

    /// All members that have told what they do for others.
    pub fn all(&self) -> impl Iterator<Item = (&PublicKey, SocketAddrV4, Flags)> {
        let members = self.members.values();
        members.map(|(key, addr, flags)| (key, *addr, *flags))
    }

    fn count(&self, flags: Flags) -> usize {
        let members = self.members.values();
        members.filter(|(_, _, has)| has.contain(flags)).count()
    }

    /// A member has told what it does for others. What comes unasked from another address than before is not believed
    /// before it has answered from there, for whoever repeats its words could draw circuits to himself.
    fn note(
        &mut self,
        now: Instant,
        key: PublicKey,
        addr: SocketAddrV4,
        extra: &[u8],
        asked: bool,
    ) {
        let mid = key.mid();
        let flags = flags_of(extra);
        if self.introducer.directory().peer(mid).is_none() {
            return;
        }
        if let Some((_, at, has)) = self.members.get(&mid) {
            if asked && *at != addr {
                self.introducer.walk_to(now, addr);
                return;
            }
            if (*at, *has) == (addr, flags) {
                return;
            }
        }
        self.mute.remove(&mid);
        self.members.insert(mid, (key.clone(), addr, flags));
        self.tell(Member::Known { key, addr, flags });
    }

    /// Notes who has gone and who has come by another community, and asks the latter what they do for others.
    fn match_directory(&mut self, now: Instant) {
        let there: BTreeMap<Mid, SocketAddrV4> = {
            let directory = self.introducer.directory();
            let peers = directory.peers(self.introducer.community());
            peers.map(|peer| (peer.mid(), peer.addr())).collect()
        };
        let gone = self
            .members
            .extract_if(.., |mid, _| !there.contains_key(mid));
        let gone: Vec<PublicKey> = gone.map(|(_, (key, ..))| key).collect();
        for key in gone {
            self.tell(Member::Gone(key));
        }
        self.mute.retain(|mid, _| there.contains_key(mid));
        let ask = there.iter().find(|(mid, _)| {
            let asked = self.mute.get(*mid);
            let lately = asked.is_some_and(|at| now.saturating_duration_since(*at) < ASK_AGAIN);
            !self.members.contains_key(*mid) && !lately
        });
        if let Some((mid, addr)) = ask.map(|(mid, addr)| (*mid, *addr)) {
            self.mute.insert(mid, now);
            self.introducer.walk_to(now, addr);
        }
    }

    /// Lets go of a member where there are many, of the kind that there are too many of.
    fn make_room(&mut self) {
        if self.members.len() <= CROWDED {
            return;
        }
        let exits = self.count(Flags::EXIT);
        let too_many_exits = exits * 16 > self.members.len() * EXITS_OF_16;
        let surplus = self.members.iter();
        let surplus = surplus.filter(|(_, (_, _, has))| has.contain(Flags::EXIT) == too_many_exits);
        let surplus: Vec<Mid> = surplus.map(|(mid, _)| *mid).collect();
        if let Some(mid) = surplus.into_iter().choose(self.introducer.rng()) {
            self.introducer.directory().remove(mid);
        }
    }

    fn is_hurried(&self, now: Instant) -> bool {
        let few = self.count(Flags::RELAY) < USABLE.0 || self.count(Flags::EXIT) < USABLE.1;
        let begun = self.begun.is_some_and(|at| now < at + HURRY);
        few && begun
    }

    fn step(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
        self.match_directory(now);
        self.make_room();
        if self.introducer.peer_count() < ENOUGH {
            self.walk.step(now, &mut self.introducer);
        }
        let pause = if self.is_hurried(now) {
            HURRIED_STEP
        } else {
            STEP_EVERY
        };
        self.next_step = now + pause;
    }

    fn tell(&mut self, event: Member) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl Community for TunnelCommunity {
    type Event = Member;

    fn prefix(&self) -> Option<Prefix> {
        Some(self.introducer.prefix())
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        self.introducer.handle_packet(now, from, packet)?;
        while let Some(event) = self.introducer.poll_event() {
            match event {
                Introduced::Answered { key, addr, extra } => {
                    self.note(now, key, addr, &extra, false);
                }
                Introduced::Asked { key, addr, extra } => self.note(now, key, addr, &extra, true),
                _ => {}
            }
        }
        let wan = self.introducer.wan();
        if self.located != Some(wan) && is_usable(wan) {
            self.located = Some(wan);
            self.tell(Member::Located(wan));
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next_step {
            self.step(now);
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        Some((self.next_step, "step"))
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.introducer.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Member> {
        self.events.pop_front()
    }

    fn add_bootstrap(&mut self, servers: Vec<SocketAddrV4>) {
        self.introducer.add_bootstrap(servers);
    }
}

/// What the extra bytes of an introduction say; none: nothing is done for others.
fn flags_of(extra: &[u8]) -> Flags {
    let flags = extra.first_chunk().copied().map(u16::from_be_bytes);
    Flags(flags.unwrap_or_default())
}

#[cfg(test)]
mod tests;
