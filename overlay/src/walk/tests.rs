use std::net::SocketAddrV4;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::community::Community;
use crate::introducer::{Settings, Transmit};
use crate::key::{PublicKey, SecretKey};
use crate::packet::{CommunityId, Packet, PacketError, Prefix};
use crate::sim::{HostId, Link, World};

const HERE: CommunityId = CommunityId([7; 20]);

fn at(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new([51, 1, 1, last].into(), 7000)
}

fn lone(bootstrap: Vec<SocketAddrV4>) -> Introducer {
    let mut rng = StdRng::seed_from_u64(1);
    let mut settings = Settings::new(SecretKey::generate(&mut rng), HERE);
    settings.lan = at(1);
    settings.bootstrap = bootstrap;
    Introducer::new(settings, &mut rng)
}

fn sent(community: &mut Introducer) -> Vec<SocketAddrV4> {
    std::iter::from_fn(|| community.poll_transmit())
        .map(|sent| sent.to)
        .collect()
}

/// A member that names these addresses.
fn names(community: &Introducer, addrs: impl IntoIterator<Item = SocketAddrV4>) {
    let key: PublicKey = SecretKey::from_bytes(&[9; 64]).unwrap().public().clone();
    let mut directory = community.directory();
    directory.verify(&key, at(200));
    directory.discover_services(key.mid(), [HERE]);
    for addr in addrs {
        directory.discover(key.mid(), addr, HERE);
    }
}

#[test]
fn a_walk_that_knows_nobody_asks_the_bootstrap_servers() {
    let mut community = lone(vec![at(250), at(251)]);
    RandomWalk::default().step(Instant::now(), &mut community);
    assert_eq!(sent(&mut community), [at(250), at(251)]);
}

#[test]
fn no_more_than_five_addresses_are_waited_for_and_the_silent_are_forgotten_after_three_seconds() {
    let mut community = lone(Vec::new());
    names(&community, (10..40).map(at));
    let mut walk = RandomWalk {
        reset_chance: 0,
        ..RandomWalk::default()
    };
    let mut now = Instant::now();
    for _ in 0..20 {
        walk.step(now, &mut community);
    }
    let walked = sent(&mut community);
    assert_eq!(walked.len(), 5);
    assert_eq!(community.directory().walkable(HERE).count(), 30);
    now += Duration::from_secs(3);
    walk.step(now, &mut community);
    let left: Vec<SocketAddrV4> = community.directory().walkable(HERE).collect();
    assert_eq!(left.len(), 25);
    assert!(walked.iter().all(|silent| !left.contains(silent)));
    let again = sent(&mut community);
    assert!(matches!(again.as_slice(), [next] if left.contains(next)));
}

#[test]
fn a_walk_with_a_pause_takes_one_step_in_it_and_some_steps_ask_for_introductions() {
    let mut community = lone(Vec::new());
    names(&community, (10..100).map(at));
    let mut walk = RandomWalk {
        interval: Duration::from_secs(5),
        window: usize::MAX,
        ..RandomWalk::default()
    };
    let mut now = Instant::now();
    let mut asked = 0;
    for _ in 0..1000 {
        walk.step(now, &mut community);
        walk.step(now, &mut community);
        let to = sent(&mut community);
        assert_eq!(to.len(), 1);
        asked += usize::from(to == [at(200)]);
        // Nobody answers, so that what was walked to is forgotten and named again.
        names(&community, (10..100).map(at));
        now += Duration::from_secs(5);
    }
    // 50 of 256.
    assert!((150..=250).contains(&asked), "{asked}");
}

/// A member that gets to know others along edges.
#[derive(Debug)]
struct Edges {
    introducer: Introducer,
    walk: EdgeWalk,
    next: Instant,
}

impl Community for Edges {
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
        while self.introducer.poll_event().is_some() {}
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.next = now + STEP_EVERY;
        self.walk.step(now, &mut self.introducer);
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        Some((self.next, "step"))
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

#[test]
fn members_that_follow_edges_get_to_know_more_than_their_neighbours() {
    let seed = 6;
    println!("seed {seed}");
    let mut world = World::new(seed, Link::default());
    let addrs: Vec<SocketAddrV4> = (0..60).map(|_| world.free_address()).collect();
    let hosts: Vec<HostId> = (0..60)
        .map(|number: usize| {
            let mut settings = Settings::new(SecretKey::generate(world.rng()), HERE);
            settings.lan = addrs[number];
            // A ring: each knows the next few by their addresses.
            let next = (1..=7).map(|step| addrs[(number + step) % 60]);
            let introducer = Introducer::new(settings, world.rng());
            for addr in next {
                introducer.directory().add_address(addr, HERE);
            }
            let member = Edges {
                introducer,
                walk: EdgeWalk::default(),
                next: world.instant(),
            };
            world.add(addrs[number], false, vec![member])
        })
        .collect();
    world.run_for(Duration::from_secs(60));
    let (mut finished, mut known) = (0, Vec::new());
    for host in hosts {
        let member = &world.communities(host)[0];
        finished += member.walk.finished();
        known.push(member.introducer.peer_count());
    }
    known.sort_unstable();
    assert!(finished >= 60, "{finished}");
    assert!(known[6] > 14, "{known:?}");
    assert_eq!(world.refused(), 0);
}
