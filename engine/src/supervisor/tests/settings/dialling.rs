//! Whom torrents dial, and whom they let go of for others.

use std::net::SocketAddr;
use std::time::Duration;

use net::{BoxStream, Listener};
use protocol::peer::handshake::Reserved;
use protocol::peer::{Extension, PexFlags, PexMessage, PexPeer};
use tokio::time::timeout;

use super::{INTERESTED, closed_of, name, set};
use crate::scene::{Scene, addr, play, say};
use crate::{Category, Event, Refusal};

const MINUTE: Duration = Duration::from_secs(60);

/// Connects as a peer that knows of others.
async fn gossip(scene: &Scene, number: u32) -> BoxStream {
    let mut stream = scene.host(number).network().dial(addr(0)).await.unwrap();
    let reserved = Reserved::EXTENSIONS;
    scene.greet_with(&mut stream, name(number), reserved).await;
    say(&mut stream, &[&[20, 0][..], b"d1:md6:ut_pexi1eee"].concat()).await;
    stream
}

/// Tells of others.
async fn tell_of(stream: &mut BoxStream, others: &[SocketAddr]) {
    let flags = PexFlags::default();
    let added = others.iter().map(|addr| PexPeer { addr: *addr, flags });
    let message = PexMessage {
        added: added.collect(),
        dropped: Vec::new(),
    };
    let number = Extension::Pex.local_id();
    say(stream, &[&[20, number][..], &message.encode()].concat()).await;
}

/// Listens at an address of the scene.
fn door(scene: &Scene, at: SocketAddr) -> Box<dyn Listener> {
    let mut numbers = 0..100;
    let number = numbers.find(|number| addr(*number).ip() == at.ip());
    let network = scene.host(number.expect("a host of the scene")).network();
    let anywhere = SocketAddr::new([0, 0, 0, 0].into(), at.port());
    network.listen(anywhere).unwrap()
}

async fn is_dialled(door: &mut Box<dyn Listener>, within: Duration) -> bool {
    timeout(within, door.accept()).await.is_ok()
}

#[test]
fn low_ports_are_dialled_where_that_is_said_and_so_many_are_believed_of_a_message() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let engine = scene
            .engine_with(0, false, &[], |config| {
                config.settings.connections.low_ports = false;
                config.settings.peers.from_message = 2;
            })
            .await;
        let low = SocketAddr::new(addr(2).ip(), 80);
        let (usual, beyond) = (addr(3), addr(4));
        let mut doors = [low, usual, beyond].map(|at| door(&scene, at));
        let mut talker = gossip(&scene, 1).await;
        tell_of(&mut talker, &[low, usual, beyond]).await;
        assert!(!is_dialled(&mut doors[0], MINUTE).await, "a low port");
        assert!(is_dialled(&mut doors[1], MINUTE).await);
        assert!(!is_dialled(&mut doors[2], MINUTE).await, "one too many");
        set(&engine, "connections.low_ports", true).await;
        set(&engine, "peers.from_message", 50_u32).await;
        tell_of(&mut talker, &[low, usual, beyond]).await;
        assert!(is_dialled(&mut doors[0], MINUTE).await);
        assert!(is_dialled(&mut doors[2], MINUTE).await);
    });
}

