use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::*;

fn announced(torrent: u8, addr: SocketAddr) -> Announced {
    Announced {
        info_hash: InfoHash([torrent; 20]),
        peer_id: PeerId([addr.port() as u8; 20]),
        addr,
        seeder: false,
        stopped: false,
        report: Report::default(),
        want: 50,
        mixed: false,
    }
}

fn v4(last: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, last), port).into()
}

fn v6(last: u16, port: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), port).into()
}

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(1)
}

fn at(seconds: u64) -> Seconds {
    Seconds::new(seconds)
}

/// Whom a peer is told of, in order.
fn told(picked: &Picked) -> BTreeSet<SocketAddr> {
    let v4 = picked.v4.iter().map(|[a, b, c, d, high, low]| {
        let ip = Ipv4Addr::new(*a, *b, *c, *d);
        SocketAddr::from((ip, u16::from_be_bytes([*high, *low])))
    });
    let v6 = picked.v6.iter().map(|addr| {
        let ip: [u8; 16] = addr[..16].try_into().unwrap();
        let port = u16::from_be_bytes([addr[16], addr[17]]);
        SocketAddr::from((Ipv6Addr::from(ip), port))
    });
    let told: BTreeSet<_> = v4.chain(v6).collect();
    assert_eq!(told.len(), picked.len(), "nobody is named twice");
    told
}

fn announce(swarms: &Swarms, one: &Announced, now: Seconds) -> (Standing, BTreeSet<SocketAddr>) {
    let mut picked = Picked::default();
    let standing = swarms.announce(one, now, &mut rng(), &mut picked);
    (standing, told(&picked))
}

#[test]
fn the_second_peer_is_told_of_the_first_and_never_of_itself() {
    let swarms = Swarms::new(SwarmOptions::default());
    let (first, second) = (announced(1, v4(1, 1)), announced(1, v4(2, 2)));
    assert_eq!(announce(&swarms, &first, at(0)).1, BTreeSet::new());
    let (standing, told) = announce(&swarms, &second, at(0));
    assert_eq!(told, [first.addr].into());
    assert_eq!(standing.counts.leechers, 2);
    assert_eq!(announce(&swarms, &second, at(1)).1, [first.addr].into());
}

#[test]
fn who_has_everything_is_told_of_nobody_who_has() {
    let swarms = Swarms::new(SwarmOptions::default());
    for port in 1..=40 {
        let seeder = port % 2 == 0;
        let one = Announced {
            seeder,
            ..announced(1, v4(1, port))
        };
        announce(&swarms, &one, at(0));
    }
    let seeder = Announced {
        seeder: true,
        ..announced(1, v4(9, 9))
    };
    let (standing, told) = announce(&swarms, &seeder, at(0));
    assert_eq!(
        (standing.counts.seeders, standing.counts.leechers),
        (21, 20)
    );
    assert_eq!(told.len(), 20);
    assert!(told.iter().all(|addr| addr.port() % 2 == 1));
}

#[test]
fn families_are_mixed_only_where_they_may() {
    let swarms = Swarms::new(SwarmOptions::default());
    let (old, new) = (announced(1, v4(1, 1)), announced(1, v6(2, 2)));
    announce(&swarms, &old, at(0));
    let (standing, told) = announce(&swarms, &new, at(0));
    assert_eq!((standing.counts.leechers, told.len()), (2, 0));
    let new = Announced { mixed: true, ..new };
    assert_eq!(announce(&swarms, &new, at(0)).1, [old.addr].into());
    let old = Announced {
        mixed: true,
        want: 0,
        ..old
    };
    assert_eq!(announce(&swarms, &old, at(0)).1, BTreeSet::new());
}

#[test]
fn an_ipv4_address_within_ipv6_is_one_of_ipv4() {
    let swarms = Swarms::new(SwarmOptions::default());
    announce(&swarms, &announced(1, v4(1, 1)), at(0));
    let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
    let (standing, told) = announce(&swarms, &announced(1, (mapped, 1).into()), at(0));
    assert_eq!((standing.counts.leechers, told.len()), (1, 0));
    assert_eq!(swarms.totals().v6.all(), 0);
}

