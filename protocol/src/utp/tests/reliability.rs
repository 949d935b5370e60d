//! Every byte gets through, in order, whatever the path does, and streams end.

use std::time::Duration;

use proptest::prelude::*;

use super::link::{Path, World};
use crate::utp::{CloseReason, Phase, Tally};

const MINUTES: Duration = Duration::from_secs(600);

fn is_done(world: &World) -> bool {
    let finished = |end: &super::link::End| end.closed() == Some(CloseReason::Finished);
    world.pairs.iter().flatten().all(finished)
}

#[test]
fn a_stream_over_an_ideal_path_finds_its_size_and_ends_in_order() {
    let mut world = World::new(1, Path::ideal());
    world.stream(5_000_000);
    assert!(world.run_until(MINUTES, is_done));
    let [ours, theirs] = &world.pairs[0];
    assert_eq!((ours.written, theirs.read), (5_000_000, 5_000_000));
    let stats = ours.machine.as_ref().unwrap().stats();
    assert_eq!((stats.datagram, stats.resent), (1472, 0));
    let packets = 5_000_000 / 1452;
    assert!(stats.sent < packets + packets / 10, "{stats:?}");
}

#[test]
fn a_narrow_path_is_found_without_losing_a_byte() {
    let path = Path {
        mtu: 1300,
        ..Path::ideal()
    };
    let mut world = World::new(2, path);
    world.stream(3_000_000);
    assert!(world.run_until(MINUTES, is_done));
    let stats = world.pairs[0][0].machine.as_ref().unwrap().stats();
    assert!((1284..=1300).contains(&stats.datagram), "{stats:?}");
    assert_eq!(world.pairs[0][1].read, 3_000_000);
}

#[test]
fn a_path_that_takes_less_in_the_middle_of_a_stream_slows_it_down_for_a_moment() {
    for (seed, before, after) in [(21, 1472, 1200), (22, 1300, 600), (23, 1472, 548)] {
        let path = Path {
            mtu: before,
            ..Path::ideal()
        };
        let mut world = World::new(seed, path);
        world.stream(30_000_000);
        world.run(Duration::from_secs(2));
        let read = world.pairs[0][1].read;
        assert!(read > 1_000_000, "{read}");
        world.path.mtu = after;
        world.run(Duration::from_secs(6));
        let went_on = world.pairs[0][1].read - read;
        assert!(went_on > 2_000_000, "{before} to {after}: {went_on}");
        assert!(world.run_until(MINUTES, is_done));
        assert_eq!(world.pairs[0][1].read, 30_000_000);
        let stats = world.pairs[0][0].machine.as_ref().unwrap().stats();
        assert!(
            stats.datagram <= after && stats.datagram + 16 >= after,
            "{stats:?}"
        );
    }
}

#[test]
fn large_packets_alone_that_vanish_while_small_ones_pass_are_told_apart_too() {
    let mut world = World::new(24, Path::ideal());
    world.stream(5_000_000);
    world.pairs[0][0].closes = false;
    world.run(Duration::from_secs(1));
    world.path.mtu = 700;
    // A short packet every now and then is acknowledged, so that nothing ever times out.
    for _ in 0..300 {
        world.pairs[0][0].to_write += 100;
        world.run(Duration::from_millis(100));
    }
    let [ours, theirs] = &world.pairs[0];
    assert_eq!(theirs.read, ours.to_write, "{:?}", ours.closed());
}

#[test]
fn both_sides_speak_at_once() {
    let mut world = World::new(3, Path::ideal());
    world.stream(700_000);
    world.pairs[0][1].to_write = 900_000;
    assert!(world.run_until(MINUTES, is_done));
    assert_eq!(world.pairs[0][0].read, 900_000);
    assert_eq!(world.pairs[0][1].read, 700_000);
}

#[test]
fn what_a_closed_stream_still_hears_is_read() {
    let mut world = World::new(4, Path::ideal());
    world.stream(10);
    world.pairs[0][1].to_write = 500_000;
    let closed = |world: &World| world.pairs[0][1].ended();
    assert!(world.run_until(MINUTES, closed));
    assert!(world.run_until(MINUTES, is_done));
    assert_eq!(world.pairs[0][0].read, 500_000);
}

#[test]
fn a_reader_that_stops_holds_the_writer_and_lets_it_go_again() {
    let mut world = World::new(5, Path::ideal());
    world.stream(3_000_000);
    world.pairs[0][1].reads = 0;
    world.run(Duration::from_secs(300));
    let [ours, theirs] = &world.pairs[0];
    assert_eq!(
        (ours.closed(), theirs.closed()),
        (None, None),
        "nobody gives up"
    );
    assert_eq!(theirs.read, 0);
    assert!(theirs.machine.as_ref().unwrap().readable() <= 257 * 1024);
    assert!(ours.written < 2_000_000);
    world.pairs[0][1].reads = usize::MAX;
    assert!(world.run_until(MINUTES, is_done));
    assert_eq!(world.pairs[0][1].read, 3_000_000);
}

