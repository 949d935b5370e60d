//! What goes to the peer.

use std::borrow::Cow;

use super::{MAX_HASHES_ASKED, OUTPUT_SOFT_LIMIT, Session};
use crate::bitfield::Bitfield;
use crate::geometry::{BlockRef, PieceIndex};
use crate::peer::custom;
use crate::peer::extension::{Extension, ExtensionHandshake, ExtensionIds};
use crate::peer::message::{
    HashRequest, Message, RawRequest, bare_frame, id, index_frame, long_frame, piece_header,
};
use crate::peer::metadata::MetadataMessage;
use crate::peer::requests::PeerRequest;
use crate::peer::tally::MessageKind;

/// Metadata requests that are out at once on one connection.
const MAX_METADATA_ASKED: usize = 64;

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The peer chokes us, and does not allow this piece nevertheless.
    #[error("choked")]
    Choked,
    /// The same block is in flight already.
    #[error("already in flight")]
    Duplicate,
    /// As many requests as the peer queues are in flight.
    #[error("too many requests in flight")]
    Full,
    /// The handshakes are not done, or the geometry is unknown.
    #[error("not ready for requests")]
    NotReady,
    /// The peer does not take messages of this extension.
    #[error("the peer does not speak this extension")]
    Unsupported,
}

impl Session {
    /// Asks for a block.
    ///
    /// # Errors
    /// [`RequestError`] says why nothing was sent.
    pub fn request(&mut self, block: BlockRef) -> Result<(), RequestError> {
        if !self.is_open() || self.geometry().is_none() {
            return Err(RequestError::NotReady);
        }
        if !self.may_request(block.piece()) {
            return Err(RequestError::Choked);
        }
        if self.request_room() == 0 {
            return Err(RequestError::Full);
        }
        if self.in_flight.contains(block) {
            return Err(RequestError::Duplicate);
        }
        self.in_flight.push(block);
        self.push_block(id::REQUEST, block);
        Ok(())
    }

    /// Takes a request back; says whether it was in flight. The block may still come, as
    /// [`Event::UnwantedBlock`](super::Event::UnwantedBlock).
    pub fn cancel(&mut self, block: BlockRef) -> bool {
        let there = self.in_flight.cancel(block);
        if there {
            self.push_block(id::CANCEL, block);
        }
        there
    }

    /// Refuses the peer's requests from now on: those in the queue are dropped (and rejected, with the fast
    /// extension), but for pieces that it may ask for nevertheless.
    pub fn choke(&mut self) {
        if std::mem::replace(&mut self.us.choking, true) {
            return;
        }
        self.clock.choked_at = self.clock.now;
        self.send(id::CHOKE, |out| {
            out.extend_from_slice(&bare_frame(id::CHOKE));
        });
        let allowed = &self.allowed_to_them;
        let dropped = self
            .requests
            .drop_unless(|request| allowed.contains(&request.piece()));
        for request in dropped {
            self.reject(request);
        }
    }

    /// Answers the peer's requests from now on.
    pub fn unchoke(&mut self) {
        if std::mem::replace(&mut self.us.choking, false) {
            self.counters.choked_requests = 0;
            self.send(id::UNCHOKE, |out| {
                out.extend_from_slice(&bare_frame(id::UNCHOKE));
            });
        }
    }

    /// Tells whether we want pieces of the peer.
    pub fn interested(&mut self, interested: bool) {
        if std::mem::replace(&mut self.us.interested, interested) != interested {
            let id = if interested {
                id::INTERESTED
            } else {
                id::NOT_INTERESTED
            };
            self.send(id, |out| out.extend_from_slice(&bare_frame(id)));
        }
    }

    /// Tells which pieces we have, in the shortest way that the peer understands: to be called once, first of all
    /// after the handshakes.
    pub fn bitfield(&mut self, pieces: &Bitfield) {
        if self.supports_fast() && pieces.count() == 0 {
            self.have_none();
        } else if self.supports_fast() && pieces.is_full() {
            self.have_all();
        } else if pieces.count() > 0 {
            self.send(id::BITFIELD, |out| {
                long_frame(out, &[id::BITFIELD], pieces.as_bytes());
            });
        }
    }

    /// Tells that we have every piece; without the fast extension this is the caller's [`Session::bitfield`].
    pub fn have_all(&mut self) {
        if self.supports_fast() {
            self.send(id::HAVE_ALL, |out| {
                out.extend_from_slice(&bare_frame(id::HAVE_ALL));
            });
        } else if let Some(geometry) = self.geometry() {
            let all = Bitfield::full(geometry.pieces());
            self.send(id::BITFIELD, |out| {
                long_frame(out, &[id::BITFIELD], all.as_bytes());
            });
        }
    }

    /// Tells that we have no piece; without the fast extension that goes without saying.
    pub fn have_none(&mut self) {
        if self.supports_fast() {
            self.send(id::HAVE_NONE, |out| {
                out.extend_from_slice(&bare_frame(id::HAVE_NONE));
            });
        }
    }