#[test]
fn a_completion_counts_once_and_only_of_whom_was_here_before() {
    let options = SwarmOptions {
        completions_taken: true,
        ..SwarmOptions::default()
    };
    let swarms = Swarms::new(options);
    let one = announced(1, v4(1, 1));
    let completed = Announced {
        seeder: true,
        report: Report {
            event: Event::Completed,
            ..Report::default()
        },
        ..one
    };
    assert_eq!(
        announce(&swarms, &completed, at(0)).0.completed,
        0,
        "a stranger"
    );
    assert_eq!(announce(&swarms, &completed, at(1)).0.completed, 1);
    assert_eq!(announce(&swarms, &completed, at(2)).0.completed, 1);
    announce(&swarms, &one, at(3));
    assert_eq!(
        announce(&swarms, &completed, at(4)).0.completed,
        1,
        "again, of the same"
    );

    let mut taken = Vec::new();
    swarms.take_completed(10, &mut taken);
    assert_eq!(taken, [(one.info_hash, 1)]);
    swarms.take_completed(10, &mut taken);
    assert_eq!(taken.len(), 1, "taken once");
    swarms.return_completed(taken.iter().copied().chain([(one.info_hash, 2)]));
    taken.clear();
    swarms.take_completed(10, &mut taken);
    assert_eq!(taken, [(one.info_hash, 3)]);

    let stopped = Announced {
        stopped: true,
        ..one
    };
    announce(&swarms, &stopped, at(5));
    assert_eq!(
        swarms.scrape(&one.info_hash).downloaded,
        1,
        "it stays without peers"
    );
    assert!(swarms.set_completed(one.info_hash, 7, false));
    assert_eq!(swarms.scrape(&one.info_hash).downloaded, 7);
    swarms.return_completed([(one.info_hash, 2)]);
    assert!(swarms.set_completed(one.info_hash, 7, false));
    assert_eq!(
        swarms.scrape(&one.info_hash).downloaded,
        9,
        "what waits comes on top"
    );
    let stranger = InfoHash([9; 20]);
    assert!(!swarms.set_completed(stranger, 1, false) && swarms.set_completed(stranger, 1, true));
    assert_eq!(swarms.scrape(&stranger).downloaded, 1);
}

#[test]
fn where_there_is_little_room_completed_torrents_go_and_their_completions_stay() {
    let swarms = Swarms::new(SwarmOptions {
        most_torrents: 256 * 8,
        completions_taken: true,
        ..SwarmOptions::default()
    });
    for number in 0..4_000_u16 {
        let mut peer = announced(1, v4(1, 1));
        peer.info_hash.0[..2].copy_from_slice(&number.to_be_bytes());
        announce(&swarms, &peer, at(1));
        peer.report.event = Event::Completed;
        announce(&swarms, &peer, at(1));
        peer.stopped = true;
        announce(&swarms, &peer, at(1));
    }
    let torrents = swarms.totals().torrents;
    assert!((1_000..=256 * 7).contains(&torrents), "{torrents}");
    assert_eq!(swarms.left_out(), 0, "there is room for who comes");
    let mut taken = Vec::new();
    swarms.take_completed(usize::MAX, &mut taken);
    assert_eq!(taken.len() as u64 + swarms.dropped(), 4_000);
    assert!(taken.len() <= 256 * 8 && taken.len() as u64 >= torrents);
}