#[test]
fn nobody_there_is_a_timeout_after_some_tries() {
    let path = Path {
        loss: 1.0,
        ..Path::ideal()
    };
    let mut world = World::new(6, path);
    world.stream(1);
    world.run(Duration::from_secs(30));
    let machine = world.pairs[0][0].machine.as_ref().unwrap();
    assert_eq!(machine.closed(), Some(CloseReason::TimedOut));
    assert_eq!(machine.stats().sent, 4);
    assert_eq!(machine.poll_timeout(), None);
}

#[test]
fn a_path_that_breaks_ends_the_stream_at_last_and_a_short_gap_does_not() {
    let mut world = World::new(7, Path::ideal());
    world.stream(50_000_000);
    world.run(Duration::from_secs(2));
    world.path.loss = 1.0;
    world.run(Duration::from_secs(10));
    world.path.loss = 0.0;
    let before = world.pairs[0][1].read;
    world.run(Duration::from_secs(20));
    assert!(world.pairs[0][1].read > before + 1_000_000, "it goes on");
    world.path.loss = 1.0;
    world.run(Duration::from_secs(200));
    assert_eq!(world.pairs[0][0].closed(), Some(CloseReason::TimedOut));
}

#[test]
fn an_idle_stream_lives_and_uses_its_path_every_half_minute() {
    let mut world = World::new(8, Path::ideal());
    world.stream(100);
    world.pairs[0][0].closes = false;
    world.run(Duration::from_secs(600));
    for end in &world.pairs[0] {
        let machine = end.machine.as_ref().unwrap();
        assert!(machine.is_connected());
        let sent = machine.stats().sent;
        assert!((20..=26).contains(&sent), "{sent}");
    }
}

#[test]
fn a_dropped_stream_delivers_what_was_written_and_is_forgotten() {
    let mut world = World::new(9, Path::ideal());
    world.stream(200_000);
    world.pairs[0][1].to_write = 50_000_000;
    let all = |world: &World| world.pairs[0][0].written == 200_000;
    assert!(world.run_until(MINUTES, all));
    let now = world.now;
    world.pairs[0][0].machine.as_mut().unwrap().detach(now);
    world.run(Duration::from_secs(60));
    assert_eq!(world.pairs[0][1].read, 200_000);
    assert_eq!(world.pairs[0][0].closed(), Some(CloseReason::Finished));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_byte_comes_through_a_bad_path_in_order(
        seed in any::<u64>(),
        loss in 0.0..0.15_f64,
        duplicate in 0.0..0.3_f64,
        reorder in 0.0..0.5_f64,
        delay in 0_u64..150,
        mtu in 548_usize..1500,
        (there, back) in (0_u64..200_000, 0_u64..50_000),
    ) {
        let path = Path {
            loss,
            duplicate,
            reorder,
            delay: Duration::from_millis(delay),
            mtu,
            ..Path::ideal()
        };
        let mut world = World::new(seed, path);
        world.config.data_resends = 30;
        world.config.fin_resends = 30;
        world.config.syn_resends = 30;
        world.config.unproven = MINUTES;
        world.stream(there);
        world.pairs[0][1].to_write = back;
        let ended = |world: &World| world.pairs[0].iter().all(super::link::End::ended);
        prop_assert!(world.run_until(MINUTES * 6, ended));
        prop_assert_eq!(world.pairs[0][0].read, back);
        prop_assert_eq!(world.pairs[0][1].read, there);
        let over = |world: &World| world.pairs[0].iter().all(|end| end.closed().is_some());
        prop_assert!(world.run_until(MINUTES * 6, over));
    }
}

#[test]
fn both_ends_count_what_went_and_came_and_what_was_lost_on_the_way() {
    let path = Path {
        loss: 0.01,
        duplicate: 0.01,
        ..Path::ideal()
    };
    let mut world = World::new(9, path);
    world.stream(3_000_000);
    assert_eq!(
        world.pairs[0][0].machine.as_ref().unwrap().phase(),
        Phase::Opening
    );
    assert!(world.run_until(MINUTES, is_done));
    let [ours, theirs] = world.pairs[0]
        .each_mut()
        .map(|end| end.machine.as_mut().unwrap().take_tally());
    let packets = 3_000_000 / 1452;
    assert!(ours.payload_sent > packets && ours.sent >= ours.payload_sent);
    assert!(ours.lost_early > packets / 200, "{ours:?}");
    assert!(ours.lost >= ours.lost_early && ours.resent >= ours.lost_early);
    assert!(theirs.redundant > packets / 200, "{theirs:?}");
    assert!(theirs.payload_received > packets && theirs.received >= theirs.payload_received);
    let came = ours.payload_sent - theirs.payload_received.min(ours.payload_sent);
    assert!(came < packets / 50, "{ours:?} {theirs:?}");
    assert!(ours.above_target + ours.below_target > 100, "{ours:?}");
    assert!(ours.below_target > ours.above_target, "{ours:?}");
    let machine = world.pairs[0][0].machine.as_mut().unwrap();
    assert_eq!(machine.phase(), Phase::Closed);
    assert_eq!(machine.take_tally(), Tally::default(), "all was taken");
}
