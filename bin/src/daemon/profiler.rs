//! Where the process spends its time: stacks of its threads, sampled while somebody wants that.
//!
//! Before that nothing is installed and nothing is held; the room that the first run takes is kept by the library until the process ends. While it goes on, threads that compute are interrupted 99 times for each second
//! of processor time.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::{Code, Refusal};
use parking_lot::Mutex;
use pprof::{Frames, ProfilerGuard, ProfilerGuardBuilder, Report};

/// Samples in a second of processor time; not a round number, so that what happens at round times is not met each time.
const FREQUENCY: i32 = 99;

/// How long it goes on at most, for what is gathered takes room.
const LONGEST: Duration = Duration::from_mins(10);

/// Libraries in which no stack can be walked safely.
const SHUNNED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// The folder for profiles, in that of the state.
const FOLDER: &str = "profiles";

/// A profiler. Clones are the same, and a process has one.
#[derive(Clone)]
pub(crate) struct Profiler {
    folder: PathBuf,
    now: Arc<Mutex<Now>>,
}

/// How it stands.
enum Now {
    Stopped,
    /// Samples are taken, in the run of this number.
    Running(ProfilerGuard<'static>, u64),
    /// It has gone on for as long as it may.
    Over(Result<PathBuf, String>),
}

impl Profiler {
    /// One that writes its profiles below the folder of the state.
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            folder: state.join(FOLDER),
            now: Arc::new(Mutex::new(Now::Stopped)),
        }
    }

    /// Whether samples are taken.
    pub(crate) fn is_running(&self) -> bool {
        matches!(*self.now.lock(), Now::Running(..))
    }

    /// Begins to take samples. Must be called inside a runtime.
    ///
    /// # Errors
    /// [`Code::Duplicate`] where that is done already; [`Code::Failed`] where the system does not have it.
    pub(crate) fn start(&self) -> Result<(), Refusal> {
        let mut now = self.now.lock();
        if let Now::Running(..) = *now {
            let why = "Profiler is already running";
            return Err(Refusal::new(Code::Duplicate, why));
        }
        let builder = ProfilerGuardBuilder::default().frequency(FREQUENCY);
        let guard = builder.blocklist(&SHUNNED).build();
        let guard = guard.map_err(|error| Refusal::new(Code::Failed, error.to_string()))?;
        let run = rand::random();
        *now = Now::Running(guard, run);
        let profiler = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LONGEST).await;
            let _ = tokio::task::spawn_blocking(move || profiler.end(run)).await;
        });
        Ok(())
    }

    /// Ends a run that nobody has ended, and keeps what came of it.
    fn end(&self, run: u64) {
        let mut now = self.now.lock();
        if let Now::Running(guard, of) = &*now
            && *of == run
        {
            let written = written(guard, &self.folder);
            *now = Now::Over(written.map_err(|error| error.to_string()));
        }
    }

    /// Ends it, and says where the profile is.
    ///
    /// # Errors
    /// [`Code::NotFound`] where it is not running; [`Code::Failed`] where the profile cannot be written.
    pub(crate) async fn stop(&self) -> Result<PathBuf, Refusal> {
        let before = std::mem::replace(&mut *self.now.lock(), Now::Stopped);
        let failed = |why: String| Refusal::new(Code::Failed, why);
        match before {
            Now::Stopped => Err(Refusal::new(Code::NotFound, "Profiler is not running")),
            Now::Over(written) => written.map_err(failed),
            Now::Running(guard, _) => {
                let folder = self.folder.clone();
                let written = tokio::task::spawn_blocking(move || written(&guard, &folder));
                let written = written.await.map_err(|error| failed(error.to_string()))?;
                written.map_err(|error| failed(error.to_string()))
            }
        }
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Writes what was gathered, and says where.
fn written(guard: &ProfilerGuard<'_>, folder: &Path) -> io::Result<PathBuf> {
    let report = guard.report().build().map_err(io::Error::other)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default().as_millis();
    let file = folder.join(format!("profile-{since}.folded"));
    let write = || {
        fs::create_dir_all(folder)?;
        let mut open = File::create_new(&file)?;
        for (stack, samples) in stacks(&report) {
            writeln!(open, "{stack} {samples}")?;
        }
        open.sync_all()
    };
    let written = write();
    let named = |error| io::Error::other(format!("{}: {error}", file.display()));
    written.map_err(named)?;
    Ok(file)
}

/// Stacks as programs that draw them read them: the thread and its functions, the innermost last, with `;` between them.
fn stacks(report: &Report) -> BTreeMap<String, isize> {
    let mut stacks = BTreeMap::new();
    for (frames, samples) in &report.data {
        *stacks.entry(stack(frames)).or_default() += samples;
    }
    stacks
}

fn stack(frames: &Frames) -> String {
    let functions = frames.frames.iter().rev().flat_map(|at| at.iter().rev());
    let functions = functions.map(pprof::Symbol::name);
    let all = std::iter::once(frames.thread_name.clone()).chain(functions);
    let plain = |name: String| name.replace([';', '\n'], ":");
    all.map(plain).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// Processor time of this process.
    fn spent() -> Duration {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
    }

    /// Computes until so much processor time is gone.
    #[inline(never)]
    fn compute_for_the_profile(span: Duration) -> u64 {
        let end = spent() + span;
        let mut sum = 0_u64;
        while spent() < end {
            for step in 0..200_000_u64 {
                sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(step));
            }
        }
        sum
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_profile_names_who_computes_and_is_there_only_when_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let profiler = Profiler::new(dir.path());
        let none = profiler.stop().await.unwrap_err();
        assert_eq!(none.code, Code::NotFound);
        assert_eq!(none.message, "Profiler is not running");
        profiler.start().unwrap();
        assert!(profiler.is_running());
        let twice = profiler.start().unwrap_err();
        assert_eq!(twice.code, Code::Duplicate);
        compute_for_the_profile(Duration::from_secs(1));
        let file = profiler.stop().await.unwrap();
        assert!(!profiler.is_running() && file.starts_with(dir.path()));
        let text = fs::read_to_string(&file).unwrap();
        let named = text
            .lines()
            .filter(|line| line.contains("compute_for_the_profile"));
        let samples = named.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        assert!(samples.sum::<u64>() > 5, "{text}");
        profiler.stop().await.unwrap_err();
        // What has gone on for too long is over, and still asked for.
        profiler.start().unwrap();
        let Now::Running(_, run) = *profiler.now.lock() else {
            panic!("it runs");
        };
        profiler.end(run.wrapping_add(1));
        assert!(profiler.is_running());
        profiler.end(run);
        assert!(!profiler.is_running());
        assert!(profiler.stop().await.unwrap().exists());
    }
}
