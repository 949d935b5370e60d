//! Whom an engine talks to, and whom its limits hold for.

mod common;
#[path = "ways/exempt.rs"]
mod exempt;
#[path = "ways/proxied.rs"]
mod proxied;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::Payload;
use common::sim::{self, addr, ip, simulate};
use engine::{
    AddTorrent, Encryption, EngineConfig, EngineHandle, Limits, Source, Supervisor, TorrentId,
};
use net::Filter;
use net::filter::IpFilter;
use net::ports::{Transports, open};
use net::sim::{HostOptions, Sim};
use net::utp::UtpOptions;
use net::{DatagramSocket, Pool};
use protocol::utp::{Header, Kind, Packet, Seq};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

const PIECE: usize = 128 * 1024;

struct Engine {
    handle: EngineHandle,
    id: TorrentId,
    _dir: TempDir,
}

impl Engine {
    /// Starts an engine with one torrent; number 0 has all of it.
    async fn start(
        sim: &Sim,
        (number, at): (u32, IpAddr),
        payload: &Payload,
        peers: &[SocketAddr],
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let dir = TempDir::new().expect("a folder");
        let host = sim.host(HostOptions::at(at));
        let mut config = sim::config(&host, u64::from(number));
        change(&mut config);
        let mut add = AddTorrent::new(Source::Metainfo(payload.metainfo()), dir.path().into());
        add.trust_data = number == 0;
        add.peers = peers.to_vec();
        if number == 0 {
            std::fs::write(dir.path().join("payload"), payload.bytes()).expect("written");
        }
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let id = handle.add(add).await.expect("added");
        Self {
            handle,
            id,
            _dir: dir,
        }
    }

    fn peers(&self) -> usize {
        let snapshot = self.handle.snapshot();
        let torrent = snapshot
            .torrents
            .iter()
            .find(|torrent| torrent.id == self.id);
        torrent.map_or(0, |torrent| torrent.peers)
    }

    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is(self) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(
            timeout(Duration::from_secs(300), wait).await.is_ok(),
            "{what}"
        );
    }

    fn is_complete(&self) -> bool {
        let snapshot = self.handle.snapshot();
        let torrent = snapshot
            .torrents
            .iter()
            .find(|torrent| torrent.id == self.id);
        torrent.is_some_and(|torrent| torrent.done == torrent.size)
    }
}

#[test]
fn peers_that_come_onto_the_list_are_let_go_and_come_back_when_they_leave_it() {
    simulate(async {
        let sim = Sim::new(7);
        let payload = Payload::new(7, 1_000_000, PIECE);
        let filter = Filter::default();
        let limits = Limits {
            up: Some(10_000),
            down: None,
        };
        let seed = Engine::start(&sim, (0, ip(0)), &payload, &[], |config| {
            config.network = config.network.clone().filtered(&filter);
            config.settings.limits = limits.into();
        });
        let seed = seed.await;
        // One dials the seed, and is dialled by it.
        let other = Engine::start(&sim, (1, ip(1)), &payload, &[addr(0)], |_| {}).await;
        seed.until("they are connected", |seed| seed.peers() == 1)
            .await;
        seed.handle.add_peer(seed.id, addr(1)).await.expect("known");
        let list = format!("{}\n", ip(1));
        filter.set(IpFilter::parse(list.as_bytes()).expect("a list"));
        seed.handle.sift().await.expect("sifted");
        seed.until("it is let go", |seed| seed.peers() == 0).await;
        for _ in 0..300 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(seed.peers(), 0, "it is on the list");
        }
        filter.set(IpFilter::default());
        seed.until("it is back", |seed| seed.peers() == 1).await;
        other.until("it is complete", Engine::is_complete).await;
        sim
    });
}

#[test]
fn limits_hold_for_the_local_network_only_where_they_are_to() {
    let (far, near) = ([9, 9, 9], [10, 0, 0]);
    let cases = [
        (far, true, true),
        (far, false, true),
        (near, true, true),
        (near, false, false),
    ];
    for ([a, b, c], limit_local, limited) in cases {
        simulate(async {
            let at = |n| IpAddr::from([a, b, c, n]);
            let sim = Sim::new(8);
            let payload = Payload::new(8, 1_000_000, PIECE);
            let change = |config: &mut EngineConfig| {
                config.settings.limits.local = limit_local;
                config.settings.limits.up = Some(50_000);
            };
            let _seed = Engine::start(&sim, (0, at(1)), &payload, &[], change).await;
            let begin = Instant::now();
            let peers = [SocketAddr::new(at(1), addr(0).port())];
            let leech = Engine::start(&sim, (1, at(2)), &payload, &peers, |_| {}).await;
            leech.until("it is complete", Engine::is_complete).await;
            let took = begin.elapsed();
            assert_eq!(
                took > Duration::from_secs(15),
                limited,
                "{:?} {limit_local} {took:?}",
                at(1)
            );
            sim
        });
    }
}

