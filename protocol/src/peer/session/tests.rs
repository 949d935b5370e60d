use std::borrow::Cow;

use super::*;
use crate::bitfield::Bitfield;
use crate::fault::Fault;
use crate::id::{InfoHashV2, InfoHashes, PeerId};
use crate::peer::codec::Frame;
use crate::peer::extension::{ExtensionIds, Extensions};
use crate::peer::handshake::Reserved;
use crate::peer::message::{HashRequest, Message, RawRequest, id, piece_header};
use crate::peer::tally::MessageKind;
use crate::peer::timer::Timer;

mod bounds;
mod hashes;
mod pair;
mod sequences;
mod timers;

/// Ten pieces of two blocks each, the last block one byte long.
pub(super) fn geometry() -> Geometry {
    Geometry::new(19 * 16_384 + 1, 32_768).unwrap()
}

pub(super) fn block(piece: u32, block: u32) -> BlockRef {
    let g = geometry();
    g.block(g.piece(piece).unwrap(), block).unwrap()
}

pub(super) fn raw(block: BlockRef) -> RawRequest {
    RawRequest {
        piece: block.piece().get(),
        begin: block.begin(),
        len: geometry().block_len(block),
    }
}

pub(super) const HASH: InfoHash = InfoHash([0xab; 20]);

pub(super) fn params() -> TorrentParams {
    TorrentParams {
        geometry: Some(geometry()),
        ..TorrentParams::new(InfoHashes::v1(HASH))
    }
}

pub(super) fn config(name: u8) -> SessionConfig {
    SessionConfig::new(PeerId([name; 20]))
}

/// A session of ours, and a peer that the test plays by hand.
pub(super) struct Lone {
    pub(super) session: Session,
    pub(super) now: Instant,
}

impl Lone {
    /// An initiator, past both handshakes with a peer that offers `reserved`.
    pub(super) fn open(params: TorrentParams, reserved: Reserved) -> Self {
        let now = Instant::now();
        let mut lone = Self {
            session: Session::initiator(config(1), params, now),
            now,
        };
        let peer = Handshake {
            reserved,
            info_hash: HASH,
            peer_id: PeerId([2; 20]),
        };
        let wire = peer.encode();
        let events = lone.feed(&wire).unwrap();
        assert_eq!(events, [Event::Handshake(peer)]);
        lone.sent();
        lone
    }

    pub(super) fn fast() -> Self {
        Self::open(params(), Reserved::FAST.with(Reserved::EXTENSIONS, true))
    }

    pub(super) fn slow() -> Self {
        Self::open(params(), Reserved::default())
    }

    pub(super) fn feed<'a>(&mut self, bytes: &'a [u8]) -> Result<Vec<Event<'a>>, SessionError> {
        let mut input = bytes;
        let mut events = Vec::new();
        while let Some(event) = self.session.handle(self.now, &mut input)? {
            events.push(event);
        }
        assert!(input.is_empty());
        Ok(events)
    }

    /// Lets the peer send messages; returns the events, which own what they hold.
    pub(super) fn peer(
        &mut self,
        messages: &[Message<'_>],
    ) -> Result<Vec<Event<'static>>, SessionError> {
        let mut wire = Vec::new();
        for message in messages {
            message.encode(&mut wire);
        }
        // Byte by byte, so that nothing is borrowed.
        let mut events = Vec::new();
        for byte in wire {
            for event in self.feed(&[byte])? {
                events.push(own(event));
            }
        }
        Ok(events)
    }

    /// Takes what the session has to send, as messages.
    pub(super) fn sent(&mut self) -> Vec<Message<'static>> {
        let output = self.session.output().to_vec();
        self.session.consume_output(output.len());
        let mut input = &output[..];
        if input.starts_with(&crate::peer::handshake::PROTOCOL) {
            input = &input[68..];
        }
        let mut decoder = Decoder::new();
        let mut messages = Vec::new();
        while let Some(frame) = decoder.next(&mut input).unwrap() {
            let Frame::Message(message) = frame else {
                panic!("{frame:?} in the output");
            };
            messages.push(message.into_static());
        }
        messages
    }
}

