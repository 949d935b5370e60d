//! LEDBAT's behaviour in virtual time.

use std::time::Duration;

use rand::RngExt;

use super::cubic::Cubic;
use super::link::{Path, Socket, World};

const SECOND: Duration = Duration::from_secs(1);
const RTT: Duration = Duration::from_millis(100);
const ENDLESS: u64 = u64::MAX;

/// Bytes a second that came through on each stream in this time.
fn rates(world: &mut World, time: Duration) -> Vec<f64> {
    let read =
        |world: &World| -> Vec<u64> { world.pairs.iter().map(|pair| pair[1].read).collect() };
    let before = read(world);
    world.run(time);
    let after = read(world);
    let rate = |(before, after): (u64, u64)| (after - before) as f64 / time.as_secs_f64();
    before.into_iter().zip(after).map(rate).collect()
}

/// The paths that a flow should fill: their rates in bytes a second, round trips, and queues in bytes.
const PATHS: [(f64, u64, usize); 4] = [
    (6_250_000.0, 100, 1_250_000),
    (6_250_000.0, 100, 312_500),
    (1_250_000.0, 40, 250_000),
    (12_500_000.0, 20, 2_500_000),
];

fn path((rate, rtt, queue): (f64, u64, usize)) -> Path {
    Path {
        rate,
        queue,
        delay: Duration::from_millis(rtt / 2),
        ..Path::ideal()
    }
}

#[test]
fn an_idle_link_is_filled_and_hardly_a_queue_stands() {
    for path in PATHS.map(path) {
        let mut world = World::new(1, path);
        world.stream(ENDLESS);
        world.run(SECOND * 5);
        let mut worst = Duration::ZERO;
        let mut sum = 0.0;
        for _ in 0..50 {
            sum += rates(&mut world, SECOND / 10)[0] / 50.0;
            worst = worst.max(world.waiting(0));
        }
        assert!(sum > path.rate * 0.95, "{sum} of {path:?}");
        assert!(worst < Duration::from_millis(15), "{worst:?} on {path:?}");
    }
}

#[test]
fn on_a_lossy_path_it_is_nearly_as_fast_as_tcp() {
    for seed in 1..=5 {
        let path = Path {
            loss: 0.001,
            ..Path::ideal()
        };
        let mut world = World::new(seed, path);
        world.stream(ENDLESS);
        world.run(SECOND * 60);
        let ours = world.pairs[0][1].read;
        let mut world = World::new(seed, path);
        world.rivals.push(Cubic::new(RTT));
        world.run(SECOND * 60);
        let theirs = world.rivals[0].delivered;
        assert!(
            ours as f64 > theirs as f64 * 0.8,
            "seed {seed}: {ours} against {theirs}"
        );
    }
}

#[test]
fn it_gets_out_of_the_way_of_a_tcp_flow_within_two_seconds_and_comes_back() {
    for seed in 1..=5 {
        let path = Path::ideal();
        let mut world = World::new(seed, path);
        world.stream(ENDLESS);
        let begins = world.rng.random_range(8_000..11_000);
        world.run(Duration::from_millis(begins));
        world.rivals.push(Cubic::new(RTT));
        world.run(SECOND * 2);
        let share = |world: &mut World, time: Duration| {
            let before = world.rivals[0].delivered;
            let ours = rates(world, time)[0];
            let theirs = (world.rivals[0].delivered - before) as f64 / time.as_secs_f64();
            ours / (ours + theirs)
        };
        let third = share(&mut world, SECOND);
        assert!(third < 0.1, "seed {seed}: {third}");
        let later = share(&mut world, SECOND * 5);
        assert!(later < 0.2, "seed {seed}: {later}");
        world.rivals[0].stop();
        world.run(SECOND * 20);
        let alone = rates(&mut world, SECOND * 4)[0];
        assert!(alone > path.rate * 0.7, "seed {seed}: {alone}");
    }
}

#[test]
fn it_gives_way_when_it_came_second_too() {
    for seed in 1..=5 {
        let mut world = World::new(seed, Path::ideal());
        world.rivals.push(Cubic::new(RTT));
        let begins = world.rng.random_range(8_000..11_000);
        world.run(Duration::from_millis(begins));
        world.stream(ENDLESS);
        world.run(SECOND * 2);
        let before = world.rivals[0].delivered;
        let ours = rates(&mut world, SECOND * 10)[0];
        let theirs = (world.rivals[0].delivered - before) as f64 / 10.0;
        let share = ours / (ours + theirs);
        assert!(share < 0.2, "seed {seed}: {share}");
    }
}

