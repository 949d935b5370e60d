mod steps;
mod weights;

use std::cell::Cell;
use std::rc::Rc;

use futures_util::FutureExt;
use tokio::task::LocalSet;
use tokio::time::{advance, sleep};

use super::*;

/// Takes for `time` and says how many bytes passed; `want` at a time.
async fn saturate(mut throttle: Throttle, want: usize, time: Duration) -> u64 {
    let end = Instant::now() + time;
    let mut total = 0;
    while let Ok(granted) = tokio::time::timeout_at(end, throttle.take(want)).await {
        assert!(granted > 0 && granted <= want);
        total += granted as u64;
    }
    total
}

/// Runs one taker for each bucket at the same time.
async fn saturate_all(limits: &[(&RateLimiter, usize)], time: Duration) -> Vec<u64> {
    let tasks: Vec<_> = limits
        .iter()
        .map(|(limit, want)| tokio::spawn(saturate(limit.throttle(), *want, time)))
        .collect();
    let mut totals = Vec::new();
    for task in tasks {
        totals.push(task.await.unwrap());
    }
    totals
}

fn assert_near(actual: u64, expected: f64, tolerance: f64, what: &str) {
    let off = (actual as f64 - expected).abs() / expected;
    assert!(
        off <= tolerance,
        "{what}: {actual} instead of {expected} ({:.1} % off)",
        off * 100.0
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_everything_passes_at_once() {
    let mut throttle = RateLimiter::new(None).child(None).throttle();
    assert_eq!(throttle.take(usize::MAX).now_or_never(), Some(usize::MAX));
    assert_eq!(throttle.take(0).now_or_never(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn one_taker_gets_the_rate_within_two_percent() {
    for rate in [
        100,
        1_000,
        10_000,
        123_456,
        1 << 20,
        100 << 20,
        5_000_000_000,
    ] {
        for want in [17, 16 * 1024, 256 * 1024] {
            if rate / want as u64 > 20_000 {
                continue;
            }
            let limit = RateLimiter::new(Some(rate));
            let time = Duration::from_secs(20);
            let total = saturate(limit.throttle(), want, time).await;
            assert_near(
                total,
                rate as f64 * 20.0,
                0.02,
                &format!("rate {rate}, want {want}"),
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_takers_share_evenly_whatever_they_ask_for() {
    let limit = RateLimiter::new(Some(1_000_000));
    let wants = [256 * 1024, 16 * 1024, 64 * 1024, 1 << 20, 32 * 1024];
    let takers: Vec<_> = wants.iter().map(|want| (&limit, *want)).collect();
    let totals = saturate_all(&takers, Duration::from_secs(30)).await;
    assert_near(totals.iter().sum(), 30e6, 0.02, "sum");
    for total in totals {
        assert_near(total, 6e6, 0.05, "each");
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_takers_at_a_low_rate_all_get_some() {
    let limit = RateLimiter::new(Some(50_000));
    let takers = vec![(&limit, 16 * 1024); 200];
    let totals = saturate_all(&takers, Duration::from_mins(2)).await;
    assert_near(totals.iter().sum(), 6e6, 0.02, "sum");
    for total in totals {
        assert_near(total, 30_000.0, 0.05, "each");
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_is_held_by_its_own_limit_and_its_siblings_use_the_rest() {
    let session = RateLimiter::new(Some(1_000_000));
    let slow = session.child(Some(100_000));
    let fast = session.child(None);
    let totals = saturate_all(
        &[
            (&slow, 65_536),
            (&slow, 65_536),
            (&fast, 65_536),
            (&fast, 65_536),
        ],
        Duration::from_secs(30),
    )
    .await;
    assert_near(totals[0] + totals[1], 3e6, 0.02, "the slow child");
    assert_near(totals[2] + totals[3], 27e6, 0.02, "the rest");
    assert_near(totals[0], 1.5e6, 0.05, "half of the slow child");
    assert_near(totals[2], 13.5e6, 0.05, "half of the rest");
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_a_tree_is_counted_with_what_is_wanted() {
    let limit = RateLimiter::new(Some(1000));
    assert_eq!(limit.line(), (0, 0));
    let mut takers = [limit.child(None).throttle(), limit.throttle()];
    for taker in &mut takers {
        assert_eq!(taker.take(600).now_or_never(), None);
    }
    assert_eq!(limit.line(), (2, 1200));
    drop(takers);
    assert_eq!(limit.line(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn grandparents_hold_too() {
    let root = RateLimiter::new(Some(50_000));
    let leaf = root.child(None).child(Some(1 << 30)).child(None);
    let total = saturate(leaf.throttle(), 4096, Duration::from_secs(10)).await;
    assert_near(total, 500_000.0, 0.02, "the root's rate");
}

#[tokio::test(start_paused = true)]
async fn who_takes_from_two_trees_is_held_by_both_and_keeps_neither_from_others() {
    let (session, class) = (
        RateLimiter::new(Some(1_000_000)),
        RateLimiter::new(Some(300_000)),
    );
    let both = || session.throttle().and(class.throttle());
    let time = Duration::from_secs(30);
    let tasks = [both(), both(), session.throttle()];
    let tasks = tasks.map(|throttle| tokio::spawn(saturate(throttle, 65_536, time)));
    let mut totals = Vec::new();
    for task in tasks {
        totals.push(task.await.unwrap());
    }
    assert_near(totals[0] + totals[1], 9e6, 0.02, "the class");
    assert_near(totals[2], 21e6, 0.02, "the rest");

    class.set_rate(None);
    session.set_rate(Some(200_000));
    let total = saturate(both(), 65_536, time).await;
    assert_near(total, 6e6, 0.03, "the session");
    session.set_rate(None);
    let free = both().take(1 << 30).now_or_never();
    assert_eq!(free, Some(1 << 30), "nothing holds");
    class.set_rate(Some(1_000));
    let mut throttle = both();
    throttle.charge(3_000);
    assert_eq!(
        throttle.take(1).now_or_never(),
        None,
        "the class is in debt"
    );
    throttle.refund(3_000);
    throttle.take(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_hour_buys_a_quarter_of_a_second() {
    let limit = RateLimiter::new(Some(1_000_000));
    let mut throttle = limit.throttle();
    throttle.take(1).await;
    advance(Duration::from_hours(1)).await;
    assert_eq!(throttle.take(10_000_000).now_or_never(), Some(250_000));
    assert_eq!(throttle.take(10_000_000).now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_little_does_not_overtake_who_waits_for_more() {
    let limit = RateLimiter::new(Some(100_000));
    let (mut large, mut small) = (limit.throttle(), limit.throttle());
    assert_eq!(large.take(2_000).now_or_never(), None);
    sleep(Duration::from_millis(12)).await;
    assert_eq!(
        small.take(10).now_or_never(),
        None,
        "1,200 bytes are there, for another"
    );
    sleep(Duration::from_millis(12)).await;
    assert_eq!(large.take(2_000).now_or_never(), Some(2_000));
    small.cancel();

    // Those who stand in line do not overtake either.
    let large = (&limit, 2_000);
    let takers: Vec<_> = std::iter::once(large)
        .chain(vec![(&limit, 100); 10])
        .collect();
    let totals = saturate_all(&takers, Duration::from_secs(10)).await;
    assert!(totals[0] > 500_000, "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_rate_holds_at_once_for_those_who_wait() {
    let limit = RateLimiter::new(Some(0));
    let mut throttle = limit.throttle();
    let waiting = tokio::spawn(async move { throttle.take(1000).await });
    sleep(Duration::from_mins(1)).await;
    assert!(!waiting.is_finished(), "a rate of zero lets nothing pass");
    limit.set_rate(None);
    let before = Instant::now();
    assert_eq!(waiting.await.unwrap(), 1000);
    assert_eq!(Instant::now(), before);

    limit.set_rate(Some(200_000));
    assert_eq!(limit.rate(), Some(200_000));
    let total = saturate(limit.throttle(), 4096, Duration::from_secs(10)).await;
    assert_near(total, 2e6, 0.02, "the new rate");
}

#[tokio::test(start_paused = true)]
async fn what_is_refunded_can_be_taken_by_another_who_waits() {
    let limit = RateLimiter::new(Some(1_000));
    let mut first = limit.throttle();
    let granted = first.take(200).await;
    assert_eq!(granted, 125, "half of what the bucket holds is enough");
    let mut second = limit.throttle();
    assert_eq!(second.take(100).now_or_never(), None);
    first.refund(granted);
    assert_eq!(second.take(100).now_or_never(), Some(100));
}

#[tokio::test(start_paused = true)]
async fn what_is_charged_is_paid_back_in_time() {
    let limit = RateLimiter::new(Some(10_000));
    let mut throttle = limit.throttle();
    let start = Instant::now();
    throttle.charge(30_000);
    throttle.take(1).await;
    assert_eq!((Instant::now() - start).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_goes_away_leaves_its_grant_to_the_others() {
    let limit = RateLimiter::new(Some(10_000));
    let mut gone = limit.throttle();
    let mut stays = limit.throttle();
    assert_eq!(gone.take(2_500).now_or_never(), None);
    assert_eq!(stays.take(2_500).now_or_never(), None);
    // By now 512 bytes, the least that is granted, have come in, and the first in line was given them.
    sleep(Duration::from_millis(60)).await;
    assert_eq!(stays.take(2_500).now_or_never(), None);
    drop(gone);
    assert!(stays.take(2_500).now_or_never() >= Some(512));
}

#[test]
fn takers_survive_the_end_of_the_runtime_that_served_them() {
    let limit = RateLimiter::new(Some(100_000));
    let mut throttle = limit.throttle();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async { assert_eq!(throttle.take(1000).now_or_never(), None) });
    drop(first);
    assert!(runtime().block_on(throttle.take(1000)) > 0);
}

#[tokio::test(start_paused = true)]
async fn at_most_one_task_serves_a_tree_and_it_ends_with_the_line() {
    let limit = RateLimiter::new(Some(100_000));
    let takers: Vec<_> = (0..20).map(|_| (limit.child(None), 4096)).collect();
    let borrowed: Vec<_> = takers.iter().map(|(limit, want)| (limit, *want)).collect();
    let metrics = tokio::runtime::Handle::current().metrics();
    let running = saturate_all(&borrowed, Duration::from_secs(2));
    let most = Rc::new(Cell::new(0));
    let seen = Rc::clone(&most);
    let local = LocalSet::new();
    local
        .run_until(async {
            let watch = tokio::task::spawn_local(async move {
                loop {
                    seen.set(seen.get().max(metrics.num_alive_tasks()));
                    sleep(Duration::from_millis(7)).await;
                }
            });
            running.await;
            watch.abort();
        })
        .await;
    // The takers and one server; the watcher lives on the local set.
    assert!(most.get() <= 21, "{} tasks", most.get());
    drop(local);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
}
