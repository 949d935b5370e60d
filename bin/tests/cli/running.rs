//! Commands that run until they are told to end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::command;

/// A community of nobody else.
pub(crate) const COMMUNITY: &str = "00112233445566778899aabbccddeeff00112233";

/// A running command whose lines are read. It is ended with this.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    out: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(command().args(args).arg("--json"))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self::spawned(command)
    }

    /// As [`Self::of`], of one whose pipes are laid.
    pub(crate) fn spawned(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            out: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The next line of text; `None` at the end.
    pub(crate) fn text(&mut self) -> Option<String> {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        (!line.is_empty()).then_some(line)
    }

    /// The next line of JSON; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<Value> {
        let line = self.text()?;
        let read = serde_json::from_str(&line);
        Some(read.unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The next line of this event.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.line();
            let line = line.unwrap_or_else(|| panic!("no {name}: {}", self.errors()));
            if line["event"] == name {
                return line;
            }
        }
    }

    /// What it complains of, once it has ended.
    pub(crate) fn errors(&mut self) -> String {
        let mut errors = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            let _ = err.read_to_string(&mut errors);
        }
        errors
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process runs.
pub(crate) fn is_there(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // What has ended and nobody has asked about is no longer there.
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until something is so.
pub(crate) fn until(mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(300);
    while !so() {
        assert!(Instant::now() < end, "in vain");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The flags of a node that meets nobody.
pub(crate) fn alone<'a>(state: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "--overlay-listen",
        "127.0.0.1:0",
        "--overlay-bootstrap",
        "127.0.0.1:9",
        "--overlay-community",
        COMMUNITY,
        "--state",
        state,
    ];
    [&more[..1], &common, &more[1..]].concat()
}
