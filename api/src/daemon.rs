//! What stands behind the API.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use control::{Ask, Refusal};
use engine::EngineHandle;
use protocol::id::InfoHash;
use protocol::magnet::Magnet;
use protocol::metainfo::Metainfo;
use serde_json::{Map, Value};

use crate::part::Part;

/// A future of a method that is called through a trait object.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A daemon, as its API sees it.
pub trait Daemon: Send + Sync + 'static {
    /// Its engine.
    fn engine(&self) -> &EngineHandle;

    /// Does what is asked, as if it came over the command channel.
    fn ask(&self, ask: Ask) -> Promise<'_, Result<Value, Refusal>>;

    /// Follows what happens from now on: the events of the command channel.
    fn follow(&self) -> Box<dyn Follow>;

    /// The folder for content of which nothing is said, from the root.
    fn content_dir(&self) -> PathBuf;

    /// Bytes of what is kept, on the disk.
    fn state_size(&self) -> u64;

    /// The part in the overlay, once there is one.
    fn overlay(&self) -> Option<OverlayFigures>;

    /// Its own circuits.
    fn circuits(&self) -> Vec<Circuit>;

    /// What else there is to be seen of the part in the overlay, once there is one.
    fn part(&self) -> Option<Box<dyn Part>>;

    /// Fetches a .torrent file over HTTP, on the way of torrents of which so many hops are said. The address is a client's: it leads to
    /// nobody who is not in the open net, unless the daemon's user has allowed that.
    fn fetch<'a>(&'a self, url: &'a str, hops: Option<u8>)
    -> Promise<'a, Result<Vec<u8>, Refusal>>;

    /// Fetches the metadata of a link that is no download, on the way of torrents of which so many hops are said. The link is a
    /// client's: its peers and trackers are those of the open net, as the addresses of [`Self::fetch`] are.
    fn metadata(
        &self,
        link: Magnet,
        hops: Option<u8>,
    ) -> Promise<'_, Result<Arc<Metainfo>, Refusal>>;

    /// Counts the peers of a torrent in the DHT, by the direct way: those that have everything, and the others.
    fn count_in_dht(&self, hash: InfoHash) -> Promise<'_, Result<[u64; 2], String>>;

    /// Makes a torrent of files and folders of this machine. Where the promise is dropped, that is broken off.
    fn make(&self, of: Make) -> Promise<'_, Result<Made, Refusal>>;

    /// So many of the last lines that were logged, oldest first.
    fn log(&self, lines: usize) -> String;

    /// Whether it is noted where the process spends its time.
    fn is_profiling(&self) -> bool;

    /// Notes from now on where the process spends its time.
    ///
    /// # Errors
    /// Where that is done already, or cannot be.
    fn start_profiling(&self) -> Result<(), Refusal>;

    /// Ends that; the file with what was noted.
    fn stop_profiling(&self) -> Promise<'_, Result<PathBuf, Refusal>>;

    /// All figures, as a page of OpenMetrics.
    fn figures(&self) -> Promise<'_, String>;

    /// What [`Self::remember`] has kept, by its names.
    fn remembered(&self) -> Map<String, Value>;

    /// Keeps values under names, for this run and later ones; null forgets one.
    ///
    /// # Errors
    /// Why it is not kept, for a person to read.
    fn remember(&self, values: Map<String, Value>) -> Promise<'_, Result<(), String>>;
}

/// What a torrent is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Make {
    /// Files and folders, from the root. The torrent has the name of the only one, or of the folder that all of them are in.
    pub paths: Vec<PathBuf>,
    /// A comment for people.
    pub comment: Option<String>,
    /// Trackers, by tier.
    pub trackers: Vec<Vec<String>>,
}

/// A torrent that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The .torrent file.
    pub torrent: Vec<u8>,
    /// The folder that its content is in.
    pub dir: PathBuf,
}

/// What a part in the overlay has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverlayFigures {
    /// Bytes of the datagrams that were sent.
    pub sent: u64,
    /// Bytes of the datagrams that were received.
    pub received: u64,
    /// For how long there has been one.
    pub uptime: Duration,
}

/// A circuit of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Its number on the first link.
    pub id: u32,
    /// What it is for, as Tribler says it: `DATA`, `IP_SEEDER`, `RP_SEEDER`, `RP_DOWNLOADER` or `SPEED_TEST`.
    pub purpose: &'static str,
    /// Whether all hops have joined.
    pub is_ready: bool,
    /// How many hops it is to have.
    pub goal: u8,
    /// The hops that have joined, first to last: the SHA-1 of the key of each, and its address, where that is known.
    pub hops: Vec<([u8; 20], Option<SocketAddr>)>,
    /// The SHA-1 of the key of who is asked to join next.
    pub asked: Option<[u8; 20]>,
    /// What its last hop has to do for others, a bit each.
    pub exit_flags: u16,
    /// Bytes of cells that went out and came in.
    pub bytes: [u64; 2],
    /// For how long there has been one.
    pub age: Duration,
}

/// Somebody who follows what happens in a daemon. Whoever does not ask for a while costs nothing, and hears how much it missed.
pub trait Follow: Send {
    /// The next event whose word is among these; cancel safe.
    fn next<'a>(&'a mut self, words: &'a [&'a str]) -> Promise<'a, News>;
}

/// What there is for who follows.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An event: its word, and all that is told of it.
    Told(&'static str, Map<String, Value>),
    /// So many events are no longer there.
    Missed(u64),
}
