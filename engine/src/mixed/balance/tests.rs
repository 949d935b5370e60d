use proptest::prelude::*;

use super::*;
use crate::mixed::Stream;

/// A link with TCP and uTP on it, second by second.
#[derive(Debug)]
struct World {
    link: f64,
    peers: [u32; 2],
    /// What the other ends have to give: TCP's and uTP's.
    most: [f64; 2],
    /// What moves, and what is measured.
    now: [f64; 2],
    seen: [f64; 2],
    limit: Option<u64>,
    /// Whether TCP keeps to the limit.
    heeds: bool,
    /// What uTP gains a second where there is room.
    gain: f64,
    balance: Balance,
}

impl World {
    fn new(link: f64, peers: [u32; 2], most: [f64; 2]) -> Self {
        Self {
            link,
            peers,
            most,
            now: [20e3; 2],
            seen: [20e3; 2],
            limit: None,
            heeds: true,
            gain: 150e3,
            balance: Balance::default(),
        }
    }

    /// TCP doubles until something holds it; uTP has what TCP leaves of the link, and falls at once and grows slowly.
    fn second(&mut self) -> Option<u64> {
        let limit = self.limit.filter(|_| self.heeds);
        let limit = limit.map_or(f64::INFINITY, |limit| limit as f64);
        let tcp = (self.now[0] * 2.0).max(20e3);
        let tcp = tcp.min(limit).min(self.most[0]).min(self.link * 0.98);
        let utp = (self.now[1] + self.gain).min(self.link - tcp);
        self.now = [tcp, utp.min(self.most[1])];
        for (seen, now) in self.seen.iter_mut().zip(self.now) {
            *seen += (now - *seen) / 3.0;
        }
        let stream = |at: usize| Stream {
            peers: self.peers[at],
            bytes_per_s: if self.peers[at] == 0 {
                0
            } else {
                self.seen[at] as u64
            },
        };
        self.limit = self.balance.second(Flow {
            tcp: stream(0),
            utp: stream(1),
        });
        self.limit
    }

    /// What TCP and uTP move in a second, over so many.
    fn run(&mut self, seconds: u32) -> [f64; 2] {
        let mut sums = [0.0; 2];
        for _ in 0..seconds {
            self.second();
            sums = [sums[0] + self.now[0], sums[1] + self.now[1]];
        }
        sums.map(|sum| sum / f64::from(seconds))
    }
}

const MANY: f64 = 1e12;

#[test]
fn peers_by_utp_come_to_have_their_share_and_keep_it() {
    for (peers, share) in [
        ([1, 1], 0.5),
        ([3, 1], 0.25),
        ([1, 4], 0.8),
        ([20, 1], 0.048),
    ] {
        for link in [300e3, 1e6, 3e6] {
            let mut world = World::new(link, peers, [MANY; 2]);
            world.run(60);
            for _ in 0..20 {
                let [tcp, utp] = world.run(10);
                assert!(
                    (utp / link - share).abs() < share * 0.2,
                    "{peers:?} {link}: {utp}"
                );
                assert!(tcp + utp > link * 0.95, "{peers:?} {link}: {tcp} and {utp}");
            }
        }
    }
}

#[test]
fn nothing_is_limited_where_only_one_kind_is_at_work() {
    for peers in [[0, 3], [3, 0]] {
        let mut world = World::new(1e6, peers, [MANY; 2]);
        for _ in 0..100 {
            assert_eq!(world.second(), None, "{peers:?}");
        }
    }
}

#[test]
fn tcp_is_free_in_the_second_in_which_utp_ends() {
    let mut world = World::new(1e6, [1, 1], [MANY; 2]);
    world.run(60);
    assert!(world.limit.is_some());
    world.peers[1] = 0;
    assert_eq!(world.second(), None);
}

#[test]
fn utp_that_has_enough_costs_tcp_nothing() {
    // The other ends are slower than the link, or TCP's are.
    for most in [[200e3, 200e3], [100e3, MANY]] {
        let mut world = World::new(1e6, [1, 1], most);
        world.run(20);
        for _ in 0..200 {
            assert_eq!(world.second(), None, "{most:?}");
        }
    }
}

#[test]
fn what_utp_does_not_take_is_not_kept_from_tcp() {
    for most in [0.0, 1e3, 20e3, 100e3, 200e3, 350e3, 400e3, 440e3] {
        let mut world = World::new(1e6, [1, 1], [MANY, most]);
        world.run(30);
        let [tcp, utp] = world.run(600);
        assert!(tcp + utp > 0.92e6, "{most}: {tcp} and {utp}");
    }
}

#[test]
fn a_fast_link_is_not_kept_waiting_for_a_slow_peer() {
    let mut world = World::new(100e6, [1, 1], [MANY, 50e3]);
    let [tcp, _] = world.run(600);
    assert!(tcp > 94e6, "{tcp}");
}

#[test]
fn a_link_that_becomes_faster_or_slower_is_used_as_it_is() {
    let mut world = World::new(1e6, [1, 1], [MANY; 2]);
    world.run(60);
    for link in [5e6, 500e3, 2e6] {
        world.link = link;
        world.run(90);
        let [tcp, utp] = world.run(60);
        assert!(tcp + utp > link * 0.9, "{link}: {tcp} and {utp}");
        assert!((utp / link - 0.5).abs() < 0.15, "{link}: {utp}");
    }
}

#[test]
fn the_limit_does_not_swing() {
    let mut world = World::new(1e6, [1, 1], [MANY; 2]);
    world.run(60);
    for _ in 0..600 {
        let limit = world.second();
        assert!(
            limit.is_some_and(|limit| (400_000..600_000).contains(&limit)),
            "{limit:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_measured_tcp_keeps_its_share_and_is_free_without_utp(
        seconds in proptest::collection::vec(
            (0u32..4, 0u32..4, 0u64..20_000_000, 0u64..20_000_000), 1..200),
    ) {
        let mut balance = Balance::default();
        for (of_tcp, of_utp, tcp, utp) in seconds {
            let flow = Flow {
                tcp: Stream { peers: of_tcp, bytes_per_s: tcp },
                utp: Stream { peers: of_utp, bytes_per_s: utp },
            };
            let limit = balance.second(flow);
            if of_tcp == 0 || of_utp == 0 {
                prop_assert_eq!(limit, None);
            }
            if let Some(limit) = limit {
                let share = (tcp + utp) * u64::from(of_tcp) / u64::from(of_tcp + of_utp);
                prop_assert!(limit + 1 >= share.max(16 * 1024), "{} of {}", limit, share);
            }
        }
    }

    #[test]
    fn links_of_all_kinds_stay_full_and_utp_loses_nothing(
        link in 100e3..20e6,
        peers in (1u32..10, 1u32..10),
        most in (10e3..20e6, 0.0..20e6),
        gain in 0.03..1.0,
    ) {
        let moved = |heeds: bool| {
            let mut world = World::new(link, [peers.0, peers.1], [most.0, most.1]);
            (world.gain, world.heeds) = (gain * link, heeds);
            world.run(200);
            world.run(300)
        };
        let ([tcp, utp], free) = (moved(true), moved(false));
        let could = free[0] + free[1];
        prop_assert!(tcp + utp > could * 0.75, "{} and {} of {:?}", tcp, utp, free);
        prop_assert!(utp >= free[1] * 0.99, "{} and {} of {:?}", tcp, utp, free);
    }
}
