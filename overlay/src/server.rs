//! A bootstrap server: it introduces to each other whoever asks, of whatever community.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, RngExt as _, SeedableRng};

use crate::clock::GlobalTime;
use crate::community::Community;
use crate::directory::{is_lan, is_usable};
use crate::introducer::Transmit;
use crate::introduction::{PunctureRequest, Request, Response, id};
use crate::key::{Mid, SecretKey, VerifyError};
use crate::packet::{Packet, PacketError, Prefix, Proof, plain, sign};
use crate::wire::NO_ADDRESS;

/// After which a silent member is forgotten.
pub const SILENT_FOR: Duration = Duration::from_secs(120);

/// How often silent members are looked for.
const CLEAN_EVERY: Duration = Duration::from_secs(30);

/// Who was heard of over so long a time is likely to be there still: many come, fetch something, and are gone.
const STAYS: Duration = Duration::from_secs(20);

/// The chance that one of those is introduced, where there is one.
const STAYING: f64 = 0.75;

/// Members of a community that are kept at most; then the one goes that has been silent for longest.
const MAX_MEMBERS: usize = 1024;

/// Communities that are kept at most; a further one waits until another has no members.
const MAX_COMMUNITIES: usize = 4096;

/// Datagrams that may wait to be sent.
const MAX_OUT: usize = 4096;

/// Counts of what was sent and received, and who is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Requests that were answered.
    pub answered: u64,
    /// Of these, how many were introduced to somebody.
    pub introduced: u64,
    /// Packets that were none of ours, or not to be believed.
    pub refused: u64,
    /// Communities with members.
    pub communities: usize,
    /// Members of all communities.
    pub members: usize,
}

/// The bootstrap server as a machine. It takes packets of any prefix and answers with the same.
#[derive(Debug)]
pub struct BootstrapServer {
    key: SecretKey,
    clock: GlobalTime,
    own: SocketAddrV4,
    rng: StdRng,
    communities: BTreeMap<Prefix, BTreeMap<Mid, Member>>,
    next_clean: Instant,
    out: VecDeque<Transmit>,
    answered: u64,
    introduced: u64,
    refused: u64,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    addr: SocketAddrV4,
    /// When it was first heard of there.
    first: Instant,
    heard: Instant,
}

impl BootstrapServer {
    /// A server that knows nobody, at `own` address as others see it. Its randomness is seeded from `rng`.
    pub fn new(key: SecretKey, own: SocketAddrV4, now: Instant, rng: &mut impl Rng) -> Self {
        Self {
            key,
            clock: GlobalTime::default(),
            own,
            rng: StdRng::from_rng(rng),
            communities: BTreeMap::new(),
            next_clean: now + CLEAN_EVERY,
            out: VecDeque::new(),
            answered: 0,
            introduced: 0,
            refused: 0,
        }
    }

    /// What it has done, and whom it knows.
    pub fn status(&self) -> ServerStatus {
        ServerStatus {
            answered: self.answered,
            introduced: self.introduced,
            refused: self.refused,
            communities: self.communities.len(),
            members: self.communities.values().map(BTreeMap::len).sum(),
        }
    }

    fn on_request(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        let signed = packet.open()?;
        if let (Proof::Unchecked, Some(curve)) = (signed.proof(), signed.key().curve()) {
            return Err(VerifyError::Unchecked(curve).into());
        }
        let request = Request::read(signed.body())?;
        if !is_usable(from) {
            return Ok(());
        }
        let prefix = packet.prefix();
        let mid = signed.key().mid();
        let full = self.communities.len() >= MAX_COMMUNITIES;
        if full && !self.communities.contains_key(&prefix) {
            self.clean(now);
            if self.communities.len() >= MAX_COMMUNITIES {
                return Ok(());
            }
        }
        let members = self.communities.entry(prefix).or_default();
        if members.len() >= MAX_MEMBERS && !members.contains_key(&mid) {
            let silent = members.iter().min_by_key(|(_, member)| member.heard);
            if let Some(silent) = silent.map(|(mid, _)| *mid) {
                members.remove(&silent);
            }
        }
        let known = members.get(&mid).filter(|known| known.addr == from);
        let member = Member {
            addr: from,
            first: known.map_or(now, |known| known.first),
            heard: now,
        };
        members.insert(mid, member);
        let others = members.iter();
        let others = others.filter(|(other, member)| **other != mid && member.addr != from);
        let others = others.map(|(_, member)| member);
        let stays =
            |member: &&Member| member.heard.saturating_duration_since(member.first) >= STAYS;
        let staying = self.rng.random_bool(STAYING);
        let staying = staying.then(|| others.clone().filter(stays).choose(&mut self.rng));
        let introduced = staying.flatten().or_else(|| others.choose(&mut self.rng));
        let introduced = introduced.map(|member| member.addr);
        self.answer(from, prefix, &request, introduced);
        Ok(())
    }

    fn answer(
        &mut self,
        from: SocketAddrV4,
        prefix: Prefix,
        request: &Request<'_>,
        introduced: Option<SocketAddrV4>,
    ) {
        let global_time = self.clock.claim();
        let (introduced_lan, introduced_wan) = match introduced {
            Some(addr) if is_lan(*addr.ip()) => {
                (addr, SocketAddrV4::new(*self.own.ip(), addr.port()))
            }
            Some(addr) => (NO_ADDRESS, addr),
            None => (NO_ADDRESS, NO_ADDRESS),
        };
        if let Some(to) = introduced {
            self.introduced += 1;
            let puncture = PunctureRequest {
                global_time: self.clock.claim(),
                lan_walker: request.destination,
                wan_walker: from,
                identifier: request.identifier,
            };
            let bytes = plain(prefix, id::PUNCTURE_REQUEST, |out| puncture.write(out));
            self.send(to, bytes);
        }
        let response = Response {
            global_time,
            destination: from,
            lan: self.own,
            wan: self.own,
            introduced_lan,
            introduced_wan,
            flags: 0,
            identifier: request.identifier,
            extra: b"",
        };
        let bytes = sign(prefix, id::RESPONSE, &self.key, |out| response.write(out));
        self.answered += 1;
        self.send(from, bytes);
    }

    fn send(&mut self, to: SocketAddrV4, bytes: Vec<u8>) {
        if self.out.len() < MAX_OUT {
            self.out.push_back(Transmit { to, bytes });
        }
    }

    fn clean(&mut self, now: Instant) {
        let speaks = |member: &Member| now.saturating_duration_since(member.heard) <= SILENT_FOR;
        self.communities.retain(|_, members| {
            members.retain(|_, member| speaks(member));
            !members.is_empty()
        });
    }
}

impl Community for BootstrapServer {
    type Event = ();

    fn prefix(&self) -> Option<Prefix> {
        None
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        if packet.message() != id::REQUEST {
            return Ok(());
        }
        let taken = self.on_request(now, from, packet);
        if taken.is_err() {
            self.refused += 1;
        }
        taken
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next_clean {
            self.next_clean = now + CLEAN_EVERY;
            self.clean(now);
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        Some((self.next_clean, "clean"))
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn add_bootstrap(&mut self, _: Vec<SocketAddrV4>) {}
}

#[cfg(test)]
mod tests;
