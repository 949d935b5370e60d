//! Engines with uTP, behind NATs or not, and played peers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::{AddTorrent, Limits, Source, TorrentId};
use net::ports::{Transports, open};
use net::sim::{Happening, Host, HostOptions, NatKind, Sim};
use net::utp::UtpOptions;
use net::{BoxStream, Pool};
use protocol::id::PeerId;
use protocol::peer::handshake::HANDSHAKE_LEN;
use protocol::peer::{Extension, ExtensionHandshake, Handshake, HolepunchMessage, Reserved};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::common::Payload;
use crate::common::sim::{self, config};

/// The engine that everybody knows.
pub(crate) const RELAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(7, 0, 0, 7)), 6881);

/// The sub-id under which a player wants messages of `ut_holepunch`.
const HOLEPUNCH: u8 = 9;

/// Virtual time that a transfer may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Who takes part, and how.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) ip: IpAddr,
    pub(crate) nat: Option<(NatKind, IpAddr)>,
    pub(crate) transports: Transports,
    pub(crate) whole: bool,
    pub(crate) gossips: bool,
    pub(crate) meets: bool,
    pub(crate) down: Option<u64>,
}

/// The public address of the NAT with this number.
pub(crate) fn outside(number: u8) -> IpAddr {
    IpAddr::from([5, 0, 0, number])
}

impl Part {
    /// One without a NAT, that takes uTP alone, so that it sees at which ports others have it.
    pub(crate) const fn public(ip: IpAddr) -> Self {
        Self {
            ip,
            nat: None,
            transports: Transports::Utp,
            whole: false,
            gossips: true,
            meets: true,
            down: None,
        }
    }

    pub(crate) fn behind(kind: NatKind, number: u8) -> Self {
        Self {
            nat: Some((kind, outside(number))),
            transports: Transports::Both,
            ..Self::public(IpAddr::from([10, 0, number, 1]))
        }
    }
}

/// One engine on the network.
pub(crate) struct Node {
    node: sim::Node,
    id: TorrentId,
}

impl Node {
    pub(crate) async fn start(
        sim: &Sim,
        part: Part,
        payload: &Payload,
        peers: Vec<SocketAddr>,
    ) -> Self {
        let host = sim.host(HostOptions {
            nat: part.nat.map(|(kind, public)| sim.nat(kind, public)),
            ..HostOptions::at(part.ip)
        });
        let number = part
            .ip
            .to_canonical()
            .to_string()
            .bytes()
            .map(u64::from)
            .sum();
        let mut config = config(&host, number);
        let at = (SocketAddr::new(part.ip, RELAY.port()), 0);
        let mut options = UtpOptions::default();
        options.seed = Some(number);
        let port = open(
            &host.network(),
            at,
            part.transports,
            &Pool::current(),
            &options,
        );
        let port = port.expect("a port");
        config.network = port.network;
        config.listen = Some(port.addr);
        config.local_discovery = false;
        config.settings.peers.exchange = part.gossips;
        config.settings.peers.hole_punching = part.meets;
        config.settings.limits = Limits {
            down: part.down,
            up: None,
        }
        .into();
        let node = sim::Node::start(host, config);
        if part.whole {
            node.put(payload);
        }
        let change = |add: &mut AddTorrent| {
            add.trust_data = part.whole;
            add.peers = peers;
        };
        let source = Source::Metainfo(payload.metainfo());
        let id = node.add_with(source, change).await;
        Self { node, id }
    }

    /// Changes a setting.
    pub(crate) async fn set(&self, key: &str, value: bool) {
        let patch = engine::settings::Patch::new().with(key, value);
        let done = self.node.handle.set_settings(patch).await;
        done.expect("settings");
    }

    /// Whether it has so many peers within this time.
    pub(crate) async fn meets(&self, count: usize, within: Duration) -> bool {
        self.node.meets(self.id, count, within).await
    }

    /// Waits until everything is there, and compares it.
    pub(crate) async fn completes(&self, payload: &Payload) {
        assert!(self.node.finishes(self.id, PATIENCE).await);
        let path = self.node.dir.path().join(payload.metainfo().name());
        assert!(std::fs::read(path).expect("the content") == payload.bytes());
    }
}

