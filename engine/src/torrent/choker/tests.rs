mod keys;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;
use crate::units::Size;

struct Lab {
    choker: Choker,
    now: Instant,
    peers: Vec<Contender>,
    rng: SmallRng,
    seeding: bool,
}

impl Lab {
    fn new(slots: usize, peers: u32, seeding: bool) -> Self {
        let start = Instant::now();
        let peers = (0..peers).map(|key| Contender {
            key: PeerKey(key),
            interested: true,
            choked: true,
            down_rate: 0,
            up_rate: 0,
            connected_at: start,
            snubbed: false,
            is_seed: false,
            unchoked_since: None,
        });
        Self {
            choker: Choker::new(ChokerConfig {
                slots,
                ..ChokerConfig::default()
            }),
            now: start + Duration::from_hours(1),
            peers: peers.collect(),
            rng: SmallRng::seed_from_u64(42),
            seeding,
        }
    }

    fn set(&mut self, key: PeerKey, choked: bool) {
        for peer in self.peers.iter_mut().filter(|peer| peer.key == key) {
            assert_ne!(peer.choked, choked, "{key} is told what it knows");
            peer.choked = choked;
            peer.unchoked_since = (!choked).then_some(self.now);
        }
    }

    fn round(&mut self) -> Vec<u32> {
        let decision = self
            .choker
            .round(self.now, self.seeding, &self.peers, &mut self.rng);
        for key in decision.choke {
            self.set(key, true);
        }
        for key in decision.unchoke {
            self.set(key, false);
        }
        self.now = self.choker.next_round().unwrap();
        self.served()
    }

    fn served(&self) -> Vec<u32> {
        let served = self.peers.iter().filter(|peer| !peer.choked);
        served.map(|peer| peer.key.0).collect()
    }
}

#[test]
fn everyone_is_served_while_there_are_slots() {
    for seeding in [false, true] {
        let mut lab = Lab::new(4, 4, seeding);
        lab.peers[1].snubbed = true;
        assert_eq!(lab.round(), [0, 1, 2, 3]);
    }
}

#[test]
fn who_wants_nothing_is_not_served() {
    let mut lab = Lab::new(4, 4, true);
    lab.peers[1].interested = false;
    lab.peers[2].is_seed = true;
    assert_eq!(lab.round(), [0, 3]);
    lab.peers[0].interested = false;
    assert_eq!(lab.round(), [3]);
}

#[test]
fn those_who_send_most_are_served_and_one_more() {
    let mut lab = Lab::new(4, 10, false);
    for peer in &mut lab.peers {
        peer.down_rate = 1_000 * u64::from(peer.key.0);
    }
    for _ in 0..50 {
        let served = lab.round();
        assert_eq!(served.len(), 4);
        assert_eq!(served[1..], [7, 8, 9]);
    }
}

#[test]
fn the_random_slot_goes_round_every_thirty_seconds() {
    let mut lab = Lab::new(3, 12, false);
    lab.peers[10].down_rate = 5_000;
    lab.peers[11].down_rate = 6_000;
    let mut chances = BTreeSet::new();
    let mut last = None;
    for round in 0..300 {
        let served = lab.round();
        assert_eq!(served[1..], [10, 11]);
        if round % 3 == 0 {
            assert_ne!(last, Some(served[0]), "round {round}");
        } else {
            assert_eq!(last, Some(served[0]), "round {round}");
        }
        last = Some(served[0]);
        chances.insert(served[0]);
    }
    assert_eq!(chances.len(), 10);
}

#[test]
fn a_new_peer_is_three_times_as_likely_to_get_a_chance() {
    let mut wins = 0;
    for seed in 0..2_000 {
        let mut lab = Lab::new(2, 11, false);
        lab.rng = SmallRng::seed_from_u64(seed);
        lab.peers[10].down_rate = 5_000;
        lab.peers[4].connected_at = lab.now;
        wins += u32::from(lab.round()[0] == 4);
    }
    // 3 lots of 12.
    assert!((420..580).contains(&wins), "{wins} of 2000");
}

#[test]
fn a_peer_that_snubs_us_has_no_regular_slot() {
    let mut lab = Lab::new(3, 8, false);
    for peer in &mut lab.peers {
        peer.down_rate = 1_000 * u64::from(peer.key.0 + 1);
    }
    lab.peers[7].snubbed = true;
    let mut served_snubber = 0;
    for _ in 0..300 {
        let served = lab.round();
        assert!(served.contains(&6) && served.contains(&5));
        served_snubber += u32::from(served.contains(&7));
    }
    assert!((1..150).contains(&served_snubber), "{served_snubber}");
}

