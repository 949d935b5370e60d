//! `ut_holepunch` (BEP 55) between a program and peers that the test plays: the program as relay, as target and as the one who
//! asks. What both libtorrent and ours do here is what they can rely on in each other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use support::clients::{Client, Orders, Running, Transport, finish, home};
use support::content::Content;
use support::payload::Payload;
use support::wire::{RawPeer, id};
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(30);

/// How long an answer may take; who asks for a meeting has to fail with TCP and uTP first.
const ANSWER: Duration = wait::patience(Duration::from_secs(10));
const DIAL: Duration = wait::patience(Duration::from_secs(60));

/// The sub-ids under which played peers want messages.
const HOLEPUNCH: u8 = 9;
const PEX: u8 = 10;

const RENDEZVOUS: u8 = 0;
const CONNECT: u8 = 1;
const ERROR: u8 = 2;

const NOT_CONNECTED: u32 = 2;
const NO_SUPPORT: u32 = 3;

/// Lets a program play all three parts.
pub(crate) fn all_parts(lab: &Lab, client: Client) {
    let content = Content::new(lab, Payload::single("meet.bin", 1_000_000, 3));
    let (info_hash, at) = (content.torrent.info_hash, lab.address());
    // Ours speaks both by itself.
    let orders = Orders::by(Transport::Both);
    let mut program = client.run(lab, &content.seed(at).with(orders.clone()));
    finish(&mut *program, READY, "the program");
    let players = |count| -> Vec<Player> {
        let player = |_| Player::join(at, &info_hash, lab.address().ip(), true);
        (0..count).map(player).collect()
    };
    relay(
        players(2),
        &mut Player::join(at, &info_hash, lab.address().ip(), false),
    );
    target(&mut players(1)[0], lab.address());
    drop(program);

    let (dir, at) = home(lab, "leech");
    let job = content.download(&dir, at, Vec::new()).with(orders);
    let mut program = client.run(lab, &job);
    initiator(lab, &mut *program, at, &info_hash);
    program.process().stop();
    lab.report(&format!(
        "| {}: relay, target and initiator |",
        client.name()
    ));
}

/// It brings two peers together, each by where the other is connected from, and says why where it cannot.
fn relay(players: Vec<Player>, mute: &mut Player) {
    let [mut asker, mut other] = <[Player; 2]>::try_from(players).expect("two");
    assert_eq!(asker.asks_for(other.addr), (CONNECT, other.addr, 0));
    assert_eq!(other.hears(ANSWER), (CONNECT, asker.addr, 0));
    let nobody = SocketAddr::from((Ipv4Addr::new(10, 99, 250, 1), 4000));
    asker.say(RENDEZVOUS, nobody);
    assert_eq!(asker.hears(ANSWER), (ERROR, nobody, NOT_CONNECTED));
    assert_eq!(asker.asks_for(mute.addr), (ERROR, mute.addr, NO_SUPPORT));
}

/// Told to connect, it sends a uTP SYN from the port where it listens.
fn target(relay: &mut Player, at: SocketAddr) {
    let socket = UdpSocket::bind(at).expect("a free address");
    socket.set_read_timeout(Some(ANSWER)).expect("a socket");
    relay.say(CONNECT, at);
    let mut packet = [0; 1500];
    let (len, from) = socket.recv_from(&mut packet).expect("a packet");
    assert_eq!((packet[0], from), (0x41, relay.program), "{len} bytes");
}

/// Of a peer that it is told of and cannot dial, it asks who told of it for a meeting.
fn initiator(lab: &Lab, program: &mut dyn Running, at: SocketAddr, info_hash: &[u8; 20]) {
    let hidden = lab.address();
    // Takes datagrams and never answers, as a NAT.
    let _silent = UdpSocket::bind(hidden).expect("a free address");
    // It listens before it knows what for, and hangs up on who asks too early.
    let from = lab.address().ip();
    let relay = wait::until(READY, || Player::try_join(at, info_hash, from, true).ok());
    let mut relay = relay.unwrap_or_else(|| panic!("{}", program.process().last_words()));
    relay.tell_of(hidden);
    assert_eq!(relay.hears(DIAL), (RENDEZVOUS, hidden, 0));
}

