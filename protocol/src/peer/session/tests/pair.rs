//! Two sessions that talk to each other over chunked pipes.

use proptest::prelude::*;

use super::*;

/// One end: the session, and what it was told.
struct End {
    session: Session,
    seen: Vec<String>,
    /// Blocks that came whole, with their bytes.
    blocks: Vec<(BlockRef, Vec<u8>)>,
    partial: Vec<u8>,
}

/// Two ends on one clock. Payload of blocks is the content itself; see [`content`].
struct Pair {
    now: Instant,
    ends: [End; 2],
    chunks: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

/// The byte at an offset of the torrent.
fn content(offset: u64) -> u8 {
    (offset / 251 + offset) as u8
}

impl Pair {
    fn new(configs: [SessionConfig; 2], chunks: Vec<usize>) -> Self {
        let now = Instant::now();
        let [a, b] = configs;
        let end = |session| End {
            session,
            seen: vec![],
            blocks: vec![],
            partial: vec![],
        };
        let chunks = chunks.into_iter().cycle();
        Self {
            now,
            ends: [
                end(Session::initiator(a, params(), now)),
                end(Session::acceptor(b, now)),
            ],
            chunks,
        }
    }

    fn connected(chunks: Vec<usize>) -> Self {
        let mut pair = Self::new([config(1), config(2)], chunks);
        pair.drive();
        assert!(pair.ends.iter().all(|end| end.session.is_open()));
        pair
    }

    /// Moves bytes both ways until nobody has anything to say.
    fn drive(&mut self) {
        loop {
            let mut quiet = true;
            for from in [0, 1] {
                let mut wire = self.ends[from].session.output().to_vec();
                self.ends[from].session.consume_output(wire.len());
                while let Some(request) = self.ends[from].session.next_request() {
                    wire.extend_from_slice(&self.ends[from].session.piece_header(request));
                    let start = request.offset(&geometry());
                    wire.extend((start..start + u64::from(request.len())).map(content));
                }
                quiet &= wire.is_empty();
                let mut rest = &wire[..];
                while !rest.is_empty() {
                    let len = self.chunks.next().unwrap().clamp(1, rest.len());
                    let (chunk, later) = rest.split_at(len);
                    rest = later;
                    self.ends[1 - from].read(self.now, chunk);
                }
            }
            if quiet {
                return;
            }
        }
    }
}

impl End {
    fn read(&mut self, now: Instant, mut input: &[u8]) {
        while let Some(event) = self.session.handle(now, &mut input).unwrap() {
            self.on_event(event);
        }
        assert!(input.is_empty());
    }

