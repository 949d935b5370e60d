//! `testnet`: a private network of the overlay, each node a process of its own on this machine.

mod child;
mod home;
mod lines;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time;

use self::child::{Child, Kind};
use self::home::Home;
use self::lines::Line;
use crate::cli::TestnetArgs;
use crate::failure::{Failure, reason};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::text::hex;
use crate::wire;

/// Processes that are started at the same time.
const AT_ONCE: usize = 8;

/// How long a process may take to say where it is, on a machine that has much else to do.
const START: Duration = Duration::from_secs(300);

/// How long the nodes may take to find each other.
const MEET: Duration = Duration::from_secs(30);

/// How long they may take to leave.
const LEAVE: Duration = Duration::from_secs(3);

/// How often it is told how many have found others.
const TELL: Duration = Duration::from_secs(2);

/// How often it is looked whether all are there.
const LOOK: Duration = Duration::from_millis(200);

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
        let served = net.serve((all - 1 - exits, exits), home.path()).await;
        net.leave().await;
        served?;
        match screen.style() {
            Style::Json => Ok(()),
            Style::Bars | Style::Lines => screen.say("all of them have ended"),
        }
    })
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
    async fn serve(&mut self, kinds: (usize, usize), home: &Path) -> Result<(), Failure> {
        self.tell_starting(kinds)?;
        let Some(bootstrap) = self.start(kinds, home).await? else {
            return self.tell_stopping();
        };
        if !self.meet(kinds).await? {
            return self.tell_stopping();
        }
        self.tell_ready(&bootstrap, kinds)?;
        self.watch().await
    }

    /// Starts all; returns where the bootstrap server is, or nothing where a signal came first.
    async fn start(
        &mut self,
        kinds: (usize, usize),
        home: &Path,
    ) -> Result<Option<String>, Failure> {
        let listen = ["--overlay-listen".to_owned(), "127.0.0.1:0".to_owned()];
        let server = self
            .server
            .insert(Child::start(Kind::Server, &listen, home)?);
        tokio::select! {
            heard = server.heard(START) => heard?,
            _ = self.shutdown.asked() => return Ok(None),
        }
        let bootstrap = server.addr.clone();
        if let Some(server) = &self.server {
            self.tell_started(server)?;
        }
        let all = self.start_nodes(kinds, &bootstrap, home).await?;
        Ok(all.then_some(bootstrap))
    }

    /// Starts relays and exits, some at a time; returns whether all were, before a signal came.
    async fn start_nodes(
        &mut self,
        (relays, exits): (usize, usize),
        bootstrap: &str,
        home: &Path,
    ) -> Result<bool, Failure> {
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
                    _ = self.shutdown.asked() => return Ok(false),
                }
                if let Some(node) = self.nodes.get(at) {
                    self.tell_started(node)?;
                }
            }
        }
        Ok(true)
    }

    /// Waits until the nodes know enough of each other, and tells how far they are; returns whether that was before a signal
    /// came.
    async fn meet(&mut self, kinds: (usize, usize)) -> Result<bool, Failure> {
        let late = time::sleep(MEET);
        tokio::pin!(late);
        let mut told = None;
        let mut tell_at = time::Instant::now() + TELL;
        loop {
            let enough = |node: &&Child| knows_enough(node.known(), node.kind, kinds);
            let (met, of) = (self.nodes.iter().filter(enough).count(), self.nodes.len());
            if met == of {
                return Ok(true);
            }
            if told != Some(met) && time::Instant::now() >= tell_at {
                self.tell_meeting(met, of)?;
                told = Some(met);
                tell_at = time::Instant::now() + TELL;
            }
            tokio::select! {
                () = &mut late => {
                    let line = format_args!("only {met} of {of} nodes have found others so far");
                    self.screen.warn("warning", line);
                    return Ok(true);
                }
                () = time::sleep(LOOK) => self.bury()?,
                _ = self.shutdown.asked() => return Ok(false),
            }
        }
    }

    /// Tells of nodes that end, until a signal or until there is none left.
    async fn watch(&mut self) -> Result<(), Failure> {
        loop {
            tokio::select! {
                _ = self.shutdown.asked() => return self.tell_stopping(),
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

/// Whether a node knows so many others that it can build circuits of all hops that there are: of many others it asks one at a
/// time for more, so that most are known long before all are.
fn knows_enough(known: child::Known, own: Kind, (relays, exits): (usize, usize)) -> bool {
    // Exits relay, too.
    let others = (relays + exits).saturating_sub(1);
    let other_exits = exits - usize::from(own == Kind::Exit).min(exits);
    known.relays >= others.min(4) && known.exits >= other_exits.min(1)
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
    fn the_nodes_of_the_smallest_networks_know_all_others_at_some_time() {
        for all in 1..=12 {
            for exits in 1..=all {
                let relays = all - exits;
                let most = |own: Kind| child::Known {
                    relays: all - 1,
                    exits: exits - usize::from(own == Kind::Exit),
                };
                for own in [Kind::Exit, Kind::Relay] {
                    if own == Kind::Relay && relays == 0 {
                        continue;
                    }
                    assert!(
                        knows_enough(most(own), own, (relays, exits)),
                        "{all} {exits}"
                    );
                    let nobody = child::Known::default();
                    assert_eq!(knows_enough(nobody, own, (relays, exits)), all == 1);
                }
            }
        }
    }

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
