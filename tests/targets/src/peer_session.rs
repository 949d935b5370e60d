//! Sequences of operations on a peer session, with a model of what is in flight.

use std::time::{Duration, Instant};

use crate::steps::Steps;
use protocol::bitfield::Bitfield;
use protocol::geometry::{BlockRef, Geometry};
use protocol::id::{InfoHash, InfoHashV2, InfoHashes, PeerId};
use protocol::merkle::Span;
use protocol::peer::message::{HashRequest, Message, RawRequest, piece_header};
use protocol::peer::session::{MAX_HASHES_ASKED, MAX_IN_FLIGHT, OUTPUT_HARD_LIMIT};
use protocol::peer::{
    Event, Extension, Handshake, Reserved, Session, SessionConfig, SessionError, TorrentParams,
};

const HASH: InfoHash = InfoHash([7; 20]);
const QUEUE: usize = 20;

/// The session, and what must be true of it.
struct World {
    session: Session,
    now: Instant,
    geometry: Geometry,
    /// Blocks in flight, oldest first.
    in_flight: Vec<BlockRef>,
    /// The block that is arriving, and how much of it came.
    receiving: Option<(BlockRef, u32)>,
    /// Requests of the peer in the queue.
    queued: usize,
    /// Hash requests that the peer has not answered.
    hashes: Vec<HashRequest>,
    failed: Option<SessionError>,
}

impl World {
    fn new(steps: &mut Steps<'_>) -> Self {
        let flags = steps.byte();
        // Small blocks for many steps, or blocks of full size and a rest.
        let piece_len = if flags & 16 == 0 { 300 } else { 16_434 };
        let total = piece_len * 50 + 1 + u64::from(steps.byte());
        let geometry = Geometry::new(total, piece_len).expect("fits");
        let now = Instant::now();
        let config = SessionConfig {
            fast: flags & 1 == 0,
            extension_protocol: flags & 2 == 0,
            max_incoming_requests: QUEUE,
            ..SessionConfig::new(PeerId([1; 20]))
        };
        let torrent = TorrentParams {
            geometry: (flags & 4 == 0).then_some(geometry),
            ..TorrentParams::new(if flags & 32 == 0 {
                InfoHashes::v1(HASH)
            } else {
                InfoHashes::v2(InfoHashV2([7; 32]))
            })
        };
        let acceptor = flags & 8 != 0;
        let session = if acceptor {
            Session::acceptor(config, now)
        } else {
            Session::initiator(config, torrent.clone(), now)
        };
        let mut world = Self {
            session,
            now,
            geometry,
            in_flight: Vec::new(),
            receiving: None,
            queued: 0,
            hashes: Vec::new(),
            failed: None,
        };
        let peer = Handshake {
            reserved: Reserved([0, 0, 0, 0, 0, steps.byte(), 0, steps.byte()]),
            info_hash: HASH,
            peer_id: PeerId([2; 20]),
        };
        world.feed(&peer.encode(), 30);
        if acceptor {
            world.session.accept(torrent).expect("a handshake came");
        }
        world
    }

    fn feed(&mut self, bytes: &[u8], chunk: usize) {
        for chunk in bytes.chunks(chunk) {
            let mut input = chunk;
            loop {
                let result = self.session.handle(self.now, &mut input);
                if let Some(error) = self.failed {
                    assert_eq!(result, Err(error), "an end is final");
                    return;
                }
                match result {
                    Ok(Some(event)) => self.on_event(event),
                    Ok(None) => break,
                    Err(error) => {
                        let _ = (error.fault(), error.to_string());
                        self.failed = Some(error);
                        return;
                    }
                }
            }
            assert!(input.is_empty());
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most events say nothing of what the model has"
    )]
    fn on_event(&mut self, event: Event<'_>) {
        match event {
            Event::BlockData {
                block,
                offset,
                data,
                last,
            } => {
                assert!(!data.is_empty());
                if offset == 0 {
                    assert_eq!(self.receiving, None);
                    self.leave(block);
                    self.receiving = Some((block, 0));
                }
                let (current, got) = self.receiving.expect("a block is arriving");
                assert_eq!((current, got), (block, offset));
                let got = got + data.len() as u32;
                assert_eq!(last, got == self.geometry.block_len(block));
                self.receiving = (!last).then_some((block, got));
            }
            Event::Rejected(block) => self.leave(block),
            Event::Choked { returned } if !returned.is_empty() => {
                assert_eq!(std::mem::take(&mut self.in_flight), returned);
            }
            Event::Request(_) => self.queued += 1,
            Event::Cancelled(_) => self.queued -= 1,
            Event::MetadataRequest { piece } => self.session.metadata_data(piece, 10, &[0; 10]),
            Event::HashRequest(request) => {
                assert!(self.session.is_v2() && request.span().is_sound());
                self.session.hash_reject(request);
            }
            Event::Hashes { request, hashes } => {
                assert!(hashes.len() >= 32 * request.length as usize);
                self.answered(&request);
            }
            Event::HashRejected(request) => self.answered(&request),
            _ => {}
        }
    }