#[test]
fn when_all_snub_us_chances_go_round() {
    let mut lab = Lab::new(3, 9, false);
    for peer in &mut lab.peers {
        peer.snubbed = true;
    }
    let mut chances = BTreeSet::new();
    for _ in 0..60 {
        let served = lab.round();
        assert_eq!(served.len(), 3);
        chances.extend(served);
    }
    assert_eq!(chances.len(), 9);
}

#[test]
fn while_seeding_everyone_has_a_turn_of_a_minute() {
    let mut lab = Lab::new(4, 12, true);
    for peer in &mut lab.peers {
        peer.up_rate = u64::from(peer.key.0) * 1_000;
    }
    let mut turns = [0_u32; 12];
    for _ in 0..6 * 30 {
        let served = lab.round();
        assert_eq!(served.len(), 4);
        for key in served {
            turns[key as usize] += 1;
        }
    }
    // 180 rounds of 4 slots over 12 peers are 60 rounds each.
    assert!(
        turns.iter().all(|rounds| (54..=66).contains(rounds)),
        "{turns:?}"
    );
}

#[test]
fn while_seeding_the_fastest_are_served_if_so_configured() {
    let mut lab = Lab::new(3, 8, true);
    lab.choker.config.seed_mode = SeedMode::FastestUpload;
    for peer in &mut lab.peers {
        peer.up_rate = u64::from(peer.key.0) * 1_000;
    }
    for _ in 0..20 {
        assert_eq!(lab.round()[1..], [6, 7]);
    }
}

#[test]
fn a_free_slot_is_given_at_once_and_no_more_than_there_are() {
    let mut choker = Choker::new(ChokerConfig {
        slots: 2,
        ..ChokerConfig::default()
    });
    let now = Instant::now();
    assert!(choker.interested(now, PeerKey(1)));
    assert!(choker.interested(now, PeerKey(2)));
    assert!(!choker.interested(now, PeerKey(3)));
    choker.gone(PeerKey(1));
    assert!(choker.interested(now, PeerKey(3)));
}

#[test]
fn a_slot_that_becomes_free_hurries_the_next_round() {
    let mut lab = Lab::new(2, 5, true);
    let start = lab.now;
    let served = lab.round();
    assert_eq!(
        lab.choker.next_round(),
        Some(start + Duration::from_secs(10))
    );
    lab.choker.not_interested(PeerKey(4));
    assert_eq!(
        lab.choker.next_round(),
        Some(start + Duration::from_secs(10))
    );
    lab.choker.gone(PeerKey(served[0]));
    assert_eq!(
        lab.choker.next_round(),
        Some(start + Duration::from_secs(1))
    );
    lab.peers.retain(|peer| peer.key.0 != served[0]);
    assert_eq!(lab.round().len(), 2);
}

#[derive(Clone, Debug)]
enum Op {
    Join,
    Leave(usize),
    Interest(usize, bool),
    Rates(usize, u64, bool),
    Round,
    Slots(usize),
    Seeding(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Join),
        1 => any::<usize>().prop_map(Op::Leave),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(who, on)| Op::Interest(who, on)),
        3 => (any::<usize>(), 0..3_u64, any::<bool>()).prop_map(|(w, r, s)| Op::Rates(w, r, s)),
        4 => Just(Op::Round),
        1 => (0..6_usize).prop_map(Op::Slots),
        1 => any::<bool>().prop_map(Op::Seeding),
    ]
}

proptest! {
    #[test]
    fn slots_are_never_exceeded_nor_left_empty_while_someone_waits(
        ops in prop::collection::vec(op(), 0..150),
        seed in any::<u64>(),
    ) {
        let mut lab = Lab::new(3, 0, false);
        lab.rng = SmallRng::seed_from_u64(seed);
        let mut slots = 3;
        let mut keys = 0;
        for op in ops {
            let len = lab.peers.len();
            match op {
                Op::Join => {
                    let mut peer = Lab::new(1, 1, false).peers[0];
                    peer.key = PeerKey(keys);
                    peer.interested = false;
                    peer.connected_at = lab.now;
                    keys += 1;
                    lab.peers.push(peer);
                }
                Op::Leave(who) if len > 0 => {
                    let gone = lab.peers.remove(who % len);
                    lab.choker.gone(gone.key);
                }
                Op::Interest(who, on) if len > 0 => {
                    let peer = &mut lab.peers[who % len];
                    peer.interested = on;
                    let (key, choked) = (peer.key, peer.choked);
                    if !on {
                        lab.choker.not_interested(key);
                    } else if lab.choker.interested(lab.now, key) && choked {
                        lab.set(key, false);
                    }
                }
                Op::Rates(who, rate, snubbed) if len > 0 => {
                    let peer = &mut lab.peers[who % len];
                    peer.down_rate = rate;
                    peer.up_rate = rate;
                    peer.snubbed = snubbed;
                }
                Op::Round => {
                    let served = lab.round();
                    let interested = lab.peers.iter().filter(|peer| peer.interested).count();
                    prop_assert_eq!(served.len(), interested.min(slots));
                    let all = lab.peers.iter().filter(|peer| !peer.choked);
                    prop_assert!(all.clone().all(|peer| peer.interested));
                }
                Op::Slots(new) => {
                    let config = lab.choker.config;
                    lab.choker.retune(ChokerConfig { slots: new, ..config });
                    slots = new;
                }
                Op::Seeding(on) => lab.seeding = on,
                Op::Leave(_) | Op::Interest(..) | Op::Rates(..) => {}
            }
            let served: BTreeSet<PeerKey> = lab.served().into_iter().map(PeerKey).collect();
            prop_assert_eq!(&lab.choker.served, &served);
        }
    }
}

