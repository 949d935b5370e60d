//! `testnet`: a private network of the overlay, each node a process of its own on this machine.

mod child;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::time;

use self::child::{Child, Kind};
use crate::cli::TestnetArgs;
use crate::failure::{Failure, reason};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::text::hex;
use crate::wire;

/// Processes that are started at the same time.
const AT_ONCE: usize = 8;

/// How long a process may take to say where it is.
const START: Duration = Duration::from_secs(30);

/// How long the nodes may take to find each other.
const MEET: Duration = Duration::from_secs(30);

/// How long they may take to leave.
const LEAVE: Duration = Duration::from_secs(3);

/// How often it is looked whether all are there.
const LOOK: Duration = Duration::from_millis(200);

/// One line. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    /// A node runs.
    Node {
        kind: &'a str,
        pid: u32,
        addr: &'a str,
        public_key: &'a str,
    },
    /// All run and know each other. `flags` are those of `download` and `seed` that join them.
    Ready {
        nodes: usize,
        relays: usize,
        exits: usize,
        bootstrap: &'a str,
        community: &'a str,
        flags: &'a [String],
    },
    /// A node has ended by itself, or was killed.
    Ended {
        kind: &'a str,
        pid: u32,
        status: String,
    },
    /// A signal asked for the end.
    Stopping,
}

pub(crate) fn run(args: &TestnetArgs, screen: &Screen) -> Result<(), Failure> {
    let exits = usize::from(args.exits.unwrap_or_else(|| (args.nodes / 5).max(1)));
    let all = usize::from(args.nodes);
    if exits >= all {
        let why = format!(
            "--exits {exits}: of {all} processes one is the bootstrap server, so that at most {} are exits",
            all - 1
        );
        return Err(Failure::Usage(why));
    }
    let home = Home::new(args.state.as_deref())?;
    wire::run(async {
        let shutdown = Shutdown::listen()?;
        let mut net = Net {
            screen: screen.clone(),
            shutdown,
            community: hex(&rand::random::<[u8; 20]>()),
            server: None,
            nodes: Vec::new(),
        };
        let served = net.serve((all - 1 - exits, exits), &home.path).await;
        net.leave().await;
        served
    })
}

/// Where the nodes keep their state; a folder that was made for them goes with this value.
struct Home {
    path: PathBuf,
    temporary: bool,
}