    fn answered(&mut self, request: &HashRequest) {
        let at = self.hashes.iter().position(|asked| asked == request);
        self.hashes
            .remove(at.expect("only what was asked for comes"));
    }

    fn leave(&mut self, block: BlockRef) {
        let at = self.in_flight.iter().position(|b| *b == block);
        self.in_flight
            .remove(at.expect("only what is in flight leaves"));
    }

    fn block(&self, steps: &mut Steps<'_>) -> BlockRef {
        let piece = self
            .geometry
            .piece(steps.below(self.geometry.pieces()))
            .expect("below");
        let block = steps.below(self.geometry.blocks_in(piece));
        self.geometry.block(piece, block).expect("below")
    }

    fn raw(&self, block: BlockRef) -> RawRequest {
        RawRequest {
            piece: block.piece().get(),
            begin: block.begin(),
            len: self.geometry.block_len(block),
        }
    }

    /// One thing that the peer or the caller does.
    fn step(&mut self, steps: &mut Steps<'_>) {
        let op = steps.byte() % 25;
        let block = self.block(steps);
        let len = self.geometry.block_len(block) as usize;
        let chunk = usize::from(steps.byte()) * len / 200 + len / 400 + 1;
        let wire = match op {
            0..=12 => self.message(op, steps, block),
            24 => self.hash_message(steps),
            _ => {
                self.operate(op, steps, block, chunk);
                None
            }
        };
        if let Some(wire) = wire {
            self.feed(&wire, chunk);
        }
    }

    /// What the peer says, if it has something to say.
    fn message(&self, op: u8, steps: &mut Steps<'_>, block: BlockRef) -> Option<Vec<u8>> {
        let raw = self.raw(block);
        let piece = block.piece();
        let wire = match op {
            0 => say(&Message::Choke),
            1 => say(&Message::Unchoke),
            2 => say(&Message::Request(raw)),
            3 => say(&Message::Cancel(raw)),
            4 => say(&Message::Reject(raw)),
            5 => say(&Message::Have(piece.get())),
            6 => say(&Message::AllowedFast(piece.get())),
            7 => say(&Message::HaveAll),
            8 | 9 => {
                let mut wire = piece_header(raw.piece, raw.begin, raw.len).to_vec();
                wire.resize(wire.len() + raw.len as usize, 1);
                wire
            }
            10 => {
                // The next answer in order.
                let raw = self.raw(*self.in_flight.first()?);
                let mut wire = piece_header(raw.piece, raw.begin, raw.len).to_vec();
                wire.resize(wire.len() + raw.len as usize, 2);
                wire
            }
            11 => {
                let len = usize::from(steps.byte());
                let id = steps.byte() % 9;
                say(&Message::Extended {
                    id,
                    payload: steps.take(len).into(),
                })
            }
            _ => {
                let len = usize::from(steps.byte());
                steps.take(len).to_vec()
            }
        };
        Some(wire)
    }

    /// What the peer says of hashes; or it is asked for some.
    fn hash_message(&mut self, steps: &mut Steps<'_>) -> Option<Vec<u8>> {
        let request = hash_request(steps);
        let wire = match steps.byte() % 4 {
            0 => say(&Message::HashRequest(request)),
            1 => say(&Message::HashReject(request)),
            2 => say(&Message::Hashes {
                request,
                hashes: vec![3; usize::from(steps.byte())].into(),
            }),
            _ => {
                if self.session.hash_request(request).is_ok() {
                    self.hashes.push(request);
                }
                return None;
            }
        };
        Some(wire)
    }

