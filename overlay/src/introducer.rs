//! What every community does: it asks members for introductions, gives them, and opens its NAT for those that are sent to
//! it.

mod receive;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

use crate::clock::GlobalTime;
use crate::directory::{Directory, Peer, is_usable};
use crate::introduction::{ConnectionType, Request, id};
use crate::key::{PublicKey, SecretKey};
use crate::packet::{CommunityId, Prefix, sign};
use crate::wire::NO_ADDRESS;

/// How often bootstrap servers are asked at most.
pub const BOOTSTRAP_EVERY: Duration = Duration::from_secs(30);

/// After which bootstrap servers are asked again for the first time while no member is known, and how much longer each further
/// pause is.
const BOOTSTRAP_AGAIN: (Duration, f64) = (Duration::from_secs(2), 1.5);

/// The chance of asking a bootstrap server although peers are known, so that parts of a network find each other.
const BOOTSTRAP_CHANCE: f64 = 0.05;

/// Bootstrap servers that are kept at most.
const MAX_BOOTSTRAP: usize = 256;

/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Requests whose answers are waited for at most; then the oldest is given up.
const MAX_ASKED: usize = 512;

/// Datagrams that may wait to be sent; when they are not fetched, further ones are dropped, as a socket does.
const MAX_OUT: usize = 1024;

/// Events that may wait to be fetched before the oldest are dropped.
const MAX_EVENTS: usize = 1024;

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddrV4,
    /// What.
    pub bytes: Vec<u8>,
}

/// What a community stands on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Who we are.
    pub key: SecretKey,
    /// The count of our messages, which all communities of the identity share.
    pub clock: GlobalTime,
    /// Peers of all communities.
    pub directory: Arc<Mutex<Directory>>,
    /// Which community it is.
    pub community: CommunityId,
    /// Our address in the local network.
    pub lan: SocketAddrV4,
    /// With more members known than this, nobody further is noted; `None` notes all.
    pub max_peers: Option<usize>,
    /// Whom to ask when nobody is known.
    pub bootstrap: Vec<SocketAddrV4>,
}

/// What has happened, for the community's own use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Introduced {
    /// A member has answered us.
    Answered {
        /// Who.
        key: PublicKey,
        /// From where.
        addr: SocketAddrV4,
        /// What its community adds.
        extra: Vec<u8>,
    },
    /// A member has asked us.
    Asked {
        /// Who.
        key: PublicKey,
        /// From where.
        addr: SocketAddrV4,
        /// What its community adds.
        extra: Vec<u8>,
    },
}

/// Counts of what was sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Introductions asked for.
    pub requests_out: u64,
    /// Introductions given.
    pub responses_out: u64,
    /// Answers received.
    pub responses_in: u64,
    /// Answers to nothing, which count for nothing.
    pub unasked: u64,
    /// Requests of strangers that were not noted because there are members enough.
    pub crowded: u64,
    /// Requests to open the NAT that came too often.
    pub punctures_refused: u64,
}

/// The introductions of one community.
///
/// Drive it so: after each call fetch [`Introducer::poll_transmit`] and [`Introducer::poll_event`] until they give nothing.
#[derive(Debug)]
pub struct Introducer {
    settings: Settings,
    prefix: Prefix,
    wan: SocketAddrV4,
    rng: StdRng,
    asked: BTreeMap<u16, Asked>,
    last_bootstrap: Option<Instant>,
    /// How often bootstrap servers were asked since a member was known.
    bootstraps: u32,
    punctures: Allowance,
    strangers: Allowance,
    request_extra: Vec<u8>,
    response_extra: Vec<u8>,
    out: VecDeque<Transmit>,
    events: VecDeque<Introduced>,
    counters: Counters,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    to: SocketAddrV4,
    at: Instant,
}

/// So much at once, and so much a second in the long run, for those who need not be who they say.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: f64,
    at: Option<Instant>,
}

