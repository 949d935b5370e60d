//! Cases of one test that mostly wait, for clocks of other programs above all: side by side they take no longer than one.

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// Does `run` for every case, `at_once` of them at a time, and returns what came of each, in the order of the cases: a
/// value, or the words of its panic. All are done, whichever fails.
///
/// # Panics
/// When there is to be none at a time.
pub fn outcomes<C: Sync, T: Send>(
    at_once: usize,
    cases: &[C],
    run: impl Fn(&C) -> T + Sync,
) -> Vec<Result<T, String>> {
    assert!(at_once > 0, "nobody would do anything");
    let queue = Mutex::new(cases.iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no panic inside").next();
                    let Some((number, case)) = next else { break };
                    let outcome = attempt(|| run(case));
                    let mut done = done.lock().expect("no panic inside");
                    done.push((number, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panic inside");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Does `run` for every case, `at_once` of them at a time.
///
/// # Panics
/// When one of them did, once all are done: with every case that failed, and its words.
pub fn side_by_side<C: Debug + Sync>(at_once: usize, cases: &[C], run: impl Fn(&C) + Sync) {
    let outcomes = outcomes(at_once, cases, run);
    let failures: Vec<String> = cases
        .iter()
        .zip(outcomes)
        .filter_map(|(case, outcome)| Some(format!("{case:?}:\n{}", outcome.err()?)))
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases failed\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
}

/// What `run` returns, or the words of its panic.
///
/// # Errors
/// When it panics.
pub fn attempt<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn every_case_is_done_and_all_that_fail_are_told_with_their_words() {
        let done = Mutex::new(Vec::new());
        let run = |case: &u8| {
            done.lock().expect("no panic inside").push(*case);
            assert!(!matches!(case, 1 | 3), "odd: {case}");
        };
        let told = attempt(|| side_by_side(2, &[0_u8, 1, 2, 3, 4], run)).unwrap_err();
        assert_eq!(told, "2 of 5 cases failed\n1:\nodd: 1\n\n3:\nodd: 3");
        let mut done = done.into_inner().expect("no panic inside");
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn as_many_as_asked_for_are_at_work_at_the_same_time_and_the_order_stays() {
        // Each waits for two others.
        let met = Barrier::new(3);
        let met = |case: &u8| {
            met.wait();
            case * 2
        };
        let doubled = outcomes(3, &[5_u8, 3, 4, 2, 0, 1], met);
        assert_eq!(doubled, [10, 6, 8, 4, 0, 2].map(Ok));
    }
}
