//! Nodes and what else takes part, each a process of its own.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::Outcome;

/// A node of ours or of pyipv8's.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    /// Its key, port and flags.
    pub(crate) told: Value,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// Ours, in one of the dialects.
    Ours(&'a str),
    /// Theirs: the interpreter.
    Theirs(&'a str),
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/node.py");

impl Process {
    /// A node that does this for others.
    pub(crate) fn node(kind: Kind<'_>, flags: u16, most_joined: usize) -> Outcome<Self> {
        let command = match kind {
            Kind::Ours(name) => {
                let mut command = Command::new(std::env::current_exe()?);
                let (flags, most) = (flags.to_string(), most_joined.to_string());
                command.args(["node", name, &flags, &most]);
                command
            }
            Kind::Theirs(python) => {
                let bits: Vec<u16> = (0..4).map(|bit| 1 << bit).collect();
                let flags: Vec<u16> = bits.into_iter().filter(|bit| flags & bit != 0).collect();
                let mut command = Command::new(python);
                command.args([SCRIPT, &json!([flags]).to_string()]);
                command
            }
        };
        Self::start(command)
    }

    /// A node of ours that has one core to itself, or shares it with whatever runs there besides.
    pub(crate) fn on_one_core(name: &str, flags: u16, most_joined: usize) -> Outcome<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let cores = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let core = cores.and_then(|cores| cores.trim().rsplit(['-', ',']).next());
        let mut command = Command::new("taskset");
        let (flags, most) = (flags.to_string(), most_joined.to_string());
        command.args(["-c", core.ok_or("no core")?]);
        command.arg(std::env::current_exe()?);
        command.args(["node", name, &flags, &most]);
        Self::start(command)
    }

    /// Where datagrams come from: so many sockets.
    pub(crate) fn world(sockets: usize) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["world", &sockets.to_string()]);
        Self::start(command)
    }

    fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no input")?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let line = said.next().ok_or("the process says nothing")??;
        let told: Value = serde_json::from_str(&line)?;
        Ok(Self {
            child,
            stdin,
            said,
            told: told.get(0).cloned().ok_or("no node")?,
        })
    }

    /// Has it do something.
    pub(crate) fn ask(&mut self, mut command: Value) -> Outcome<Value> {
        command["node"] = json!(0);
        writeln!(self.stdin, "{command}")?;
        let line = self.said.next().ok_or("the process has ended")??;
        Ok(serde_json::from_str(&line)?)
    }

    /// Tells it of another node.
    pub(crate) fn know(&mut self, other: &Self) -> Outcome<()> {
        let mut command = other.told.clone();
        command["do"] = json!("know");
        command["all"] = json!(false);
        self.ask(command).map(|_| ())
    }

    /// The CPU time that it has used, in microseconds.
    pub(crate) fn cpu_us(&self) -> Outcome<f64> {
        let mut sum = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds: f64 = text.split_whitespace().next().ok_or("no figure")?.parse()?;
            sum += nanoseconds / 1000.0;
        }
        Ok(sum)
    }

    /// Memory that it owns, in KiB.
    pub(crate) fn anonymous_kib(&self) -> Outcome<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no figure")?.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // By its own process id; there is nothing to be saved.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