#[test]
fn who_is_silent_goes_and_the_torrent_with_the_last_one() {
    let swarms = Swarms::new(SwarmOptions::default());
    for port in 1..=100_u16 {
        announce(&swarms, &announced(1, v4(1, port)), at(port.into()));
        announce(&swarms, &announced(1, v6(1, port)), at(port.into()));
        announce(&swarms, &announced(2, v4(1, port)), at(0));
    }
    let round = |oldest| {
        let mut sweep = Sweep::default();
        while !swarms.sweep(&mut sweep, oldest) {}
    };
    round(at(51));
    assert_eq!(swarms.scrape(&InfoHash([1; 20])).incomplete, 100);
    assert_eq!(swarms.totals().torrents, 1);
    round(at(101));
    assert_eq!(swarms.totals(), Totals::default());
    assert!(
        swarms.heap() < 60_000,
        "room is given back: {}",
        swarms.heap()
    );
}

#[test]
fn strangers_cannot_fill_the_memory() {
    let options = SwarmOptions {
        most_torrents: 1024,
        most_peers: 10,
        ..SwarmOptions::default()
    };
    let swarms = Swarms::new(options);
    for torrent in 0..10_000_u32 {
        let mut info_hash = [0; 20];
        info_hash[..4].copy_from_slice(&torrent.to_be_bytes());
        let one = Announced {
            info_hash: InfoHash(info_hash),
            ..announced(0, v4(1, 1))
        };
        announce(&swarms, &one, at(0));
    }
    assert_eq!(swarms.totals().torrents, 1024);
    let swarms = Swarms::new(options);
    for port in 1..=20 {
        let (standing, told) = announce(&swarms, &announced(1, v4(1, port)), at(0));
        assert_eq!(standing.full, port > 10);
        assert_eq!(
            told.len(),
            usize::from(port - 1).min(10),
            "told of others all the same"
        );
    }
    assert!(
        !announce(&swarms, &announced(1, v4(1, 3)), at(1)).0.full,
        "who is in stays"
    );
}

#[test]
fn a_page_shows_each_torrent_once() {
    let swarms = Swarms::new(SwarmOptions::default());
    for torrent in 0..200 {
        announce(&swarms, &announced(torrent, v4(1, 1)), at(0));
    }
    let pages = (0..200)
        .step_by(30)
        .flat_map(|offset| swarms.page(offset, 30));
    let shown: BTreeSet<_> = pages.map(|torrent| torrent.info_hash.0).collect();
    assert_eq!(shown.len(), 200);
    assert!(swarms.remove(&InfoHash([3; 20])) && !swarms.remove(&InfoHash([3; 20])));
    assert_eq!(swarms.totals().v4.leechers, 199);
}

#[test]
fn a_peer_known_by_its_id_moves_and_is_shown_with_what_it_told() {
    let keep = Keep {
        identity: Identity::PeerId,
        reports: true,
        ..Keep::default()
    };
    let swarms = Swarms::new(SwarmOptions {
        keep,
        ..SwarmOptions::default()
    });
    let one = Announced {
        report: Report {
            uploaded: 5,
            ..Report::default()
        },
        ..announced(1, v4(1, 1))
    };
    announce(&swarms, &one, at(0));
    let moved = Announced {
        addr: v4(2, 7),
        ..one
    };
    announce(&swarms, &moved, at(3));
    let peers = swarms.peers(&one.info_hash, 10);
    let view = PeerView {
        addr: moved.addr,
        peer_id: Some(one.peer_id),
        seeder: false,
        seen: at(3),
        report: Some(one.report),
    };
    assert_eq!(peers, [view]);
}

