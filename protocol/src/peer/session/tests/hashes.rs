//! The v2 swarm: upgrades of the handshake, and hash messages (BEP 52).

use super::*;
use crate::merkle::Span;

const V2: InfoHashV2 = InfoHashV2([0xcd; 32]);

fn hybrid(v2_first: bool) -> TorrentParams {
    TorrentParams {
        hashes: InfoHashes::hybrid(HASH, V2),
        v2_upgrade: true,
        v2_first,
        ..params()
    }
}

fn v2_only() -> TorrentParams {
    TorrentParams {
        hashes: InfoHashes::v2(V2),
        ..params()
    }
}

fn peer(reserved: Reserved, info_hash: InfoHash) -> Handshake {
    Handshake {
        reserved,
        info_hash,
        peer_id: PeerId([2; 20]),
    }
}

/// What our handshake says.
fn told(session: &Session) -> Handshake {
    Handshake::parse(session.output().first_chunk().unwrap()).unwrap()
}

/// An initiator whose peer answers like this.
fn initiator(params: TorrentParams, answer: Handshake) -> Result<Lone, SessionError> {
    let now = Instant::now();
    let session = Session::initiator(config(1), params, now);
    let mut lone = Lone { session, now };
    let wire = answer.encode();
    lone.feed(&wire)?;
    lone.sent();
    Ok(lone)
}

/// An acceptor whose peer begins like this.
fn acceptor(params: TorrentParams, first: Handshake) -> Lone {
    let now = Instant::now();
    let session = Session::acceptor(config(1), now);
    let mut lone = Lone { session, now };
    let wire = first.encode();
    lone.feed(&wire).unwrap();
    lone.session.accept(params).unwrap();
    lone
}

fn request(index: u32) -> HashRequest {
    let span = Span {
        base: 0,
        index,
        length: 2,
        proof_layers: 1,
    };
    HashRequest::new([3; 32], span)
}

#[test]
fn a_v2_torrent_is_named_by_its_cut_hash() {
    let lone = initiator(v2_only(), peer(Reserved::default(), V2.truncated())).unwrap();
    assert!(lone.session.is_v2());
    let lone = acceptor(v2_only(), peer(Reserved::default(), V2.truncated()));
    assert_eq!(told(&lone.session).info_hash, V2.truncated());
    assert!(lone.session.is_v2());
    let session = Session::initiator(config(1), v2_only(), Instant::now());
    assert_eq!(told(&session).info_hash, V2.truncated());
    assert!(!told(&session).reserved.has(Reserved::V2_UPGRADE));
}

#[test]
fn an_acceptor_upgrades_a_peer_that_offers_it_and_no_other() {
    for (theirs, named, answered) in [
        (Reserved::V2_UPGRADE, HASH, V2.truncated()),
        (Reserved::V2_UPGRADE, V2.truncated(), V2.truncated()),
        (Reserved::default(), V2.truncated(), V2.truncated()),
        (Reserved::default(), HASH, HASH),
    ] {
        let lone = acceptor(hybrid(false), peer(theirs, named));
        let ours = told(&lone.session);
        assert_eq!(ours.info_hash, answered);
        assert!(ours.reserved.has(Reserved::V2_UPGRADE));
        assert_eq!(lone.session.is_v2(), answered == V2.truncated());
    }
    let plain = acceptor(params(), peer(Reserved::V2_UPGRADE, HASH));
    assert_eq!(told(&plain.session).info_hash, HASH);
    assert!(!plain.session.is_v2());
}

#[test]
fn an_initiator_is_upgraded_by_the_answer() {
    for (v2_first, answer, v2) in [
        (false, HASH, false),
        (false, V2.truncated(), true),
        (true, V2.truncated(), true),
    ] {
        let session = Session::initiator(config(1), hybrid(v2_first), Instant::now());
        let named = if v2_first { V2.truncated() } else { HASH };
        assert_eq!(told(&session).info_hash, named);
        let lone = initiator(hybrid(v2_first), peer(Reserved::default(), answer)).unwrap();
        assert_eq!(lone.session.is_v2(), v2);
    }
    let stranger = peer(Reserved::V2_UPGRADE, InfoHash([1; 20]));
    assert!(matches!(
        initiator(hybrid(true), stranger),
        Err(SessionError::WrongInfoHash(_))
    ));
}

#[test]
fn hashes_are_asked_for_in_the_v2_swarm_alone_and_within_bounds() {
    let mut old = Lone::fast();
    let refused = old.session.hash_request(request(0));
    assert_eq!(refused, Err(RequestError::Unsupported));
    let mut lone = initiator(v2_only(), peer(Reserved::default(), V2.truncated())).unwrap();
    for at in 0..MAX_HASHES_ASKED as u32 {
        assert_eq!(lone.session.hash_request(request(2 * at)), Ok(()));
    }
    let twice = lone.session.hash_request(request(0));
    assert_eq!(twice, Err(RequestError::Duplicate));
    let more = lone.session.hash_request(request(2000));
    assert_eq!(more, Err(RequestError::Full));
    assert_eq!(lone.sent().len(), MAX_HASHES_ASKED);
    let events = lone.peer(&[Message::HashReject(request(0))]).unwrap();
    assert_eq!(events, [Event::HashRejected(request(0))]);
    assert_eq!(lone.session.hash_request(request(2000)), Ok(()));
}

