//! What an anonymous torrent says of itself: nothing that ties it to this machine or to another route.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::{Encryption, RoutePolicy, Source};
use net::sim::{Host, HostOptions};
use net::{Listener, Pool, Task};
use parking_lot::Mutex;
use protocol::id::PeerId;
use protocol::magnet::Magnet;
use protocol::peer::handshake::{HANDSHAKE_LEN, Handshake, Reserved};
use protocol::tracker::AnnounceEvent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::common::sim::simulate;
use crate::scene::{ROUTE_PORT, Scene, addr, exit, ip};
use crate::tracker::{Behaviour, Seen, Tracker};

/// What a peer was told by one connection.
struct Told {
    handshake: Handshake,
    /// Whole messages, without their lengths.
    messages: Vec<Vec<u8>>,
}

/// Takes a connection from a host and listens for a while, as a peer that can everything.
async fn listen(door: &mut Box<dyn Listener>, host: IpAddr, scene: &Scene) -> Told {
    let mut stream = loop {
        let (stream, from) = door.accept().await.expect("a connection");
        // The seeder has heard of us, too.
        if from.ip() == host {
            break stream;
        }
    };
    let mut head = [0; HANDSHAKE_LEN];
    stream.read_exact(&mut head).await.expect("a handshake");
    let handshake = Handshake::parse(&head).expect("a handshake");
    let ours = Handshake {
        reserved: Reserved::default()
            .with(Reserved::EXTENSIONS, true)
            .with(Reserved::FAST, true)
            .with(Reserved::DHT, true),
        info_hash: scene.payload.metainfo().hashes().wire(),
        peer_id: PeerId(*b"-XX0001-listeningxx0"),
    };
    stream.write_all(&ours.encode()).await.expect("sent");
    let hello = b"d1:md6:ut_pexi1e12:ut_holepunchi4eee";
    let len = hello.len() as u32 + 2;
    stream.write_all(&len.to_be_bytes()).await.expect("sent");
    stream.write_all(&[20, 0]).await.expect("sent");
    stream.write_all(hello).await.expect("sent");
    stream.flush().await.expect("sent");
    let mut messages = Vec::new();
    let reading = async {
        while let Ok(len) = stream.read_u32().await {
            let mut body = vec![0; len as usize];
            stream.read_exact(&mut body).await.expect("whole");
            messages.push(body);
        }
    };
    let _ = timeout(Duration::from_secs(10), reading).await;
    Told {
        handshake,
        messages,
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn peers_are_told_no_name_no_port_and_no_address_and_another_id_on_each_route() {
    simulate(async {
        let scene = Scene::with(31, RoutePolicy::Anonymous, |config| {
            config.settings.encryption.peers = Encryption::Off;
        })
        .await;
        let stranger = scene.sim.host(HostOptions::at(ip(0x9_0000)));
        let at = SocketAddr::new(stranger.ip(), 6881);
        let mut door = stranger.network().listen(at).expect("a door");
        let id = scene.fetch(0).await;
        let mut ids = BTreeSet::new();
        for hops in [0, 1, 2, 3, 0, 1] {
            scene.us.handle.set_hops(id, hops).await.expect("moved");
            scene.us.handle.add_peer(id, at).await.expect("told");
            let told = listen(&mut door, exit(hops), &scene).await;
            let hello = told.messages.iter().find(|body| body.starts_with(&[20, 0]));
            let hello = hello.expect("an extension handshake");
            assert!(holds(hello, b"6:ut_pex"), "gossip is no leak");
            let tells = [
                holds(hello, b"1:v"),
                holds(hello, b"1:p"),
                holds(hello, b"12:ut_holepunch") && hops != 0,
                told.handshake.peer_id.as_bytes().starts_with(b"-"),
            ];
            assert_eq!(
                tells,
                [hops == 0, hops == 0, false, hops == 0],
                "{hops} hops"
            );
            assert!(!holds(hello, b"yourip") && !holds(hello, b"4:ipv"));
            assert!(!told.handshake.reserved.has(Reserved::DHT));
            assert!(!told.messages.iter().any(|body| body.first() == Some(&9)));
            assert!(ids.insert(told.handshake.peer_id), "known from elsewhere");
        }
        scene.sim.clone()
    });
}

#[test]
fn no_two_peers_of_an_anonymous_torrent_are_told_the_same_id() {
    simulate(async {
        let scene = Scene::with(32, RoutePolicy::Anonymous, |config| {
            config.settings.encryption.peers = Encryption::Off;
        })
        .await;
        let id = scene.fetch(1).await;
        let mut ids = BTreeSet::new();
        for number in 0..4 {
            let stranger = scene.sim.host(HostOptions::at(ip(0x9_0000 + number)));
            let at = SocketAddr::new(stranger.ip(), 6881);
            let mut door = stranger.network().listen(at).expect("a door");
            scene.us.handle.add_peer(id, at).await.expect("told");
            let told = listen(&mut door, exit(1), &scene).await;
            assert!(ids.insert(told.handshake.peer_id), "known from another");
        }
        scene.sim.clone()
    });
}

/// Announces in the order in which they came, from one address.
fn from(tracker: &Tracker, host: IpAddr) -> Vec<Seen> {
    let all = tracker.announces().into_iter();
    all.filter(|seen| seen.from.ip() == host).collect()
}

#[test]
fn trackers_are_told_goodbye_by_the_old_route_and_meet_a_stranger_on_the_new_one() {
    for scheme in ["http", "udp"] {
        simulate(async move {
            let told_ip: IpAddr = ip(0x77);
            let scene = Scene::with(32, RoutePolicy::Anonymous, |config| {
                config.settings.trackers.announce_ip = Some(told_ip);
                config.settings.trackers.announce_port = Some(5555);
            })
            .await;
            let host = scene
                .sim
                .host(HostOptions::at("50.0.0.80".parse().expect("an address")));
            let behaviour = Behaviour {
                peers: vec![addr(1)],
                ..Behaviour::default()
            };
            let tracker = Tracker::start(&host, behaviour);
            let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
            magnet.trackers = vec![format!("{scheme}://50.0.0.80:80/announce")];
            let id = scene.us.add(Source::Magnet(Box::new(magnet))).await;
            scene.until(id, |status| status.done > 500_000).await;
            let mut before = vec![from(&tracker, exit(0)).remove(0)];
            assert_eq!(before[0].announce.port, 5555);
            assert_eq!(before[0].told_ip, Some(told_ip));
            for hops in [2, 3] {
                let done = scene.us_status(id).done;
                scene.us.handle.set_hops(id, hops).await.expect("moved");
                scene.until(id, |status| status.done > done).await;
                let old = from(&tracker, before.last().expect("one").from.ip());
                assert_eq!(
                    old.last().expect("one").announce.event,
                    AnnounceEvent::Stopped
                );
                let new = from(&tracker, exit(hops));
                let first = new.first().expect("it is told");
                assert_eq!(first.announce.event, AnnounceEvent::Started);
                assert_eq!((first.announce.uploaded, first.announce.downloaded), (0, 0));
                assert_eq!(first.announce.port, ROUTE_PORT);
                assert_eq!(first.told_ip, None);
                assert!(!first.announce.peer_id.as_bytes().starts_with(b"-"));
                for known in &before {
                    assert_ne!(known.announce.peer_id, first.announce.peer_id);
                    assert_ne!(known.announce.key, first.announce.key);
                }
                before.push(first.clone());
            }
            let parted = scene.us.handle.shutdown(Duration::from_secs(5)).await;
            assert_eq!(parted.unheard(), 0);
            let all = tracker.announces();
            let last = all.last().expect("one");
            assert_eq!(
                (last.from.ip(), last.announce.event),
                (exit(3), AnnounceEvent::Stopped)
            );
            assert_eq!(from(&tracker, exit(0)).len(), 2);
            scene.sim.clone()
        });
    }
}

/// A web server that has nothing and takes down what it is asked.
fn server(host: &Host) -> (Arc<Mutex<Vec<String>>>, Task<()>) {
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let at = SocketAddr::new(host.ip(), 80);
    let mut door = host.network().listen(at).expect("a door");
    let asked = Arc::clone(&heads);
    let serving = Pool::current().spawn(async move {
        while let Ok((mut stream, _)) = door.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else {
                    break;
                };
                head.push(byte);
            }
            asked
                .lock()
                .push(String::from_utf8_lossy(&head).into_owned());
            let reply = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(reply).await;
        }
    });
    (heads, serving)
}