/// A peer over TCP that says it listens at the port it is connected from, so that all know it by one address.
#[derive(Debug)]
struct Player {
    peer: RawPeer,
    addr: SocketAddr,
    program: SocketAddr,
    holepunch: u8,
    pex: u8,
}

impl Player {
    fn join(program: SocketAddr, info_hash: &[u8; 20], from: IpAddr, speaks: bool) -> Self {
        Self::try_join(program, info_hash, from, speaks).expect("a handshake")
    }

    fn try_join(
        program: SocketAddr,
        info_hash: &[u8; 20],
        from: IpAddr,
        speaks: bool,
    ) -> io::Result<Self> {
        let mut peer = RawPeer::dial(program, from)?;
        let addr = peer.local_addr()?;
        peer.shake(info_hash)?;
        let holepunch = if speaks { HOLEPUNCH } else { 0 };
        let hello = format!(
            "d1:md12:ut_holepunchi{holepunch}e6:ut_pexi{PEX}ee1:pi{}ee",
            addr.port()
        );
        let hello = [&[0], hello.as_bytes()].concat();
        peer.say(id::EXTENDED, &hello)?;
        let theirs = loop {
            let body = peer.hear_until(id::EXTENDED)?;
            if body.first() == Some(&0) {
                break body;
            }
        };
        Ok(Self {
            holepunch: sub_id(&theirs, "12:ut_holepunch"),
            pex: sub_id(&theirs, "6:ut_pex"),
            peer,
            addr,
            program,
        })
    }

    fn say(&mut self, kind: u8, about: SocketAddr) {
        let mut payload = vec![self.holepunch, kind, 0];
        payload.extend(compact(about));
        payload.extend([0; 4]);
        self.peer.say(id::EXTENDED, &payload).expect("said");
    }

    /// Asks for a meeting with another player until the program knows of that one: it says hello before it has heard theirs.
    fn asks_for(&mut self, about: SocketAddr) -> (u8, SocketAddr, u32) {
        let answer = || {
            self.say(RENDEZVOUS, about);
            let answer = self.hears(ANSWER);
            (answer != (ERROR, about, NOT_CONNECTED)).then_some(answer)
        };
        wait::until(ANSWER, answer).expect("it knows of everybody")
    }

    /// Tells of a peer that speaks uTP and `ut_holepunch`.
    fn tell_of(&mut self, addr: SocketAddr) {
        let mut payload = vec![self.pex];
        payload.extend(b"d5:added6:");
        payload.extend(compact(addr));
        payload.extend(b"7:added.f1:\x0ce");
        self.peer.say(id::EXTENDED, &payload).expect("said");
    }

    /// The next message of `ut_holepunch`: its kind, whom it is about, and its code.
    fn hears(&mut self, patience: Duration) -> (u8, SocketAddr, u32) {
        self.peer.set_patience(patience).expect("a socket");
        loop {
            let body = self.peer.hear_until(id::EXTENDED).expect("a message");
            let [HOLEPUNCH, kind, 0, a, b, c, d, high, low, code @ ..] = body.as_slice() else {
                continue;
            };
            let port = u16::from_be_bytes([*high, *low]);
            let code = code
                .first_chunk()
                .map_or(0, |code| u32::from_be_bytes(*code));
            return (*kind, SocketAddr::from(([*a, *b, *c, *d], port)), code);
        }
    }
}

fn compact(addr: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(ip) = addr.ip() else {
        unreachable!("the lab has IPv4 alone")
    };
    [&ip.octets()[..], &addr.port().to_be_bytes()].concat()
}

/// The number that a program gives an extension; its name comes with its length.
fn sub_id(handshake: &[u8], name: &str) -> u8 {
    let text = String::from_utf8_lossy(handshake);
    let number = text.split(&format!("{name}i")).nth(1);
    let number = number.and_then(|rest| rest.split('e').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {text}"))
}
