//! A process that is measured from outside.

use std::error::Error;
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(300);

/// A process, which is killed with this value.
#[derive(Debug)]
pub struct Process {
    /// What the system has of it.
    pub child: Child,
    /// When it was started.
    pub started: Instant,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let started = Instant::now();
        let name = command.get_program().to_owned();
        let child = command.spawn();
        let child = child.map_err(|error| format!("{}: {error}", name.display()))?;
        Ok(Self { child, started })
    }

    /// Bytes that it owns alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn memory(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.ok_or("the system does not tell RssAnon")?;
        Ok(kib.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    }

    /// How often its threads have begun to wait for something: each time one of them is woken, it did so before.
    ///
    /// # Errors
    /// What the system says.
    pub fn waits(&self) -> Result<u64, Box<dyn Error>> {
        let mut waits = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let count = line.and_then(|line| line.trim().parse::<u64>().ok());
            waits += count.ok_or("the system does not tell voluntary_ctxt_switches")?;
        }
        Ok(waits)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The time that all its threads have computed.
    ///
    /// # Errors
    /// What the system says.
    pub fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let clock = clock_getcpuclockid(self.pid())?;
        Ok(clock_gettime(clock)?.into())
    }

    /// The share of a core that it takes for so long, in percent.
    ///
    /// # Errors
    /// What the system says.
    pub fn busy(&self, time: Duration) -> Result<f64, Box<dyn Error>> {
        let (begin, cpu) = (Instant::now(), self.cpu()?);
        wait(time);
        let spent = self.cpu()?.saturating_sub(cpu);
        Ok(100.0 * spent.as_secs_f64() / begin.elapsed().as_secs_f64())
    }

    /// Ends it cleanly; says how long that took.
    ///
    /// # Errors
    /// What the system says, or that it did not end well.
    pub fn stop(mut self) -> Result<Duration, Box<dyn Error>> {
        let begin = Instant::now();
        kill(self.pid(), Signal::SIGTERM)?;
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                let took = begin.elapsed();
                return if status.success() {
                    Ok(took)
                } else {
                    Err(format!("it ended with {status}").into())
                };
            }
            wait(Duration::from_millis(2));
        }
        Err("it does not end".into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does nothing for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime here whose thread could be held up"
)]
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// How many others want to compute, as the system counts them over a minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or(f64::NAN)
}
