//! Engines behind a proxy that comes and goes.

use net::sim::Host;
use net::{BoxStream, Network};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};

use super::*;

/// An HTTP proxy on a host.
fn proxy(host: &Host) -> net::Task<()> {
    let network = host.network();
    let at = SocketAddr::from(([0; 4], 8080));
    let mut listener = network.listen(at).expect("a free port");
    Pool::current().spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            Pool::current()
                .spawn(carry(stream, network.clone()))
                .detach();
        }
    })
}

async fn carry(mut here: BoxStream, network: Network) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = here.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let to = head.split(' ').nth(1).and_then(|to| to.parse().ok());
    let to: SocketAddr = to.expect("an address");
    let Ok(mut there) = network.dial(to).await else {
        let _ = here.write_all(b"HTTP/1.1 502 x\r\n\r\n").await;
        return;
    };
    let _ = here.write_all(b"HTTP/1.1 200 x\r\n\r\n").await;
    let _ = copy_bidirectional(&mut here, &mut there).await;
}

/// Leaves the engine no way out but the proxy at host 9.
fn through_proxy(config: &mut EngineConfig) {
    let url = format!("http://{}:8080", ip(9));
    let proxy = url.parse().expect("a proxy");
    config.network = config.network.clone().through(&proxy);
    config.listen = None;
}

#[test]
fn a_proxy_that_is_away_is_told_of_and_is_held_against_no_peer() {
    simulate(async {
        let sim = Sim::new(40);
        let payload = Payload::new(40, 300_000, PIECE);
        let host = sim.host(HostOptions::at(ip(9)));
        let _seeder = Engine::start(&sim, (0, ip(1)), &payload, &[], |_| {}).await;
        let leecher = Engine::start(&sim, (2, ip(2)), &payload, &[addr(1)], through_proxy).await;
        let reason = || leecher.handle.snapshot().torrents[0].reason.clone();
        sleep(Duration::from_secs(600)).await;
        let expected = format!(
            "proxy {}:8080: connection refused; nothing leaves until it is back",
            ip(9)
        );
        assert_eq!(reason().as_deref(), Some(expected.as_str()));
        let _proxy = proxy(&host);
        leecher
            .until("it has a peer", |leecher| leecher.peers() == 1)
            .await;
        assert!(leecher.handle.snapshot().torrents[0].age < Duration::from_secs(625));
        sim
    });
}

#[test]
fn rates_end_with_the_only_way_out() {
    simulate(async {
        let sim = Sim::new(41);
        let payload = Payload::new(41, 30_000_000, PIECE);
        let host = sim.host(HostOptions::at(ip(9)));
        let seeder = Engine::start(&sim, (0, ip(1)), &payload, &[], |config| {
            config.settings.limits.up = Some(200_000);
        })
        .await;
        let proxy = proxy(&host);
        let leecher = Engine::start(&sim, (2, ip(2)), &payload, &[addr(1)], through_proxy).await;
        let rate = |engine: &Engine| {
            let snapshot = engine.handle.snapshot();
            snapshot
                .torrents
                .first()
                .map_or(0, |torrent| torrent.down_rate)
        };
        leecher
            .until("it downloads", |leecher| rate(leecher) > 100_000)
            .await;
        sleep(Duration::from_secs(20)).await;
        drop(proxy);
        host.crash();
        leecher
            .until("it has no peer", |leecher| leecher.peers() == 0)
            .await;
        sleep(Duration::from_secs(5)).await;
        let status = leecher.handle.snapshot().torrents[0].clone();
        assert_eq!(status.down_rate, 0);
        assert!(
            status.reason.as_ref().unwrap().starts_with("proxy "),
            "{status:?}"
        );
        drop(seeder);
        sim
    });
}