    /// What the caller does.
    fn operate(&mut self, op: u8, steps: &mut Steps<'_>, block: BlockRef, chunk: usize) {
        match op {
            13..=16 => {
                if self.session.request(block).is_ok() {
                    self.in_flight.push(block);
                }
            }
            17 => {
                if self.session.cancel(block) {
                    self.leave(block);
                }
            }
            18 => {
                self.session.choke();
                self.queued = self.session.queued_requests();
            }
            19 => self.session.unchoke(),
            20 => {
                if let Some(request) = self.session.next_request() {
                    self.queued -= 1;
                    if chunk.is_multiple_of(2) {
                        self.session.reject(request);
                    } else {
                        self.session.piece_header(request);
                    }
                }
            }
            21 => self.tell(steps, block),
            22 => {
                let written = steps.below(self.session.output().len() as u32 + 1);
                self.session.consume_output(written as usize);
            }
            _ => self.wait(Duration::from_millis(u64::from(steps.word() % 200_000))),
        }
    }

    fn tell(&mut self, steps: &mut Steps<'_>, block: BlockRef) {
        let piece = block.piece();
        match steps.byte() % 12 {
            0 => self.session.have(piece),
            1 => self.session.allow_fast(piece),
            2 => self.session.suggest(piece),
            3 => self.session.interested(steps.byte().is_multiple_of(2)),
            4 => self
                .session
                .bitfield(&Bitfield::full(self.geometry.pieces())),
            5 => _ = self.session.haves(self.geometry.iter()),
            6 => _ = self.session.metadata_request(steps.word() % 3),
            7 => self.session.set_upload_only(steps.byte().is_multiple_of(2)),
            8 => self.session.set_metadata_size(1000),
            9 => _ = self.session.extended(Extension::Pex, b"de"),
            10 => _ = self.session.dont_have(piece),
            _ => {
                if self.failed.is_none()
                    && let Err(error) = self.session.set_geometry(self.geometry)
                {
                    self.failed = Some(error);
                }
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        let result = self.session.handle_timeout(self.now);
        match self.failed {
            Some(error) => assert_eq!(result, Err(error)),
            None => self.failed = result.err(),
        }
        if let Some((at, reason)) = self.session.poll_timeout() {
            assert!(at > self.now, "{reason} is due and was not handled");
        }
    }

    fn check(&self) {
        if self.failed.is_some() {
            return;
        }
        let arriving = self.session.receiving();
        let mut expected = self.in_flight.clone();
        // The head of a block may have come without a byte of it.
        if let (Some(block), None) = (arriving, self.receiving) {
            let at = expected
                .iter()
                .position(|b| *b == block)
                .expect("it was in flight");
            expected.remove(at);
        }
        assert!(self.session.in_flight_blocks().eq(expected));
        assert!(self.session.in_flight() <= MAX_IN_FLIGHT);
        assert_eq!(self.session.queued_requests(), self.queued);
        assert!(self.queued <= QUEUE);
        assert!(self.hashes.len() <= MAX_HASHES_ASKED);
        assert!(self.session.output().len() <= OUTPUT_HARD_LIMIT + 256 * 1024);
    }
}

/// A message as bytes.
fn say(message: &Message<'_>) -> Vec<u8> {
    let mut wire = Vec::new();
    message.encode(&mut wire);
    wire
}

/// A request for hashes, one of few.
fn hash_request(steps: &mut Steps<'_>) -> HashRequest {
    let span = Span {
        base: u32::from(steps.byte() % 2),
        index: u32::from(steps.byte() % 8),
        length: u32::from(steps.byte() % 5),
        proof_layers: u32::from(steps.byte() % 3),
    };
    HashRequest::new([steps.byte() % 2; 32], span)
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let mut world = World::new(&mut steps);
    while !steps.is_empty() {
        world.step(&mut steps);
        world.check();
    }
}
