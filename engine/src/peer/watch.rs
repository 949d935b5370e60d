//! What is told of one connection, to those who want to hear of every block.

use std::net::SocketAddr;

use protocol::geometry::BlockRef;
use protocol::peer::{PeerRequest, Tally};
use tracing::Span;

use crate::event::hub::Hub;
use crate::metrics::Counters;
use crate::{Category, Event, TorrentId};

/// Tells what happens on a connection.
#[derive(Debug)]
pub(crate) struct Watch {
    events: Hub,
    id: TorrentId,
    addr: SocketAddr,
    /// The peer lets us wait, and that was told.
    snubs: bool,
}

impl Watch {
    /// Of a torrent's connection to an address.
    pub(crate) const fn new(events: Hub, (id, addr): (TorrentId, SocketAddr)) -> Self {
        Self {
            events,
            id,
            addr,
            snubs: false,
        }
    }

    /// What is logged of the connection stands in this.
    pub(crate) fn span(&self) -> Span {
        tracing::info_span!("peer", torrent = self.id.0, addr = %self.addr)
    }

    /// The peer was asked for a block.
    pub(crate) fn requested(&self, at: BlockRef) {
        let (id, addr, piece, block) = self.at(at);
        self.events
            .tell_of(Category::Blocks, || Event::BlockRequested {
                id,
                addr,
                piece,
                block,
            });
    }

    /// A block that the peer was asked for is here.
    pub(crate) fn received(&self, at: BlockRef) {
        let (id, addr, piece, block) = self.at(at);
        self.events
            .tell_of(Category::Blocks, || Event::BlockReceived {
                id,
                addr,
                piece,
                block,
            });
    }

    /// The peer sends again, if it had not.
    pub(crate) fn sends(&mut self) {
        if std::mem::take(&mut self.snubs) {
            let (id, addr) = (self.id, self.addr);
            let event = || Event::PeerSends { id, addr };
            self.events.tell_of(Category::Peers, event);
        }
    }

    /// The peer does not give a block.
    pub(crate) fn dropped(&self, at: BlockRef) {
        let (id, addr, piece, block) = self.at(at);
        self.events
            .tell_of(Category::Blocks, || Event::BlockDropped {
                id,
                addr,
                piece,
                block,
            });
    }

    /// The peer has let us wait for these blocks for too long.
    pub(crate) fn timed_out(&mut self, blocks: &[BlockRef]) {
        let (id, addr) = (self.id, self.addr);
        if !std::mem::replace(&mut self.snubs, true) {
            let event = || Event::PeerSnubs { id, addr };
            self.events.tell_of(Category::Peers, event);
        }
        for at in blocks {
            let (_, _, piece, block) = self.at(*at);
            self.events
                .tell_of(Category::Blocks, || Event::BlockTimedOut {
                    id,
                    addr,
                    piece,
                    block,
                });
        }
    }

    /// A block of so many bytes came that is not wanted.
    pub(crate) fn unwanted(&self, len: u32) {
        let (id, addr) = (self.id, self.addr);
        let event = || Event::BlockUnwanted { id, addr, len };
        self.events.tell_of(Category::Blocks, event);
    }

    /// Messages went and came.
    pub(crate) fn talked(&self, tally: &Tally) {
        self.events.counters().take(tally);
    }

    /// So many bytes came of blocks that others had brought meanwhile.
    pub(crate) fn brought_twice(&self, bytes: u64) {
        Counters::add(&self.events.counters().wasted_twice, bytes);
    }

    /// So many bytes came, of whatever kind.
    pub(crate) fn read(&self, bytes: usize) {
        Counters::add(&self.events.counters().bytes_in, bytes as u64);
    }

    /// So many bytes went out, of whatever kind.
    pub(crate) fn written(&self, bytes: usize) {
        Counters::add(&self.events.counters().bytes_out, bytes as u64);
    }

    /// The peer asks for bytes.
    pub(crate) fn asked(&self, request: &PeerRequest) {
        Counters::add(&self.events.counters().requests_in, 1);
        let (id, addr, piece) = (self.id, self.addr, request.piece().get());
        self.events
            .tell_of(Category::Requests, || Event::BlockAsked {
                id,
                addr,
                piece,
                begin: request.begin(),
                len: request.len(),
            });
    }

    /// What the peer asked for is on its way.
    pub(crate) fn sent(&self, request: &PeerRequest) {
        Counters::add(&self.events.counters().blocks_read, 1);
        let (id, addr, piece) = (self.id, self.addr, request.piece().get());
        self.events.tell_of(Category::Uploads, || Event::BlockSent {
            id,
            addr,
            piece,
            begin: request.begin(),
            len: request.len(),
        });
    }

    fn at(&self, at: BlockRef) -> (TorrentId, SocketAddr, u32, u32) {
        (self.id, self.addr, at.piece().get(), at.block())
    }
}

#[cfg(test)]
mod tests;
