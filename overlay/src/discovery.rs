//! The community that everyone is in: members tell each other which communities they are in, and see whether others are
//! still there.

mod churn;
mod message;

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::Rng;

pub use churn::{Churn, RandomChurn};
pub use message::id::name as message_name;
pub use message::{
    ExtendedRequest, Ping, SimilarityRequest, SimilarityResponse, decode_overlaps, id,
};

use crate::cache::RequestCache;
use crate::community::Community;
use crate::directory::Peer;
use crate::introducer::{Introduced, Introducer, Settings, Transmit};
use crate::introduction::{self, ConnectionType, Request};
use crate::key::{Mid, PublicKey};
use crate::packet::{CommunityId, Packet, PacketError, Prefix, plain, sign};
use crate::walk::{ENOUGH, RandomWalk, STEP_EVERY};

/// The discovery community of Tribler.
pub const DISCOVERY: CommunityId = CommunityId([
    0x7e, 0x31, 0x36, 0x85, 0xc1, 0x91, 0x2a, 0x14, 0x12, 0x79, 0xf8, 0x24, 0x8f, 0xc8, 0xdb, 0x58,
    0x99, 0xc5, 0xdf, 0x5a,
]);

/// How long a pong is waited for.
const PONG_WITHIN: Duration = Duration::from_secs(5);

/// How often a random peer is asked for its communities.
const SIMILARITY_EVERY: Duration = Duration::from_secs(1);

/// How long an answer about communities is waited for.
const SIMILARITY_WITHIN: Duration = Duration::from_secs(10);

/// Requests of each kind that wait at most.
const MAX_WAITING: usize = 512;

/// Communities that a packet names at most, so that it stays below [`SAFE_LEN`](crate::packet::SAFE_LEN).
const MAX_NAMED: usize = 55;

/// Events that may wait to be fetched before the oldest are dropped.
const MAX_EVENTS: usize = 256;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// A peer was silent for too long and is forgotten.
    Lost(Mid),
    /// A peer has told which communities it is in.
    Services(Mid),
}

/// The discovery community as a machine.
#[derive(Debug)]
pub struct Discovery {
    introducer: Introducer,
    ours: Vec<CommunityId>,
    walk: RandomWalk,
    churn: RandomChurn,
    pings: RequestCache<(Mid, SocketAddrV4, Instant)>,
    asked: RequestCache<SocketAddrV4>,
    next_step: Instant,
    next_similarity: Instant,
    events: VecDeque<Found>,
}

impl Discovery {
    /// A member that knows nobody and is in no other community. Its community is [`DISCOVERY`], whatever `settings` name.
    pub fn new(settings: &Settings, now: Instant, rng: &mut impl Rng) -> Self {
        let settings = settings.for_community(DISCOVERY);
        Self {
            introducer: Introducer::new(settings, rng),
            ours: vec![DISCOVERY],
            walk: RandomWalk::default(),
            churn: RandomChurn::default(),
            pings: RequestCache::new(MAX_WAITING),
            asked: RequestCache::new(MAX_WAITING),
            next_step: now,
            next_similarity: now,
            events: VecDeque::new(),
        }
    }

    /// Adds a community that we are in, to be told to others; the first 55 are.
    pub fn add_service(&mut self, community: CommunityId) {
        if !self.ours.contains(&community) && self.ours.len() < MAX_NAMED {
            self.ours.push(community);
        }
    }

    /// Takes back a community that we are in.
    pub fn remove_service(&mut self, community: CommunityId) {
        self.ours.retain(|ours| *ours != community);
    }

    /// The introductions of the community.
    pub const fn introducer(&self) -> &Introducer {
        &self.introducer
    }

    /// The introductions of the community.
    pub const fn introducer_mut(&mut self) -> &mut Introducer {
        &mut self.introducer
    }

    /// Asks a peer whether it is there; the answer shows in its round trips.
    pub fn ping(&mut self, now: Instant, mid: Mid, to: SocketAddrV4) {
        let global_time = self.introducer.claim_global_time();
        let identifier = (global_time % 65_536) as u16;
        let ping = Ping {
            global_time,
            identifier,
        };
        let waits = (mid, to, now);
        if self.pings.put(identifier.into(), now + PONG_WITHIN, waits) {
            let bytes = plain(self.introducer.prefix(), id::PING, |out| ping.write(out));
            self.introducer.send(to, bytes);
        }
    }

    /// Asks whoever is at an address which communities it is in.
    pub fn ask_for_services(&mut self, now: Instant, to: SocketAddrV4) {
        let global_time = self.introducer.claim_global_time();
        let identifier = (global_time % 65_536) as u16;
        if !self
            .asked
            .put(identifier.into(), now + SIMILARITY_WITHIN, to)
        {
            return;
        }
        let request = SimilarityRequest {
            global_time,
            identifier,
            lan: self.introducer.lan(),
            wan: self.introducer.wan(),
            connection: ConnectionType::Unknown,
            communities: self.ours.clone(),
        };
        let key = self.introducer.key();
        let bytes = sign(
            self.introducer.prefix(),
            id::SIMILARITY_REQUEST,
            key,
            |out| {
                request.write(out);
            },
        );
        self.introducer.send(to, bytes);
    }

