use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::socks5::{Bound, Command, Refusal, Socks5Error};
use super::{Credentials, Destination, HostName, connect, datagram, socks5};

fn addr(text: &str) -> Destination {
    Destination::Addr(text.parse().unwrap())
}

fn name(host: &str, port: u16) -> Destination {
    Destination::Name(HostName::new(host).unwrap(), port)
}

fn user() -> Credentials {
    Credentials::new(b"user".to_vec(), b"pass word".to_vec()).unwrap()
}

/// Plays a proxy that says `answers`, one after each of our messages; what we sent, and the outcome.
fn play(
    mut machine: socks5::Negotiation,
    answers: &[&[u8]],
) -> (Vec<Vec<u8>>, Result<Option<Bound>, Socks5Error>) {
    let mut sent = vec![machine.output()];
    let mut bytes = answers.concat().into_iter();
    loop {
        let next: Vec<u8> = bytes.by_ref().take(machine.wants()).collect();
        if next.is_empty() {
            return (sent, Ok(None));
        }
        let outcome = machine.handle(&next);
        let more = machine.output();
        if !more.is_empty() {
            sent.push(more);
        }
        match outcome {
            Ok(None) => {}
            over => {
                assert!(over.is_err() || machine.wants() == 0);
                return (sent, over);
            }
        }
    }
}

#[test]
fn a_stream_is_asked_for_by_address_and_by_name() {
    let cases: [(Destination, &[u8]); 4] = [
        (addr("1.2.3.4:80"), &[5, 1, 0, 1, 1, 2, 3, 4, 0, 80]),
        (
            addr("[2a00::1]:6881"),
            &[
                5, 1, 0, 4, 0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1a, 0xe1,
            ],
        ),
        (
            addr("[::ffff:1.2.3.4]:80"),
            &[5, 1, 0, 1, 1, 2, 3, 4, 0, 80],
        ),
        (
            name("t.org", 443),
            &[5, 1, 0, 3, 5, b't', b'.', b'o', b'r', b'g', 1, 187],
        ),
    ];
    for (to, request) in cases {
        let machine = socks5::Negotiation::new(Command::Connect, &to, None);
        let (sent, outcome) = play(machine, &[&[5, 0], &[5, 0, 0, 1, 9, 9, 9, 9, 0, 7]]);
        assert_eq!(sent, [vec![5, 1, 0], request.to_vec()]);
        let bound: SocketAddr = "9.9.9.9:7".parse().unwrap();
        assert_eq!(outcome, Ok(Some(Bound::Addr(bound))));
    }
}

#[test]
fn a_password_is_told_only_to_a_proxy_that_wants_one() {
    let new = || socks5::Negotiation::new(Command::UdpAssociate, &addr("0.0.0.0:0"), Some(&user()));
    let request = vec![5, 3, 0, 1, 0, 0, 0, 0, 0, 0];
    let ok = [5, 0, 0, 3, 2, b'h', b'i', 1, 0];
    let (sent, outcome) = play(new(), &[&[5, 2], &[1, 0], &ok]);
    let told = b"\x01\x04user\x09pass word".to_vec();
    assert_eq!(sent, [vec![5, 2, 0, 2], told, request.clone()]);
    assert_eq!(outcome, Ok(Some(Bound::Named(256))));
    let (sent, outcome) = play(new(), &[&[5, 0], &ok]);
    assert_eq!(sent, [vec![5, 2, 0, 2], request]);
    assert!(outcome.is_ok());
    let (sent, outcome) = play(new(), &[&[5, 2], &[1, 1]]);
    assert_eq!((sent.len(), outcome), (2, Err(Socks5Error::BadCredentials)));
    assert!(!format!("{:?} {:?}", user(), new().output()).contains("pass"));
}

#[test]
fn what_a_proxy_refuses_is_told() {
    let new = || socks5::Negotiation::new(Command::Connect, &addr("1.2.3.4:80"), None);
    let refused = |refusal| Err(Socks5Error::Refused(refusal));
    let cases: [(&[&[u8]], _); 8] = [
        (&[&[4, 0]], Err(Socks5Error::NotSocks5)),
        (&[b"HTTP"], Err(Socks5Error::NotSocks5)),
        (&[&[5, 2]], Err(Socks5Error::NoCredentials)),
        (&[&[5, 255]], Err(Socks5Error::NoCredentials)),
        (&[&[5, 0], &[5, 2, 0, 1, 0]], refused(Refusal::Forbidden)),
        (&[&[5, 0], &[5, 77, 0, 9, 0]], refused(Refusal::Other(77))),
        (&[&[5, 0], &[5, 0, 0, 9, 0]], Err(Socks5Error::BadAddress)),
        (&[&[5, 0], &[5, 0, 0, 1]], Ok(None)),
    ];
    for (answers, expected) in cases {
        assert_eq!(play(new(), answers).1, expected, "{answers:?}");
    }
    let other = socks5::Negotiation::new(Command::Connect, &addr("1.2.3.4:80"), Some(&user()));
    assert_eq!(play(other, &[&[5, 255]]).1, Err(Socks5Error::NoMethod));
}

