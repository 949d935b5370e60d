//! A program that a test has started: its logs, its memory, and its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait;

/// A running program. Dropping it kills it, by its process id.
#[derive(Debug)]
pub struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Starts `command`; its output goes to `NAME.out` and `NAME.err` in `dir`.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(mut command: Command, dir: &Path, name: &str) -> Self {
        let (out, err) = (
            dir.join(format!("{name}.out")),
            dir.join(format!("{name}.err")),
        );
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a log file"))
            .stderr(File::create(&err).expect("a log file"))
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()));
        Self { child, out, err }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written to standard output so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()).into_owned()
    }

    /// All that it has written to standard error so far.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of this process")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `limit` and the [`patience`](wait::patience) for that.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        wait::until(limit, || self.ended()).unwrap_or_else(|| {
            panic!(
                "still running, after more than {limit:?}\n{}",
                self.last_words()
            )
        })
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let _ = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and kills it when it does not.
    pub fn stop(&mut self) {
        if self.ended().is_none() {
            self.signal("TERM");
            if wait::at_most(Duration::from_secs(5), || self.ended()).is_none() {
                self.kill();
            }
        }
    }

    /// The ends of both logs, for messages of failed tests.
    pub fn last_words(&self) -> String {
        let tail = |text: String| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        format!(
            "-- standard output:\n{}\n-- standard error:\n{}",
            tail(self.output()),
            tail(self.errors())
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Memory of the process `pid` right now, or `None` when there is none.
pub fn memory(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    };
    Some(Memory {
        anonymous: field("RssAnon:")?,
        peak_resident: field("VmHWM:")?,
    })
}

/// Time of processors that the process `pid` has taken so far, or `None` when there is none.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name in brackets, which may hold anything: user and system time, in hundredths of a second.
    let fields = stat.rsplit(')').next()?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Option<u64> = ticks.map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks? * 10))
}

/// Memory of a process in bytes, as the kernel counts it.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// What the process owns itself, mapped files left out (RssAnon).
    pub anonymous: u64,
    /// The most that was ever resident, mapped files included (VmHWM).
    pub peak_resident: u64,
}