    /// Tells that we have one more piece.
    pub fn have(&mut self, piece: PieceIndex) {
        self.send(id::HAVE, |out| {
            out.extend_from_slice(&index_frame(id::HAVE, piece.get()));
        });
    }

    /// Tells pieces that we have, as long as the output has room; returns how many were taken.
    pub fn haves(&mut self, pieces: impl IntoIterator<Item = PieceIndex>) -> usize {
        let room = self.output_room() / 9;
        let mut taken = 0;
        self.push(|out| {
            for piece in pieces.into_iter().take(room) {
                out.extend_from_slice(&index_frame(id::HAVE, piece.get()));
                taken += 1;
            }
        });
        self.tally.told(MessageKind::Have, taken as u32);
        taken
    }

    /// Tells that a piece is gone (BEP 54), where the peer understands it.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`] where it does not.
    pub fn dont_have(&mut self, piece: PieceIndex) -> Result<(), RequestError> {
        self.extended(Extension::DontHave, &piece.get().to_be_bytes())
    }

    /// Suggests a piece (BEP 6); nothing without the fast extension.
    pub fn suggest(&mut self, piece: PieceIndex) {
        if self.supports_fast() {
            self.send(id::SUGGEST, |out| {
                out.extend_from_slice(&index_frame(id::SUGGEST, piece.get()));
            });
        }
    }

    /// Lets the peer ask for a piece while it is choked (BEP 6); nothing without the fast extension.
    pub fn allow_fast(&mut self, piece: PieceIndex) {
        if self.supports_fast() && !self.allowed_to_them.contains(&piece) {
            self.allowed_to_them.push(piece);
            self.send(id::ALLOWED_FAST, |out| {
                out.extend_from_slice(&index_frame(id::ALLOWED_FAST, piece.get()));
            });
        }
    }

    /// The oldest request of the peer, out of the queue. Whoever takes it answers it: with [`Session::piece_header`]
    /// and the payload, or with [`Session::reject`].
    pub fn next_request(&mut self) -> Option<PeerRequest> {
        self.requests.pop()
    }

    /// The request that [`Session::next_request`] would return.
    pub fn peek_request(&self) -> Option<&PeerRequest> {
        self.requests.front()
    }

    /// The head of the piece message that answers a request; the caller writes it after all of [`Session::output`] that
    /// it wants before it, and the payload right behind.
    pub fn piece_header(&mut self, request: PeerRequest) -> [u8; 13] {
        self.clock.sent = true;
        self.stats.payload_sent += u64::from(request.len());
        self.tally.told(MessageKind::Piece, 1);
        piece_header(request.piece().get(), request.begin(), request.len())
    }

    /// Refuses a request that was taken out of the queue; without the fast extension nobody is told.
    pub fn reject(&mut self, request: PeerRequest) {
        self.stats.requests_refused += 1;
        self.tally.refused_requests += 1;
        if self.supports_fast() {
            self.send(id::REJECT, |out| {
                out.extend_from_slice(&request.raw().frame(id::REJECT));
            });
        }
    }

    /// Tells our DHT port (BEP 5).
    pub fn port(&mut self, port: u16) {
        self.send(id::PORT, |out| Message::Port(port).encode(out));
    }

    /// Sends a message of an extension.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`] where the peer did not offer the extension or we do not.
    pub fn extended(&mut self, extension: Extension, payload: &[u8]) -> Result<(), RequestError> {
        let id = self
            .peer_id_of(extension)
            .ok_or(RequestError::Unsupported)?;
        self.send(id::EXTENDED, |out| {
            long_frame(out, &[id::EXTENDED, id], payload);
        });
        match extension {
            Extension::Metadata => self.tally.told(MessageKind::Metadata, 1),
            Extension::Pex => self.tally.told(MessageKind::Pex, 1),
            Extension::DontHave | Extension::Holepunch | Extension::UploadOnly => {}
        }
        Ok(())
    }

    /// Sends a message of one of [`TorrentParams::custom`](super::TorrentParams::custom), by its place.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`] where the peer did not offer it.
    pub fn custom(&mut self, at: usize, payload: &[u8]) -> Result<(), RequestError> {
        let id = self.custom_peer(at).and_then(|peer| peer.id);
        let id = id.ok_or(RequestError::Unsupported)?;
        self.send(id::EXTENDED, |out| {
            long_frame(out, &[id::EXTENDED, id], payload);
        });
        Ok(())
    }

    /// Asks for a piece of the metadata (BEP 9).
    ///
    /// # Errors
    /// [`RequestError`] says why nothing was sent.
    pub fn metadata_request(&mut self, piece: u32) -> Result<(), RequestError> {
        if self.metadata_asked.contains(&piece) {
            return Err(RequestError::Duplicate);
        }
        if self.metadata_asked.len() >= MAX_METADATA_ASKED {
            return Err(RequestError::Full);
        }
        self.metadata(&MetadataMessage::Request { piece })?;
        self.metadata_asked.push(piece);
        Ok(())
    }