    fn on_event(&mut self, event: Event<'_>) {
        if let Event::BlockData {
            block,
            offset,
            data,
            last,
        } = event
        {
            assert_eq!(self.partial.len(), offset as usize);
            self.partial.extend_from_slice(data);
            if last {
                self.blocks.push((block, std::mem::take(&mut self.partial)));
            }
        } else if let Event::Handshake(_) = event {
            if !self.session.is_initiator() {
                self.session.accept(params()).unwrap();
            }
            self.seen.push("handshake".into());
        } else if let Event::ExtensionHandshake(peer) = event {
            self.seen.push(format!("extensions of {:?}", peer.client));
        } else {
            self.seen.push(format!("{:?}", own(event)));
        }
    }
}

#[test]
fn both_sides_learn_who_the_other_is() {
    for chunk in [1, 3, 67, 68, 69, 1000] {
        let mut pair = Pair::connected(vec![chunk]);
        let client = format!(
            "extensions of Some(\"tribler-rs {}\")",
            env!("CARGO_PKG_VERSION")
        );
        for end in &mut pair.ends {
            assert_eq!(end.seen, ["handshake", &client]);
            assert!(end.session.supports_fast() && end.session.supports(Extension::Pex));
            assert_eq!(end.session.peer_reqq(), 2000);
        }
        let ids = pair
            .ends
            .each_ref()
            .map(|e| e.session.peer().unwrap().peer_id);
        assert_eq!(ids, [PeerId([2; 20]), PeerId([1; 20])]);
    }
}

#[test]
fn every_message_arrives_as_its_event() {
    let mut pair = Pair::connected(vec![5, 1, 64]);
    pair.ends.iter_mut().for_each(|end| end.seen.clear());
    let piece = block(7, 0).piece();
    let a = &mut pair.ends[0].session;
    a.have_none();
    a.interested(true);
    a.have(piece);
    a.dont_have(piece).unwrap();
    a.suggest(piece);
    a.allow_fast(piece);
    a.port(6881);
    a.metadata_request(0).unwrap();
    a.metadata_request(1).unwrap();
    a.set_upload_only(true);
    a.extended(Extension::Pex, b"de").unwrap();
    a.extended(Extension::Holepunch, b"x").unwrap();
    a.unchoke();
    a.choke();
    a.interested(false);
    pair.drive();
    let seen = pair.ends[1].seen.join("\n");
    let expected = [
        "PiecesKnown",
        "Interested",
        "Have(PieceIndex(7))",
        "DontHave(PieceIndex(7))",
        "Suggested(PieceIndex(7))",
        "AllowedFast(PieceIndex(7))",
        "Port(6881)",
        "MetadataRequest { piece: 0 }",
        "MetadataRequest { piece: 1 }",
        "UploadOnly(true)",
        "Extended { extension: Pex, payload: [100, 101] }",
        "Extended { extension: Holepunch, payload: [120] }",
        "Unchoked",
        "Choked { returned: [] }",
        "NotInterested",
    ];
    assert_eq!(seen, expected.join("\n"));

    let b = &mut pair.ends[1].session;
    b.metadata_data(0, 16_400, &[1; 16_384]);
    b.metadata_reject(1);
    // Neither was asked for again.
    b.metadata_data(0, 16_400, &[1; 16_384]);
    b.metadata_reject(5);
    pair.drive();
    let seen = &pair.ends[0].seen;
    assert_eq!(seen.len(), 2);
    assert!(seen[0].starts_with("MetadataData { piece: 0, total_size: 16400"));
    assert_eq!(seen[1], "MetadataRejected { piece: 1 }");
}

#[test]
fn ten_thousand_haves_are_one_buffer() {
    let g = Geometry::new(60_000, 1).unwrap();
    let torrent = TorrentParams {
        geometry: Some(g),
        ..params()
    };
    let mut lone = Lone::open(torrent, Reserved::default());
    assert_eq!(lone.session.haves(g.iter().take(10_000)), 10_000);
    assert_eq!(lone.session.output().len(), 90_000);
    // More than the output has room for wait with the caller.
    let more = lone.session.haves(g.iter());
    assert_eq!(more, (OUTPUT_SOFT_LIMIT - 90_000) / 9);
    assert_eq!(lone.session.haves(g.iter()), 0);
}

#[test]
fn a_torrent_passes_from_one_to_the_other() {
    for chunk in [1_usize, 4, 13, 17, 4096, 1 << 20] {
        let mut pair = Pair::connected(vec![chunk, 7]);
        let g = geometry();
        pair.ends[1].session.bitfield(&Bitfield::full(g.pieces()));
        pair.ends[1].session.unchoke();
        pair.drive();
        let a = &mut pair.ends[0].session;
        assert!(a.peer_is_seed());
        for piece in g.iter() {
            for at in 0..g.blocks_in(piece) {
                a.request(g.block(piece, at).unwrap()).unwrap();
            }
        }
        pair.drive();
        let end = &pair.ends[0];
        assert_eq!(end.session.in_flight(), 0);
        assert_eq!(end.blocks.len(), 20);
        for (block, data) in &end.blocks {
            let start = g.block_offset(*block);
            let expected: Vec<u8> = (start..start + u64::from(g.block_len(*block)))
                .map(content)
                .collect();
            assert!(*data == expected, "{block:?}");
        }
        assert_eq!(end.session.stats().payload_received, g.total_len());
        assert_eq!(pair.ends[1].session.stats().payload_sent, g.total_len());
    }
}

#[derive(Clone, Debug)]
enum Act {
    Request(u32),
    Cancel(u32),
    Choke,
    Unchoke,
    Drive,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u32..20).prop_map(Act::Request),
        1 => (0_u32..20).prop_map(Act::Cancel),
        1 => Just(Act::Choke),
        1 => Just(Act::Unchoke),
        2 => Just(Act::Drive),
    ]
}

