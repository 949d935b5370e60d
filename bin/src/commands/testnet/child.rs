//! A process of a test network. It ends when its standard input does, so that it never outlives whoever has started it.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::{self, Instant};

use super::program;
use crate::failure::{Failure, reason};

/// The longest line of a process.
const MAX_LINE: u64 = 64 << 10;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Relay,
    Exit,
}

impl Kind {
    /// For people and programs.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Server => "bootstrap-server",
            Self::Relay => "relay",
            Self::Exit => "exit",
        }
    }
}

/// Whom a node knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) relays: usize,
    pub(super) exits: usize,
}

/// A process.
pub(super) struct Child {
    pub(super) kind: Kind,
    pub(super) pid: u32,
    /// Where it is, once it has said so.
    pub(super) addr: String,
    pub(super) public_key: String,
    process: tokio::process::Child,
    stdin: Option<ChildStdin>,
    started: Option<oneshot::Receiver<(String, String)>>,
    known: Arc<Mutex<Known>>,
    log: std::path::PathBuf,
    over: bool,
}

impl Child {
    /// Starts a process; what it has to complain of goes to a file in `home`.
    ///
    /// # Errors
    /// [`Failure::Failed`] where the system refuses.
    pub(super) fn start(kind: Kind, flags: &[String], home: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::Failed(format!(
                "cannot start a {}: {}",
                kind.word(),
                reason(&error)
            ))
        };
        let log = home.join(format!("{}-{}.log", kind.word(), rand::random::<u32>()));
        let mut process = Command::new(program()?)
            .arg(kind.word())
            .args(flags)
            .args(["--json", "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(failed)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (told, started) = oneshot::channel();
        let known = Arc::new(Mutex::new(Known::default()));
        if let Some(out) = process.stdout.take() {
            drop(tokio::task::spawn_local(listen(
                out,
                told,
                Arc::clone(&known),
            )));
        }
        Ok(Self {
            kind,
            pid: process.id().unwrap_or(0),
            addr: String::new(),
            public_key: String::new(),
            stdin: process.stdin.take(),
            process,
            started: Some(started),
            known,
            log,
            over: false,
        })
    }

    /// Waits until it has said where it is.
    ///
    /// # Errors
    /// [`Failure::Failed`] with its last words where it ends before, or takes too long.
    pub(super) async fn heard(&mut self, within: Duration) -> Result<(), Failure> {
        let Some(started) = self.started.take() else {
            return Ok(());
        };
        match time::timeout(within, started).await {
            Ok(Ok((addr, public_key))) => {
                (self.addr, self.public_key) = (addr, public_key);
                Ok(())
            }
            outcome => {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it says nothing");
                let what = if outcome.is_ok() {
                    "ended at once"
                } else {
                    "does not start"
                };
                Err(Failure::Failed(format!(
                    "a {} {what}: {last}",
                    self.kind.word()
                )))
            }
        }
    }

    /// Whom it knows, by what it said last.
    pub(super) fn known(&self) -> Known {
        *self.known.lock()
    }

    /// How it ended, once: `None` while it runs, and after that was told.
    pub(super) fn ended(&mut self) -> Option<String> {
        if self.over {
            return None;
        }
        let status = self.process.try_wait().ok().flatten()?;
        self.over = true;
        Some(status.to_string())
    }

    /// Whether it has ended, and that was told.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Ends its standard input.
    pub(super) fn ask_to_end(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end, and makes it end where that takes too long.
    pub(super) async fn end(&mut self, at: Instant) {
        if time::timeout_at(at, self.process.wait()).await.is_err() {
            // A process that cannot be killed is gone.
            let _ = self.process.kill().await;
        }
    }
}

/// Reads what a process says until it says no more.
async fn listen(
    out: ChildStdout,
    told: oneshot::Sender<(String, String)>,
    known: Arc<Mutex<Known>>,
) {
    let mut told = Some(told);
    let mut out = BufReader::new(out);
    loop {
        let mut line = Vec::new();
        match (&mut out).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let Ok(said) = serde_json::from_slice::<Value>(&line) else {
            continue;
        };
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| {
            let number = said[name].as_u64().unwrap_or(0);
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        match said["event"].as_str() {
            Some("listening") => {
                let place = (text("addr"), text("public_key"));
                // Nobody may wait for it any more.
                let _ = told.take().map(|told| told.send(place));
            }
            Some("status") => {
                *known.lock() = Known {
                    relays: number("known_relays"),
                    exits: number("known_exits"),
                };
            }
            _ => {}
        }
    }
}