    /// Answers a metadata request with the piece; `data` is cut from the info dictionary by
    /// [`crate::peer::metadata::METADATA_PIECE_LEN`].
    pub fn metadata_data(&mut self, piece: u32, total_size: u32, data: &[u8]) {
        // Whoever asked has told an id, so that this cannot be unsupported.
        let _ = self.metadata(&MetadataMessage::Data {
            piece,
            total_size,
            data: Cow::Borrowed(data),
        });
    }

    /// Refuses a metadata request.
    pub fn metadata_reject(&mut self, piece: u32) {
        let _ = self.metadata(&MetadataMessage::Reject { piece });
    }

    fn metadata(&mut self, message: &MetadataMessage<'_>) -> Result<(), RequestError> {
        self.extended(Extension::Metadata, &message.encode())
    }

    /// Tells the size of the metadata once we have it, so that the peer may ask for it: the extension handshake is
    /// sent again (BEP 10).
    pub fn set_metadata_size(&mut self, size: u32) {
        if let Some(torrent) = &mut self.torrent {
            torrent.metadata_size = Some(size);
        }
        if self.is_open() && self.supports_extensions() {
            self.send_extension_handshake();
        }
    }

    /// Tells whether we want nothing any more (BEP 21).
    pub fn set_upload_only(&mut self, upload_only: bool) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if std::mem::replace(&mut torrent.upload_only, upload_only) == upload_only {
            return;
        }
        let told = self.extended(Extension::UploadOnly, &[upload_only.into()]);
        if told.is_err() && self.is_open() && self.supports_extensions() {
            self.send_extension_handshake();
        }
    }

    /// Asks for Merkle hashes (BEP 52).
    ///
    /// # Errors
    /// [`RequestError`] says why nothing was sent: [`RequestError::Unsupported`] outside the v2 swarm.
    pub fn hash_request(&mut self, request: HashRequest) -> Result<(), RequestError> {
        if !self.is_open() {
            return Err(RequestError::NotReady);
        }
        if !self.v2 {
            return Err(RequestError::Unsupported);
        }
        if self.hashes_asked.contains(&request) {
            return Err(RequestError::Duplicate);
        }
        if self.hashes_asked.len() >= MAX_HASHES_ASKED {
            return Err(RequestError::Full);
        }
        self.hashes_asked.push(request);
        self.send(id::HASH_REQUEST, |out| {
            Message::HashRequest(request).encode(out);
        });
        Ok(())
    }

    /// Brings Merkle hashes (BEP 52): hashes and proofs, 32 bytes each. Says whether the output had room; if not,
    /// nothing was sent.
    pub fn hashes(&mut self, request: HashRequest, hashes: &[u8]) -> bool {
        let room = self.output_room() > 0;
        if room {
            let hashes = Cow::Borrowed(hashes);
            self.send(id::HASHES, |out| {
                Message::Hashes { request, hashes }.encode(out);
            });
        }
        room
    }

    /// Refuses Merkle hashes (BEP 52).
    pub fn hash_reject(&mut self, request: HashRequest) {
        self.send(id::HASH_REJECT, |out| {
            Message::HashReject(request).encode(out);
        });
    }

    pub(super) fn send_extension_handshake(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        let handshake = ExtensionHandshake {
            ids: ExtensionIds::local(torrent.extensions),
            client: self.config.client.as_deref().map(str::to_owned),
            metadata_size: torrent
                .metadata_size
                .filter(|_| torrent.extensions.contains(Extension::Metadata)),
            port: self.config.listen_port,
            reqq: Some(self.config.reqq),
            upload_only: Some(torrent.upload_only),
            yourip: self.config.your_ip,
            ..ExtensionHandshake::default()
        };
        let payload = custom::add(handshake.encode(), torrent.customs());
        self.send(id::EXTENDED, |out| {
            long_frame(out, &[id::EXTENDED, 0], &payload);
        });
        self.tally.told(MessageKind::ExtensionHandshake, 1);
    }

    fn push_block(&mut self, id: u8, block: BlockRef) {
        let Some(geometry) = self.geometry() else {
            return;
        };
        let mut raw = RawRequest {
            piece: block.piece().get(),
            begin: block.begin(),
            len: geometry.block_len(block),
        };
        // What lies behind the end of a file is not asked for.
        if let Some(end) = self.end_of(raw.piece).filter(|end| *end > raw.begin) {
            raw.len = raw.len.min(end - raw.begin);
        }
        self.send(id, |out| out.extend_from_slice(&raw.frame(id)));
    }
}

const _: () = assert!(OUTPUT_SOFT_LIMIT * 2 < super::OUTPUT_HARD_LIMIT);
