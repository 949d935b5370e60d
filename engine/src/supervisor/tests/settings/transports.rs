//! By what peers are connected with.

use std::net::SocketAddr;
use std::time::Duration;

use net::Pool;
use net::ports::{self, Transports};
use net::utp::UtpOptions;

use super::set;
use crate::EngineConfig;
use crate::scene::{Actor, Scene, addr, play};

const MINUTE: Duration = Duration::from_secs(60);

/// Opens TCP and uTP where only TCP was to be listened for.
fn by_both(config: &mut EngineConfig) {
    let at: SocketAddr = config.listen.expect("an address");
    let (pool, options) = (Pool::current(), UtpOptions::default());
    let open = ports::open(&config.network, (at, 0), Transports::Both, &pool, &options);
    let open = open.expect("a port");
    (config.network, config.listen) = (open.network, Some(open.addr));
}

async fn is_by_utp(engine: &Actor) -> bool {
    engine.until(|status| status.peers == 1).await;
    let peers = engine.handle.peers(engine.id).await.expect("peers");
    peers.first().expect("one").utp
}

#[test]
fn peers_are_dialled_by_what_is_allowed_and_by_nothing_else() {
    for (key, utp) in [("outgoing_tcp", true), ("outgoing_utp", false)] {
        play(async {
            let scene = Scene::new(1, 4_000_000, 64 * 1024);
            let _seed = scene.engine_with(0, true, &[], by_both).await;
            let leecher = scene
                .engine_with(1, false, &[addr(0)], |config| {
                    by_both(config);
                    config.settings.limits.down = Some(1000);
                    config.settings.connections.outgoing_tcp = false;
                    config.settings.connections.outgoing_utp = false;
                })
                .await;
            tokio::time::sleep(MINUTE).await;
            assert_eq!(leecher.status().peers, 0, "nothing is allowed");
            let other = if utp { "outgoing_utp" } else { "outgoing_tcp" };
            set(&leecher, &format!("connections.{other}"), true).await;
            assert_eq!(is_by_utp(&leecher).await, utp, "without {key}");
        });
    }
}

#[test]
fn peers_come_in_by_what_is_allowed_and_by_nothing_else() {
    for utp in [false, true] {
        play(async {
            let key = if utp { "incoming_utp" } else { "incoming_tcp" };
            let scene = Scene::new(2, 4_000_000, 64 * 1024);
            let seed = scene
                .engine_with(0, true, &[], |config| {
                    by_both(config);
                    config.settings.connections.incoming_tcp = utp;
                    config.settings.connections.incoming_utp = !utp;
                })
                .await;
            let leecher = scene
                .engine_with(1, false, &[addr(0)], |config| {
                    by_both(config);
                    config.settings.limits.down = Some(1000);
                    config.settings.connections.outgoing_tcp = !utp;
                    config.settings.connections.outgoing_utp = utp;
                })
                .await;
            tokio::time::sleep(MINUTE).await;
            assert_eq!(seed.status().peers, 0, "{key} is off");
            set(&seed, &format!("connections.{key}"), true).await;
            assert_eq!(is_by_utp(&leecher).await, utp, "{key} is on");
        });
    }
}