proptest! {
    /// Whatever the order of requests, cancels and chokes: each request is answered once, by a block, a reject, a
    /// return or our own cancel, and nothing stays in flight at the end.
    #[test]
    fn every_request_ends_in_exactly_one_way(
        acts in proptest::collection::vec(act(), 1..60),
        chunks in proptest::collection::vec(1_usize..40_000, 1..8),
        fast: bool,
    ) {
        let configs = [1, 2].map(|name| SessionConfig { fast, ..config(name) });
        let mut pair = Pair::new(configs, chunks);
        pair.drive();
        let (mut asked, mut cancelled) = (0, 0);
        let nth = |n: u32| block(n / 2, n % 2);
        for act in acts {
            let [a, b] = &mut pair.ends;
            match act {
                Act::Request(n) => asked += usize::from(a.session.request(nth(n)).is_ok()),
                Act::Cancel(n) => cancelled += usize::from(a.session.cancel(nth(n))),
                Act::Choke => b.session.choke(),
                Act::Unchoke => b.session.unchoke(),
                Act::Drive => pair.drive(),
            }
        }
        pair.ends[1].session.choke();
        pair.drive();
        let end = &pair.ends[0];
        let rejected = end.seen.iter().filter(|s| s.starts_with("Rejected")).count();
        let returned: usize = end.seen.iter().filter(|s| s.starts_with("Choked"))
            .map(|s| s.matches("BlockRef").count()).sum();
        prop_assert_eq!(end.session.in_flight(), 0);
        prop_assert_eq!(end.blocks.len() + rejected + returned + cancelled, asked);
    }
}

#[test]
fn each_message_is_counted_by_who_sends_it_and_by_who_hears_it() {
    let mut pair = Pair::connected(vec![5, 1, 64]);
    let tallies = |pair: &mut Pair| {
        pair.ends
            .each_mut()
            .map(|end| end.session.take_tally().unwrap_or_default())
    };
    let [a, b] = tallies(&mut pair);
    let greeting = MessageKind::ExtensionHandshake as usize;
    assert_eq!((a.outgoing[greeting], b.incoming[greeting]), (1, 1));
    let piece = block(7, 0).piece();
    pair.ends[1].session.have_all();
    pair.ends[1].session.unchoke();
    pair.drive();
    let session = &mut pair.ends[0].session;
    session.have_none();
    session.interested(true);
    assert_eq!(session.haves([piece, block(8, 0).piece()]), 2);
    session.suggest(piece);
    session.allow_fast(piece);
    session.port(6881);
    session.metadata_request(0).unwrap();
    session.extended(Extension::Pex, b"de").unwrap();
    session.request(block(1, 0)).unwrap();
    session.request(block(1, 1)).unwrap();
    session.cancel(block(1, 1));
    session.unchoke();
    session.choke();
    session.interested(false);
    pair.drive();
    let [a, b] = tallies(&mut pair);
    assert_eq!(a.outgoing, b.incoming);
    assert_eq!(b.outgoing, a.incoming);
    for (kind, times) in [
        (MessageKind::HaveNone, 1),
        (MessageKind::Interested, 1),
        (MessageKind::Have, 2),
        (MessageKind::Suggest, 1),
        (MessageKind::AllowedFast, 1),
        (MessageKind::Port, 1),
        (MessageKind::Metadata, 1),
        (MessageKind::Pex, 1),
        (MessageKind::Extended, 2),
        (MessageKind::Request, 2),
        (MessageKind::Cancel, 1),
        (MessageKind::Unchoke, 1),
        (MessageKind::Choke, 1),
        (MessageKind::NotInterested, 1),
        (MessageKind::Bitfield, 0),
    ] {
        assert_eq!(a.outgoing[kind as usize], times, "{kind:?}");
    }
    assert_eq!(a.incoming[MessageKind::Piece as usize], 1);
    assert_eq!(a.incoming[MessageKind::Reject as usize], 1);
    assert_eq!((b.cancelled_requests, b.refused_requests), (1, 1));
    assert!(pair.ends[0].session.take_tally().is_none());
}

