//! Networks of nodes of the overlay: one that `testnet` starts, and one of single nodes, of ours and of pyipv8.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::clients::libtorrent::cache;
use crate::ours::binary;
use crate::process::Process;
use crate::sandbox::Lab;
use crate::wait;

/// How long a network may take to be there.
const READY: Duration = Duration::from_secs(60);

/// A community of our own for single nodes.
const COMMUNITY: &str = "7472696265722d72732074657374206e6574776f";

/// The lines of a process that are JSON.
fn events(process: &Process) -> Vec<Value> {
    let output = process.output();
    let lines = output.lines().map(serde_json::from_str);
    lines.filter_map(Result::ok).collect()
}

/// Waits for an event of a process.
fn expect(process: &mut Process, name: &str) -> Value {
    let found = wait::until(READY, || {
        let over = process.ended().is_some();
        assert!(!over, "it has ended\n{}", process.last_words());
        let events = events(process);
        events.into_iter().find(|event| event["event"] == name)
    });
    found.unwrap_or_else(|| panic!("no {name}\n{}", process.last_words()))
}

/// What `testnet` has started.
#[derive(Debug)]
pub struct Testnet {
    process: Process,
    flags: Vec<String>,
}

impl Testnet {
    /// Starts one of so many processes, and waits until they know each other.
    ///
    /// # Panics
    /// When they do not.
    pub fn start(lab: &Lab, nodes: usize) -> Self {
        let dir = lab.folder("testnet");
        let mut command = Command::new(binary());
        command
            .args(["testnet", &nodes.to_string(), "--json", "--state"])
            .arg(dir.join("state"));
        let mut process = Process::start(command, &dir, "testnet");
        let ready = expect(&mut process, "ready");
        let flags = ready["flags"].as_array().expect("flags");
        let flags = flags.iter().filter_map(Value::as_str).map(str::to_owned);
        Self {
            process,
            // Without the number of hops.
            flags: flags.skip(2).collect(),
        }
    }

    /// The flags that join it, but for the hops.
    pub fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }

    /// The processes that it has started.
    pub fn pids(&self) -> Vec<u64> {
        let events = events(&self.process).into_iter();
        let nodes = events.filter(|event| event["event"] == "node");
        nodes.filter_map(|event| event["pid"].as_u64()).collect()
    }

    /// Kills the node at an address, if it is one of its nodes.
    pub fn kill(&self, at: SocketAddr) -> bool {
        let is_there = |event: &&Value| {
            event["event"] == "node" && event["addr"].as_str() == Some(&at.to_string())
        };
        let node = events(&self.process)
            .into_iter()
            .find(|event| is_there(&event));
        let pid = node.and_then(|event| event["pid"].as_u64());
        pid.is_some_and(|pid| {
            let status = Command::new("kill")
                .args(["-s", "KILL", &pid.to_string()])
                .status();
            status.is_ok_and(|status| status.success())
        })
    }

    /// Ends it as a user does.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

/// Nodes of the overlay that are started one by one, each at an address of its own.
#[derive(Debug)]
pub struct Nodes {
    server: SocketAddr,
    _server: Process,
    community: &'static str,
    theirs: Vec<Process>,
    running: Vec<Node>,
    dir: PathBuf,
    started: usize,
}

#[derive(Debug)]
struct Node {
    role: &'static str,
    at: SocketAddr,
    process: Process,
}

impl Nodes {
    /// Starts a bootstrap server, and so many relays and exits.
    ///
    /// # Panics
    /// When they do not say where they are.
    pub fn start(lab: &Lab, relays: usize, exits: usize) -> Self {
        let mut nodes = Self::none(lab, COMMUNITY);
        for _ in 0..relays {
            nodes.add(lab.address(), "relay");
        }
        for _ in 0..exits {
            nodes.add(lab.address(), "exit");
        }
        for node in &mut nodes.running {
            expect(&mut node.process, "listening");
        }
        nodes
    }

    /// Starts a bootstrap server alone, for a community that our command knows by this name.
    ///
    /// # Panics
    /// When it does not say where it is.
    pub fn none(lab: &Lab, community: &'static str) -> Self {
        let at = lab.address();
        let dir = lab.folder(&format!("overlay {}", at.port()));
        let mut command = Command::new(binary());
        command.args(["bootstrap-server", "--json", "--listen", &at.to_string()]);
        let mut server = Process::start(command, &dir, "server");
        expect(&mut server, "listening");
        Self {
            server: at,
            _server: server,
            community,
            theirs: Vec::new(),
            running: Vec::new(),
            dir,
            started: 0,
        }
    }

    /// Starts nodes of a release of pyipv8 with these flags, in one process, in the community with this id in hex.
    pub fn add_theirs(&mut self, version: &str, flags: &[&[u16]], id: &str) {
        self.started += 1;
        let mut command = Command::new(pyipv8(version));
        command
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../tunnels/tests/network/node.py"
            ))
            .args([
                &self.server.to_string(),
                &Value::from(flags.iter().map(|of| of.to_vec()).collect::<Vec<_>>()).to_string(),
            ])
            .args(["stay", &format!("community={id}")]);
        let name = format!("pyipv8-{}", self.started);
        self.theirs.push(Process::start(command, &self.dir, &name));
    }

    /// Starts one more, `relay` or `exit`.
    pub fn add(&mut self, at: SocketAddr, role: &'static str) {
        self.started += 1;
        let name = format!("{role}-{}", self.started);
        let mut command = Command::new(binary());
        command
            .args([
                role,
                "--json",
                "--every",
                "1s",
                "--overlay-listen",
                &at.to_string(),
            ])
            .args(self.flags())
            .arg("--state")
            .arg(self.dir.join(&name));
        let process = Process::start(command, &self.dir, &name);
        self.running.push(Node { role, at, process });
    }

    /// The flags of a node that meets them.
    pub fn flags(&self) -> Vec<String> {
        let flags = [
            "--overlay-bootstrap",
            &self.server.to_string(),
            "--overlay-community",
            self.community,
        ];
        flags.map(str::to_owned).to_vec()
    }

    /// Kills the node at an address; says what it was.
    pub fn kill(&mut self, at: SocketAddr) -> Option<&'static str> {
        let index = self.running.iter().position(|node| node.at == at)?;
        let mut node = self.running.remove(index);
        node.process.kill();
        Some(node.role)
    }

    /// The addresses of all, and of the server.
    pub fn ips(&self) -> Vec<IpAddr> {
        let nodes = self.running.iter().map(|node| node.at.ip());
        nodes.chain([self.server.ip()]).collect()
    }
}

/// The Python interpreter that has a release of pyipv8, whether it is there or not.
pub fn pyipv8(version: &str) -> PathBuf {
    cache().join(format!("pyipv8-{version}")).join("bin/python")
}

/// What `circuits` tells of the process with this state.
///
/// # Panics
/// When it tells nothing.
pub fn circuits(state: &std::path::Path) -> Value {
    let output = Command::new(binary())
        .args(["circuits", "--json", "--state"])
        .arg(state)
        .output()
        .expect("our command runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let err = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {text}{err}")
    })
}