#[test]
fn web_servers_and_trackers_are_not_told_which_program_asks() {
    simulate(async {
        let scene = Scene::new(33, RoutePolicy::Anonymous).await;
        let host = scene
            .sim
            .host(HostOptions::at("50.0.0.80".parse().expect("an address")));
        let (heads, _serving) = server(&host);
        let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
        magnet.trackers = vec!["http://50.0.0.80/announce".to_owned()];
        magnet.web_seeds = vec!["http://50.0.0.80/payload".to_owned()];
        magnet.peers = vec![addr(1)];
        let id = scene
            .us
            .add_with(Source::Magnet(Box::new(magnet)), |add| add.hops = Some(1))
            .await;
        scene.until(id, |status| status.done > 500_000).await;
        sleep(Duration::from_secs(5)).await;
        let asked = std::mem::take(&mut *heads.lock());
        assert!(asked.iter().any(|head| head.starts_with("GET /announce?")));
        assert!(asked.iter().any(|head| head.starts_with("GET /payload ")));
        for head in &asked {
            let lower = head.to_ascii_lowercase();
            assert!(!lower.contains("tribler"), "{head}");
            assert!(lower.contains("user-agent: curl/7.81.0"), "{head}");
        }
        scene.us.handle.set_hops(id, 0).await.expect("moved");
        sleep(Duration::from_secs(5)).await;
        let asked = heads.lock().clone();
        let direct = asked.iter().filter(|head| head.contains("tribler-rs"));
        assert!(direct.count() >= 2, "{asked:?}");
        scene.sim.clone()
    });
}