/// Datagrams that were sent to an address, let in or not.
pub(crate) fn reached(sim: &Sim, ip: IpAddr) -> usize {
    datagrams(sim).filter(|(_, to)| to.ip() == ip).count()
}

/// Datagrams that were sent from one address to another, let in or not.
pub(crate) fn sent(sim: &Sim, from: IpAddr, to: IpAddr) -> usize {
    datagrams(sim)
        .filter(|(source, target)| source.ip() == from && target.ip() == to)
        .count()
}

fn datagrams(sim: &Sim) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
    let log = sim.trace().log.into_iter();
    log.filter_map(|(_, happening)| {
        if let Happening::Datagram { from, to, .. } | Happening::DatagramLost { from, to, .. } =
            happening
        {
            Some((from, to))
        } else {
            None
        }
    })
}

/// A peer that is played by the test, connected to [`RELAY`] by uTP, without any piece.
pub(crate) struct Player {
    pub(crate) addr: SocketAddr,
    stream: BoxStream,
    _host: Host,
}

impl Player {
    /// Connects and shakes hands.
    pub(crate) async fn join(sim: &Sim, ip: &str, payload: &Payload) -> Self {
        let ip: IpAddr = ip.parse().expect("an address");
        let host = sim.host(HostOptions::at(ip));
        let mut options = UtpOptions::default();
        options.seed = Some(1);
        let at = (SocketAddr::new(ip, 1234), 0);
        let port = open(
            &host.network(),
            at,
            Transports::Utp,
            &Pool::current(),
            &options,
        );
        let port = port.expect("a port");
        let mut stream = port.network.dial_peer(RELAY).await.expect("connected");
        let mut id = *b"-XX0001-player000000";
        id[15..].copy_from_slice(
            &format!("{:05}", ip.to_string().bytes().map(u64::from).sum::<u64>()).as_bytes()[..5],
        );
        let ours = Handshake {
            reserved: Reserved::EXTENSIONS,
            info_hash: payload.metainfo().hashes().wire(),
            peer_id: PeerId(id),
        };
        stream.write_all(&ours.encode()).await.expect("sent");
        let mut theirs = [0; HANDSHAKE_LEN];
        stream.read_exact(&mut theirs).await.expect("answered");
        let mut player = Self {
            addr: port.addr,
            stream,
            _host: host,
        };
        let hello = format!("d1:md12:ut_holepunchi{HOLEPUNCH}ee1:pi1234ee");
        player.extended(0, hello.as_bytes()).await;
        player
    }

    /// Whether the engine names `ut_holepunch` in its extension handshake.
    pub(crate) async fn is_offered_meetings(&mut self) -> bool {
        loop {
            let body = self.message().await.expect("a handshake");
            if let [20, 0, handshake @ ..] = body.as_slice() {
                let theirs = ExtensionHandshake::parse(handshake).expect("a handshake");
                return theirs
                    .ids
                    .get(Extension::Holepunch)
                    .is_some_and(|id| id > 0);
            }
        }
    }

    /// Sends a message of `ut_holepunch`.
    pub(crate) async fn say(&mut self, message: HolepunchMessage) {
        let payload = message.encode();
        self.extended(Extension::Holepunch.local_id(), &payload)
            .await;
    }

    async fn extended(&mut self, id: u8, payload: &[u8]) {
        let mut frame = (payload.len() as u32 + 2).to_be_bytes().to_vec();
        frame.extend_from_slice(&[20, id]);
        frame.extend_from_slice(payload);
        // The engine may have ended the connection.
        let _ = self.stream.write_all(&frame).await;
    }

    async fn message(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).await.ok()?;
        let mut body = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(body)
    }

    /// The messages of `ut_holepunch` that come within some time, and whether the connection is open still.
    pub(crate) async fn hears(&mut self, within: Duration) -> (Vec<HolepunchMessage>, bool) {
        let mut heard = Vec::new();
        let listen = async {
            while let Some(body) = self.message().await {
                if let [20, HOLEPUNCH, payload @ ..] = body.as_slice() {
                    let message = HolepunchMessage::parse(payload).expect("a message");
                    heard.extend(message);
                }
            }
        };
        let open = timeout(within, listen).await.is_err();
        (heard, open)
    }
}
