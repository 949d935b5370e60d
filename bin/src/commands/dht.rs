//! `dht`: single things done on the mainline DHT.

mod items;
mod line;
mod peers;
mod publish;
mod samples;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dht::DhtHandle;
use net::Network;
use protocol::id::InfoHash;

use self::line::Line;
use self::samples::Crawl;
use crate::cli::dht::{DhtArgs, DhtCommand, PingArgs};
use crate::failure::{Failure, reason};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::wire::{self, RunningDht};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(3);

pub(crate) fn run(args: &DhtArgs, screen: &Screen) -> Result<(), Failure> {
    wire::run(async {
        let mut shutdown = Shutdown::listen()?;
        let node = wire::lone_dht(args, serves(&args.what))?;
        let mut found = attempt(args, screen, node, &mut shutdown).await?;
        if !found {
            // Some give long items to those only who can show where they are.
            let node = serving_next(args).await?;
            found = attempt(args, screen, node, &mut shutdown).await?;
        }
        found
            .then_some(())
            .ok_or_else(|| Failure::Failed("no node has such an item".to_owned()))
    })
}

/// Whether the node answers queries while it is there: where others need that to believe in its address, before they give
/// what is long. Others would keep it in their tables for nothing.
const fn serves(what: &DhtCommand) -> bool {
    match what {
        DhtCommand::GetPeers(args) => args.scrape,
        // The present version is asked for first.
        DhtCommand::Put(args) => args.key.is_some() && args.seq.is_none(),
        DhtCommand::Publish(args) => args.seq.is_none(),
        DhtCommand::Announce(_)
        | DhtCommand::Crawl(_)
        | DhtCommand::Get(_)
        | DhtCommand::Ping(_)
        | DhtCommand::Sample(_) => false,
    }
}

