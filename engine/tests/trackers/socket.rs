//! The socket that UDP trackers are asked by: the one that peers are reached by, or one of their own.

use std::net::SocketAddr;

use engine::EngineConfig;
use net::Pool;
use net::ports::{Transports, open};
use net::sim::HostOptions;
use net::utp::UtpOptions;
use protocol::tracker::udp::Response;

use crate::{Behaviour, PORT, Scene, hash, ip, simulate, sleep};

/// Opens the port for peers at an address, and has trackers asked by it.
fn share(config: &mut EngineConfig, at: &str) {
    let at = (SocketAddr::new(ip(at), PORT), 0);
    let mut options = UtpOptions::default();
    options.seed = Some(1);
    let port = open(
        &config.network,
        at,
        Transports::Both,
        &Pool::current(),
        &options,
    );
    let port = port.expect("a port");
    config.network = port.network;
    config.listen = Some(port.addr);
    config.tracker_socket = port.datagrams.map(|sockets| sockets.trackers);
}

#[test]
fn trackers_see_the_port_for_peers_by_every_family_that_it_has() {
    // Where we listen, and whether a tracker of IPv4 and one of IPv6 are asked by the shared socket.
    for (listen, shared) in [
        ("0.0.0.0", [true, false]),
        ("50.0.0.1", [true, false]),
        ("2a00::1", [false, true]),
        ("::", [true, true]),
    ] {
        simulate(async {
            let mut scene = Scene::new(|config| share(config, listen));
            for (number, (host, shared)) in ["60.0.0.1", "2b00::1"].iter().zip(shared).enumerate() {
                let tracker = scene.tracker(host, Behaviour::default());
                let url = format!("udp://{}", SocketAddr::new(ip(host), 80));
                scene.add(number as u64, &[&url]).await;
                assert_eq!(scene.said().await, Ok(0), "{listen}, {host}");
                let announces = tracker.announces();
                let from = announces[0].from;
                assert_eq!(from.port() == PORT, shared, "{listen}, {host}: {from}");
                assert_eq!(announces[0].announce.port, PORT);
            }
        });
    }
}

#[test]
fn torrents_share_one_connection_id_on_the_shared_socket() {
    simulate(async {
        let mut scene = Scene::new(|config| share(config, "0.0.0.0"));
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        for number in 0..20 {
            scene.add(number, &["udp://60.0.0.1:80"]).await;
        }
        for _ in 0..20 {
            assert_eq!(scene.said().await, Ok(0));
        }
        assert_eq!((tracker.announces().len(), tracker.connections()), (20, 1));
    });
}

#[test]
fn answers_of_others_are_not_believed_however_many_they_are() {
    simulate(async {
        let mut scene = Scene::new(|config| share(config, "0.0.0.0"));
        let peer = SocketAddr::new(ip("70.0.0.1"), 1);
        let tracker = scene.tracker(
            "60.0.0.1",
            Behaviour {
                peers: vec![peer],
                ..Behaviour::default()
            },
        );
        let liar = scene.sim.host(HostOptions::at(ip("60.0.0.9")));
        let socket = liar.network().datagram(SocketAddr::new(ip("60.0.0.9"), 80));
        let socket = socket.expect("a socket");
        let flood = Pool::current().spawn(async move {
            let us = SocketAddr::new(ip("50.0.0.1"), PORT);
            for transaction in 0.. {
                let lies = [
                    Response::Connect {
                        transaction,
                        connection: 7,
                    },
                    Response::Announce {
                        transaction,
                        interval: 1,
                        leechers: 9,
                        seeders: 9,
                        peers: vec![peer; 5],
                    },
                ];
                for lie in lies {
                    let _ = socket.try_send_to(&lie.encode(), us);
                }
                sleep(0).await;
                if transaction % 64 == 0 {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        });
        let id = scene.add(1, &["udp://60.0.0.1:80"]).await;
        assert_eq!(scene.said().await, Ok(1), "{id:?}");
        assert_eq!(tracker.announces()[0].announce.info_hash, hash(1));
        drop(flood);
    });
}
