//! Communities of the tunnels on a made-up wire.

use overlay::key::SecretKey;
use overlay::sim::{HostId, Link, World};
use rand::RngExt;

use super::*;
use crate::TRIBLER_MODERN;

/// A world of so many members; the first `exits` of them let traffic out.
fn world(seed: u64, members: usize, exits: usize) -> (World<TunnelCommunity>, Vec<HostId>) {
    println!("seed {seed}");
    let mut world = World::new(seed, Link::default());
    let first = world.free_address();
    let hosts = (0..members).map(|at| {
        let addr = if at == 0 { first } else { world.free_address() };
        let flags = match at {
            0 => Flags::default(),
            at if at <= exits => Flags::RELAY.and(Flags::EXIT),
            _ => Flags::RELAY,
        };
        let key = SecretKey::generate(world.rng());
        let mut settings = Settings::new(key, TRIBLER_MODERN);
        settings.lan = addr;
        let (now, rng) = (world.instant(), world.rng());
        let mut member = TunnelCommunity::new(&settings, TRIBLER_MODERN, flags, now, rng);
        if at > 0 {
            member.remember(now, &[first]);
        }
        world.add(addr, false, vec![member])
    });
    let hosts = hosts.collect();
    (world, hosts)
}

fn members(world: &World<TunnelCommunity>, of: HostId) -> &TunnelCommunity {
    &world.communities(of)[0]
}

#[test]
fn members_learn_what_others_do_for_them() {
    let (mut world, hosts) = world(1, 20, 4);
    world.run_for(Duration::from_secs(60));
    for host in &hosts {
        let known = members(&world, *host).members();
        assert!(known.len() >= 15, "{}", known.len());
        let exits = known.iter().filter(|(_, flags)| flags.contain(Flags::EXIT));
        assert!(exits.count() >= 2);
        assert!(known[0].1.contain(Flags::EXIT), "exits come first");
    }
}

#[test]
fn nodes_that_were_known_before_are_there_at_once() {
    let (mut world, hosts) = world(2, 30, 6);
    world.run_for(Duration::from_secs(120));
    let before: Vec<SocketAddrV4> = {
        let known = members(&world, hosts[3]).members();
        known.into_iter().map(|(addr, _)| addr).collect()
    };
    let addr = world.free_address();
    let settings = Settings::new(SecretKey::generate(world.rng()), TRIBLER_MODERN);
    let (now, rng) = (world.instant(), world.rng());
    let mut late = TunnelCommunity::new(&settings, TRIBLER_MODERN, Flags::default(), now, rng);
    late.remember(now, &before);
    let late = world.add(addr, false, vec![late]);
    world.run_for(Duration::from_secs(1));
    assert!(members(&world, late).members().len() >= before.len().min(REMEMBERED) * 3 / 4);
}

#[test]
fn many_members_leave_room_for_others_and_a_share_of_exits_stays() {
    let (mut world, hosts) = world(3, 150, 30);
    world.run_for(Duration::from_secs(900));
    let full = hosts.iter().map(|host| members(&world, *host).members());
    for known in full {
        assert!(known.len() <= MAX_MEMBERS + 1, "{}", known.len());
    }
}

#[test]
fn who_repeats_the_words_of_a_member_draws_nothing_to_himself() {
    let (mut world, hosts) = world(4, 4, 2);
    world.run_for(Duration::from_secs(20));
    let (victim, addr) = (hosts[1], world.addr(hosts[1]));
    let request = world.with(victim, 0, |community, now| {
        community
            .introducer_mut()
            .walk_to(now, SocketAddrV4::new([9, 9, 9, 9].into(), 9));
        community.introducer_mut().poll_transmit().unwrap().bytes
    });
    let elsewhere = world.free_address();
    world.take_log();
    world.with(hosts[2], 0, |community, now| {
        let packet = Packet::parse(&request).unwrap();
        community.handle_packet(now, elsewhere, &packet).unwrap();
    });
    let known = members(&world, hosts[2]).members();
    assert!(known.iter().any(|(at, _)| *at == addr));
    assert!(known.iter().all(|(at, _)| *at != elsewhere));
}

#[test]
fn extra_bytes_are_flags_and_none_are_none() {
    assert_eq!(flags_of(&[]), Flags::default());
    assert_eq!(flags_of(&[1]), Flags::default());
    assert_eq!(flags_of(&[0, 3]), Flags::RELAY.and(Flags::EXIT));
    assert_eq!(flags_of(&[0x80, 1, 7]), Flags::RELAY.and(Flags::EXIT_HTTP));
    let mut rng = crate::testing::rng(5);
    let flags: u16 = rng.random();
    assert_eq!(flags_of(&flags.to_be_bytes()), Flags(flags));
}