impl Settings {
    /// A community of which nothing is known but its members, to come.
    pub fn new(key: SecretKey, community: CommunityId) -> Self {
        Self {
            key,
            clock: GlobalTime::default(),
            directory: Arc::default(),
            community,
            lan: NO_ADDRESS,
            max_peers: Some(30),
            bootstrap: Vec::new(),
        }
    }

    /// The same identity and directory for another community.
    #[must_use]
    pub fn for_community(&self, community: CommunityId) -> Self {
        Self {
            community,
            ..self.clone()
        }
    }
}

impl Introducer {
    /// A community without members. Its own randomness is seeded from `rng`.
    pub fn new(settings: Settings, rng: &mut impl Rng) -> Self {
        {
            let mut directory = settings.directory.lock();
            directory.exclude_own(settings.key.public().mid());
            for server in &settings.bootstrap {
                directory.exclude_address(*server);
            }
        }
        Self {
            prefix: Prefix::new(settings.community),
            wan: settings.lan,
            rng: StdRng::from_rng(rng),
            asked: BTreeMap::new(),
            last_bootstrap: None,
            bootstraps: 0,
            punctures: Allowance::new(),
            strangers: Allowance::new(),
            request_extra: Vec::new(),
            response_extra: Vec::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            settings,
        }
    }

    /// The community.
    pub const fn community(&self) -> CommunityId {
        self.settings.community
    }

    /// The front of each of its packets.
    pub const fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// Who we are.
    pub const fn key(&self) -> &SecretKey {
        &self.settings.key
    }

    /// The count for the next message.
    pub fn claim_global_time(&self) -> u64 {
        self.settings.clock.claim()
    }

    /// The count of the last message.
    pub fn global_time(&self) -> u64 {
        self.settings.clock.last()
    }

    /// With more members than this nobody further is noted; `None` notes all.
    pub const fn max_peers(&self) -> Option<usize> {
        self.settings.max_peers
    }

