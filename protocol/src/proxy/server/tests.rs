use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::proxy::HostName;
use crate::proxy::datagram::{requested, wrap};
use crate::proxy::socks5::{Bound, Negotiation, Socks5Error};

fn user() -> Credentials {
    Credentials::new(b"user".to_vec(), b"pass word".to_vec()).unwrap()
}

/// What the machine says to a client's `bytes`, given `step` at most at a time, what of them it leaves, and the outcome.
fn hear(
    mut machine: Acceptance,
    bytes: &[u8],
    step: usize,
) -> (Vec<u8>, usize, Result<Option<Request>, AcceptError>) {
    let (mut rest, mut said) = (bytes, Vec::new());
    loop {
        assert!(machine.wants() <= MOST_MESSAGE);
        let (now, later) = rest.split_at(machine.wants().min(step).min(rest.len()));
        if now.is_empty() {
            return (said, rest.len(), Ok(None));
        }
        rest = later;
        let outcome = machine.handle(now);
        said.extend(machine.output());
        match outcome {
            Ok(None) => {}
            over => {
                assert_eq!(machine.wants(), 0);
                assert_eq!(machine.handle(b"more"), Ok(None));
                return (said, rest.len(), over);
            }
        }
    }
}

fn addr(text: &str) -> Destination {
    Destination::Addr(text.parse().unwrap())
}

#[test]
fn requests_are_read_and_nothing_behind_them() {
    let name = Destination::Name(HostName::new("t.org").unwrap(), 443);
    let cases: [(&[u8], Command, Destination); 4] = [
        (
            &[5, 1, 0, 1, 1, 2, 3, 4, 0, 80],
            Command::Connect,
            addr("1.2.3.4:80"),
        ),
        (
            &[5, 3, 0, 1, 0, 0, 0, 0, 0, 0],
            Command::UdpAssociate,
            addr("0.0.0.0:0"),
        ),
        (
            &[5, 1, 0, 3, 5, b't', b'.', b'o', b'r', b'g', 1, 187],
            Command::Connect,
            name,
        ),
        (
            &[
                5, 1, 9, 3, 7, b'1', b'.', b'2', b'.', b'3', b'.', b'4', 0, 80,
            ],
            Command::Connect,
            addr("1.2.3.4:80"),
        ),
    ];
    for (request, command, destination) in cases {
        let bytes = [&[5, 2, 1, 0], request, b"behind"].concat();
        let (said, left, outcome) = hear(Acceptance::new(None), &bytes, usize::MAX);
        let expected = Request {
            command,
            destination,
        };
        assert_eq!((said, left, outcome), (vec![5, 0], 6, Ok(Some(expected))));
    }
}

#[test]
fn a_password_is_asked_for_and_compared() {
    let new = || Acceptance::new(Some(user()));
    let asked = [5, 3, 0, 1, 0, 0, 0, 0, 0, 0];
    let told = |password: &[u8]| {
        let len = [password.len() as u8];
        [&[5, 2, 0, 2], &b"\x01\x04user"[..], &len, password, &asked].concat()
    };
    let (said, _, outcome) = hear(new(), &told(b"pass word"), usize::MAX);
    assert_eq!(said, [5, 2, 1, 0]);
    assert!(matches!(outcome, Ok(Some(_))));
    for wrong in [&b""[..], b"pass worc", b"pass wor", b"pass wordd"] {
        let (said, _, outcome) = hear(new(), &told(wrong), usize::MAX);
        assert_eq!(
            (&said[..], outcome),
            (&[5, 2, 1, 1][..], Err(AcceptError::BadCredentials))
        );
    }
    let (said, _, outcome) = hear(new(), &[5, 1, 0], usize::MAX);
    assert_eq!(
        (&said[..], outcome),
        (&[5, 0xff][..], Err(AcceptError::NoMethod))
    );
    assert!(!format!("{:?}", new()).contains("pass"));
}

#[test]
fn what_is_not_done_here_is_refused_in_words_that_say_so() {
    use AcceptError::{BadAddress, BadCommand, NoMethod, NotSocks5};

    let cases: [(&[u8], &[u8], AcceptError); 8] = [
        (&[4, 1], &[], NotSocks5),
        (b"GET / HTTP/1.1", &[], NotSocks5),
        (&[5, 0], &[5, 255], NoMethod),
        (&[5, 1, 2], &[5, 255], NoMethod),
        (&[5, 1, 0, 5, 2, 0, 1, 1], &[5, 0, 5, 7], BadCommand),
        (&[5, 1, 0, 5, 9, 0, 1, 1], &[5, 0, 5, 7], BadCommand),
        (&[5, 1, 0, 5, 1, 0, 2, 1], &[5, 0, 5, 8], BadAddress),
        (
            &[5, 1, 0, 5, 1, 0, 3, 3, b'a', b'/', b'b', 0, 80],
            &[5, 0, 5, 4],
            BadAddress,
        ),
    ];
    for (bytes, answer, why) in cases {
        let (said, _, outcome) = hear(Acceptance::new(None), bytes, usize::MAX);
        assert!(said.starts_with(answer), "{bytes:?}: {said:?}");
        assert_eq!(outcome, Err(why), "{bytes:?}");
        assert!(said.len() == answer.len() || said.len() == 12, "{said:?}");
    }
}

