//! Extensions of programs that embed the engine (BEP 10): they say a name, and hear and send messages of their own.
//!
//! A program registers an extension ([`EngineHandle::add_extension`](crate::EngineHandle::add_extension)) and gets an
//! [`ExtensionPort`]: what happens comes out of a queue of its own with a bound, what it sends goes into a queue of each
//! connection with a bound. Nothing of it runs in the engine, so that it can be as slow as it likes: where its queue is full,
//! messages are dropped and counted. The driver of a connection whose torrent has no extension does not know of any of this.
//!
//! What becomes of torrents and connections otherwise, [events](crate::Event) tell.

mod joined;
mod port;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::bencode::Tree;
use protocol::id::PeerId;
use protocol::peer::custom::{FIRST_ID, LAST_ID};
use protocol::peer::{CustomError, CustomExtension};
use tokio::sync::mpsc;

pub(crate) use self::joined::Joined;
pub use self::port::ExtensionPort;
use crate::TorrentId;

/// Messages to one peer that may wait until it reads.
const OUTBOX: usize = 32;

/// Bytes of one message at most, either way.
pub const MOST_PAYLOAD: usize = 64 * 1024;

/// What an extension is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionSpec {
    /// Its name in the handshake of the extension protocol, such as `xx_chat`.
    pub name: String,
    /// An entry of its own in our handshake; a peer's under the same key is told with it.
    pub entry: Option<(String, Tree)>,
    /// The torrents of whose peers it is; `None` for all, those that come as well.
    pub torrents: Option<Vec<TorrentId>>,
    /// What may wait in its queue; what comes beyond that is dropped and counted. At least 1.
    pub queue: usize,
}

/// Why an extension is not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionRefusal {
    /// It cannot be so.
    #[error(transparent)]
    Wrong(CustomError),
    /// One of that name is there.
    #[error("there is an extension `{0}` already")]
    Exists(String),
    /// There are as many as there can be.
    #[error("there are 16 extensions already, and there can be no more")]
    Full,
}

/// A connection to a peer that speaks an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionPeer {
    /// Its number, never used twice by one extension.
    pub number: u64,
    /// The torrent.
    pub torrent: TorrentId,
    /// The address of the other end.
    pub addr: SocketAddr,
    /// Who it says it is.
    pub peer_id: PeerId,
    /// Its entry in the handshake, under the key of ours; at most 4096 bytes.
    pub entry: Option<Tree>,
}

/// What happens to an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtensionEvent {
    /// A peer speaks it.
    Joined(ExtensionPeer),
    /// A peer has sent a message.
    Message {
        /// Its number.
        peer: u64,
        /// What it has sent, at most 64 KiB.
        payload: Bytes,
    },
    /// The connection has ended, or the peer has turned the extension off.
    Left {
        /// Its number.
        peer: u64,
    },
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendRefused {
    /// There is no such peer, or not any more.
    #[error("there is no such peer any more")]
    Gone,
    /// As many messages wait for it as may: it reads slowly, or a limit is low.
    #[error("too many messages wait for the peer")]
    Full,
    /// It is longer than 64 KiB.
    #[error("the message is longer than 64 KiB")]
    TooLong,
}

/// The extensions of an engine. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plugins(Arc<Mutex<Vec<Arc<Plugin>>>>);

/// An extension that is registered.
#[derive(Debug)]
pub(crate) struct Plugin {
    custom: CustomExtension,
    torrents: Option<Vec<TorrentId>>,
    events: mpsc::Sender<ExtensionEvent>,
    missed: AtomicU64,
    peers: Mutex<BTreeMap<u64, Door>>,
    next: AtomicU64,
}

/// The way to a peer.
#[derive(Debug)]
struct Door {
    peer: ExtensionPeer,
    /// Which of the connection's extensions it is.
    at: usize,
    outbox: mpsc::Sender<(usize, Bytes)>,
}

impl Plugins {
    /// Registers one.
    pub(crate) fn add(&self, spec: ExtensionSpec) -> Result<ExtensionPort, ExtensionRefusal> {
        let mut custom = CustomExtension {
            name: spec.name,
            id: FIRST_ID,
            entry: spec.entry,
        };
        custom.check().map_err(ExtensionRefusal::Wrong)?;
        let mut all = self.0.lock();
        if all.iter().any(|known| known.custom.name == custom.name) {
            return Err(ExtensionRefusal::Exists(custom.name));
        }
        let used = |id: &u8| all.iter().any(|known| known.custom.id == *id);
        let free = (FIRST_ID..=LAST_ID).find(|id| !used(id));
        custom.id = free.ok_or(ExtensionRefusal::Full)?;
        let (events, heard) = mpsc::channel(spec.queue.max(1));
        let plugin = Arc::new(Plugin {
            custom,
            torrents: spec.torrents,
            events,
            missed: AtomicU64::new(0),
            peers: Mutex::default(),
            next: AtomicU64::new(1),
        });
        all.push(Arc::clone(&plugin));
        Ok(ExtensionPort::new(plugin, self.clone(), heard))
    }

    /// Those that are of a torrent's peers.
    pub(crate) fn of(&self, torrent: TorrentId) -> Vec<Arc<Plugin>> {
        let all = self.0.lock();
        let of = all.iter().filter(|plugin| {
            let torrents = plugin.torrents.as_ref();
            torrents.is_none_or(|torrents| torrents.contains(&torrent))
        });
        of.cloned().collect()
    }

    fn remove(&self, plugin: &Arc<Plugin>) {
        self.0.lock().retain(|known| !Arc::ptr_eq(known, plugin));
    }
}

impl Plugin {
    /// As sessions know it.
    pub(crate) const fn custom(&self) -> &CustomExtension {
        &self.custom
    }

    /// Tells what has happened; what there is no room for is counted.
    fn tell(&self, event: ExtensionEvent) {
        if self.events.try_send(event).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
