//! What is told of one connection, to those who want to hear of every block.

use std::io;
use std::net::SocketAddr;

use protocol::geometry::BlockRef;
use protocol::peer::{PeerRequest, RawRequest, Tally};
use tracing::Span;

use crate::event::hub::Hub;
use crate::metrics::{Census, Counters, Head};
use crate::{Category, Event, TorrentId};

/// Tells what happens on a connection.
#[derive(Debug)]
pub(crate) struct Watch {
    events: Hub,
    id: TorrentId,
    addr: SocketAddr,
    /// The peer lets us wait, and that was told.
    snubs: bool,
    /// Bytes of the headers around a segment of TCP; none of uTP, which counts its own.
    header: u64,
    moved: Moved,
    census: Census,
}

/// What has moved since it was last counted.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    bytes_in: u64,
    bytes_out: u64,
    segments_in: u64,
    segments_out: u64,
}

/// Bytes of payload in a full segment of TCP over Ethernet, with timestamps.
const SEGMENT: u64 = 1448;

/// IPv4, UDP and uTP around a packet of a stream of uTP.
const UTP_HEADER: u64 = 48;

impl Watch {
    /// Of a torrent's connection to an address.
    pub(crate) fn new(events: Hub, (id, addr): (TorrentId, SocketAddr)) -> Self {
        Self {
            census: Census::new(events.clone()),
            events,
            id,
            addr,
            snubs: false,
            header: 0,
            moved: Moved::default(),
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

    /// The address of the other end.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The stream is one of TCP.
    pub(crate) fn is_tcp(&mut self) {
        // IP, TCP and its timestamps.
        self.header = if self.addr.is_ipv6() { 72 } else { 52 };
    }

    /// Counts what has moved since this was called last: messages, if there were some; whether requests of the peer wait here, and
    /// ours there. Gives the bytes of headers that went with it, in and out, as they are estimated.
    pub(crate) fn settle(&mut self, tally: Option<Tally>, [up, down]: [bool; 2]) -> [u64; 2] {
        let counters = self.events.counters();
        if let Some(tally) = tally {
            counters.take(&tally);
        }
        let moved = std::mem::take(&mut self.moved);
        // Every other segment is acknowledged.
        let acks = |segments: u64| segments.div_ceil(2);
        let headers_in = moved.segments_in + acks(moved.segments_out);
        let headers_out = moved.segments_out + acks(moved.segments_in);
        for (counter, more) in [
            (&counters.bytes_in, moved.bytes_in),
            (&counters.bytes_out, moved.bytes_out),
            (&counters.overhead_in, headers_in * self.header),
            (&counters.overhead_out, headers_out * self.header),
        ] {
            if more > 0 {
                Counters::add(counter, more);
            }
        }
        self.census.tell([
            (Head::UpRequests, up.into()),
            (Head::DownRequests, down.into()),
        ]);
        // Those of uTP are counted by it, as far as there are sums; each stream has them all the same.
        let header = if self.header > 0 {
            self.header
        } else if self.addr.is_ipv6() {
            UTP_HEADER + 20
        } else {
            UTP_HEADER
        };
        [headers_in, headers_out].map(|headers| headers * header)
    }

    /// The stream failed, or could not be opened.
    pub(crate) fn broke(&self, error: &io::Error) {
        self.events.counters().failed(error);
    }

    /// So many bytes came of blocks that others had brought meanwhile.
    pub(crate) fn brought_twice(&self, bytes: u64) {
        Counters::add(&self.events.counters().wasted_twice, bytes);
    }

    /// So many bytes came, of whatever kind.
    pub(crate) const fn read(&mut self, bytes: usize) {
        self.moved.bytes_in += bytes as u64;
        self.moved.segments_in += (bytes as u64).div_ceil(SEGMENT);
    }

    /// So many bytes went out, of whatever kind.
    pub(crate) const fn written(&mut self, bytes: usize) {
        self.moved.bytes_out += bytes as u64;
        self.moved.segments_out += (bytes as u64).div_ceil(SEGMENT);
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

    /// The peer asks for bytes that there are none of.
    pub(crate) fn asked_in_vain(&self, raw: &RawRequest) {
        let (id, addr) = (self.id, self.addr);
        let event = || Event::InvalidRequest {
            id,
            addr,
            piece: raw.piece,
            begin: raw.begin,
            len: raw.len,
        };
        self.events.tell_of(Category::Peers, event);
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