#[test]
fn what_peers_ask_for_in_vain_and_send_in_vain_is_counted_by_the_reason() {
    let mut lone = Lone::fast();
    lone.session.have_none();
    let good = raw(block(0, 0));
    let bad = RawRequest { piece: 99, ..good };
    lone.peer(&[Message::Request(good), Message::Request(bad)])
        .unwrap();
    lone.session.unchoke();
    let most = lone.session.config.max_incoming_requests;
    lone.peer(&vec![Message::Request(good); most + 3]).unwrap();
    lone.peer(&[Message::HaveAll, Message::Unchoke]).unwrap();
    lone.session.request(block(1, 0)).unwrap();
    lone.session.cancel(block(1, 0));
    let mut wire = piece_header(1, 0, 16_384).to_vec();
    wire.resize(wire.len() + 16_384, 0);
    lone.feed(&wire).unwrap();
    lone.feed(&wire).unwrap();
    let tally = lone.session.take_tally().unwrap();
    assert_eq!(tally.choked_requests, 1);
    assert_eq!(tally.invalid_requests, 1);
    assert_eq!(tally.excess_requests, 3);
    assert_eq!(tally.refused_requests, 5);
    assert_eq!(tally.incoming[MessageKind::Piece as usize], 2);
    assert_eq!((tally.late_bytes, tally.unasked_bytes), (16_384, 16_384));
}

#[test]
fn extensions_of_others_are_agreed_on_and_their_messages_passed_on() {
    let custom = |id: u8, room: &str| {
        let entry = crate::bencode::Tree::Bytes(room.as_bytes().to_vec());
        let custom = crate::peer::CustomExtension {
            name: "xx_chat".to_owned(),
            id,
            entry: Some(("xx_room".to_owned(), entry)),
        };
        TorrentParams {
            custom: Some([custom].into()),
            ..params()
        }
    };
    let now = Instant::now();
    let mut a = Session::initiator(config(1), custom(16, "a"), now);
    let mut b = Session::acceptor(config(2), now);
    let mut seen = Vec::new();
    let mut said = false;
    for _ in 0..10 {
        let mut input = a.output().to_vec();
        a.consume_output(input.len());
        for (from_a, input) in [(true, std::mem::take(&mut input)), (false, Vec::new())] {
            let input = if from_a {
                input
            } else {
                let output = b.output().to_vec();
                b.consume_output(output.len());
                output
            };
            let mut rest = &input[..];
            loop {
                let to = if from_a { &mut b } else { &mut a };
                let Some(event) = to.handle(now, &mut rest).unwrap() else {
                    break;
                };
                if let Event::Custom { at, payload } = event {
                    seen.push((at, payload.into_owned()));
                } else if matches!(event, Event::Handshake(_)) && from_a {
                    b.accept(custom(20, "b")).unwrap();
                }
            }
        }
        if a.custom_peer(0).is_some() && !said {
            said = true;
            a.custom(0, b"hello").unwrap();
            assert!(a.custom(1, b"?").is_err());
        }
    }
    assert_eq!(seen, [(0, b"hello".to_vec())]);
    let room = |session: &Session| session.custom_peer(0).unwrap().entry.clone();
    assert_eq!(room(&a), Some(crate::bencode::Tree::Bytes(b"b".to_vec())));
    assert_eq!(room(&b), Some(crate::bencode::Tree::Bytes(b"a".to_vec())));
}