#[test]
fn every_figure_is_that_of_the_settings() {
    let settings = Choking {
        slots: 3,
        round_every: Duration::from_secs(4),
        optimistic_every: Duration::from_secs(5),
        seed_mode: SeedMode::FastestUpload,
        turn: Duration::from_secs(6),
        optimistic: 2,
        slots_by: SlotsBy::Rate,
        rate_step: Size(7),
    };
    let config = ChokerConfig::of(&settings);
    assert_eq!(config.slots, 3);
    assert_eq!(config.round_every, Duration::from_secs(4));
    assert_eq!(config.optimistic_every, Duration::from_secs(5));
    assert_eq!(config.seed_mode, SeedMode::FastestUpload);
    assert_eq!(config.turn, Duration::from_secs(6));
    assert_eq!((config.optimistic, config.rate_step), (2, 7));
    assert_eq!(config.slots_by, SlotsBy::Rate);
    let numbered = config.with_slots(Some(7));
    assert_eq!((numbered.slots, numbered.slots_by), (7, SlotsBy::Number));
    let mut choker = Choker::new(ChokerConfig::default());
    let now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(1);
    choker.round(now, true, &[], &mut rng);
    assert_eq!(choker.next_round(), Some(now + Duration::from_secs(10)));
    choker.retune(config);
    assert_eq!(choker.next_round(), None, "at once");
    choker.round(now, true, &[], &mut rng);
    assert_eq!(choker.next_round(), Some(now + Duration::from_secs(4)));
}

#[test]
fn turns_are_as_long_as_is_said() {
    let mut lab = Lab::new(1, 2, true);
    lab.choker.retune(ChokerConfig {
        slots: 1,
        turn: Duration::from_secs(20),
        ..ChokerConfig::default()
    });
    let turns: Vec<u32> = (0..6).map(|_| lab.round()[0]).collect();
    let other = 1 - turns[0];
    assert_eq!(turns[1], turns[0]);
    assert_eq!(turns[2..4], [other, other]);
    assert_eq!(turns[4], turns[0]);
}

#[test]
fn as_many_slots_go_round_at_random_as_is_said() {
    for optimistic in [0, 1, 3] {
        let mut lab = Lab::new(5, 40, false);
        for (rate, peer) in (1000..).step_by(1000).zip(&mut lab.peers) {
            peer.down_rate = rate;
        }
        lab.choker.retune(ChokerConfig {
            slots: 5,
            optimistic,
            ..ChokerConfig::default()
        });
        let mut seen = BTreeSet::new();
        for _ in 0..30 {
            let served = lab.round();
            assert_eq!(served.len(), 5);
            // Those that are served for what they bring.
            let fastest = 35 + optimistic as u32..40;
            assert!(fastest.clone().all(|key| served.contains(&key)));
            seen.extend(served.into_iter().filter(|key| !fastest.contains(key)));
        }
        assert_eq!(seen.len() > 2 * optimistic, optimistic > 0, "{seen:?}");
    }
}

#[test]
fn there_are_as_many_slots_as_the_rates_bear() {
    let mut lab = Lab::new(0, 30, true);
    lab.choker.retune(ChokerConfig {
        slots_by: SlotsBy::Rate,
        rate_step: 1000,
        ..ChokerConfig::default()
    });
    assert_eq!(
        lab.round().len(),
        2,
        "so that somebody can show what they take"
    );
    let mut most = 0;
    for _ in 0..20 {
        // Whoever is served takes 4,500 B/s: the fifth would have to take more.
        for peer in &mut lab.peers {
            peer.up_rate = if peer.choked { 0 } else { 4500 };
        }
        most = lab.round().len();
    }
    assert_eq!(most, 6, "four of them bear their slots");
    for peer in &mut lab.peers {
        peer.up_rate = 0;
    }
    assert_eq!(lab.round().len(), 2);
}
