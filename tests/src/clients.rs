//! One driver per BitTorrent program: starts it with one torrent, and tells how far it is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::Process;
use crate::sandbox::{Lab, Need};
use crate::wait;

pub mod aria2;
mod http;
pub mod libtorrent;
pub mod opentracker;
pub mod proxy;
pub mod qbittorrent;
pub mod schemathesis;
pub mod tracker;
pub mod transmission;
pub mod web;

/// The programs that the interop tests know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `aria2c`.
    Aria2,
    /// libtorrent of this version, through its Python binding.
    Libtorrent(&'static str),
    /// The project's own command.
    Ours,
    /// `qbittorrent-nox`.
    Qbittorrent,
    /// `transmission-daemon`.
    Transmission,
}

/// What a client is to do.
#[derive(Debug, Clone)]
pub struct Job {
    /// Path of a .torrent file, or a magnet link.
    pub source: String,
    /// The folder that holds, or will hold, the torrent's top-level name.
    pub dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whom to dial. Not every client can be told: [`Client::dials`].
    pub peers: Vec<SocketAddr>,
    /// Whether the data is all there.
    pub seed: bool,
    /// How to do it.
    pub orders: Orders,
}

/// What a client is told beside its job. Nothing, by default: it does as it does by itself. A client that cannot be told
/// so panics when it is started.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// By what to meet peers; libtorrent is told TCP where nothing is said.
    pub transport: Option<Transport>,
    /// What to take and to offer.
    pub encryption: Option<Encryption>,
    /// To pretend to have nothing, as a seed.
    pub super_seed: bool,
    /// To serve after a download, if it is not what the client does anyway.
    pub stays: bool,
    /// To take part in the DHT, by this node; nobody else does.
    pub dht: Option<SocketAddr>,
    /// To do everything through this SOCKS5 proxy.
    pub proxy: Option<SocketAddr>,
}

/// How peers meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By both.
    Both,
    /// By TCP alone.
    Tcp,
    /// By uTP alone.
    Utp,
}

/// Which streams a client takes and offers (MSE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Encrypted handshakes, with RC4 or plain streams behind them.
    Covered,
    /// Encrypted handshakes with plain streams behind them.
    Obfuscated,
    /// Plain streams.
    Plain,
    /// Everything, RC4 if it can be had.
    Preferred,
    /// Encrypted streams under RC4.
    Rc4,
    /// Everything, as it does by itself.
    Usual,
}

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Starting, checking, downloading.
    Busy,
    /// A download is complete and verified; a seed serves.
    Done,
}

/// A client at work.
pub trait Running {
    /// How far it is; panics with its last words when it has failed.
    fn stage(&mut self) -> Stage;
    /// Its process.
    fn process(&mut self) -> &mut Process;
}

impl Job {
    /// Serves what lies in `dir`.
    pub fn seed(source: &str, dir: &Path, listen: SocketAddr) -> Self {
        Self {
            seed: true,
            ..Self::download(source, dir, listen, Vec::new())
        }
    }

    /// Gets the torrent into `dir`.
    pub fn download(source: &str, dir: &Path, listen: SocketAddr, peers: Vec<SocketAddr>) -> Self {
        Self {
            source: source.to_owned(),
            dir: dir.to_owned(),
            listen,
            peers,
            seed: false,
            orders: Orders::default(),
        }
    }

    /// The same job with other orders.
    #[must_use]
    pub fn with(self, orders: Orders) -> Self {
        Self { orders, ..self }
    }
}

impl Orders {
    /// To meet peers this way.
    pub fn by(transport: Transport) -> Self {
        Self {
            transport: Some(transport),
            ..Self::default()
        }
    }

    /// To take part in the DHT, by this node.
    pub fn in_dht(node: SocketAddr) -> Self {
        Self {
            dht: Some(node),
            ..Self::default()
        }
    }
}

impl Transport {
    /// One word, as our command has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Tcp => "tcp",
            Self::Utp => "utp",
        }
    }
}

impl Client {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aria2 => "aria2",
            Self::Libtorrent("2.0.11") => "libtorrent 2.0.11",
            Self::Libtorrent(_) => "libtorrent 2.1.1",
            Self::Ours => "tribler-rs",
            Self::Qbittorrent => "qbittorrent",
            Self::Transmission => "transmission",
        }
    }

    /// What must be installed for it.
    pub fn need(self) -> Need {
        match self {
            Self::Aria2 => Need::Program("aria2c"),
            Self::Libtorrent(version) => Need::Libtorrent(version),
            Self::Ours => Need::Ours,
            Self::Qbittorrent => Need::Program("qbittorrent-nox"),
            Self::Transmission => Need::Program("transmission-daemon"),
        }
    }

    /// Whether it can be told whom to dial; the others need a tracker, or are dialled.
    pub fn dials(self) -> bool {
        matches!(self, Self::Libtorrent(_) | Self::Ours | Self::Qbittorrent)
    }

    /// Whether it knows of v2 torrents. Those that do not take no hybrid either: Transmission 3.00 reads none, and aria2 1.36
    /// takes another hash for theirs.
    pub fn knows_v2(self) -> bool {
        matches!(self, Self::Libtorrent(_) | Self::Ours | Self::Qbittorrent)
    }

    /// Whether it speaks uTP.
    pub fn speaks_utp(self) -> bool {
        self != Self::Aria2
    }

    /// Starts it in the folder `home`, which is its own.
    pub fn start(self, job: &Job, home: &Path) -> Box<dyn Running> {
        match self {
            Self::Aria2 => Box::new(aria2::Aria2::start(job, home)),
            Self::Libtorrent(version) => {
                Box::new(libtorrent::Libtorrent::start(version, job, home))
            }
            Self::Ours => Box::new(crate::ours::Ours::start(job, home)),
            Self::Qbittorrent => Box::new(qbittorrent::Qbittorrent::start(job, home)),
            Self::Transmission => Box::new(transmission::Transmission::start(job, home)),
        }
    }

    /// Starts it in a folder of `lab` that belongs to where it listens.
    pub fn run(self, lab: &Lab, job: &Job) -> Box<dyn Running> {
        self.start(job, &lab.folder(&format!("home {}", job.listen.port())))
    }
}

/// Waits until `client` is done.
///
/// # Panics
/// When it is not within `limit` and the [`patience`](wait::patience) for that.
pub fn finish(client: &mut dyn Running, limit: Duration, what: &str) {
    let done = wait::until(limit, || (client.stage() == Stage::Done).then_some(()));
    assert!(
        done.is_some(),
        "{what}: not done, long after {limit:?}\n{}",
        client.process().last_words()
    );
}

/// A fresh folder and address for one more client of `lab`.
pub fn home(lab: &Lab, name: &str) -> (PathBuf, SocketAddr) {
    let listen = lab.address();
    (
        lab.folder(&format!("{} {}", name.replace('/', "-"), listen.port())),
        listen,
    )
}

/// Whether anyone in this network namespace listens on this TCP port, as the kernel tells.
pub fn listens(port: u16) -> bool {
    let port = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
        })
    })
}

/// Where the program of a job is asked how far it is. Its port is none that the system gives by itself: who asks again and
/// again before anybody listens there could be connected to itself.
fn control_of(job: &Job) -> SocketAddr {
    ([127, 0, 0, 1], job.listen.port() - 10_000).into()
}
