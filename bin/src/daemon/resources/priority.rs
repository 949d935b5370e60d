//! How much the process is preferred to others.

use rustix::process::{Pid, getpid, getpriority_process, setpriority_process};

/// As the process was started.
const HIGHEST: u32 = 5;

/// The most that there is of `nice`.
const NICEST: i32 = 19;

/// What the process was started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start(i32);

impl Start {
    /// What it has now.
    pub(super) fn now() -> Self {
        Self(getpriority_process(None).unwrap_or(0))
    }

    /// The number of `nice` that a priority stands for: 5 is as the process was started, and each step below is a step more.
    fn nice(self, priority: u32) -> i32 {
        let steps = i32::try_from(HIGHEST.saturating_sub(priority)).unwrap_or(0);
        self.0.saturating_add(steps).min(NICEST)
    }

    /// Has the system prefer all threads of the process so much from now on. Most systems let a process become less, and not more than
    /// that again.
    pub(super) fn set(self, priority: u32) {
        let nice = self.nice(priority);
        // Those that begin meanwhile are as the one that began them was: they are there at the second time.
        for _ in 0..2 {
            for thread in threads() {
                if getpriority_process(Some(thread)) == Ok(nice) {
                    continue;
                }
                if let Err(error) = setpriority_process(Some(thread), nice) {
                    tracing::info!(?thread, nice, %error, "the priority stays as it is");
                }
            }
        }
    }
}

/// The threads of this process; where the system does not list them, the process as a whole.
fn threads() -> Vec<Pid> {
    let Ok(all) = std::fs::read_dir("/proc/self/task") else {
        return vec![getpid()];
    };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let all = all.flatten().filter_map(number);
    all.filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_priority_is_one_of_nice_beyond_what_there_was() {
        let of = |start| [5, 4, 1, 0, 9].map(|priority| Start(start).nice(priority));
        assert_eq!(of(0), [0, 1, 4, 5, 0]);
        assert_eq!(of(17), [17, 18, 19, 19, 17]);
    }
}