#[test]
fn two_streams_share_a_link_even_if_one_comes_late() {
    let path = Path {
        rate: 2_500_000.0,
        queue: 1_000_000,
        ..Path::ideal()
    };
    for seed in 1..=5 {
        let mut world = World::new(seed, path);
        world.stream(ENDLESS);
        let begins = world.rng.random_range(8_000..11_000);
        world.run(Duration::from_millis(begins));
        world.stream(ENDLESS);
        world.run(SECOND * 30);
        let rates = rates(&mut world, SECOND * 30);
        let all: f64 = rates.iter().sum();
        assert!(all > path.rate * 0.8, "seed {seed}: {rates:?}");
        let fair = rates
            .iter()
            .all(|rate| (0.25..0.75).contains(&(rate / all)));
        assert!(fair, "seed {seed}: {rates:?}");
    }
}

#[test]
fn five_streams_that_begin_one_after_the_other_fill_a_link_and_none_starves() {
    for seed in 1..=3 {
        let path = path((2_500_000.0, 100, 1_000_000));
        let mut world = World::new(seed, path);
        for _ in 0..5 {
            world.stream(ENDLESS);
            let next = world.rng.random_range(3_000..5_000);
            world.run(Duration::from_millis(next));
        }
        world.run(SECOND * 20);
        let rates = rates(&mut world, SECOND * 20);
        let all: f64 = rates.iter().sum();
        assert!(all > path.rate * 0.9, "seed {seed}: {rates:?}");
        let fair = rates.iter().all(|rate| (0.06..0.5).contains(&(rate / all)));
        assert!(fair, "seed {seed}: {rates:?}");
    }
}

#[test]
fn streams_that_come_and_go_leave_little_of_a_link_unused() {
    for seed in 1..=3 {
        let path = path((2_500_000.0, 100, 1_000_000));
        let mut world = World::new(seed, path);
        world.stream(ENDLESS);
        world.stream(ENDLESS);
        world.run(SECOND * 5);
        let read = |world: &World| -> u64 { world.pairs.iter().map(|pair| pair[1].read).sum() };
        let (before, began) = (read(&world), world.now);
        for _ in 0..30 {
            world.stream(400_000);
            let next = world.rng.random_range(500..1_500);
            world.run(Duration::from_millis(next));
        }
        let took = world.now.saturating_duration_since(began);
        let all = (read(&world) - before) as f64 / took.as_secs_f64();
        assert!(all > path.rate * 0.6, "seed {seed}: {all}");
    }
}

/// A machine's own network: a fast path, and a reader whose socket holds some hundred packets while it does other things.
fn loopback(pauses: f64) -> Path {
    Path {
        rate: 1_000_000_000.0,
        queue: usize::MAX,
        delay: Duration::from_micros(10),
        socket: Some(Socket {
            room: 92,
            reads_after: Duration::from_micros(100),
            pauses: (pauses, Duration::from_millis(5)),
        }),
        ..Path::ideal()
    }
}

#[test]
fn a_socket_that_overflows_costs_little() {
    // How often the reader is away, the time that 100 MB may take, and packets that are sent again, of a thousand. With few
    // pauses the first one comes when the window is wide, and costs most of it.
    for (pauses, within, again) in [(0.0, 200, 0), (0.01, 2000, 100), (0.05, 1000, 30)] {
        let mut world = World::new(11, loopback(pauses));
        let began = world.now;
        world.stream(100_000_000);
        let done = |world: &World| world.pairs[0][1].read == 100_000_000;
        assert!(world.run_until(Duration::from_secs(600), done));
        let took = world.now.saturating_duration_since(began);
        let stats = world.pairs[0][0].machine.as_ref().unwrap().stats();
        let seen = format!(
            "{pauses}: {took:?}, {} overflowed, {stats:?}",
            world.overflowed
        );
        assert!(took <= Duration::from_millis(within), "{seen}");
        assert!(stats.resent * 1000 <= stats.sent * again, "{seen}");
        assert_eq!(stats.timeouts, 0, "{seen}");
    }
}