#[test]
fn only_answers_that_were_asked_for_are_told() {
    let mut lone = initiator(v2_only(), peer(Reserved::default(), V2.truncated())).unwrap();
    let answer = |request, hashes: usize| Message::Hashes {
        request,
        hashes: vec![9; 32 * hashes].into(),
    };
    assert_eq!(lone.peer(&[answer(request(0), 3)]), Ok(vec![]));
    assert_eq!(lone.peer(&[Message::HashReject(request(0))]), Ok(vec![]));
    lone.session.hash_request(request(0)).unwrap();
    lone.session.hash_request(request(2)).unwrap();
    let events = lone.peer(&[answer(request(2), 3), answer(request(2), 3)]);
    let told = Event::Hashes {
        request: request(2),
        hashes: vec![9; 96].into(),
    };
    assert_eq!(events, Ok(vec![told]), "once for each question");
    // Two hashes and one uncle were asked for.
    assert_eq!(
        lone.peer(&[answer(request(0), 4)]),
        Err(SessionError::Hashes { len: 128 })
    );
}

#[test]
fn a_flood_of_hashes_ends_the_session() {
    let mut lone = initiator(v2_only(), peer(Reserved::default(), V2.truncated())).unwrap();
    let hashes = Message::Hashes {
        request: request(0),
        hashes: Cow::Owned(vec![1; 64]),
    };
    let mut outcome = Ok(vec![]);
    for _ in 0..=MAX_UNSOLICITED_BLOCKS {
        outcome = lone.peer(std::slice::from_ref(&hashes));
    }
    assert_eq!(outcome, Err(SessionError::Unsolicited));
}

#[test]
fn what_no_tree_answers_is_rejected_without_asking() {
    let mut lone = initiator(v2_only(), peer(Reserved::default(), V2.truncated())).unwrap();
    let sound = request(4);
    let events = lone.peer(&[Message::HashRequest(sound)]).unwrap();
    assert_eq!(events, [Event::HashRequest(sound)]);
    for bad in [
        HashRequest { length: 1, ..sound },
        HashRequest { length: 3, ..sound },
        HashRequest { length: 0, ..sound },
        HashRequest { index: 3, ..sound },
        HashRequest {
            length: 16_384,
            index: 0,
            ..sound
        },
    ] {
        assert_eq!(lone.peer(&[Message::HashRequest(bad)]), Ok(vec![]));
        assert_eq!(lone.sent(), [Message::HashReject(bad)]);
    }
    let mut old = Lone::fast();
    assert_eq!(old.peer(&[Message::HashRequest(sound)]), Ok(vec![]));
    assert_eq!(old.sent(), [Message::HashReject(sound)]);
    let bad = Message::HashRequest(HashRequest { length: 1, ..sound });
    let mut outcome = Ok(vec![]);
    for _ in 0..=MAX_INVALID_REQUESTS {
        outcome = lone.peer(std::slice::from_ref(&bad));
        lone.sent();
    }
    assert_eq!(outcome, Err(SessionError::InvalidRequests));
}

#[test]
fn what_lies_behind_the_end_of_a_file_is_not_asked_for() {
    let at = geometry().piece(3).unwrap();
    let params = TorrentParams {
        tails: Some(Arc::new(Tails::new([(at, 20_000)]))),
        ..v2_only()
    };
    let mut lone = initiator(params, peer(Reserved::FAST, V2.truncated())).unwrap();
    lone.peer(&[Message::HaveAll, Message::Unchoke]).unwrap();
    lone.session.request(block(3, 0)).unwrap();
    lone.session.request(block(3, 1)).unwrap();
    let short = RawRequest {
        piece: 3,
        begin: 16_384,
        len: 20_000 - 16_384,
    };
    let asked = lone.sent();
    assert_eq!(
        asked,
        [Message::Request(raw(block(3, 0))), Message::Request(short)]
    );
    let rejected = lone.peer(&[Message::Reject(short)]).unwrap();
    assert_eq!(rejected, [Event::Rejected(block(3, 1))]);
    // A block that comes is the one that was asked for, with or without what lies behind the end.
    for len in [short.len, 16_384] {
        lone.session.request(block(3, 1)).unwrap();
        let mut wire = piece_header(3, 16_384, len).to_vec();
        wire.resize(13 + len as usize, 5);
        let events = lone.feed(&wire).unwrap();
        let [
            Event::BlockData {
                block: came,
                data,
                last,
                ..
            },
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!(
            (*came, data.len(), *last),
            (block(3, 1), len as usize, true)
        );
    }
    assert_eq!(lone.session.in_flight(), 1);
    lone.sent();
    assert!(lone.session.cancel(block(3, 0)));
    lone.session.request(block(3, 1)).unwrap();
    assert!(lone.session.cancel(block(3, 1)));
    assert_eq!(lone.sent()[2], Message::Cancel(short));
}
