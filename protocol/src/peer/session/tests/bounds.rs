//! Peers that overdo it.

use super::*;

#[test]
fn blocks_never_asked_for_end_the_session_in_the_end() {
    let mut lone = Lone::fast();
    let mut wire = piece_header(0, 0, 4).to_vec();
    wire.extend_from_slice(b"spam");
    for n in 0..MAX_UNSOLICITED_BLOCKS {
        let events = lone.feed(&wire).unwrap();
        assert_eq!(events, [Event::UnwantedBlock { late: None, len: 4 }], "{n}");
    }
    assert_eq!(lone.feed(&wire), Err(SessionError::Unsolicited));
    assert_eq!(SessionError::Unsolicited.fault(), Fault::Peer);
}

#[test]
fn requests_for_nothing_are_rejected_until_it_is_enough() {
    let mut lone = Lone::fast();
    lone.session.unchoke();
    lone.sent();
    let bad = RawRequest {
        piece: 10,
        begin: 0,
        len: 1,
    };
    for _ in 0..MAX_INVALID_REQUESTS {
        let events = lone.peer(&[Message::Request(bad)]);
        assert_eq!(events, Ok(vec![Event::InvalidRequest(bad)]));
        assert_eq!(lone.sent(), [Message::Reject(bad)]);
    }
    let error = lone.peer(&[Message::Request(bad)]);
    assert_eq!(error, Err(SessionError::InvalidRequests));
}

#[test]
fn requests_while_choked_are_borne_for_a_moment_only() {
    let mut lone = Lone::fast();
    lone.session.unchoke();
    lone.session.choke();
    let asked = Message::Request(raw(block(0, 0)));
    let many = vec![asked.clone(); 1000];
    assert_eq!(lone.peer(&many), Ok(vec![]));
    lone.now += CHOKE_GRACE + Duration::from_millis(1);
    let few = vec![asked; MAX_CHOKED_REQUESTS as usize];
    assert_eq!(lone.peer(&few), Ok(vec![]));
    // An unchoke forgives.
    lone.session.unchoke();
    lone.session.choke();
    lone.now += CHOKE_GRACE + Duration::from_millis(1);
    assert_eq!(lone.peer(&few), Ok(vec![]));
    assert_eq!(lone.peer(&few[..1]), Err(SessionError::RequestsWhileChoked));
}

#[test]
fn a_full_queue_rejects_or_drops() {
    for mut lone in [Lone::fast(), Lone::slow()] {
        lone.session.unchoke();
        lone.sent();
        let asked = Message::Request(raw(block(0, 0)));
        let most = lone.session.config.max_incoming_requests;
        let events = lone.peer(&vec![asked; most + 5]).unwrap();
        assert_eq!(events.len(), most);
        assert_eq!(lone.session.queued_requests(), most);
        let rejects = if lone.session.supports_fast() { 5 } else { 0 };
        assert_eq!(lone.sent().len(), rejects);
        assert_eq!(lone.session.stats().requests_refused, 5);
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_is_cut_off() {
    let mut lone = Lone::fast();
    let cycle = [
        Message::Request(raw(block(0, 0))),
        Message::Cancel(raw(block(0, 0))),
    ];
    lone.session.unchoke();
    let mut wire = Vec::new();
    for message in cycle.iter().cycle().take(2000) {
        message.encode(&mut wire);
    }
    let mut result = Ok(vec![]);
    for _ in 0..100 {
        result = lone.feed(&wire);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, Err(SessionError::OutputOverflow));
    assert!(lone.session.output().len() < OUTPUT_HARD_LIMIT + 20);
    assert_eq!(SessionError::OutputOverflow.fault(), Fault::Peer);
}

#[test]
fn metadata_requests_are_rejected_once_the_output_is_full() {
    let mut lone = Lone::fast();
    let theirs = ExtensionHandshake {
        ids: ExtensionIds::local(Extensions::ALL),
        ..ExtensionHandshake::default()
    };
    let payload = Cow::Owned(theirs.encode());
    lone.peer(&[Message::Extended { id: 0, payload }]).unwrap();
    let ask = Message::Extended {
        id: 2,
        payload: Cow::Borrowed(b"d8:msg_typei0e5:piecei0ee"),
    };
    let mut answered = 0;
    for _ in 0..100 {
        for event in lone.peer(std::slice::from_ref(&ask)).unwrap() {
            assert_eq!(event, Event::MetadataRequest { piece: 0 });
            lone.session.metadata_data(0, 16_384, &[0; 16_384]);
            answered += 1;
        }
    }
    assert_eq!(answered, OUTPUT_SOFT_LIMIT.div_ceil(16_384 + 49));
    assert!(lone.session.output().len() < OUTPUT_SOFT_LIMIT + 32 * 1024);
}

#[test]
fn maps_of_pieces_may_come_anew_but_not_for_ever() {
    let mut lone = Lone::fast();
    let bits = Message::Bitfield(Cow::Borrowed(&[0x80, 0]));
    lone.peer(&[Message::Have(3), bits, Message::HaveNone])
        .unwrap();
    assert_eq!(lone.session.pieces().unwrap().count(), 0);
    for _ in 2..MAX_PIECE_MAPS {
        lone.peer(&[Message::HaveAll]).unwrap();
    }
    let error = lone.peer(&[Message::HaveAll]);
    assert_eq!(error, Err(SessionError::PieceMaps));
}

#[test]
fn repeated_news_are_no_news() {
    let mut lone = Lone::fast();
    let twice = |m: Message<'static>| [m.clone(), m];
    for (message, news) in [
        (Message::Unchoke, 1),
        (Message::Choke, 1),
        (Message::Interested, 1),
        (Message::NotInterested, 1),
        (Message::Have(1), 1),
        (Message::AllowedFast(1), 1),
    ] {
        assert_eq!(lone.peer(&twice(message)).unwrap().len(), news);
    }
}

#[test]
fn early_haves_are_bounded() {
    let torrent = TorrentParams::new(InfoHashes::v1(HASH));
    let mut lone = Lone::open(torrent, Reserved::default());
    let mut wire = Vec::new();
    (0..5000).for_each(|n| Message::Have(n).encode(&mut wire));
    assert_eq!(lone.feed(&wire), Err(SessionError::EarlyHaves));
}

#[test]
fn broken_extension_messages_end_the_session() {
    let extended = |id, payload: &'static [u8]| {
        let payload = Cow::Borrowed(payload);
        Lone::fast().peer(&[Message::Extended { id, payload }])
    };
    for (id, payload) in [
        (0, &b"lllll"[..]),
        (2, b"i0e"),
        (2, b"d8:msg_typei0ee"),
        (3, b""),
        (3, b"xy"),
        (7, b"abc"),
    ] {
        let error = extended(id, payload).unwrap_err();
        assert!(matches!(error, SessionError::Extension(_)), "{error}");
        assert_eq!(error.fault(), Fault::Peer);
    }
    let gone = extended(7, &[0, 0, 0, 10]);
    assert_eq!(gone, Err(SessionError::PieceOutOfRange { index: 10 }));
    // Metadata that was not asked for, kinds that are not known.
    assert_eq!(extended(2, b"d8:msg_typei2e5:piecei0ee"), Ok(vec![]));
    assert_eq!(extended(2, b"d8:msg_typei7ee"), Ok(vec![]));
}
