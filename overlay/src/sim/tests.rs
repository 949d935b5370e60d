//! What networks of many members must do.

use std::collections::BTreeSet;

use rand::seq::IteratorRandom;

use super::*;
use crate::discovery::{DISCOVERY, Discovery, Found};
use crate::introducer::{Settings, Transmit};
use crate::key::SecretKey;
use crate::packet::{CommunityId, PacketError, Prefix};
use crate::server::BootstrapServer;

/// Who is on the network.
#[derive(Debug)]
enum Member {
    Discovery(Box<Discovery>),
    Server(Box<BootstrapServer>),
}

impl Community for Member {
    type Event = Found;

    fn prefix(&self) -> Option<Prefix> {
        match self {
            Self::Discovery(member) => member.prefix(),
            Self::Server(server) => server.prefix(),
        }
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        match self {
            Self::Discovery(member) => member.handle_packet(now, from, packet),
            Self::Server(server) => server.handle_packet(now, from, packet),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Discovery(member) => member.handle_timeout(now),
            Self::Server(server) => server.handle_timeout(now),
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        match self {
            Self::Discovery(member) => member.poll_timeout(),
            Self::Server(server) => server.poll_timeout(),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Discovery(member) => member.poll_transmit(),
            Self::Server(server) => server.poll_transmit(),
        }
    }

    fn poll_event(&mut self) -> Option<Found> {
        match self {
            Self::Discovery(member) => member.poll_event(),
            Self::Server(_) => None,
        }
    }

    fn add_bootstrap(&mut self, servers: Vec<SocketAddrV4>) {
        if let Self::Discovery(member) = self {
            member.add_bootstrap(servers);
        }
    }
}

fn world(seed: u64) -> (World<Member>, SocketAddrV4) {
    println!("seed {seed}");
    let mut world = World::new(seed, Link::default());
    let addr = world.free_address();
    let now = world.instant();
    let key = SecretKey::generate(world.rng());
    let server = BootstrapServer::new(key, addr, now, world.rng());
    world.add(addr, false, vec![Member::Server(Box::new(server))]);
    (world, addr)
}

fn join(
    world: &mut World<Member>,
    server: SocketAddrV4,
    nat: bool,
    service: CommunityId,
) -> HostId {
    let addr = world.free_address();
    let now = world.instant();
    let mut settings = Settings::new(SecretKey::generate(world.rng()), DISCOVERY);
    settings.lan = addr;
    settings.bootstrap = vec![server];
    let mut member = Discovery::new(&settings, now, world.rng());
    member.add_service(service);
    world.add(addr, nat, vec![Member::Discovery(Box::new(member))])
}

fn discovery(world: &World<Member>, host: HostId) -> Option<&Discovery> {
    match &world.communities(host)[0] {
        Member::Discovery(member) => Some(member),
        Member::Server(_) => None,
    }
}

/// How many members each member knows.
fn known(world: &World<Member>) -> Vec<usize> {
    let members = world.hosts().filter_map(|host| discovery(world, host));
    members
        .map(|member| member.introducer().peer_count())
        .collect()
}

/// How many members hang together by who knows whom.
fn connected(world: &World<Member>) -> usize {
    let mut links: BTreeMap<HostId, Vec<HostId>> = BTreeMap::new();
    for host in world.hosts() {
        let Some(member) = discovery(world, host) else {
            continue;
        };
        let directory = member.introducer().directory();
        for peer in directory.all() {
            if let Some(other) = world.by_addr.get(&peer.addr()).copied() {
                links.entry(host).or_default().push(other);
                links.entry(other).or_default().push(host);
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut open: Vec<HostId> = links.keys().next().copied().into_iter().collect();
    while let Some(host) = open.pop() {
        if seen.insert(host) {
            open.extend(links.get(&host).into_iter().flatten());
        }
    }
    seen.len()
}

fn converges(seed: u64, count: usize) {
    let (mut world, server) = world(seed);
    for at in 0..count {
        let service = CommunityId([(at % 7) as u8; 20]);
        let nat = at % 10 >= 7;
        join(&mut world, server, nat, service);
        world.run_for(Duration::from_secs(60) / count as u32);
    }
    world.run_for(Duration::from_secs(60));
    let mut counts = known(&world);
    counts.sort_unstable();
    let (least, median) = (counts[count / 100], counts[count / 2]);
    println!(
        "{count} members know {least} (1 of 100) and {median} (median) others; {} datagrams",
        world.delivered()
    );
    assert!(least >= 10, "{counts:?}");
    assert!(median >= 20, "{counts:?}");
    assert_eq!(connected(&world), count);
    assert_eq!(world.refused(), 0);
    // Whoever wants a community of seven finds members of it among those it has met.
    let wanted = CommunityId([3; 20]);
    let members = world.hosts().filter_map(|host| discovery(&world, host));
    let without = members
        .filter(|member| member.introducer().directory().peers(wanted).count() == 0)
        .count();
    assert!(without * 10 <= count, "{without}");
}

#[test]
fn three_hundred_members_of_which_a_third_are_behind_nats_find_each_other_in_two_minutes() {
    converges(1, 300);
}

#[test]
#[ignore = "takes minutes: three thousand members sign and check all they say"]
fn three_thousand_members_of_which_a_third_are_behind_nats_find_each_other_in_two_minutes() {
    converges(2, 3000);
}

#[test]
fn members_that_leave_are_forgotten_and_those_that_stay_know_each_other() {
    let (mut world, server) = world(3);
    let service = CommunityId([1; 20]);
    let hosts: Vec<HostId> = (0..60)
        .map(|_| join(&mut world, server, false, service))
        .collect();
    world.run_for(Duration::from_secs(60));
    let gone = hosts.iter().copied().sample(world.rng(), 30);
    for host in &gone {
        world.remove(*host);
    }
    world.run_for(Duration::from_secs(240));
    let there: Vec<SocketAddrV4> = world.hosts().map(|host| world.addr(host)).collect();
    for host in world
        .hosts()
        .filter(|host| discovery(&world, *host).is_some())
    {
        let member = discovery(&world, host).unwrap();
        let directory = member.introducer().directory();
        let ghosts = directory
            .all()
            .filter(|peer| !there.contains(&peer.addr()))
            .count();
        assert!(ghosts <= 2, "{ghosts}");
        assert!(directory.len() - ghosts >= 15, "{}", directory.len());
    }
    assert_eq!(connected(&world), 30);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let (mut world, server) = world(4);
        for _ in 0..20 {
            join(&mut world, server, false, DISCOVERY);
        }
        world.run_for(Duration::from_secs(20));
        (world.delivered(), known(&world), world.take_log())
    };
    assert_eq!(run(), run());
}