    /// Peers of all communities; to be held no longer than a call.
    pub fn directory(&self) -> MutexGuard<'_, Directory> {
        self.settings.directory.lock()
    }

    /// The directory itself, to be shared.
    pub const fn shared_directory(&self) -> &Arc<Mutex<Directory>> {
        &self.settings.directory
    }

    /// Our address in the local network.
    pub const fn lan(&self) -> SocketAddrV4 {
        self.settings.lan
    }

    /// Our address as others see it, as far as we were told.
    pub const fn wan(&self) -> SocketAddrV4 {
        self.wan
    }

    /// What was sent and received.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Sets what the community adds to its requests and to its responses.
    pub fn set_extra(&mut self, request: Vec<u8>, response: Vec<u8>) {
        self.request_extra = request;
        self.response_extra = response;
    }

    /// Adds servers to ask when nobody is known.
    pub fn add_bootstrap(&mut self, servers: impl IntoIterator<Item = SocketAddrV4>) {
        for server in servers {
            let servers = &self.settings.bootstrap;
            let is_new = servers.len() < MAX_BOOTSTRAP && !servers.contains(&server);
            if is_usable(server) && is_new {
                self.directory().exclude_address(server);
                self.settings.bootstrap.push(server);
                self.last_bootstrap = None;
            }
        }
    }

    /// How many members are verified.
    pub fn peer_count(&self) -> usize {
        self.directory().peers(self.community()).count()
    }

    /// The verified members.
    pub fn peers(&self) -> Vec<Peer> {
        self.directory().peers(self.community()).cloned().collect()
    }

    /// Whether further members are taken.
    pub fn has_room(&self) -> bool {
        let most = self.settings.max_peers;
        most.is_none_or(|most| self.peer_count() <= most)
    }

    /// Asks whoever is at an address for an introduction.
    pub fn walk_to(&mut self, now: Instant, to: SocketAddrV4) {
        if !is_usable(to) {
            return;
        }
        let global_time = self.claim_global_time();
        let identifier = (global_time % 65_536) as u16;
        let request = Request {
            global_time,
            destination: to,
            lan: self.settings.lan,
            wan: self.wan,
            connection: ConnectionType::Unknown,
            new_style: false,
            advice: true,
            identifier,
            extra: &self.request_extra,
        };
        let bytes = sign(self.prefix, id::REQUEST, &self.settings.key, |out| {
            request.write(out);
        });
        self.note_asked(now, identifier, to);
        self.counters.requests_out += 1;
        self.send(to, bytes);
    }

    /// Asks the bootstrap servers, at most every 30 s; sooner again, after 2 s at first, while no member has answered yet: a
    /// datagram can be lost, and whoever a server names may have left long ago.
    pub fn bootstrap(&mut self, now: Instant) {
        let pause = if self.peer_count() == 0 {
            let (first, growth) = BOOTSTRAP_AGAIN;
            let times = self.bootstraps.saturating_sub(1).min(16);
            first
                .mul_f64(growth.powi(times.cast_signed()))
                .min(BOOTSTRAP_EVERY)
        } else {
            self.bootstraps = 0;
            BOOTSTRAP_EVERY
        };
        let early = |last: Instant| now.saturating_duration_since(last) < pause;
        if self.last_bootstrap.is_some_and(early) {
            return;
        }
        self.last_bootstrap = Some(now);
        self.bootstraps = self.bootstraps.saturating_add(1);
        for server in self.settings.bootstrap.clone() {
            self.walk_to(now, server);
        }
    }

    /// Asks a random member for an introduction, or now and then a bootstrap server; all of these where nobody is known.
    pub fn ask_for_introduction(&mut self, now: Instant) {
        let member = {
            let directory = self.settings.directory.lock();
            let peer = directory.random_peer(self.settings.community, &mut self.rng, |_| true);
            peer.map(Peer::addr)
        };
        let Some(member) = member else {
            self.bootstrap(now);
            return;
        };
        let server = if self.rng.random_bool(BOOTSTRAP_CHANCE) {
            self.settings.bootstrap.choose(&mut self.rng).copied()
        } else {
            None
        };
        self.walk_to(now, server.unwrap_or(member));
    }

    /// Random choices of the community.
    pub const fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// Queues a datagram.
    pub fn send(&mut self, to: SocketAddrV4, bytes: Vec<u8>) {
        if self.out.len() < MAX_OUT {
            self.out.push_back(Transmit { to, bytes });
        }
    }

    /// The next datagram that is to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Introduced> {
        self.events.pop_front()
    }

    /// As if others had told us our address.
    #[cfg(test)]
    pub(crate) const fn set_wan(&mut self, wan: SocketAddrV4) {
        self.wan = wan;
    }

    fn tell(&mut self, event: Introduced) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn note_asked(&mut self, now: Instant, identifier: u16, to: SocketAddrV4) {
        if self.asked.len() >= MAX_ASKED {
            let waits = |asked: &Asked| now.saturating_duration_since(asked.at) < ANSWER_WITHIN;
            self.asked.retain(|_, asked| waits(asked));
            let oldest = self.asked.iter().min_by_key(|(_, asked)| asked.at);
            if self.asked.len() >= MAX_ASKED
                && let Some(oldest) = oldest.map(|(identifier, _)| *identifier)
            {
                self.asked.remove(&oldest);
            }
        }
        self.asked.insert(identifier, Asked { to, at: now });
    }

    /// Whether an answer with this identifier is waited for from this host; it counts once.
    fn was_asked(&mut self, now: Instant, identifier: u16, from: SocketAddrV4) -> bool {
        let asked = self.asked.get(&identifier);
        let fits = asked.is_some_and(|asked| {
            let waits = now.saturating_duration_since(asked.at) < ANSWER_WITHIN;
            waits && asked.to.ip() == from.ip()
        });
        if fits {
            self.asked.remove(&identifier);
        }
        fits
    }
}

impl Allowance {
    const MOST: f64 = 32.0;
    const PER_SECOND: f64 = 8.0;

    const fn new() -> Self {
        Self {
            left: Self::MOST,
            at: None,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let since = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(now);
        self.left = (self.left + since.as_secs_f64() * Self::PER_SECOND).min(Self::MOST);
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests;