/// Opens the port for peers as `transports` says.
fn ported(config: &mut EngineConfig, at: SocketAddr, transports: Transports) {
    let mut options = UtpOptions::default();
    options.seed = Some(1);
    let port = open(
        &config.network,
        (at, 0),
        transports,
        &Pool::current(),
        &options,
    );
    let port = port.expect("a port");
    (config.network, config.listen) = (port.network, Some(port.addr));
}

#[test]
fn who_closes_connections_of_tcp_at_once_is_reached_by_utp() {
    for encryption in [Encryption::Allow, Encryption::Require] {
        simulate(async {
            let sim = Sim::new(10);
            let payload = Payload::new(10, 300_000, PIECE);
            let host = sim.host(HostOptions::at(ip(0)));
            let mut door = host.network().listen(addr(0)).expect("a door");
            tokio::task::spawn_local(async move { while door.accept().await.is_ok() {} });
            let dir = TempDir::new().expect("a folder");
            let mut config = sim::config(&host, 0);
            ported(&mut config, addr(0), Transports::Utp);
            let (_, seed) = Supervisor::launch(config).expect("an engine");
            let source = Source::Metainfo(payload.metainfo());
            let mut add = AddTorrent::new(source, dir.path().into());
            add.trust_data = true;
            std::fs::write(dir.path().join("payload"), payload.bytes()).expect("written");
            seed.add(add).await.expect("added");
            let begin = Instant::now();
            let known = [addr(0)];
            let leech = Engine::start(&sim, (1, ip(1)), &payload, &known, |config| {
                ported(config, addr(1), Transports::Both);
                config.settings.encryption.peers = encryption;
            });
            let leech = leech.await;
            leech.until("it is complete", Engine::is_complete).await;
            let took = begin.elapsed();
            assert!(took < Duration::from_secs(10), "{encryption:?}: {took:?}");
            sim
        });
    }
}

/// A packet of uTP, as the initiator of a stream sends it.
fn packet(kind: Kind, id: u16, ack: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        kind,
        id,
        timestamp: 1,
        delay: 0,
        window: 1 << 20,
        seq: Seq(if kind == Kind::Syn { 1 } else { 2 }),
        ack: Seq(ack),
    };
    let packet = Packet {
        header,
        sack: None,
        close_reason: None,
        payload,
    };
    let mut out = Vec::new();
    packet.write(0, &mut out);
    out
}

/// Packets behind a SYN, and what they carry.
type Rest<'a> = Vec<(Kind, &'a [u8])>;

/// What comes to a socket within some virtual time.
async fn received(socket: &dyn DatagramSocket, within: Duration) -> usize {
    let (mut bytes, mut buf) = (0, [0; 2000]);
    let all = async {
        loop {
            bytes += socket.recv_from(&mut buf).await.expect("a datagram").0;
        }
    };
    let _: Result<(), _> = timeout(within, all).await;
    bytes
}

#[test]
fn whoever_is_named_as_the_sender_of_a_syn_gets_no_more_than_half_as_much_again() {
    simulate(async {
        let sim = Sim::new(9);
        let payload = Payload::new(9, 100_000, PIECE);
        let engine = Engine::start(&sim, (0, ip(0)), &payload, &[], |config| {
            ported(config, addr(0), Transports::Both);
        });
        let engine = engine.await;
        let plain = [b"\x13BitTorrent protocol".as_slice(), &[0; 48]].concat();
        let covered = vec![7; 600];
        let empty = Vec::new();
        // What is sent behind the SYN, which is sent so often, by one who does not see the answers.
        let lives: [(u16, Rest<'_>); 6] = [
            (1, vec![]),
            (5, vec![]),
            (1, vec![(Kind::State, &empty)]),
            (1, vec![(Kind::Data, &plain), (Kind::Data, &covered)]),
            (2, vec![(Kind::Fin, &empty), (Kind::Reset, &empty)]),
            (1, vec![(Kind::Data, &covered); 20]),
        ];
        for (life, (syns, rest)) in (0..).zip(lives) {
            let own = ip(100 + life);
            let network = sim.host(HostOptions::at(own)).network();
            let socket = network.datagram(SocketAddr::new(own, 9)).expect("a socket");
            let (mut sent, mut got) = (0, 0);
            let mut send = |bytes: Vec<u8>| {
                sent += bytes.len();
                socket.try_send_to(&bytes, addr(0)).expect("sent");
                sent
            };
            for _ in 0..syns {
                let sent = send(packet(Kind::Syn, 7, 0, &[]));
                got += received(&*socket, Duration::from_millis(700)).await;
                assert!(got > 0 && got * 2 <= sent * 3, "{got} for {sent}");
            }
            for (kind, bytes) in rest {
                let sent = send(packet(kind, 8, 12_345, bytes));
                got += received(&*socket, Duration::from_millis(300)).await;
                assert!(got * 2 <= sent * 3, "life {life}: {got} for {sent}");
            }
            got += received(&*socket, Duration::from_secs(120)).await;
            assert!(got * 2 <= sent * 3, "life {life}: {got} for {sent}");
        }
        drop(engine);
        sim
    });
}
