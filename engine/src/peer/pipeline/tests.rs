use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// A peer behind a link: requests take half a round trip, are answered in order at the link's rate, and the blocks take
/// the other half.
struct Link {
    round_trip: Duration,
    bytes_per_s: f64,
    free_at: Instant,
    /// When each block comes, and when it was asked for.
    blocks: VecDeque<(Instant, Instant)>,
}

struct Lab {
    now: Instant,
    link: Link,
    pipeline: Pipeline,
    received: u64,
}

impl Lab {
    fn new(round_trip: Duration, bytes_per_s: f64) -> Self {
        let now = Instant::now();
        Self {
            now,
            link: Link {
                round_trip,
                bytes_per_s,
                free_at: now,
                blocks: VecDeque::new(),
            },
            pipeline: Pipeline::new(now),
            received: 0,
        }
    }

    fn refill(&mut self) {
        let room = self.pipeline.room();
        self.pipeline.requested(self.now, room);
        for _ in 0..room {
            let link = &mut self.link;
            let begin = link.free_at.max(self.now + link.round_trip / 2);
            let spent = Duration::from_secs_f64(f64::from(BLOCK_LEN) / link.bytes_per_s);
            link.free_at = begin + spent;
            link.blocks
                .push_back((link.free_at + link.round_trip / 2, self.now));
        }
    }

    /// Runs for a while, a read taking in whatever came within 0.2 ms; gives the mean rate.
    fn run(&mut self, time: Duration) -> f64 {
        let (begin, end, before) = (self.now, self.now + time, self.received);
        self.refill();
        while let Some((at, asked)) = self.link.blocks.front().copied()
            && at <= end
        {
            let read = at + Duration::from_micros(200);
            let mut count = 0;
            while self.link.blocks.front().is_some_and(|(at, _)| *at <= read) {
                self.link.blocks.pop_front();
                count += 1;
            }
            self.now = read;
            let bytes = u64::from(count) * u64::from(BLOCK_LEN);
            self.received += bytes;
            self.pipeline.received(read, count, bytes, read - asked);
            self.refill();
        }
        self.now = self.now.max(end);
        (self.received - before) as f64 / (self.now - begin).as_secs_f64()
    }

