use super::*;
use crate::introducer::{Introducer, Settings};
use crate::packet::CommunityId;

fn at(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new([51, 1, 1, last].into(), 7000)
}

fn server(now: Instant) -> BootstrapServer {
    let mut rng = StdRng::seed_from_u64(1);
    let key = SecretKey::generate(&mut rng);
    BootstrapServer::new(key, at(1), now, &mut rng)
}

fn member(seed: u8, community: u8) -> Introducer {
    let mut rng = StdRng::seed_from_u64(seed.into());
    let key = SecretKey::generate(&mut rng);
    let mut settings = Settings::new(key, CommunityId([community; 20]));
    settings.lan = at(seed);
    settings.bootstrap = vec![at(1)];
    Introducer::new(settings, &mut rng)
}

/// Lets a member ask the server, and takes back what the server sends, in order.
fn ask(
    server: &mut BootstrapServer,
    member: &mut Introducer,
    from: u8,
    now: Instant,
) -> Vec<Transmit> {
    member.walk_to(now, at(1));
    let sent = member.poll_transmit().unwrap();
    let packet = Packet::parse(&sent.bytes).unwrap();
    server.handle_packet(now, at(from), &packet).unwrap();
    let out: Vec<Transmit> = std::iter::from_fn(|| server.poll_transmit()).collect();
    for sent in out.iter().filter(|sent| sent.to == at(from)) {
        let packet = Packet::parse(&sent.bytes).unwrap();
        assert_eq!(packet.prefix(), member.prefix());
        member.handle_packet(now, at(1), &packet).unwrap();
    }
    out
}

#[test]
fn members_of_any_community_are_introduced_to_others_of_theirs_and_become_no_peers_of_the_server() {
    let now = Instant::now();
    let mut server = server(now);
    let (mut a, mut b, mut c) = (member(2, 7), member(3, 7), member(4, 8));
    assert_eq!(ask(&mut server, &mut a, 2, now).len(), 1);
    assert_eq!(
        ask(&mut server, &mut c, 4, now).len(),
        1,
        "another community"
    );
    let out = ask(&mut server, &mut b, 3, now);
    let to: Vec<SocketAddrV4> = out.iter().map(|sent| sent.to).collect();
    assert_eq!(to, [at(2), at(3)], "a puncture request first");
    let puncture = Packet::parse(&out[0].bytes).unwrap();
    assert_eq!(puncture.message(), id::PUNCTURE_REQUEST);
    let puncture = PunctureRequest::read(puncture.body()).unwrap();
    assert_eq!(puncture.wan_walker, at(3));
    let walkable: Vec<_> = b.directory().walkable(b.community()).collect();
    assert_eq!((walkable, b.peer_count()), (vec![at(2)], 0));
    let status = server.status();
    assert_eq!((status.communities, status.members), (2, 3));
    assert_eq!(
        (status.answered, status.introduced, status.refused),
        (3, 1, 0)
    );
}

#[test]
fn who_stays_is_introduced_more_often_than_those_who_were_there_once() {
    let mut now = Instant::now();
    let mut server = server(now);
    let mut stays = member(2, 7);
    ask(&mut server, &mut stays, 2, now);
    now += Duration::from_secs(40);
    ask(&mut server, &mut stays, 2, now);
    for seed in 10..50 {
        ask(&mut server, &mut member(seed, 7), seed, now);
    }
    let mut named = [0; 2];
    for seed in 50..150 {
        let mut member = member(seed, 7);
        ask(&mut server, &mut member, seed, now);
        let walkable: Vec<_> = member.directory().walkable(member.community()).collect();
        named[usize::from(walkable == [at(2)])] += 1;
    }
    assert!(named[1] > 60 && named[0] > 10, "{named:?}");
}

#[test]
fn the_silent_are_forgotten_after_two_minutes() {
    let mut now = Instant::now();
    let mut server = server(now);
    let (mut a, mut b) = (member(2, 7), member(3, 7));
    ask(&mut server, &mut a, 2, now);
    now += Duration::from_secs(100);
    server.handle_timeout(now);
    ask(&mut server, &mut b, 3, now);
    now += Duration::from_secs(60);
    server.handle_timeout(now);
    assert_eq!(server.status().members, 1);
    assert_eq!(ask(&mut server, &mut a, 2, now).len(), 2);
}

#[test]
fn nothing_but_requests_is_answered_and_no_community_grows_without_bound() {
    let now = Instant::now();
    let mut server = server(now);
    let key = SecretKey::from_bytes(&[3; 64]).unwrap();
    let prefix = Prefix::new(CommunityId([7; 20]));
    for message in (0..=255).filter(|message| *message != id::REQUEST) {
        let datagram = sign(prefix, message, &key, |out| {
            out.raw(&[0; 29]);
        });
        server
            .handle_packet(now, at(2), &Packet::parse(&datagram).unwrap())
            .unwrap();
    }
    assert_eq!(server.poll_transmit(), None);
    let mut rng = StdRng::seed_from_u64(2);
    for number in 0..1100u32 {
        let key = SecretKey::generate(&mut rng);
        let mut member = Introducer::new(Settings::new(key, CommunityId([7; 20])), &mut rng);
        member.walk_to(now, at(1));
        let sent = member.poll_transmit().unwrap();
        let [.., a, b] = number.to_be_bytes();
        let from = SocketAddrV4::new([60, 1, a, b].into(), 1);
        server
            .handle_packet(now, from, &Packet::parse(&sent.bytes).unwrap())
            .unwrap();
        while server.poll_transmit().is_some() {}
    }
    assert_eq!(server.status().members, MAX_MEMBERS);
}
