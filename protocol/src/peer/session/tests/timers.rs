use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_handshake_that_never_ends_times_out() {
    let now = Instant::now();
    let mut session = Session::acceptor(config(1), now);
    assert_eq!(
        session.poll_timeout(),
        Some((now + 15 * SECOND, "handshake"))
    );
    session.handle(now, &mut &b"\x13Bit"[..]).unwrap();
    assert_eq!(session.handle_timeout(now + 14 * SECOND), Ok(()));
    let error = session.handle_timeout(now + 15 * SECOND).unwrap_err();
    assert_eq!(error, SessionError::Timeout(Timer::Handshake));
    assert_eq!(error.fault(), Fault::Network);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_handshake_must_be_accepted_in_time_and_before_more() {
    let now = Instant::now();
    let mut session = Session::acceptor(config(1), now);
    assert_eq!(session.accept(params()), Err(SessionError::NotAccepted));
    let peer = Handshake {
        reserved: Reserved::default(),
        info_hash: HASH,
        peer_id: PeerId([2; 20]),
    };
    let mut wire = peer.encode().to_vec();
    wire.extend_from_slice(&[0; 4]);
    let mut input = &wire[..];
    assert!(session.handle(now, &mut input).unwrap().is_some());
    assert_eq!(
        session.handle(now, &mut input),
        Err(SessionError::NotAccepted)
    );
    assert_eq!(input.len(), 4);
    let other = TorrentParams::new(InfoHashes::v1(InfoHash([1; 20])));
    assert_eq!(
        session.accept(other),
        Err(SessionError::WrongInfoHash(HASH))
    );
    assert!(session.output().is_empty());
    session.accept(params()).unwrap();
    assert_eq!(session.handle(now, &mut input), Ok(Some(Event::KeepAlive)));
}

#[test]
fn keep_alives_go_out_only_when_we_are_quiet() {
    let mut lone = Lone::slow();
    let start = lone.now;
    let mut sent_at = Vec::new();
    for second in 1..=600 {
        lone.now = start + second * SECOND;
        // The peer is never idle; we say something in the second minute only.
        lone.feed(&[0; 4]).unwrap();
        if (60..120).contains(&second) {
            lone.session.port(1);
            assert_eq!(lone.sent().len(), 1);
        }
        lone.session.handle_timeout(lone.now).unwrap();
        for message in lone.sent() {
            assert_eq!(message, Message::KeepAlive);
            sent_at.push(second);
        }
    }
    assert!(sent_at.first().is_some_and(|at| *at > 120 && *at <= 230));
    for pair in sent_at.windows(2) {
        assert!((55..=110).contains(&(pair[1] - pair[0])), "{sent_at:?}");
    }
    assert!(sent_at.last().is_some_and(|at| *at > 490));
}

#[test]
fn a_silent_peer_is_idle_and_a_talking_one_is_not() {
    let mut lone = Lone::slow();
    let start = lone.now;
    lone.now = start + 149 * SECOND;
    lone.session.handle_timeout(lone.now).unwrap();
    lone.feed(&[0; 4]).unwrap();
    assert_eq!(lone.session.handle_timeout(start + 298 * SECOND), Ok(()));
    assert_eq!(
        lone.session.handle_timeout(start + 299 * SECOND),
        Err(SessionError::Timeout(Timer::Idle))
    );
}

#[test]
fn silence_of_our_own_making_is_not_held_against_the_peer() {
    let mut lone = Lone::slow();
    let later = lone.now + 1000 * SECOND;
    lone.feed(&[0, 0]).unwrap();
    lone.session.resume_reading(later);
    assert_eq!(lone.session.handle_timeout(later), Ok(()));
    assert_eq!(
        lone.session.handle_timeout(later + 60 * SECOND),
        Err(SessionError::Timeout(Timer::Frame))
    );
}

#[test]
fn a_message_that_trickles_in_times_out() {
    let mut lone = Lone::slow();
    let start = lone.now;
    let wire = [0, 0, 0, 13, id::REQUEST, 0, 0, 0];
    for (second, byte) in wire.iter().enumerate() {
        lone.now = start + 8 * second as u32 * SECOND;
        lone.feed(&[*byte]).unwrap();
        let result = lone.session.handle_timeout(lone.now);
        assert_eq!(result, Ok(()));
    }
    let due = lone.session.poll_timeout();
    assert_eq!(due, Some((start + 60 * SECOND, "frame")));
    let error = lone
        .session
        .handle_timeout(start + 60 * SECOND)
        .unwrap_err();
    assert_eq!(error, SessionError::Timeout(Timer::Frame));
    assert_eq!(error.fault(), Fault::Network);
}

#[test]
fn whole_messages_and_payload_start_no_frame_timer() {
    let mut lone = Lone::slow();
    lone.peer(&[Message::Unchoke]).unwrap();
    lone.session.request(block(0, 0)).unwrap();
    lone.feed(&piece_header(0, 0, 16_384)).unwrap();
    lone.feed(&[1; 100]).unwrap();
    assert_ne!(lone.session.poll_timeout().unwrap().1, "frame");
    lone.feed(&[0; 16_284]).unwrap();
    lone.feed(&[0, 0, 0]).unwrap();
    let frame = lone.session.deadline(Timer::Frame);
    assert_eq!(frame, Some(lone.now + 60 * SECOND));
    lone.feed(&[0]).unwrap();
    assert_eq!(lone.session.deadline(Timer::Frame), None);
}