    fn step(&mut self, now: Instant) {
        let churned = {
            let directory = self.introducer.shared_directory().clone();
            self.churn
                .step(now, &mut directory.lock(), self.introducer.rng())
        };
        for churn in churned {
            match churn {
                Churn::Drop(mid) => self.tell(Found::Lost(mid)),
                Churn::Ping(mid, addr) => self.ping(now, mid, addr),
            }
        }
        if now >= self.next_similarity {
            self.next_similarity = now + SIMILARITY_EVERY;
            let directory = self.introducer.shared_directory().clone();
            let peer = {
                let directory = directory.lock();
                let rng = self.introducer.rng();
                rand::seq::IteratorRandom::choose(directory.all().map(Peer::addr), rng)
            };
            if let Some(addr) = peer {
                self.ask_for_services(now, addr);
            }
        }
        if self.introducer.peer_count() < ENOUGH {
            self.walk.step(now, &mut self.introducer);
        }
    }

    fn take(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        match packet.message() {
            id::SIMILARITY_REQUEST => {
                let signed = self.introducer.open(from, packet)?;
                let request = SimilarityRequest::read(signed.body())?;
                self.on_similarity_request(from, signed.key(), request);
            }
            id::SIMILARITY_RESPONSE => {
                let signed = self.introducer.open(from, packet)?;
                let response = SimilarityResponse::read(signed.body())?;
                self.on_similarity_response(now, from, signed.key(), response);
            }
            id::PING => {
                let ping = Ping::read(packet.body())?;
                let pong = Ping {
                    global_time: self.introducer.claim_global_time(),
                    identifier: ping.identifier,
                };
                let bytes = plain(self.introducer.prefix(), id::PONG, |out| pong.write(out));
                self.introducer.send(from, bytes);
            }
            id::PONG => {
                let pong = Ping::read(packet.body())?;
                let number = pong.identifier.into();
                let asked = self.pings.get(number).map(|(_, addr, _)| *addr);
                if asked == Some(from)
                    && let Some((mid, _, at)) = self.pings.remove(number)
                {
                    let took = now.saturating_duration_since(at);
                    self.introducer.directory().round_trip(mid, took);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_similarity_request(
        &mut self,
        from: SocketAddrV4,
        key: &PublicKey,
        request: SimilarityRequest,
    ) {
        let mid = key.mid();
        self.introducer
            .directory()
            .discover_services(mid, request.communities);
        let response = SimilarityResponse {
            global_time: self.introducer.claim_global_time(),
            identifier: request.identifier,
            communities: self.ours.clone(),
            overlaps: Vec::new(),
        };
        let key = self.introducer.key();
        let bytes = sign(
            self.introducer.prefix(),
            id::SIMILARITY_RESPONSE,
            key,
            |out| {
                response.write(out);
            },
        );
        self.introducer.send(from, bytes);
        self.tell(Found::Services(mid));
    }

    fn on_similarity_response(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        key: &PublicKey,
        response: SimilarityResponse,
    ) {
        let number = response.identifier.into();
        let asked = self.asked.get(number).map(|addr| *addr.ip());
        if asked != Some(*from.ip()) {
            return;
        }
        self.asked.remove(number);
        let mid = key.mid();
        let taken = {
            let room = self.introducer.has_room();
            let mut directory = self.introducer.directory();
            let taken = (room || directory.peer(mid).is_some()) && directory.verify(key, from);
            if taken {
                directory.heard(now, from);
                directory.discover_services(mid, response.communities);
            }
            taken
        };
        if taken {
            self.tell(Found::Services(mid));
        }
    }

    /// A request for an introduction, in either of its layouts; `false` when it is another message.
    fn on_request(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<bool, PacketError> {
        if packet.message() != introduction::id::REQUEST {
            return Ok(false);
        }
        self.introducer.directory().heard(now, from);
        let signed = self.introducer.open(from, packet)?;
        let request = match ExtendedRequest::read(signed.body()) {
            Ok(extended) => extended.request,
            Err(_) => Request::read(signed.body())?,
        };
        self.introducer.answer(now, from, &signed, &request);
        Ok(true)
    }

    fn tell(&mut self, event: Found) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl Community for Discovery {
    type Event = Found;

    fn prefix(&self) -> Option<Prefix> {
        Some(self.introducer.prefix())
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        let handled = self.on_request(now, from, packet)?
            || self.introducer.handle_packet(now, from, packet)?;
        if !handled {
            self.take(now, from, packet)?;
        }
        while let Some(event) = self.introducer.poll_event() {
            match event {
                Introduced::Answered { addr, .. } => self.ask_for_services(now, addr),
                Introduced::Asked { .. } => {}
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        while self.pings.expired(now).is_some() {}
        while self.asked.expired(now).is_some() {}
        if now >= self.next_step {
            self.next_step = now + STEP_EVERY;
            self.step(now);
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        Some((self.next_step, "step"))
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.introducer.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Found> {
        self.events.pop_front()
    }

    fn add_bootstrap(&mut self, servers: Vec<SocketAddrV4>) {
        self.introducer.add_bootstrap(servers);
    }
}

#[cfg(test)]
mod tests;
