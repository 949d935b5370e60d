//! What comes from the peer.

use std::borrow::Cow;
use std::time::Instant;

use super::{
    CHOKE_GRACE, Event, MAX_ALLOWED_FAST, MAX_INVALID_REQUESTS, MAX_PIECE_MAPS,
    MAX_UNSOLICITED_BLOCKS, Phase, Session,
};
use crate::geometry::{BLOCK_LEN, PieceIndex};
use crate::peer::codec::Frame;
use crate::peer::error::SessionError;
use crate::peer::handshake::Handshake;
use crate::peer::in_flight::Taken;
use crate::peer::message::{HashRequest, Message, RawRequest, id};
use crate::peer::pieces::EarlyError;
use crate::peer::requests::PeerRequest;
use crate::peer::tally::MessageKind;

/// An event, nothing to tell, or the end of the session.
pub(super) type Outcome<'a> = Result<Option<Event<'a>>, SessionError>;

impl Session {
    /// Pulls the next event out of `input`, advancing it past what was consumed.
    ///
    /// `Ok(None)`: all of `input` is taken; the rest of what it began is kept inside, bounded by its kind. Payload of
    /// blocks comes as slices of `input`, never copied.
    ///
    /// # Errors
    /// [`SessionError`] says why the session is over and whose fault that is; further calls return the same. The
    /// exception is [`SessionError::NotAccepted`]: [`Session::accept`] was forgotten, nothing was consumed.
    pub fn handle<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Outcome<'a> {
        self.clock.now = now;
        if !input.is_empty() {
            self.clock.heard = now;
        }
        let result = self.pull(now, input);
        if let Err(error) = &result
            && *error != SessionError::NotAccepted
        {
            self.phase = Phase::Failed(*error);
        }
        result
    }

    fn pull<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Outcome<'a> {
        match &mut self.phase {
            Phase::Failed(error) => return Err(*error),
            Phase::Accepting if input.is_empty() => return Ok(None),
            Phase::Accepting => return Err(SessionError::NotAccepted),
            Phase::Handshake(reader) => {
                let handshake = reader
                    .read(input)
                    .map_err(|_| SessionError::NotBitTorrent)?;
                return handshake.map_or(Ok(None), |peer| self.on_handshake(peer).map(Some));
            }
            Phase::Open => {}
        }
        loop {
            self.check_output()?;
            let Some(frame) = self.decoder.next(input)? else {
                self.clock.frame_since = if self.decoder.in_control() {
                    self.clock.frame_since.or(Some(now))
                } else {
                    None
                };
                return Ok(None);
            };
            let event = match frame {
                Frame::Payload { offset, data, last } => self.on_payload(offset, data, last),
                Frame::Piece(head) => self.on_piece(head)?,
                Frame::Message(message) => {
                    self.clock.frame_since = None;
                    if let Some(kind) = MessageKind::of(&message) {
                        self.tally.heard(kind);
                    }
                    self.on_message(message)?
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn on_handshake<'a>(&mut self, peer: Handshake) -> Result<Event<'a>, SessionError> {
        if peer.peer_id == self.config.peer_id {
            return Err(SessionError::SelfConnection);
        }
        self.peer = Some(peer);
        match &self.torrent {
            Some(torrent) => {
                let sent = torrent.named();
                let upgraded = torrent.v2_upgrade && torrent.hashes.matches(peer.info_hash);
                if peer.info_hash != sent && !upgraded {
                    return Err(SessionError::WrongInfoHash(peer.info_hash));
                }
                self.open(peer, peer.info_hash);
            }
            None => self.phase = Phase::Accepting,
        }
        Ok(Event::Handshake(peer))
    }

    fn on_payload<'a>(&mut self, offset: u32, data: &'a [u8], last: bool) -> Option<Event<'a>> {
        let Some(block) = self.receiving else {
            self.stats.payload_unwanted += data.len() as u64;
            return None;
        };
        self.stats.payload_received += data.len() as u64;
        if last {
            self.receiving = None;
        }
        Some(Event::BlockData {
            block,
            offset,
            data,
            last,
        })
    }

    fn on_piece<'a>(&mut self, head: RawRequest) -> Outcome<'a> {
        self.clock.frame_since = None;
        self.tally.heard(MessageKind::Piece);
        let geometry = self.torrent.as_ref().and_then(|t| t.geometry);
        let whole = self.whole(head);
        let taken = geometry.map_or(Taken::Unasked, |g| self.in_flight.answered(&g, whole));
        let late = match taken {
            Taken::Wanted(block) => {
                self.receiving = Some(block);
                return Ok(None);
            }
            Taken::Late(block) => {
                self.tally.late_bytes += u64::from(head.len);
                Some(block)
            }
            Taken::Unasked => {
                self.tally.unasked_bytes += u64::from(head.len);
                bump(
                    &mut self.counters.unsolicited,
                    MAX_UNSOLICITED_BLOCKS,
                    SessionError::Unsolicited,
                )?;
                None
            }
        };
        Ok(Some(Event::UnwantedBlock {
            late,
            len: head.len,
        }))
    }

    fn on_message<'a>(&mut self, message: Message<'a>) -> Outcome<'a> {
        match message {
            Message::KeepAlive => Ok(Some(Event::KeepAlive)),
            Message::Choke => Ok(self.on_choke()),
            Message::Unchoke => {
                let news = std::mem::replace(&mut self.them.choking, false);
                Ok(news.then_some(Event::Unchoked))
            }
            Message::Interested => {
                let news = !std::mem::replace(&mut self.them.interested, true);
                Ok(news.then_some(Event::Interested))
            }
            Message::NotInterested => {
                let news = std::mem::replace(&mut self.them.interested, false);
                Ok(news.then_some(Event::NotInterested))
            }
            Message::Have(index) => self.on_have(index),
            Message::Bitfield(bits) => {
                self.on_map()?;
                self.pieces.set_bits(&bits)?;
                Ok(Some(Event::PiecesKnown))
            }
            Message::HaveAll => {
                self.need_fast(id::HAVE_ALL)?;
                self.on_map()?;
                self.pieces.set_all();
                Ok(Some(Event::PiecesKnown))
            }
            Message::HaveNone => {
                self.need_fast(id::HAVE_NONE)?;
                self.on_map()?;
                self.pieces.set_none();
                Ok(Some(Event::PiecesKnown))
            }
            Message::Request(raw) => self.on_request(raw),
            Message::Cancel(raw) => Ok(self.on_cancel(raw)),
            Message::Reject(raw) => self.on_reject(raw),
            Message::Suggest(index) => {
                self.need_fast(id::SUGGEST)?;
                Ok(self.piece(index).map(Event::Suggested))
            }
            Message::AllowedFast(index) => self.on_allowed_fast(index),
            Message::Port(port) => Ok(Some(Event::Port(port))),
            Message::Extended { id, payload } => self.on_extended(id, payload),
            Message::HashRequest(request) => self.on_hash_request(request),
            Message::Hashes { request, hashes } => self.on_hashes(request, hashes),
            Message::HashReject(request) => {
                let asked = self.was_asked(&request);
                Ok(asked.then_some(Event::HashRejected(request)))
            }
        }
    }

    /// What cannot be answered is rejected: a request outside the v2 swarm, and one that no tree answers.
    fn on_hash_request<'a>(&mut self, request: HashRequest) -> Outcome<'a> {
        if self.v2 && request.span().is_sound() {
            return Ok(Some(Event::HashRequest(request)));
        }
        bump(
            &mut self.counters.invalid_requests,
            MAX_INVALID_REQUESTS,
            SessionError::InvalidRequests,
        )?;
        self.hash_reject(request);
        Ok(None)
    }

    fn on_hashes<'a>(&mut self, request: HashRequest, hashes: Cow<'a, [u8]>) -> Outcome<'a> {
        if !self.was_asked(&request) {
            bump(
                &mut self.counters.unsolicited,
                MAX_UNSOLICITED_BLOCKS,
                SessionError::Unsolicited,
            )?;
            return Ok(None);
        }
        let span = request.span();
        let (whole, half) = (hashes.len() / 32, hashes.len() % 32);
        let least = span.length as usize;
        let most = least + span.uncles() as usize;
        if half != 0 || !(least..=most).contains(&whole) {
            return Err(SessionError::Hashes { len: hashes.len() });
        }
        Ok(Some(Event::Hashes { request, hashes }))
    }

    /// Takes a hash request of ours off the list; says whether it was there.
    fn was_asked(&mut self, request: &HashRequest) -> bool {
        let at = self.hashes_asked.iter().position(|asked| asked == request);
        at.map(|at| self.hashes_asked.remove(at)).is_some()
    }

    fn on_choke<'a>(&mut self) -> Option<Event<'a>> {
        let news = !std::mem::replace(&mut self.them.choking, true);
        let returned = if self.supports_fast() {
            Vec::new()
        } else {
            self.in_flight.drop_all()
        };
        (news || !returned.is_empty()).then_some(Event::Choked { returned })
    }

    fn on_have<'a>(&mut self, index: u32) -> Outcome<'a> {
        if self.geometry().is_none() {
            return if self.pieces.early_change(index, true) {
                Ok(None)
            } else {
                Err(SessionError::EarlyHaves)
            };
        }
        let piece = self
            .piece(index)
            .ok_or(SessionError::PieceOutOfRange { index })?;
        Ok(self.pieces.insert(piece).then_some(Event::Have(piece)))
    }

    fn on_map(&mut self) -> Result<(), SessionError> {
        bump(
            &mut self.piece_maps,
            MAX_PIECE_MAPS,
            SessionError::PieceMaps,
        )
    }

    fn on_request<'a>(&mut self, raw: RawRequest) -> Outcome<'a> {
        let geometry = self.torrent.as_ref().and_then(|t| t.geometry);
        let Some(request) = geometry.and_then(|g| PeerRequest::check(raw, &g)) else {
            self.tally.invalid_requests += 1;
            bump(
                &mut self.counters.invalid_requests,
                MAX_INVALID_REQUESTS,
                SessionError::InvalidRequests,
            )?;
            self.refuse(raw);
            return Ok(Some(Event::InvalidRequest(raw)));
        };
        if self.us.choking && !self.allowed_to_them.contains(&request.piece()) {
            self.tally.choked_requests += 1;
            if self.clock.now.duration_since(self.clock.choked_at) > CHOKE_GRACE {
                bump(
                    &mut self.counters.choked_requests,
                    self.config.max_choked_requests,
                    SessionError::RequestsWhileChoked,
                )?;
            }
            self.refuse(raw);
            return Ok(None);
        }
        if !self.requests.push(request) {
            self.tally.excess_requests += 1;
            self.refuse(raw);
            return Ok(None);
        }
        Ok(Some(Event::Request(request)))
    }

    fn on_cancel<'a>(&mut self, raw: RawRequest) -> Option<Event<'a>> {
        let geometry = self.torrent.as_ref().and_then(|t| t.geometry)?;
        let request = PeerRequest::check(raw, &geometry)?;
        if !self.requests.remove(request) {
            return None;
        }
        self.tally.cancelled_requests += 1;
        self.refuse(raw);
        Some(Event::Cancelled(request))
    }

    fn on_reject<'a>(&mut self, raw: RawRequest) -> Outcome<'a> {
        self.need_fast(id::REJECT)?;
        let Some(geometry) = self.torrent.as_ref().and_then(|t| t.geometry) else {
            return Ok(None);
        };
        let raw = self.whole(raw);
        match self.in_flight.rejected(&geometry, raw) {
            Taken::Wanted(block) => Ok(Some(Event::Rejected(block))),
            Taken::Late(_) | Taken::Unasked => Ok(None),
        }
    }

    fn on_allowed_fast<'a>(&mut self, index: u32) -> Outcome<'a> {
        self.need_fast(id::ALLOWED_FAST)?;
        let known = self.geometry().is_some();
        let piece = self.piece(index);
        if (known && piece.is_none())
            || self.allowed_to_us.len() >= MAX_ALLOWED_FAST
            || self.allowed_to_us.contains(&index)
        {
            return Ok(None);
        }
        self.allowed_to_us.push(index);
        Ok(piece.map(Event::AllowedFast))
    }

    /// Turns a request away: with the fast extension by a reject, else by silence.
    fn refuse(&mut self, raw: RawRequest) {
        self.stats.requests_refused += 1;
        self.tally.refused_requests += 1;
        if self.supports_fast() {
            self.send(id::REJECT, |out| {
                out.extend_from_slice(&raw.frame(id::REJECT));
            });
        }
    }

    fn need_fast(&self, id: u8) -> Result<(), SessionError> {
        if self.supports_fast() {
            Ok(())
        } else {
            Err(SessionError::FastNotAgreed { id })
        }
    }

    /// Bytes of content in a piece, if they are fewer than those of the piece.
    pub(super) fn end_of(&self, piece: u32) -> Option<u32> {
        self.torrent.as_ref()?.tails.as_ref()?.end_of(piece)
    }

    /// The block that ends with its file, as long as a block of its piece is.
    fn whole(&self, mut raw: RawRequest) -> RawRequest {
        if let Some(end) = self.end_of(raw.piece)
            && raw.begin.checked_add(raw.len) == Some(end)
            && raw.begin.is_multiple_of(BLOCK_LEN)
            && let Some(geometry) = self.geometry()
            && let Some(piece) = geometry.piece(raw.piece)
        {
            raw.len = BLOCK_LEN.min(geometry.len_of(piece).saturating_sub(raw.begin));
        }
        raw
    }

    pub(super) fn piece(&self, index: u32) -> Option<PieceIndex> {
        self.geometry()?.piece(index)
    }
}

/// Counts one more; an error above `max`.
fn bump(counter: &mut u32, max: u32, error: SessionError) -> Result<(), SessionError> {
    *counter = counter.saturating_add(1);
    if *counter > max { Err(error) } else { Ok(()) }
}

impl From<EarlyError> for SessionError {
    fn from(error: EarlyError) -> Self {
        match error {
            EarlyError::Bitfield(error) => Self::Bitfield(error),
            EarlyError::Have(index) => Self::PieceOutOfRange { index },
        }
    }
}