/// What of `answer` is left when the machine has had what it wants, and what it says.
fn connect(answer: &[u8]) -> (usize, Result<bool, connect::ConnectError>) {
    let mut machine = connect::Negotiation::new(&name("t.org", 443), None);
    let mut rest = answer;
    loop {
        let (now, later) = rest.split_at(machine.wants().min(rest.len()));
        rest = later;
        match machine.handle(now) {
            Ok(false) if !now.is_empty() => {}
            outcome => return (rest.len(), outcome),
        }
    }
}

#[test]
fn an_http_proxy_is_asked_and_nothing_behind_its_answer_is_read() {
    use connect::ConnectError::{BadCredentials, NotHttp, Refused, TooLong};

    let mut machine = connect::Negotiation::new(&addr("[2a00::1]:80"), Some(&user()));
    let request = "CONNECT [2a00::1]:80 HTTP/1.1\r\nHost: [2a00::1]:80\r\n\
                   Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n\r\n";
    assert_eq!(machine.output(), request.as_bytes());
    let cases: [(&[u8], _, _); 9] = [
        (b"HTTP/1.1 200 OK\r\n\r\nabc", 3, Ok(true)),
        (
            b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n\r",
            1,
            Ok(true),
        ),
        (b"HTTP/1.1 204\n\nx", 1, Ok(true)),
        (b"HTTP/1.1 200 OK\r\n\nx", 1, Ok(true)),
        (b"HTTP/1.1 407 Who?\r\n\r\n", 0, Err(BadCredentials)),
        (b"HTTP/1.1 502 No\r\n\r\n", 0, Err(Refused(502))),
        (b"HTTP/1.1 2000 No\r\n\r\n", 0, Err(NotHttp)),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", 0, Ok(false)),
        (b"\x05\x00aaaaaaaaaaaa", 2, Err(NotHttp)),
    ];
    for (answer, left, outcome) in cases {
        let text = String::from_utf8_lossy(answer);
        assert_eq!(connect(answer), (left, outcome), "{text}");
    }
    let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &[b'a'; 9000]].concat();
    assert_eq!(connect(&endless).1, Err(TooLong));
}

#[test]
fn names_that_could_end_a_request_early_are_refused() {
    for bad in [
        "",
        "a b",
        "a\r\nX: y",
        "a/b",
        "a:1",
        "ü.de",
        &"x".repeat(256),
    ] {
        assert!(HostName::new(bad).is_err(), "{bad:?}");
    }
    assert!(HostName::new(&"x".repeat(255)).is_ok());
    assert!(Credentials::new(Vec::new(), Vec::new()).is_err());
    assert!(Credentials::new(vec![1], vec![0; 256]).is_err());
}

proptest! {
    #[test]
    fn a_datagram_comes_out_of_its_header_as_it_went_in(
        ip: std::net::IpAddr, port: u16, payload in vec(any::<u8>(), 0..100)
    ) {
        let from = SocketAddr::new(ip.to_canonical(), port);
        let mut wrapped = Vec::new();
        datagram::wrap(&Destination::Addr(from), &payload, &mut wrapped);
        prop_assert!(wrapped.len() <= payload.len() + datagram::MOST_HEADER);
        prop_assert_eq!(datagram::unwrap(&wrapped), Some((from, &payload[..])));
        wrapped[2] = 1;
        prop_assert_eq!(datagram::unwrap(&wrapped), None);
    }

    #[test]
    fn random_answers_end_in_bounded_room_and_however_they_are_cut(
        answer in vec(prop_oneof![Just(5u8), Just(0), Just(1), Just(3), Just(4), any::<u8>()], 0..600),
        cut in 1usize..7,
    ) {
        let run = |cut: usize| {
            let mut machine = socks5::Negotiation::new(Command::Connect, &name("a.b", 1), Some(&user()));
            let mut rest = &answer[..];
            loop {
                let len = machine.wants().min(cut).min(rest.len());
                prop_assert!(machine.wants() <= 262);
                if len == 0 {
                    return Ok((rest.len(), Ok(None)));
                }
                let (now, later) = rest.split_at(len);
                rest = later;
                match machine.handle(now) {
                    Ok(None) => {}
                    over => return Ok((rest.len(), over)),
                }
            }
        };
        prop_assert_eq!(run(cut)?, run(usize::MAX)?);
    }
}
