//! The extensions of one connection, as its driver has them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use protocol::id::PeerId;
use protocol::peer::{CustomExtension, Session};
use tokio::sync::mpsc;

use super::{Door, ExtensionEvent, ExtensionPeer, MOST_PAYLOAD, OUTBOX, Plugin};
use crate::TorrentId;

/// The extensions of a connection, in the order in which its session has them. What they were told of it ends with it.
#[derive(Debug)]
pub(crate) struct Joined {
    plugins: Vec<(Arc<Plugin>, Option<u64>)>,
    who: (TorrentId, SocketAddr),
    peer_id: PeerId,
    to_send: mpsc::Sender<(usize, Bytes)>,
    outbox: mpsc::Receiver<(usize, Bytes)>,
    /// What was taken from the outbox and does not fit yet.
    next: Option<(usize, Bytes)>,
}

impl Joined {
    /// The extensions of a connection to somebody; `None` where there are none.
    pub(crate) fn new(
        plugins: Vec<Arc<Plugin>>,
        who: (TorrentId, SocketAddr),
    ) -> Option<Box<Self>> {
        if plugins.is_empty() {
            return None;
        }
        let (to_send, outbox) = mpsc::channel(OUTBOX);
        Some(Box::new(Self {
            plugins: plugins.into_iter().map(|plugin| (plugin, None)).collect(),
            who,
            peer_id: PeerId([0; 20]),
            to_send,
            outbox,
            next: None,
        }))
    }

    /// As sessions know them.
    pub(crate) fn customs(&self) -> Arc<[CustomExtension]> {
        let plugins = self.plugins.iter();
        plugins.map(|(plugin, _)| plugin.custom().clone()).collect()
    }

    /// The peer has said who it is.
    pub(crate) const fn met(&mut self, peer_id: PeerId) {
        self.peer_id = peer_id;
    }

    /// The peer has said what it speaks.
    pub(crate) fn introduced(&mut self, session: &Session) {
        for (at, (plugin, number)) in self.plugins.iter_mut().enumerate() {
            match (session.custom_peer(at), *number) {
                (Some(said), None) => {
                    let peer = ExtensionPeer {
                        number: plugin.next.fetch_add(1, Ordering::Relaxed),
                        torrent: self.who.0,
                        addr: self.who.1,
                        peer_id: self.peer_id,
                        entry: said.entry.clone(),
                    };
                    *number = Some(peer.number);
                    let door = Door {
                        peer: peer.clone(),
                        at,
                        outbox: self.to_send.clone(),
                    };
                    plugin.peers.lock().insert(peer.number, door);
                    plugin.tell(ExtensionEvent::Joined(peer));
                }
                (None, Some(gone)) => {
                    leave(plugin, gone);
                    *number = None;
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }

    /// The peer has sent one of them a message; what is too long is passed over.
    pub(crate) fn heard(&self, at: usize, payload: &[u8]) {
        let plugin = self.plugins.get(at);
        let Some((plugin, Some(peer))) = plugin else {
            return;
        };
        if payload.len() <= MOST_PAYLOAD {
            let payload = Bytes::copy_from_slice(payload);
            let peer = *peer;
            plugin.tell(ExtensionEvent::Message { peer, payload });
        }
    }

    /// What is to be sent next: which of the extensions it is of, and how long it is. The task is woken when there is something.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<(usize, usize)> {
        if self.next.is_none()
            && let Poll::Ready(next) = self.outbox.poll_recv(cx)
        {
            self.next = next;
        }
        self.next.as_ref().map(|(at, payload)| (*at, payload.len()))
    }

    /// Takes what is to be sent next.
    pub(crate) fn take_next(&mut self) -> Option<Bytes> {
        self.next.take().map(|(_, payload)| payload)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        for (plugin, number) in &self.plugins {
            if let Some(number) = number {
                leave(plugin, *number);
            }
        }
    }
}

fn leave(plugin: &Plugin, number: u64) {
    plugin.peers.lock().remove(&number);
    plugin.tell(ExtensionEvent::Left { peer: number });
}