#[test]
fn ports_that_are_refused_are_not_dialled_and_the_reason_is_told() {
    play(async {
        let scene = Scene::new(5, 100_000, 16 * 1024);
        let engine = scene
            .engine_with(0, false, &[], |config| {
                let refused = crate::settings::PortRanges::new([(25, 25), (7000, 7005)]);
                config.settings.connections.refused_ports = refused.unwrap();
            })
            .await;
        let mut events = engine.handle.events(Category::Blocked.into(), 100);
        let [refused, usual] =
            [(2, 7005), (3, 7006)].map(|(number, port)| SocketAddr::new(addr(number).ip(), port));
        let mut doors = [refused, usual].map(|at| door(&scene, at));
        let mut talker = gossip(&scene, 1).await;
        tell_of(&mut talker, &[refused, usual]).await;
        assert!(is_dialled(&mut doors[1], MINUTE).await);
        assert!(!is_dialled(&mut doors[0], MINUTE).await, "a refused port");
        let Ok(Event::PeerBlocked { addr: who, why, .. }) = events.recv().await else {
            panic!("somebody was refused");
        };
        assert_eq!((who, why), (refused, Refusal::Port));
        // The user's own word goes before.
        engine.handle.add_peer(engine.id, refused).await.unwrap();
        assert!(is_dialled(&mut doors[0], MINUTE).await);
        // From one moment to the next.
        let later = SocketAddr::new(addr(4).ip(), 8000);
        set(&engine, "connections.refused_ports", "8000").await;
        tell_of(&mut talker, &[later]).await;
        let mut door = door(&scene, later);
        assert!(!is_dialled(&mut door, MINUTE).await);
        set(&engine, "connections.refused_ports", "").await;
        tell_of(&mut talker, &[later]).await;
        assert!(is_dialled(&mut door, MINUTE).await);
    });
}

#[test]
fn an_address_that_refused_us_is_left_alone_for_the_time_that_is_said_or_forgotten() {
    for (first, forgets, dialled) in [(3600, 0, false), (1, 0, true), (1, 1, false)] {
        play(async {
            let scene = Scene::new(2, 100_000, 16 * 1024);
            let engine = scene
                .engine_with(0, false, &[], |config| {
                    config.settings.encryption.peers = crate::Encryption::Off;
                })
                .await;
            set(&engine, "peers.retry_after", Duration::from_secs(first)).await;
            set(&engine, "peers.most_failures", forgets as u32).await;
            let mut talker = gossip(&scene, 1).await;
            // The host is there, and nobody listens.
            let host = scene.host(2);
            tell_of(&mut talker, &[addr(2)]).await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let at = "0.0.0.0:6881".parse().unwrap();
            let mut door = host.network().listen(at).unwrap();
            let got = is_dialled(&mut door, 10 * MINUTE).await;
            assert_eq!(got, dialled, "{first} s, {forgets} failures");
        });
    }
}

#[test]
fn torrents_that_have_everything_dial_where_that_is_said() {
    play(async {
        let scene = Scene::new(3, 100_000, 16 * 1024);
        let mut door = door(&scene, addr(1));
        let waits = |config: &mut crate::EngineConfig| {
            config.settings.connections.dial_when_done = false;
        };
        let engine = scene.engine_with(0, true, &[addr(1)], waits).await;
        assert!(!is_dialled(&mut door, MINUTE).await);
        set(&engine, "connections.dial_when_done", true).await;
        assert!(is_dialled(&mut door, MINUTE).await);
    });
}

#[test]
fn a_full_torrent_gives_up_so_many_connections_as_is_said_for_others_that_are_known() {
    play(async {
        let scene = Scene::new(4, 100_000, 16 * 1024);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                config.settings.connections.per_torrent = 4;
                config.settings.connections.turnover = 0;
                config.settings.connections.turnover_every = Duration::from_secs(10);
                config.settings.connections.idle_timeout = Duration::from_secs(86_400);
            })
            .await;
        let mut four = Vec::new();
        for number in 1..=4 {
            let host = scene.host(number);
            let mut stream = scene.connect(&host, addr(0), name(number)).await;
            say(&mut stream, &[INTERESTED]).await;
            four.push(stream);
        }
        engine.handle.add_peer(engine.id, addr(9)).await.unwrap();
        let second = Duration::from_secs(1);
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!(closed_of(&mut four, second).await, 0, "none of them");
        set(&engine, "connections.turnover", 50_u32).await;
        set(&engine, "connections.turnover_every", 10 * MINUTE).await;
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!(closed_of(&mut four, second).await, 0, "not yet");
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!(closed_of(&mut four, second).await, 2, "half of them");
        // Two of four are not nearly full, unless that is said.
        set(&engine, "connections.turnover_every", 10 * second).await;
        tokio::time::sleep(MINUTE).await;
        assert_eq!(engine.status().peers, 2);
        set(&engine, "connections.turnover_from", 50_u32).await;
        engine.until(|status| status.peers == 1).await;
    });
}
