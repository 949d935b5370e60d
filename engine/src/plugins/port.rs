//! The end of an extension that its program has.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use super::{ExtensionEvent, ExtensionPeer, MOST_PAYLOAD, Plugin, Plugins, SendRefused};
use crate::NoEvent;

/// What an extension hears, and the way to its peers. Dropping it ends the extension: peers that connect from then on are not
/// offered it, and those that are there are not listened to.
pub struct ExtensionPort {
    plugin: Arc<Plugin>,
    plugins: Plugins,
    heard: mpsc::Receiver<ExtensionEvent>,
}

impl ExtensionPort {
    pub(super) const fn new(
        plugin: Arc<Plugin>,
        plugins: Plugins,
        heard: mpsc::Receiver<ExtensionEvent>,
    ) -> Self {
        Self {
            plugin,
            plugins,
            heard,
        }
    }

    /// What happens next.
    ///
    /// # Errors
    /// [`NoEvent::Missed`] where something was dropped because the queue was full; who is there, [`Self::peers`] says.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Result<ExtensionEvent, NoEvent> {
        self.missed()?;
        self.heard.recv().await.ok_or(NoEvent::Closed)
    }

    /// What has happened, if anything has.
    ///
    /// # Errors
    /// [`NoEvent::Empty`], or as [`Self::recv`].
    pub fn try_recv(&mut self) -> Result<ExtensionEvent, NoEvent> {
        self.missed()?;
        self.heard.try_recv().map_err(|error| match error {
            TryRecvError::Empty => NoEvent::Empty,
            TryRecvError::Disconnected => NoEvent::Closed,
        })
    }

    fn missed(&self) -> Result<(), NoEvent> {
        match self.plugin.missed.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            missed => Err(NoEvent::Missed(missed)),
        }
    }

    /// The peers that speak the extension at this moment, in the order in which they came.
    pub fn peers(&self) -> Vec<ExtensionPeer> {
        let peers = self.plugin.peers.lock();
        peers.values().map(|door| door.peer.clone()).collect()
    }

    /// Sends a peer a message: it goes out when the peer has read what came before, and within the limits of what is sent. Never
    /// waits.
    ///
    /// # Errors
    /// [`SendRefused`].
    pub fn send(&self, peer: u64, payload: Bytes) -> Result<(), SendRefused> {
        if payload.len() > MOST_PAYLOAD {
            return Err(SendRefused::TooLong);
        }
        let peers = self.plugin.peers.lock();
        let door = peers.get(&peer).ok_or(SendRefused::Gone)?;
        let sent = door.outbox.try_send((door.at, payload));
        sent.map_err(|error| match error {
            TrySendError::Full(_) => SendRefused::Full,
            TrySendError::Closed(_) => SendRefused::Gone,
        })
    }
}

impl Drop for ExtensionPort {
    fn drop(&mut self) {
        self.plugins.remove(&self.plugin);
    }
}

impl fmt::Debug for ExtensionPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtensionPort")
            .field("name", &self.plugin.custom.name)
            .finish_non_exhaustive()
    }
}
