//! Any sequence of what takers do.

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::time::sleep;

use super::*;

/// What one taker does in the property test.
#[derive(Clone, Debug)]
enum Step {
    Take {
        taker: usize,
        want: usize,
        refund_percent: usize,
    },
    Charge {
        taker: usize,
        bytes: usize,
    },
    Wait {
        millis: u64,
    },
    Leave {
        taker: usize,
    },
    Rate {
        bucket: usize,
        rate: Option<u64>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let rate = prop_oneof![Just(None), (1u64..2_000_000).prop_map(Some)];
    prop_oneof![
        5 => (0usize..6, 1usize..300_000, 0usize..=100)
            .prop_map(|(taker, want, refund_percent)| Step::Take { taker, want, refund_percent }),
        1 => (0usize..6, 1usize..20_000).prop_map(|(taker, bytes)| Step::Charge { taker, bytes }),
        5 => (0u64..400).prop_map(|millis| Step::Wait { millis }),
        1 => (0usize..6).prop_map(|taker| Step::Leave { taker }),
        1 => (0usize..3, rate).prop_map(|(bucket, rate)| Step::Rate { bucket, rate }),
    ]
}

/// Whatever happens, no bucket lets more pass than its rate and one burst allow, and nobody waits for ever.
async fn obeys(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let root = RateLimiter::new(Some(500_000));
    let buckets = [root.clone(), root.child(Some(100_000)), root.child(None)];
    let taker = |i: usize| {
        buckets[i % 3]
            .throttle()
            .weighing(if i < 3 { 1 } else { 4 })
    };
    let mut takers: Vec<_> = (0..6).map(taker).collect();
    let mut allowed = 500_000.0 * 0.25;
    let (mut passed, mut since, mut unlimited) = (0.0, Instant::now(), false);
    for step in steps {
        let rate = root.rate();
        allowed += rate.map_or(0.0, |rate| rate as f64 * since.elapsed().as_secs_f64());
        since = Instant::now();
        match step {
            Step::Take {
                taker,
                want,
                refund_percent,
            } => {
                let throttle = &mut takers[taker];
                if let Some(granted) = throttle.take(want).now_or_never() {
                    prop_assert!(granted >= 1 && granted <= want);
                    let back = granted * refund_percent / 100;
                    throttle.refund(back);
                    passed += if rate.is_some() {
                        (granted - back) as f64
                    } else {
                        0.0
                    };
                }
            }
            Step::Charge { taker, bytes } => {
                takers[taker].charge(bytes);
                passed += if rate.is_some() { bytes as f64 } else { 0.0 };
                // A charge never waits, so it may itself exceed what is allowed; takers after it must not.
                allowed = allowed.max(passed);
            }
            Step::Wait { millis } => sleep(Duration::from_millis(millis)).await,
            Step::Leave { taker: left } => takers[left] = taker(left),
            Step::Rate { bucket, rate } => {
                // Grants made before the change may be fetched after it.
                unlimited |= bucket == 0;
                buckets[bucket].set_rate(rate);
            }
        }
        prop_assert!(
            unlimited || passed <= allowed + 1.0,
            "{passed} of {allowed}"
        );
    }
    for bucket in &buckets {
        bucket.set_rate(Some(1_000_000));
    }
    for throttle in &mut takers {
        let served = tokio::time::timeout(Duration::from_mins(1), throttle.take(10));
        prop_assert!(served.await.is_ok(), "nobody waits for ever");
        throttle.cancel();
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_steps_breaks_a_limit_or_strands_a_taker(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(obeys(steps))?;
    }
}