#[test]
fn ids_come_with_their_addresses() {
    let keep = Keep {
        ids: true,
        ..Keep::default()
    };
    let swarms = Swarms::new(SwarmOptions {
        keep,
        ..SwarmOptions::default()
    });
    for port in 1..=60 {
        let mut picked = Picked::default();
        swarms.announce(&announced(1, v4(1, port)), at(0), &mut rng(), &mut picked);
        assert_eq!(picked.v4.len(), picked.v4_ids.len());
        for (addr, id) in picked.v4.iter().zip(&picked.v4_ids) {
            assert_eq!(*id, [addr[5]; 20]);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Announce {
        torrent: u8,
        port: u16,
        old: bool,
        seeder: bool,
        completed: bool,
    },
    Stop {
        torrent: u8,
        port: u16,
        old: bool,
    },
    Wait(u64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || (0..3_u8, 1..60_u16, any::<bool>());
    prop_oneof![
        6 => (who(), any::<bool>(), any::<bool>()).prop_map(|((torrent, port, old), seeder, completed)| {
            Step::Announce { torrent, port, old, seeder, completed }
        }),
        2 => who().prop_map(|(torrent, port, old)| Step::Stop { torrent, port, old }),
        1 => (0..20_u64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
    ]
}

#[derive(Clone, Copy)]
struct Known {
    seeder: bool,
    completed: bool,
    seen: u64,
}

proptest! {
    #[test]
    fn swarms_do_what_maps_do(
        steps in proptest::collection::vec(step(), 1..400),
        ids in any::<bool>(),
        by_id in any::<bool>(),
    ) {
        let identity = if by_id { Identity::PeerId } else { Identity::Address };
        let keep = Keep { ids, identity, ..Keep::default() };
        let swarms = Swarms::new(SwarmOptions { keep, completions_taken: true, ..SwarmOptions::default() });
        let mut model: BTreeMap<(u8, SocketAddr), Known> = BTreeMap::new();
        let mut completions = [0; 3];
        let mut now = 0;
        let mut rng = rng();
        for step in steps {
            match step {
                Step::Announce { torrent, port, old, seeder, completed } => {
                    let addr = if old { v4(1, port) } else { v6(1, port) };
                    let event = if completed { Event::Completed } else { Event::None };
                    let one = Announced {
                        seeder,
                        report: Report { event, ..Report::default() },
                        want: 1000,
                        ..announced(torrent, addr)
                    };
                    let mut picked = Picked::default();
                    let standing = swarms.announce(&one, at(now), &mut rng, &mut picked);
                    let before = model.get(&(torrent, addr)).copied();
                    let told_before = before.is_some_and(|before| before.completed);
                    let completes = before.is_some() && completed && !told_before;
                    completions[usize::from(torrent)] += u32::from(completes);
                    let known = Known { seeder, completed: told_before || completes, seen: now };
                    model.insert((torrent, addr), known);
                    let others = model.iter().filter(|((of, other), known)| {
                        *of == torrent && *other != addr && other.is_ipv4() == old && !(seeder && known.seeder)
                    });
                    prop_assert_eq!(told(&picked), others.map(|((_, other), _)| *other).collect());
                    prop_assert_eq!(standing.completed, completions[usize::from(torrent)]);
                }
                Step::Stop { torrent, port, old } => {
                    let addr = if old { v4(1, port) } else { v6(1, port) };
                    let one = Announced { stopped: true, ..announced(torrent, addr) };
                    let mut picked = Picked::default();
                    swarms.announce(&one, at(now), &mut rng, &mut picked);
                    prop_assert!(picked.is_empty());
                    model.remove(&(torrent, addr));
                }
                Step::Wait(seconds) => now += seconds,
                Step::Sweep => {
                    let oldest = now.saturating_sub(30);
                    let mut sweep = Sweep::default();
                    while !swarms.sweep(&mut sweep, at(oldest)) {}
                    model.retain(|_, known| known.seen >= oldest);
                }
            }
            for torrent in 0..3 {
                let of = |seeder| {
                    let same = model.iter().filter(|((of, _), known)| *of == torrent && known.seeder == seeder);
                    same.count() as u32
                };
                let entry = ScrapeEntry {
                    complete: of(true),
                    downloaded: completions[usize::from(torrent)],
                    incomplete: of(false),
                };
                prop_assert_eq!(swarms.scrape(&InfoHash([torrent; 20])), entry);
            }
            let totals = swarms.totals();
            prop_assert_eq!((totals.v4.and(totals.v6)).all() as usize, model.len());
        }
    }
}
