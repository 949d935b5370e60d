//! Introduction points of one swarm that tell each other whom they introduce.
//!
//! They form a community of their own, named after the swarm, and their introductions carry the keys of seeders.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use overlay::community::Community;
use overlay::directory::Directory;
use overlay::introducer::{Introduced, Introducer, Settings, Transmit};
use overlay::key::PublicKey;
use overlay::packet::{CommunityId, Packet, PacketError, Prefix};
use overlay::walk::{RandomWalk, STEP_EVERY};
use parking_lot::Mutex;
use rand::Rng;

use crate::Dialect;
use crate::message::{IntroPoint, Source, read_candidates, write_candidates};

/// The pause between steps, for most swarms have few introduction points.
const STEP: Duration = Duration::from_secs(5);

/// How long somebody is remembered who does not say again whom it introduces.
const REMEMBER: Duration = Duration::from_secs(300);

/// Introduced seeders that are remembered.
const MOST: usize = 20;

/// Seeders of ours that an introduction names.
const NAMED: usize = 10;

/// See the module.
#[derive(Debug)]
pub struct Exchange {
    dialect: Dialect,
    introducer: Introducer,
    walk: RandomWalk,
    found: VecDeque<(Instant, IntroPoint)>,
    next_step: Instant,
}

impl Exchange {
    /// The community of a swarm: its name among hidden peers, in the newer dialect as a number one more.
    pub fn community(dialect: Dialect, info_hash: [u8; 20]) -> CommunityId {
        let mut id = info_hash;
        if dialect == Dialect::Modern {
            for byte in id.iter_mut().rev() {
                let (next, carry) = byte.overflowing_add(1);
                *byte = next;
                if !carry {
                    break;
                }
            }
        }
        CommunityId(id)
    }

    /// An introduction point that knows no other. It has a directory of its own, whatever `settings` have.
    pub fn new(
        settings: &Settings,
        dialect: Dialect,
        info_hash: [u8; 20],
        now: Instant,
        rng: &mut impl Rng,
    ) -> Self {
        let mut settings = settings.for_community(Self::community(dialect, info_hash));
        settings.directory = Arc::new(Mutex::new(Directory::new()));
        let mut walk = RandomWalk::default();
        walk.interval = STEP;
        Self {
            dialect,
            introducer: Introducer::new(settings, rng),
            walk,
            found: VecDeque::new(),
            next_step: now,
        }
    }

    /// The introductions of the community.
    pub const fn introducer_mut(&mut self) -> &mut Introducer {
        &mut self.introducer
    }

    /// Sets whom we introduce.
    pub fn set_seeders(&mut self, seeders: &[Vec<u8>]) {
        let named = seeders.iter().take(NAMED).map(Vec::as_slice);
        let extra = write_candidates(self.dialect, named);
        self.introducer.set_extra(extra.clone(), extra);
    }

    /// Whom others introduce, those last that were named first.
    pub fn points(&mut self, now: Instant) -> Vec<IntroPoint> {
        self.found.retain(|(at, _)| now < *at + REMEMBER);
        self.found.iter().map(|(_, point)| point.clone()).collect()
    }

    fn note(&mut self, now: Instant, key: &PublicKey, addr: SocketAddrV4, extra: &[u8]) {
        let Ok(seeders) = read_candidates(self.dialect, extra) else {
            return;
        };
        for seeder in seeders.into_iter().take(NAMED) {
            if PublicKey::from_bytes(&seeder).is_ok_and(|key| key.x25519().is_some()) {
                let point = IntroPoint {
                    addr: addr.into(),
                    node: key.as_bytes().to_vec(),
                    seeder,
                    source: Source::Pex,
                };
                let same = |known: &IntroPoint| {
                    (&known.node, &known.seeder) == (&point.node, &point.seeder)
                };
                self.found.retain(|(_, known)| !same(known));
                self.found.push_front((now, point));
            }
        }
        self.found.truncate(MOST);
    }
}

impl Community for Exchange {
    type Event = ();

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
            if let Introduced::Asked { key, addr, extra }
            | Introduced::Answered { key, addr, extra } = event
            {
                self.note(now, &key, addr, &extra);
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next_step {
            self.next_step = now + STEP_EVERY;
            self.walk.step(now, &mut self.introducer);
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        Some((self.next_step, "step"))
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.introducer.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn add_bootstrap(&mut self, servers: Vec<SocketAddrV4>) {
        self.introducer.add_bootstrap(servers);
    }
}

#[cfg(test)]
mod tests {
    use overlay::key::SecretKey;
    use overlay::sim::{Link, World};

    use super::*;

    const SWARM: [u8; 20] = [0xff; 20];

    #[test]
    fn the_community_of_a_swarm_is_its_name_and_in_the_newer_dialect_the_next() {
        let of = |dialect, name| Exchange::community(dialect, name).0;
        assert_eq!(of(Dialect::Classic, SWARM), SWARM);
        assert_eq!(of(Dialect::Modern, SWARM), [0; 20]);
        let mut name = [7; 20];
        let mut next = name;
        (name[19], next[18], next[19]) = (0xff, 8, 0);
        assert_eq!(of(Dialect::Modern, name), next);
    }

    #[test]
    fn introduction_points_learn_whom_others_introduce_and_forget_it() {
        for dialect in [Dialect::Classic, Dialect::Modern] {
            let link = Link {
                loss: 0.0,
                ..Link::default()
            };
            let mut world = World::new(1, link);
            let seeder = |at: u8| {
                let key = SecretKey::from_bytes(&[at; 64]).unwrap();
                key.public().as_bytes().to_vec()
            };
            let first = world.free_address();
            let hosts: Vec<_> = (1..5_u8)
                .map(|at| {
                    let addr = if at == 1 { first } else { world.free_address() };
                    let key = SecretKey::generate(world.rng());
                    let mut settings = Settings::new(key, CommunityId(SWARM));
                    settings.lan = addr;
                    let (now, rng) = (world.instant(), world.rng());
                    let mut exchange = Exchange::new(&settings, dialect, SWARM, now, rng);
                    exchange.set_seeders(&[seeder(at)]);
                    if at > 1 {
                        exchange.introducer_mut().walk_to(now, first);
                    }
                    world.add(addr, false, vec![exchange])
                })
                .collect();
            world.run_for(Duration::from_secs(120));
            let known = world.with(hosts[0], 0, Exchange::points);
            assert_eq!(known.len(), 3);
            let second = known.iter().find(|point| point.seeder == seeder(2));
            assert_eq!(second.unwrap().addr, world.addr(hosts[1]).into());
            world.remove(hosts[1]);
            world.run_for(Duration::from_secs(400));
            let known = world.with(hosts[0], 0, Exchange::points);
            assert!(known.iter().all(|point| point.seeder != seeder(2)));
            assert_eq!(known.len(), 2);
        }
    }
}
