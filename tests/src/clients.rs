//! One driver per BitTorrent program: starts it with one torrent, and tells how far it is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::Process;
use crate::sandbox::{Lab, Need};
use crate::wait;

pub mod aria2;
pub mod libtorrent;
pub mod opentracker;
pub mod proxy;
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

impl Client {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aria2 => "aria2",
            Self::Libtorrent("2.0.11") => "libtorrent 2.0.11",
            Self::Libtorrent(_) => "libtorrent 2.1.1",
            Self::Ours => "tribler-rs",
            Self::Transmission => "transmission",
        }
    }

    /// What must be installed for it.
    pub fn need(self) -> Need {
        match self {
            Self::Aria2 => Need::Program("aria2c"),
            Self::Libtorrent(version) => Need::Libtorrent(version),
            Self::Ours => Need::Ours,
            Self::Transmission => Need::Program("transmission-daemon"),
        }
    }

    /// Whether it can be told whom to dial; the others need a tracker.
    pub fn dials(self) -> bool {
        matches!(self, Self::Libtorrent(_) | Self::Ours)
    }

    /// Starts it in the folder `home`, which is its own.
    pub fn start(self, job: &Job, home: &Path) -> Box<dyn Running> {
        match self {
            Self::Aria2 => Box::new(aria2::Aria2::start(job, home)),
            Self::Libtorrent(version) => {
                Box::new(libtorrent::Libtorrent::start(version, job, home))
            }
            Self::Ours => Box::new(crate::ours::Ours::start(job, home)),
            Self::Transmission => Box::new(transmission::Transmission::start(job, home)),
        }
    }
}

/// Waits until `client` is done.
///
/// # Panics
/// When it is not within `limit`.
pub fn finish(client: &mut dyn Running, limit: Duration, what: &str) {
    let done = wait::until(limit, || (client.stage() == Stage::Done).then_some(()));
    assert!(
        done.is_some(),
        "{what}: not done after {limit:?}\n{}",
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