    fn queued(&self) -> f64 {
        f64::from(self.pipeline.in_flight() * BLOCK_LEN) / self.link.bytes_per_s
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn a_long_link_is_filled_and_stays_filled() {
    let mut lab = Lab::new(ms(100), 10e6);
    lab.run(secs(2));
    let rate = lab.run(secs(60));
    assert!(rate > 9.7e6, "{rate}");
    lab.run(secs(600));
    // Twice the product of rate and round trip is 122 blocks; a queue must not feed on itself.
    let target = lab.pipeline.target();
    assert!((110..=160).contains(&target), "{target}");
}

#[test]
fn start_up_takes_few_round_trips() {
    let mut lab = Lab::new(ms(100), 10e6);
    lab.run(ms(600));
    let rate = lab.run(ms(300));
    assert!(rate > 9e6, "{rate}");
}

#[test]
fn a_short_fast_link_is_filled() {
    let mut lab = Lab::new(ms(1), 1e9);
    lab.run(ms(200));
    let rate = lab.run(secs(2));
    assert!(rate > 0.95e9, "{rate}");
    assert!(lab.pipeline.target() <= 160, "{}", lab.pipeline.target());
}

#[test]
fn a_reader_that_takes_all_that_is_in_flight_at_once_still_speeds_up() {
    let mut now = Instant::now();
    let mut pipeline = Pipeline::new(now);
    for _ in 0..200 {
        let blocks = pipeline.room();
        pipeline.requested(now, blocks);
        now += Duration::from_micros(250);
        let bytes = u64::from(blocks) * u64::from(BLOCK_LEN);
        pipeline.received(now, blocks, bytes, Duration::from_micros(250));
        // What passes with nothing in flight does not count as the peer's time.
        now += Duration::from_micros(50);
    }
    assert!(pipeline.target() > 100, "{}", pipeline.target());
    assert!(pipeline.rate.get() > 0.95e9, "{}", pipeline.rate.get());
}

#[test]
fn a_peer_next_door_is_trusted_before_its_rate_is_known() {
    let mut lab = Lab::new(Duration::from_micros(300), 1.5e9);
    lab.run(ms(4));
    assert!(lab.pipeline.target() >= 64, "{}", lab.pipeline.target());
}

#[test]
fn a_slow_peer_holds_on_to_few_blocks() {
    let mut lab = Lab::new(ms(50), 20e3);
    // The first requests go out before anything is known.
    lab.run(secs(14));
    for _ in 0..60 {
        let rate = lab.run(secs(2));
        assert!(lab.queued() < 3.1, "{} s in flight", lab.queued());
        assert!(rate > 15e3, "{rate}");
    }
}

#[test]
fn a_link_that_grows_faster_is_followed() {
    let mut lab = Lab::new(ms(40), 1e6);
    lab.run(secs(5));
    lab.link.bytes_per_s = 50e6;
    lab.run(secs(3));
    let rate = lab.run(secs(2));
    assert!(rate > 47e6, "{rate}");
}

#[test]
fn a_link_that_grows_slower_is_followed() {
    let mut lab = Lab::new(ms(40), 50e6);
    lab.run(secs(5));
    lab.link.bytes_per_s = 100e3;
    lab.run(secs(90));
    assert!(lab.queued() < 3.2, "{} s in flight", lab.queued());
    let rate = lab.run(secs(30));
    assert!(rate > 95e3, "{rate}");
}

#[test]
fn a_longer_round_trip_is_noticed() {
    let mut lab = Lab::new(ms(10), 10e6);
    lab.run(secs(5));
    lab.link.round_trip = ms(150);
    lab.run(secs(40));
    let rate = lab.run(secs(20));
    assert!(rate > 9.5e6, "{rate}");
}

#[test]
fn the_peers_queue_bounds_the_target() {
    let mut lab = Lab::new(ms(200), 100e6);
    lab.run(secs(5));
    assert_eq!(lab.pipeline.target(), 250);
    lab.pipeline.set_reqq(500);
    lab.run(secs(5));
    assert_eq!(lab.pipeline.target(), 500);
    lab.pipeline.set_reqq(1_000_000);
    lab.run(secs(20));
    assert_eq!(lab.pipeline.target(), 2_000);
    lab.pipeline.set_reqq(0);
    assert_eq!(lab.pipeline.target(), 1);
}

#[test]
fn a_silent_peer_is_asked_for_one_block_at_a_time() {
    let mut lab = Lab::new(ms(10), 10e6);
    lab.run(secs(1));
    let quiet = lab.now;
    assert_eq!(
        lab.pipeline.overdue_at(),
        Some(lab.pipeline.progress + secs(30))
    );
    assert!(!lab.pipeline.snubbed(quiet + secs(29)));
    assert!(lab.pipeline.snubbed(quiet + secs(31)));
    assert_eq!(lab.pipeline.target(), 1);
    lab.pipeline.emptied();
    assert_eq!(lab.pipeline.overdue_at(), None);
    assert!(
        lab.pipeline.snubbed(quiet + secs(40)),
        "until a block comes"
    );
    lab.pipeline.requested(quiet + secs(40), 1);
    lab.pipeline
        .received(quiet + secs(41), 1, u64::from(BLOCK_LEN), secs(1));
    assert!(!lab.pipeline.snubbed(quiet + secs(41)));
    assert!(lab.pipeline.target() > 1);
}

#[test]
fn a_peer_that_was_asked_nothing_is_not_silent() {
    let now = Instant::now();
    let mut pipeline = Pipeline::new(now);
    assert!(!pipeline.snubbed(now + secs(100)));
    pipeline.requested(now + secs(100), 5);
    assert!(!pipeline.snubbed(now + secs(101)));
    pipeline.emptied();
    assert!(!pipeline.snubbed(now + secs(200)));
    assert_eq!(pipeline.overdue_at(), None);
}

#[test]
fn a_want_of_requests_does_not_shrink_the_target() {
    let mut lab = Lab::new(ms(100), 10e6);
    lab.run(secs(3));
    let before = lab.pipeline.target();
    // Only two blocks at a time are to be had for a while.
    lab.pipeline.emptied();
    lab.link.blocks.clear();
    for _ in 0..100 {
        lab.pipeline.requested(lab.now, 2);
        lab.now += ms(102);
        lab.pipeline
            .received(lab.now, 2, 2 * u64::from(BLOCK_LEN), ms(102));
    }
    let after = lab.pipeline.target();
    assert!(after * 5 >= before * 4, "{before} to {after}");
}

#[test]
fn the_rate_is_what_came_of_late() {
    let mut lab = Lab::new(ms(10), 2e6);
    lab.run(secs(10));
    let rate = lab.pipeline.rate(lab.now) as f64;
    assert!((1.8e6..2.2e6).contains(&rate), "{rate}");
    assert_eq!(lab.pipeline.rate(lab.now + secs(5)), 0);
}

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    Requested(u32),
    Received(u32, u64, u64),
    Returned(u32),
    Choked,
    Reqq(u32),
    Snubbed,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..40_000_000_u64).prop_map(Op::Wait),
        3 => any::<u32>().prop_map(Op::Requested),
        6 => (any::<u32>(), any::<u64>(), any::<u64>())
            .prop_map(|(blocks, bytes, latency)| Op::Received(blocks, bytes >> 20, latency >> 28)),
        1 => any::<u32>().prop_map(Op::Returned),
        1 => Just(Op::Choked),
        1 => any::<u32>().prop_map(Op::Reqq),
        2 => Just(Op::Snubbed),
    ]
}