#[test]
fn a_client_of_ours_understands_every_reply() {
    let refusals = [
        Refusal::General,
        Refusal::Forbidden,
        Refusal::NetworkUnreachable,
        Refusal::HostUnreachable,
        Refusal::ConnectionRefused,
        Refusal::TtlExpired,
        Refusal::CommandNotSupported,
        Refusal::AddressNotSupported,
        Refusal::Other(77),
    ];
    let outcomes = refusals.map(Err).into_iter();
    let bound: [SocketAddr; 2] = ["1.2.3.4:5".parse().unwrap(), "[2a00::1]:6".parse().unwrap()];
    for outcome in outcomes.chain(bound.map(Ok)) {
        let mut client = Negotiation::new(Command::Connect, &addr("9.9.9.9:9"), None);
        client.output();
        client.handle(&[5, 0]).unwrap();
        let told = reply(outcome);
        let mut rest = &told[..];
        let understood = loop {
            let (now, later) = rest.split_at(client.wants());
            rest = later;
            match client.handle(now) {
                Ok(None) => {}
                over => break over,
            }
        };
        let expected = outcome.map(|bound| Some(Bound::Addr(bound)));
        assert_eq!(understood, expected.map_err(Socks5Error::Refused));
    }
}

#[test]
fn fragments_and_datagrams_to_nobody_are_left_out() {
    let mut datagram = Vec::new();
    wrap(&addr("1.2.3.4:5"), b"payload", &mut datagram);
    assert_eq!(
        requested(&datagram),
        Some((addr("1.2.3.4:5"), &b"payload"[..]))
    );
    datagram[2] = 1;
    assert_eq!(requested(&datagram), None);
    for bad in [
        &b"\0\0\0\x03\x03a/b\0\x50x"[..],
        b"\0\0\0\x02\0",
        b"\0\0\0\x03\xff",
        b"\0\0",
    ] {
        assert_eq!(requested(bad), None);
    }
}

fn destination() -> impl Strategy<Value = Destination> {
    let name = "[a-z][a-z0-9.-]{0,254}".prop_map(|name| HostName::new(&name).unwrap());
    prop_oneof![
        (any::<std::net::IpAddr>(), any::<u16>())
            .prop_map(|(ip, port)| Destination::Addr(SocketAddr::new(ip.to_canonical(), port))),
        (name, any::<u16>()).prop_map(|(name, port)| Destination::Name(name, port)),
    ]
}

proptest! {
    #[test]
    fn what_a_client_of_ours_asks_for_is_what_is_read(
        to in destination(), udp: bool, secret: bool, step in 1usize..9
    ) {
        let command = if udp { Command::UdpAssociate } else { Command::Connect };
        let credentials = secret.then(user);
        let mut client = Negotiation::new(command, &to, credentials.as_ref());
        let mut server = Acceptance::new(credentials);
        let read = loop {
            let said = client.output();
            prop_assert!(!said.is_empty());
            let mut rest = &said[..];
            let mut read = None;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(step.min(server.wants()).min(rest.len()));
                prop_assert!(!now.is_empty(), "the client says more than is wanted");
                rest = later;
                read = server.handle(now).unwrap();
            }
            if let Some(read) = read {
                break read;
            }
            client.handle(&server.output()).unwrap();
        };
        prop_assert_eq!(read, Request { command, destination: to });
    }

    #[test]
    fn datagrams_come_out_of_their_headers_as_they_went_in(
        to in destination(), payload in vec(any::<u8>(), 0..100)
    ) {
        let mut wrapped = Vec::new();
        wrap(&to, &payload, &mut wrapped);
        prop_assert_eq!(requested(&wrapped), Some((to, &payload[..])));
    }

    #[test]
    fn random_clients_come_to_the_same_end_however_they_are_cut(
        bytes in vec(prop_oneof![Just(5u8), Just(0), Just(1), Just(2), Just(3), Just(4), any::<u8>()], 0..1200),
        secret: bool, step in 1usize..9
    ) {
        let new = || Acceptance::new(secret.then(user));
        prop_assert_eq!(hear(new(), &bytes, step), hear(new(), &bytes, usize::MAX));
    }
}