impl Home {
    fn new(asked: Option<&Path>) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let temporary = asked.is_none();
        let path = asked.map_or_else(
            || {
                let name = format!("tribler-rs-testnet-{}", std::process::id());
                std::env::temp_dir().join(name)
            },
            Path::to_owned,
        );
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(!temporary).mode(0o700).create(&path);
        made.map_err(|error| Failure::on_file(&path, &error))?;
        Ok(Self { path, temporary })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary {
            // What is left behind lies among other temporary things.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The processes of a network.
struct Net {
    screen: Screen,
    shutdown: Shutdown,
    community: String,
    server: Option<Child>,
    nodes: Vec<Child>,
}

impl Net {
    /// Starts all, tells how to join them, and goes on until a signal or until none is left.
    async fn serve(&mut self, (relays, exits): (usize, usize), home: &Path) -> Result<(), Failure> {
        let listen = ["--listen".to_owned(), "127.0.0.1:0".to_owned()];
        let mut server = Child::start(Kind::Server, &listen, home)?;
        let heard = server.heard(START).await;
        self.tell_started(&server)?;
        let bootstrap = server.addr.clone();
        self.server = Some(server);
        heard?;
        self.start_nodes((relays, exits), &bootstrap, home).await?;
        self.meet(relays, exits).await?;
        self.tell_ready(&bootstrap, (relays, exits))?;
        self.watch().await
    }

    /// Starts relays and exits, some at a time.
    async fn start_nodes(
        &mut self,
        (relays, exits): (usize, usize),
        bootstrap: &str,
        home: &Path,
    ) -> Result<(), Failure> {
        let kinds = std::iter::repeat_n(Kind::Relay, relays);
        let kinds: Vec<Kind> = kinds
            .chain(std::iter::repeat_n(Kind::Exit, exits))
            .collect();
        for (some, kinds) in kinds.chunks(AT_ONCE).enumerate() {
            let first = self.nodes.len();
            for (at, kind) in kinds.iter().enumerate() {
                let number = some * AT_ONCE + at + 1;
                let place = place(number);
                let state = home.join(format!("node-{number}")).display().to_string();
                let mut flags = [
                    ["--overlay-listen", &place],
                    ["--overlay-bootstrap", bootstrap],
                    ["--overlay-community", &self.community],
                    ["--state", &state],
                    ["--every", "1s"],
                ]
                .as_flattened()
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>();
                // Relays, too: those that introduce hidden seeders write to exits.
                flags.push("--only-local".to_owned());
                self.nodes.push(Child::start(*kind, &flags, home)?);
            }
            for at in first..self.nodes.len() {
                let Some(node) = self.nodes.get_mut(at) else {
                    continue;
                };
                tokio::select! {
                    heard = node.heard(START) => heard?,
                    _ = self.shutdown.asked() => return Err(stopped()),
                }
                if let Some(node) = self.nodes.get(at) {
                    self.tell_started(node)?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the nodes know enough of each other.
    async fn meet(&mut self, relays: usize, exits: usize) -> Result<(), Failure> {
        // Who looks for others asks members for one at a time: most are known long before all are.
        let enough = |known: child::Known, own: Kind| {
            let others = |all: usize, kind| all - usize::from(own == kind).min(all);
            let (relays, exits) = (
                others(relays + exits, Kind::Relay),
                others(exits, Kind::Exit),
            );
            known.relays >= relays.min(4) && known.exits >= exits.min(1)
        };
        let late = time::sleep(MEET);
        tokio::pin!(late);
        loop {
            let met = self
                .nodes
                .iter()
                .filter(|node| enough(node.known(), node.kind))
                .count();
            if met == self.nodes.len() {
                return Ok(());
            }
            tokio::select! {
                () = &mut late => {
                    let of = self.nodes.len();
                    let line = format_args!("only {met} of {of} nodes have found others so far");
                    self.screen.warn("warning", line);
                    return Ok(());
                }
                () = time::sleep(LOOK) => self.bury()?,
                _ = self.shutdown.asked() => return Err(stopped()),
            }
        }
    }

    /// Tells of nodes that end, until a signal or until there is none left.
    async fn watch(&mut self) -> Result<(), Failure> {
        loop {
            tokio::select! {
                _ = self.shutdown.asked() => {
                    return match self.screen.style() {
                        Style::Json => self.screen.json(&Line::Stopping),
                        Style::Bars | Style::Lines => Ok(()),
                    };
                }
                () = time::sleep(LOOK) => self.bury()?,
            }
        }
    }

    /// Tells of nodes that have ended.
    fn bury(&mut self) -> Result<(), Failure> {
        let children = self.nodes.iter_mut().chain(&mut self.server);
        let mut ended = Vec::new();
        for child in children {
            if let Some(status) = child.ended() {
                ended.push((child.kind, child.pid, status));
            }
        }
        self.nodes.retain(|node| !node.is_over());
        for (kind, pid, status) in ended {
            let kind = kind.word();
            match self.screen.style() {
                Style::Json => self.screen.json(&Line::Ended { kind, pid, status })?,
                Style::Bars | Style::Lines => {
                    let line = format_args!("the {kind} with process id {pid} has ended: {status}");
                    self.screen.warn("warning", line);
                }
            }
        }
        if self.nodes.is_empty() {
            return Err(Failure::Failed("no node is left".to_owned()));
        }
        Ok(())
    }

    fn tell_started(&self, child: &Child) -> Result<(), Failure> {
        if self.screen.style() != Style::Json || child.addr.is_empty() {
            return Ok(());
        }
        self.screen.json(&Line::Node {
            kind: child.kind.word(),
            pid: child.pid,
            addr: &child.addr,
            public_key: &child.public_key,
        })
    }

    fn tell_ready(&self, bootstrap: &str, (relays, exits): (usize, usize)) -> Result<(), Failure> {
        let hops = (relays + exits).min(3);
        let flags = [
            "--hops".to_owned(),
            hops.to_string(),
            "--overlay-bootstrap".to_owned(),
            bootstrap.to_owned(),
            "--overlay-community".to_owned(),
            self.community.clone(),
        ];
        let nodes = self.nodes.len() + 1;
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Ready {
                nodes,
                relays,
                exits,
                bootstrap,
                community: &self.community,
                flags: &flags,
            });
        }
        let mut text = format!(
            "{nodes} processes: a bootstrap server at {bootstrap}, {relays} relays, {exits} exits; community {}\n\
             to download through them, with another number of hops if you like:\n\n  tribler-rs download TORRENT {} \
             --peer 127.0.0.1:PORT\n\n\
             the exits reach this machine only: name a seed that listens at 127.0.0.1, or have one in hiding:\n\n  \
             tribler-rs seed TORRENT --data DIR {}\n\nCtrl-C ends them all",
            self.community,
            flags.join(" "),
            flags.join(" "),
        );
        if relays + exits < 3 {
            let _ = write!(
                text,
                "\nthere are too few nodes for circuits of 3 hops: that takes two relays and an exit"
            );
        }
        self.screen.say(text)
    }

    /// Ends all that still run.
    async fn leave(&mut self) {
        let mut children: Vec<Child> = self.nodes.drain(..).chain(self.server.take()).collect();
        for child in &mut children {
            child.ask_to_end();
        }
        let end = time::Instant::now() + LEAVE;
        for child in &mut children {
            child.end(end).await;
        }
    }
}

fn stopped() -> Failure {
    Failure::Failed("stopped before all nodes were there".to_owned())
}

/// Where a node is. Each has a network of its own as far as path selection is concerned, where the system has the whole of
/// 127.0.0.0/8.
fn place(number: usize) -> String {
    let second = if cfg!(target_os = "linux") {
        number % 254 + 1
    } else {
        0
    };
    format!("127.{second}.0.1:0")
}

/// What the command line of this program is, for processes of our own.
fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::Failed(format!("cannot find this program: {}", reason(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_at_loopback_addresses_of_different_networks() {
        let places: std::collections::BTreeSet<String> = (1..=199).map(place).collect();
        assert!(places.len() == 199 || !cfg!(target_os = "linux"));
        for place in places {
            let at: std::net::SocketAddrV4 = place.parse().unwrap();
            assert!(at.ip().is_loopback() && at.port() == 0);
        }
    }
}
