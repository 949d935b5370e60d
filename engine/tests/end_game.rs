//! The end of a download: blocks that others hold in flight are asked for twice, but never again and again.

mod common;

use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::Source;
use net::sim::{Host, HostOptions, Link, Sim};
use protocol::id::PeerId;
use protocol::metainfo::Metainfo;
use protocol::peer::{Event, Session, SessionConfig, TorrentParams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};

const LEN: usize = 4 << 20;

/// A peer that says it has everything, and gives a byte every five seconds of the first block it is asked for.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a played peer heeds what it plays"
)]
async fn drip(host: Host, number: u32, metainfo: std::sync::Arc<Metainfo>) {
    let mut door = host.network().listen(addr(number)).expect("a door");
    let (mut stream, _) = door.accept().await.expect("a connection");
    let now = || Instant::now().into_std();
    let config = SessionConfig::new(PeerId(*b"-XX0001-drips-------"));
    let mut session = Session::acceptor(config, now());
    let mut torrent = Some(TorrentParams {
        geometry: Some(metainfo.geometry()),
        ..TorrentParams::new(metainfo.hashes())
    });
    let mut buffer = vec![0; 65_536];
    let mut asked = None;
    while asked.is_none() {
        let output = session.output().to_vec();
        stream.write_all(&output).await.expect("greeted");
        session.consume_output(output.len());
        let got = stream.read(&mut buffer).await.expect("bytes");
        let mut input = &buffer[..got];
        while let Ok(Some(event)) = session.handle(now(), &mut input) {
            match event {
                Event::Handshake(_) => {
                    session
                        .accept(torrent.take().expect("one handshake"))
                        .expect("our torrent");
                    session.have_all();
                    session.unchoke();
                }
                Event::Request(request) => _ = asked.get_or_insert(request),
                _ => {}
            }
        }
    }
    let request = asked.expect("asked");
    let mut header = (9 + request.len()).to_be_bytes().to_vec();
    header.push(7);
    header.extend_from_slice(&request.piece().get().to_be_bytes());
    header.extend_from_slice(&request.begin().to_be_bytes());
    stream.write_all(&header).await.expect("a header");
    while stream.write_all(&[0]).await.is_ok() {
        sleep(Duration::from_secs(5)).await;
    }
}

async fn beside_a_dripping_peer(seed: u64) -> Sim {
    let sim = Sim::new(seed);
    let payload = Payload::new(seed, LEN, 256 * 1024);
    // The one who drips is there first, and gets a block to bring.
    let dripping = sim.host(HostOptions::at(ip(1)));
    tokio::task::spawn_local(drip(dripping, 1, payload.metainfo()));
    let options = HostOptions {
        link: Link::with_latency(Duration::from_millis(10)).with_rates(Some(1 << 20), None),
        ..HostOptions::at(ip(2))
    };
    let host = sim.host(options);
    let honest = Node::start(host.clone(), config(&host, seed));
    let from = honest.seed(&payload).await;
    let host = sim.host(HostOptions::at(ip(3)));
    let leecher = Node::start(host.clone(), config(&host, seed + 1));
    let source = Source::Metainfo(payload.metainfo());
    let begun = Instant::now();
    let id = leecher
        .add_with(source, |add| add.peers = vec![addr(1), addr(2)])
        .await;
    assert!(leecher.finishes(id, Duration::from_secs(60)).await);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(12), "it took {took:?}");
    let snapshot = honest.handle.snapshot();
    let sent = snapshot
        .torrents
        .iter()
        .find(|torrent| torrent.id == from)
        .expect("the torrent")
        .uploaded;
    // What is asked for twice is a few blocks, once.
    assert!(sent < LEN as u64 + (1 << 20), "{sent} bytes were sent");
    sim
}

#[test]
fn a_peer_that_drips_holds_up_nobody_and_burns_no_bandwidth() {
    let runs = [1, 2, 1].map(|seed| simulate(beside_a_dripping_peer(seed)));
    assert_eq!(runs[0], runs[2], "every run of a seed is the same");
}