/// The event with owned bytes; block data has no such form.
pub(super) fn own(event: Event<'_>) -> Event<'static> {
    let cow = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
    match event {
        Event::BlockData { .. } => panic!("block data"),
        Event::MetadataData {
            piece,
            total_size,
            data,
        } => Event::MetadataData {
            piece,
            total_size,
            data: cow(data),
        },
        Event::Extended { extension, payload } => Event::Extended {
            extension,
            payload: cow(payload),
        },
        Event::Hashes { request, hashes } => Event::Hashes {
            request,
            hashes: cow(hashes),
        },
        Event::Handshake(h) => Event::Handshake(h),
        Event::ExtensionHandshake(h) => Event::ExtensionHandshake(h),
        Event::KeepAlive => Event::KeepAlive,
        Event::Choked { returned } => Event::Choked { returned },
        Event::Unchoked => Event::Unchoked,
        Event::Interested => Event::Interested,
        Event::NotInterested => Event::NotInterested,
        Event::Have(p) => Event::Have(p),
        Event::DontHave(p) => Event::DontHave(p),
        Event::PiecesKnown => Event::PiecesKnown,
        Event::UnwantedBlock { late, len } => Event::UnwantedBlock { late, len },
        Event::Request(r) => Event::Request(r),
        Event::Cancelled(r) => Event::Cancelled(r),
        Event::Rejected(b) => Event::Rejected(b),
        Event::InvalidRequest(raw) => Event::InvalidRequest(raw),
        Event::Suggested(p) => Event::Suggested(p),
        Event::AllowedFast(p) => Event::AllowedFast(p),
        Event::Port(p) => Event::Port(p),
        Event::MetadataRequest { piece } => Event::MetadataRequest { piece },
        Event::MetadataRejected { piece } => Event::MetadataRejected { piece },
        Event::UploadOnly(on) => Event::UploadOnly(on),
        Event::HashRequest(r) => Event::HashRequest(r),
        Event::Custom { at, payload } => Event::Custom {
            at,
            payload: Cow::Owned(payload.into_owned()),
        },
        Event::HashRejected(r) => Event::HashRejected(r),
    }
}

#[test]
fn a_block_in_one_buffer_is_one_event_and_a_slice_of_it() {
    let mut lone = Lone::slow();
    lone.peer(&[Message::Unchoke]).unwrap();
    let wanted = block(3, 1);
    lone.session.request(wanted).unwrap();
    let mut wire = piece_header(3, 16_384, 16_384).to_vec();
    wire.extend_from_slice(&[7; 16_384]);
    let events = lone.feed(&wire).unwrap();
    let [
        Event::BlockData {
            block,
            offset: 0,
            data,
            last: true,
        },
    ] = events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(block, wanted);
    assert!(std::ptr::eq(data, &raw const wire[13..]));
    assert_eq!(lone.session.in_flight(), 0);
    assert_eq!(lone.session.stats().payload_received, 16_384);
}

#[test]
fn a_choke_returns_what_is_in_flight_unless_rejects_will_come() {
    let blocks = [block(0, 0), block(0, 1), block(1, 0)];
    let mut lone = Lone::slow();
    lone.peer(&[Message::Unchoke]).unwrap();
    for block in blocks {
        lone.session.request(block).unwrap();
    }
    assert_eq!(
        lone.peer(&[Message::Choke]).unwrap(),
        [Event::Choked {
            returned: blocks.to_vec()
        }]
    );
    assert_eq!(lone.session.in_flight(), 0);

    let mut lone = Lone::fast();
    lone.peer(&[Message::Unchoke]).unwrap();
    for block in blocks {
        lone.session.request(block).unwrap();
    }
    let events = lone
        .peer(&[Message::Choke, Message::Reject(raw(blocks[1]))])
        .unwrap();
    assert_eq!(
        events,
        [
            Event::Choked { returned: vec![] },
            Event::Rejected(blocks[1])
        ]
    );
    assert_eq!(lone.session.in_flight(), 2);
}

#[test]
fn a_cancelled_block_is_skipped_when_it_comes() {
    let mut lone = Lone::fast();
    lone.peer(&[Message::Unchoke]).unwrap();
    let wanted = block(0, 0);
    lone.session.request(wanted).unwrap();
    assert!(lone.session.cancel(wanted));
    assert!(!lone.session.cancel(wanted));
    assert_eq!(lone.sent().last(), Some(&Message::Cancel(raw(wanted))));
    let mut wire = piece_header(0, 0, 16_384).to_vec();
    wire.extend_from_slice(&[7; 16_384]);
    let unwanted = Event::UnwantedBlock {
        late: Some(wanted),
        len: 16_384,
    };
    assert_eq!(lone.feed(&wire).unwrap(), [unwanted]);
    assert_eq!(lone.session.stats().payload_unwanted, 16_384);
}

#[test]
fn requests_are_refused_while_choked_but_for_allowed_pieces() {
    let mut lone = Lone::fast();
    assert_eq!(lone.session.request(block(4, 0)), Err(RequestError::Choked));
    let piece = block(4, 0).piece();
    let events = lone.peer(&[Message::AllowedFast(4)]).unwrap();
    assert_eq!(events, [Event::AllowedFast(piece)]);
    assert_eq!(lone.session.request(block(4, 0)), Ok(()));
    assert_eq!(
        lone.session.request(block(4, 0)),
        Err(RequestError::Duplicate)
    );
    assert_eq!(lone.session.request(block(5, 0)), Err(RequestError::Choked));
}

#[test]
fn as_many_requests_go_out_as_the_peer_queues() {
    let mut lone = Lone::fast();
    let handshake = ExtensionHandshake {
        reqq: Some(3),
        ..ExtensionHandshake::default()
    };
    let payload = Cow::Owned(handshake.encode());
    lone.peer(&[Message::Extended { id: 0, payload }, Message::Unchoke])
        .unwrap();
    for n in 0..3 {
        lone.session.request(block(n, 0)).unwrap();
    }
    assert_eq!(lone.session.request(block(3, 0)), Err(RequestError::Full));
    // A cancelled request gives its place free, whether or not the peer answers it.
    lone.session.cancel(block(0, 0));
    assert_eq!(lone.session.request(block(3, 0)), Ok(()));
    assert_eq!(lone.session.request(block(4, 0)), Err(RequestError::Full));
    // Its answer is no answer to the others.
    let rejected = lone.peer(&[Message::Reject(raw(block(0, 0)))]);
    assert_eq!(rejected, Ok(vec![]));
    assert_eq!(lone.session.in_flight(), 3);
}

#[test]
fn a_later_extension_handshake_keeps_what_it_does_not_name() {
    let mut lone = Lone::fast();
    for text in [
        &b"d1:md6:ut_pexi9ee4:reqqi3ee"[..],
        b"d1:md11:ut_metadatai2eee",
    ] {
        let payload = Cow::Borrowed(text);
        lone.peer(&[Message::Extended { id: 0, payload }]).unwrap();
    }
    assert_eq!(lone.session.peer_reqq(), 3);
    assert!(lone.session.supports(Extension::Pex) && lone.session.supports(Extension::Metadata));
}

#[test]
fn many_chokes_leave_room_for_requests() {
    let mut lone = Lone::slow();
    for _ in 0..1000 {
        lone.peer(&[Message::Unchoke]).unwrap();
        for n in 0..10 {
            lone.session.request(block(n, 0)).unwrap();
        }
        lone.sent();
        lone.peer(&[Message::Choke]).unwrap();
    }
    assert_eq!(lone.session.request_room(), DEFAULT_REQQ as usize);
}

#[test]
fn what_the_peer_has_is_known_once_the_geometry_is() {
    let all = Reserved::FAST;
    let unknown = TorrentParams::new(InfoHashes::v1(HASH));
    let mut lone = Lone::open(unknown.clone(), all);
    let bits = Message::Bitfield(Cow::Borrowed(&[0b1000_0000, 0]));
    let events = lone.peer(&[bits, Message::Have(9)]).unwrap();
    assert_eq!(events, [Event::PiecesKnown]);
    assert_eq!(lone.session.pieces(), None);
    lone.session.set_geometry(geometry()).unwrap();
    let pieces = lone.session.pieces().unwrap();
    assert_eq!(pieces.ones().collect::<Vec<_>>(), [0, 9]);

    let mut lone = Lone::open(unknown.clone(), all);
    lone.peer(&[Message::HaveAll]).unwrap();
    assert!(lone.session.peer_is_seed());
    lone.session.set_geometry(geometry()).unwrap();
    assert!(lone.session.pieces().unwrap().is_full());

    let mut lone = Lone::open(unknown, all);
    let bits = Message::Bitfield(Cow::Borrowed(&[0xff, 0xff]));
    lone.peer(&[bits]).unwrap();
    let error = lone.session.set_geometry(geometry()).unwrap_err();
    assert_eq!(error.fault(), Fault::Peer);
    assert_eq!(lone.feed(&[0; 4]), Err(error));
}

#[test]
fn fast_messages_need_the_fast_extension() {
    for (message, id) in [
        (Message::HaveAll, id::HAVE_ALL),
        (Message::HaveNone, id::HAVE_NONE),
        (Message::Suggest(1), id::SUGGEST),
        (Message::AllowedFast(1), id::ALLOWED_FAST),
        (Message::Reject(raw(block(0, 0))), id::REJECT),
    ] {
        assert_eq!(
            Lone::slow().peer(&[message]),
            Err(SessionError::FastNotAgreed { id })
        );
    }
}

#[test]
fn pieces_beyond_the_last_end_the_session_or_are_ignored() {
    assert_eq!(
        Lone::fast().peer(&[Message::Have(10)]),
        Err(SessionError::PieceOutOfRange { index: 10 })
    );
    let ignored = [Message::Suggest(10), Message::AllowedFast(10)];
    assert_eq!(Lone::fast().peer(&ignored), Ok(vec![]));
}

#[test]
fn a_choke_rejects_what_is_queued_but_for_allowed_pieces() {
    let mut lone = Lone::fast();
    lone.session.unchoke();
    lone.session.allow_fast(block(1, 0).piece());
    let requests: Vec<_> = (0..3).map(|n| Message::Request(raw(block(n, 0)))).collect();
    assert_eq!(lone.peer(&requests).unwrap().len(), 3);
    lone.sent();
    lone.session.choke();
    assert_eq!(
        lone.sent(),
        [
            Message::Choke,
            Message::Reject(raw(block(0, 0))),
            Message::Reject(raw(block(2, 0)))
        ]
    );
    assert_eq!(lone.session.queued_requests(), 1);
    // Allowed pieces may still be asked for, others are rejected.
    let more = [
        Message::Request(raw(block(1, 1))),
        Message::Request(raw(block(3, 0))),
    ];
    assert_eq!(lone.peer(&more).unwrap().len(), 1);
    assert_eq!(lone.sent(), [Message::Reject(raw(block(3, 0)))]);
}

#[test]
fn a_cancel_takes_the_request_out_and_is_answered() {
    let mut lone = Lone::fast();
    lone.session.unchoke();
    let asked = raw(block(2, 1));
    let events = lone
        .peer(&[Message::Request(asked), Message::Cancel(asked)])
        .unwrap();
    assert!(matches!(events[..], [Event::Request(a), Event::Cancelled(b)] if a == b));
    assert_eq!(lone.sent().last(), Some(&Message::Reject(asked)));
    assert_eq!(lone.session.next_request(), None);
    // Once taken out, a cancel comes too late.
    lone.peer(&[Message::Request(asked)]).unwrap();
    assert!(lone.session.next_request().is_some());
    assert_eq!(lone.peer(&[Message::Cancel(asked)]), Ok(vec![]));
}

#[test]
fn an_anonymous_session_tells_nothing_of_us() {
    let now = Instant::now();
    let mut session = Session::initiator(SessionConfig::anonymous(PeerId([1; 20])), params(), now);
    let peer = Handshake {
        reserved: Reserved::EXTENSIONS,
        info_hash: HASH,
        peer_id: PeerId([2; 20]),
    };
    session.handle(now, &mut &peer.encode()[..]).unwrap();
    let ours = ExtensionHandshake::parse(&session.output()[68 + 6..]).unwrap();
    assert_eq!(ours.client, None);
    assert_eq!(
        (ours.port, ours.yourip, ours.ipv4, ours.ipv6),
        (None, None, None, None)
    );
}

#[test]
fn extensions_can_be_left_out() {
    let mut torrent = params();
    torrent.extensions = Extensions::ALL.without(Extension::Pex);
    let mut lone = Lone::open(torrent, Reserved::EXTENSIONS);
    let theirs = ExtensionHandshake {
        ids: ExtensionIds::local(Extensions::ALL),
        ..ExtensionHandshake::default()
    };
    let payload = Cow::Owned(theirs.encode());
    lone.peer(&[Message::Extended { id: 0, payload }]).unwrap();
    assert!(lone.session.supports(Extension::Metadata));
    assert!(!lone.session.supports(Extension::Pex));
    assert_eq!(
        lone.session.extended(Extension::Pex, b"de"),
        Err(RequestError::Unsupported)
    );
    let pex = Message::Extended {
        id: Extension::Pex.local_id(),
        payload: Cow::Borrowed(b"de"),
    };
    assert_eq!(lone.peer(&[pex]), Ok(vec![]));
}

#[test]
fn the_info_hash_must_be_the_torrents() {
    let now = Instant::now();
    let mut session = Session::initiator(config(1), params(), now);
    let mut peer = Handshake {
        reserved: Reserved::default(),
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
    };
    assert_eq!(
        session.handle(now, &mut &peer.encode()[..]),
        Err(SessionError::WrongInfoHash(InfoHash([1; 20])))
    );

    let mut session = Session::initiator(config(1), params(), now);
    peer.info_hash = HASH;
    peer.peer_id = PeerId([1; 20]);
    let error = session.handle(now, &mut &peer.encode()[..]).unwrap_err();
    assert_eq!(error, SessionError::SelfConnection);
    assert_eq!(error.fault(), Fault::Local);
}

#[test]
fn a_hybrid_may_be_answered_with_its_v2_hash_once_offered() {
    let now = Instant::now();
    let v2 = InfoHashV2([0xcd; 32]);
    for (offered, ok) in [(true, true), (false, false)] {
        let torrent = TorrentParams {
            v2_upgrade: offered,
            ..TorrentParams::new(InfoHashes::hybrid(HASH, v2))
        };
        let mut session = Session::initiator(config(1), torrent, now);
        let peer = Handshake {
            reserved: Reserved::default(),
            info_hash: v2.truncated(),
            peer_id: PeerId([2; 20]),
        };
        assert_eq!(session.handle(now, &mut &peer.encode()[..]).is_ok(), ok);
    }
}