/// A node that answers queries, where another has just gone that may still hold the port.
async fn serving_next(args: &DhtArgs) -> Result<RunningDht, Failure> {
    const TRIES: usize = 100;
    const TRY_EVERY: Duration = Duration::from_millis(20);
    for _ in 1..TRIES {
        if let Ok(node) = wire::lone_dht(args, true) {
            return Ok(node);
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    wire::lone_dht(args, true)
}

/// Does what is asked for with a node, which ends then; `false` where it may be found in another way.
async fn attempt(
    args: &DhtArgs,
    screen: &Screen,
    node: RunningDht,
    shutdown: &mut Shutdown,
) -> Result<bool, Failure> {
    let work = Work {
        args,
        screen,
        network: &node.network,
        dht: &node.dht,
        crawl: RefCell::new(None),
    };
    let outcome = tokio::select! {
        outcome = work.run() => outcome,
        _ = shutdown.asked() => work.stopped(),
    };
    node.dht.shutdown(GOODBYE).await;
    outcome
}

/// What a command works with.
struct Work<'a> {
    args: &'a DhtArgs,
    screen: &'a Screen,
    network: &'a Network,
    dht: &'a DhtHandle,
    /// How far the crawl is, where there is one.
    crawl: RefCell<Option<Crawl>>,
}

impl Work<'_> {
    async fn run(&self) -> Result<bool, Failure> {
        let done = match &self.args.what {
            DhtCommand::Get(args) => return self.get(args).await,
            DhtCommand::Ping(args) => self.ping(args).await,
            DhtCommand::Announce(args) => self.announce(args).await,
            DhtCommand::GetPeers(args) => self.get_peers(args).await,
            DhtCommand::Publish(args) => self.publish(args).await,
            DhtCommand::Put(args) => self.put(args).await,
            DhtCommand::Sample(args) => self.sample(args).await,
            DhtCommand::Crawl(args) => self.crawl(args).await,
        };
        done.map(|()| true)
    }

    /// The user has ended it: says how far it came.
    fn stopped(&self) -> Result<bool, Failure> {
        if let Some(crawl) = self.crawl.borrow().as_ref() {
            self.tell(&crawl.line(Some("stopped")))?;
        }
        Err(Failure::Failed("stopped".to_owned()))
    }

    async fn ping(&self, args: &PingArgs) -> Result<(), Failure> {
        let mut silent = false;
        for node in &args.node {
            for addr in self.addresses(node).await? {
                let pong = self.dht.ping(addr).await.map_err(Failure::failed)?;
                silent |= pong.is_none();
                let addr = addr.to_string();
                let line = match &pong {
                    Some(pong) => Line::Pong {
                        addr,
                        id: pong.id.to_string(),
                        rtt_ms: line::milliseconds(pong.rtt),
                        version: pong.version.as_deref().map(line::program),
                    },
                    None => Line::Silence { addr },
                };
                self.tell(&line)?;
            }
        }
        if silent { Err(Failure::Told) } else { Ok(()) }
    }

    /// Waits until there are nodes to ask.
    async fn ready(&self) -> Result<(), Failure> {
        const ENOUGH: usize = 8;
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        const SOON: Duration = Duration::from_millis(700);
        const SLOW: Duration = Duration::from_millis(1500);
        const SILENT_FOR: Duration = Duration::from_secs(1);
        let hosts = wire::bootstrap_hosts(self.args)?;
        if !self.args.bootstrap.is_empty() {
            wire::tell_unknown("--bootstrap", &hosts, self.network, self.screen);
        }
        let mut silent = true;
        let patience = self.args.patience.0;
        let began = Instant::now();
        let mut known = 0;
        let mut quiet_since = began;
        loop {
            let status = self.dht.status().await.map_err(Failure::failed)?;
            let nodes = status
                .families
                .iter()
                .flatten()
                .map(|side| side.nodes)
                .sum();
            if nodes != known {
                quiet_since = Instant::now();
            }
            known = nodes;
            // A small network is known as a whole when nothing more is found out, or soon will be.
            let quiet = if status.jobs > 0 { SLOW } else { SOON };
            let settled = known > 0 && quiet_since.elapsed() >= quiet;
            if known >= ENOUGH || settled {
                return Ok(());
            }
            if silent && began.elapsed() >= SILENT_FOR {
                silent = false;
                self.tell_waiting(&hosts);
            }
            if began.elapsed() >= patience {
                let alone = self.args.listen.is_some_and(|at| at.ip().is_loopback());
                let why = if alone && self.args.bootstrap.is_empty() {
                    "on the loopback address no node of the DHT is known; name one with --bootstrap"
                } else {
                    "no node of the DHT answers"
                };
                return Err(Failure::Failed(why.to_owned()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says whom the first answers are awaited from.
    fn tell_waiting(&self, hosts: &[(String, u16)]) {
        if self.screen.style() == Style::Json || hosts.is_empty() {
            return;
        }
        let hosts: Vec<String> = hosts
            .iter()
            .map(|(host, port)| format!("{host}:{port}"))
            .collect();
        self.screen
            .note(&format!("asking {} ...\n", hosts.join(", ")));
    }

    /// The addresses of a node that is given as HOST:PORT.
    async fn addresses(&self, node: &str) -> Result<Vec<SocketAddr>, Failure> {
        let (host, port) = wire::host_and_port(node)?;
        let found = self.network.lookup(&host, port).await;
        found.map_err(|error| Failure::Failed(format!("{node}: {}", reason(&error))))
    }

    /// Writes a result: a line of JSON, or of text.
    fn tell(&self, line: &Line) -> Result<(), Failure> {
        match self.screen.style() {
            Style::Json => self.screen.json(line),
            Style::Bars | Style::Lines => {
                if let Some(remark) = line.remark() {
                    self.screen.note(&remark);
                }
                self.screen.write(&line.text())
            }
        }
    }
}

/// The info-hash that an argument names.
pub(super) fn info_hash(torrent: &str) -> Result<InfoHash, Failure> {
    let hashes = match Source::read_local(torrent)? {
        Source::Magnet(magnet) => magnet.hashes,
        Source::Torrent(metainfo) => Some(metainfo.hashes()),
    };
    let hashes = hashes
        .ok_or_else(|| Failure::Usage(format!("{torrent} names a DHT item and not a torrent")))?;
    Ok(hashes.wire())
}

/// The bytes of a text in hex.
fn unhex<const N: usize>(text: &str) -> Result<[u8; N], Failure> {
    let wrong = || Failure::Usage(format!("{text} is not {} hexadecimal digits", 2 * N));
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return Err(wrong());
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * at..2 * at + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}
