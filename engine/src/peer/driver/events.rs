//! What a driver does with each event of its session.

use bytes::Bytes;
use protocol::geometry::{BlockRef, PieceIndex};
use protocol::peer::{
    Event, Extension, ExtensionHandshake, Handshake, HolepunchMessage, PexMessage, Reserved,
    SessionError,
};

use crate::content::Traffic;
use crate::peer::assigned::returned;
use crate::peer::intake::Catch;
use crate::peer::messages::{Ended, Fact, Greeting, Holdings, Introduction};

use super::{Driver, ended_by};

/// Ports of its DHT node that are taken from a peer.
const MOST_PORTS: u8 = 4;

/// Blocks and bytes of payload that a read brought.
pub(super) type Arrived = (u32, u32);

impl Driver {
    /// Acts on one event.
    pub(super) fn on_event<'a>(
        &mut self,
        event: Event<'a>,
        catch: &mut Catch<'a>,
        arrived: &mut Arrived,
    ) -> Result<(), Ended> {
        match event {
            Event::BlockData {
                block,
                offset,
                data,
                last,
            } => {
                self.on_data((block, offset, data), last, catch, arrived);
            }
            Event::UnwantedBlock { len, .. } => self.on_unwanted(len),
            Event::Handshake(handshake) => self.on_handshake(&handshake)?,
            Event::ExtensionHandshake(theirs) => self.on_extension_handshake(&theirs),
            Event::Choked { returned: blocks } => {
                self.give_back(blocks);
                // With the fast extension, what is in flight is answered or rejected; what is neither is overdue later.
                if !self.session.supports_fast() {
                    self.pipeline.emptied();
                    self.waits.clear();
                }
                self.assigned.give_back_queue(&mut self.facts);
                self.hungry = false;
                self.tell(Fact::Unchoked(false));
            }
            Event::UploadOnly(upload_only) => self.tell(Fact::UploadOnly(upload_only)),
            Event::Unchoked => self.tell(Fact::Unchoked(true)),
            Event::Interested => self.tell(Fact::Interested(true)),
            Event::NotInterested => self.tell(Fact::Interested(false)),
            Event::Have(piece) => match self.facts.last_mut() {
                Some(Fact::Haves(list)) => list.push(piece),
                _ => self.tell(Fact::Haves(vec![piece])),
            },
            Event::DontHave(piece) => self.on_gone(piece),
            Event::PiecesKnown => self.tell_holdings(),
            Event::Port(port) => self.on_port(port),
            Event::Rejected(block) => self.on_rejected(block),
            Event::Request(request) => self.watch.asked(&request),
            Event::InvalidRequest(raw) => self.watch.asked_in_vain(&raw),
            Event::MetadataRequest { piece } => self.on_metadata_request(piece),
            Event::MetadataData {
                piece,
                total_size: total,
                data,
            } => {
                let data = Bytes::copy_from_slice(&data);
                self.tell(Fact::Metadata { piece, total, data });
            }
            Event::MetadataRejected { piece } => self.tell(Fact::MetadataRejected(piece)),
            Event::HashRequest(request) => self.on_hash_request(request),
            Event::HashRejected(request) => self.tell(Fact::HashRejected(request)),
            Event::Hashes { request, hashes } => self.on_hashes(request, &hashes),
            Event::Extended {
                extension: Extension::Pex,
                payload,
            } => self.on_gossip(&payload)?,
            Event::Extended {
                extension: Extension::Holepunch,
                payload,
            } => self.on_holepunch(&payload)?,
            Event::Custom { at, payload } => {
                if let Some(joined) = &self.joined {
                    joined.heard(at, &payload);
                }
            }
            Event::AllowedFast(_)
            | Event::Cancelled(_)
            | Event::Extended { .. }
            | Event::KeepAlive
            | Event::Suggested(_) => {}
        }
        Ok(())
    }

    fn on_handshake(&mut self, handshake: &Handshake) -> Result<(), Ended> {
        if let Some(torrent) = self.torrent.take() {
            self.session
                .accept(torrent)
                .map_err(|error| ended_by(&error))?;
        }
        if let Some(joined) = &mut self.joined {
            joined.met(handshake.peer_id);
        }
        self.tell(Fact::Handshaken(Greeting {
            peer_id: handshake.peer_id,
            wire: self.wire,
            v2: self.session.is_v2(),
            offers_v2: handshake.reserved.has(Reserved::V2_UPGRADE),
            utp: self.stream.is_utp(),
        }));
        self.greet();
        Ok(())
    }

    fn on_unwanted(&self, len: u32) {
        Traffic::add(&self.torrent_traffic.down, u64::from(len));
        Traffic::add(&self.torrent_traffic.wasted, u64::from(len));
        self.watch.unwanted(len);
    }

    fn on_rejected(&mut self, block: BlockRef) {
        self.watch.dropped(block);
        self.give_back([block]);
    }

    fn on_extension_handshake(&mut self, theirs: &ExtensionHandshake) {
        self.pipeline.set_reqq(self.session.peer_reqq());
        if let Some(joined) = &mut self.joined {
            joined.introduced(&self.session);
        }
        self.tell(Fact::Introduced(Introduction {
            port: self.session.peer_extensions().and_then(|known| known.port),
            pex: self.session.supports(Extension::Pex),
            holepunch: self.session.supports(Extension::Holepunch),
        }));
        if let Some(upload_only) = theirs.upload_only {
            self.tell(Fact::UploadOnly(upload_only));
        }
        if let Some(size) = theirs.metadata_size
            && self.content.is_none()
        {
            self.tell(Fact::MetadataSize(size));
        }
    }

    fn on_gossip(&mut self, payload: &[u8]) -> Result<(), Ended> {
        let message = PexMessage::parse(payload);
        let message = message.map_err(|error| ended_by(&SessionError::from(error)))?;
        self.tell(Fact::Gossip(Box::new(message)));
        Ok(())
    }

    fn on_holepunch(&mut self, payload: &[u8]) -> Result<(), Ended> {
        let message = HolepunchMessage::parse(payload);
        let message = message.map_err(|error| ended_by(&SessionError::from(error)))?;
        if let Some(message) = message {
            self.tell(Fact::Holepunch(message));
        }
        Ok(())
    }

    fn on_data<'a>(
        &mut self,
        part: (BlockRef, u32, &'a [u8]),
        last: bool,
        catch: &mut Catch<'a>,
        arrived: &mut Arrived,
    ) {
        let (block, offset, data) = part;
        let Some(content) = &self.content else { return };
        if offset == 0 {
            let active = self.assigned.arrived(block);
            let lease = active.and_then(|active| active.lease(block.block(), self.key.0));
            if lease.is_none() {
                self.facts.push(Fact::Taken(block));
            }
            self.intake.begin(block, lease);
        }
        if last {
            self.watch.received(block);
        }
        arrived.0 += u32::from(last && self.intake.is_awaited());
        arrived.1 += data.len() as u32;
        self.intake.data(&content.geometry, part, last, catch);
    }

    /// The port of the peer's DHT node. It tells that once, or again when it moved; more is of no use.
    fn on_port(&mut self, port: u16) {
        if port > 0 && self.ports_told < MOST_PORTS {
            self.ports_told += 1;
            self.tell(Fact::DhtPort(port));
        }
    }

    /// Says what we have, first of all.
    fn greet(&mut self) {
        let Some(content) = &self.content else {
            self.session.have_none();
            self.tell_dht_port();
            return;
        };
        let (all, cursor) = content.have.all();
        self.cursor = cursor;
        if self.shown.is_some() {
            self.session.have_none();
        } else {
            self.session.bitfield(&all);
        }
        self.tell_dht_port();
    }

    fn tell_dht_port(&mut self) {
        if let Some(port) = self.dht_port.filter(|_| self.session.supports_dht()) {
            self.session.port(port);
        }
    }

    pub(super) fn tell_holdings(&mut self) {
        let holdings = if self.session.peer_is_seed() {
            Holdings::All
        } else if let Some(pieces) = self.session.pieces() {
            Holdings::Some(pieces.clone())
        } else {
            return;
        };
        self.tell(Fact::Pieces(holdings));
    }

    /// The peer has a piece no more (BEP 54): what it was or shall be asked for of it will not come.
    fn on_gone(&mut self, piece: PieceIndex) {
        match self.facts.last_mut() {
            Some(Fact::Gone(list)) => list.push(piece),
            _ => self.tell(Fact::Gone(vec![piece])),
        }
        self.assigned.give_back_piece(piece, &mut self.facts);
        let asked = self.session.in_flight_blocks();
        let asked: Vec<BlockRef> = asked.filter(|block| block.piece() == piece).collect();
        for block in &asked {
            self.session.cancel(*block);
        }
        self.give_back(asked);
    }

    /// Blocks that were in flight will not come from this peer.
    pub(super) fn give_back(&mut self, blocks: impl IntoIterator<Item = BlockRef>) {
        let blocks: Vec<BlockRef> = blocks.into_iter().collect();
        for block in &blocks {
            self.assigned.arrived(*block);
        }
        self.pipeline.returned(blocks.len() as u32);
        self.waits.forget(blocks.len() as u32);
        if !blocks.is_empty() {
            returned(blocks, &mut self.facts);
            self.urgent = true;
        }
    }
}