proptest! {
    #[test]
    fn the_target_keeps_its_bounds_whatever_happens(ops in prop::collection::vec(op(), 0..200)) {
        let mut now = Instant::now();
        let mut pipeline = Pipeline::new(now);
        let mut reqq = 250;
        for op in ops {
            match op {
                Op::Wait(micros) => now += Duration::from_micros(micros),
                Op::Requested(blocks) => pipeline.requested(now, blocks),
                Op::Received(blocks, bytes, latency) => {
                    pipeline.received(now, blocks, bytes, Duration::from_micros(latency));
                }
                Op::Returned(blocks) => pipeline.returned(blocks),
                Op::Choked => pipeline.emptied(),
                Op::Reqq(new) => {
                    pipeline.set_reqq(new);
                    reqq = new;
                }
                Op::Snubbed => {
                    pipeline.snubbed(now);
                }
            }
            let target = pipeline.target();
            prop_assert!(target >= 1 && target <= reqq.clamp(1, Peers::default().max_requests));
            prop_assert_eq!(pipeline.room(), target.saturating_sub(pipeline.in_flight()));
            let _ = pipeline.rate(now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_steady_link_is_filled_without_a_long_queue(
        round_trip in 1..300_u64,
        // From 20 KB/s to 200 MB/s, evenly in powers.
        power in 4.3..8.3_f64,
    ) {
        let rate = 10_f64.powf(power);
        let mut lab = Lab::new(ms(round_trip), rate);
        lab.pipeline.set_reqq(u32::MAX);
        lab.run(secs(25));
        let got = lab.run(secs(15));
        let round_trip = round_trip as f64 / 1e3;
        // What the bound on requests allows, if that is less.
        let most = f64::from(Peers::default().max_requests * BLOCK_LEN) / round_trip;
        // A slow link carries few whole blocks in the time measured, and is probed for its true round trip now and then.
        prop_assert!(got >= 0.9 * rate.min(most), "{got} of {rate}");
        let block = f64::from(BLOCK_LEN) / rate;
        let product = 2.3 * (round_trip + block) + PAUSE.as_secs_f64() + 6.0 * block;
        let bound = product.min(3.0).max(2.0 * block) + 1e-3;
        prop_assert!(lab.queued() <= bound, "{} s, not {bound}", lab.queued());
    }
}

#[test]
fn no_more_of_a_peers_time_is_asked_for_than_is_set() {
    let mut targets = Vec::new();
    for queued in [Duration::from_secs(3), Duration::from_millis(1500)] {
        let mut lab = Lab::new(Duration::from_millis(1200), 500_000.0);
        let manners = Manners::of(&Peers {
            queue_time: queued,
            ..Peers::default()
        });
        lab.pipeline.set_manners(manners);
        lab.run(Duration::from_secs(60));
        targets.push(lab.pipeline.target());
    }
    assert!(targets[0] > 60, "{targets:?}");
    assert!((30..=46).contains(&targets[1]), "{targets:?}");
}
