//! Extensions that programs bring along, between engines in virtual time.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::plugins::MOST_PAYLOAD;
use engine::{
    ExtensionEvent, ExtensionPeer, ExtensionPort, ExtensionRefusal, ExtensionSpec, NoEvent,
    SendRefused, Source, TorrentId,
};
use net::sim::{HostOptions, Sim};
use protocol::bencode::Tree;

const PIECE: usize = 64 * 1024;
const LEN: usize = 400_000;

fn start(sim: &Sim, number: u32) -> Node {
    let host = sim.host(HostOptions::at(ip(number)));
    let config = config(&host, u64::from(number));
    Node::start(host, config)
}

fn chat(room: &str, queue: usize) -> ExtensionSpec {
    ExtensionSpec {
        name: "xx_chat".to_owned(),
        entry: Some(("xx_room".to_owned(), Tree::Bytes(room.as_bytes().to_vec()))),
        torrents: None,
        queue,
    }
}

fn register(node: &Node, spec: ExtensionSpec) -> ExtensionPort {
    node.handle.add_extension(spec).expect("an extension")
}

async fn joined(port: &mut ExtensionPort) -> ExtensionPeer {
    match port.recv().await {
        Ok(ExtensionEvent::Joined(peer)) => peer,
        other => panic!("{other:?}"),
    }
}

async fn message(port: &mut ExtensionPort) -> (u64, Bytes) {
    match port.recv().await {
        Ok(ExtensionEvent::Message { peer, payload }) => (peer, payload),
        other => panic!("{other:?}"),
    }
}

/// Has `to` fetch what `from` has.
async fn meet(from: (&Node, u32), to: &Node, payload: &Payload) -> [TorrentId; 2] {
    let seed = from.0.seed(payload).await;
    let source = Source::Metainfo(payload.metainfo());
    let there = addr(from.1);
    let leech = to.add_with(source, |add| add.peers = vec![there]).await;
    [seed, leech]
}

#[test]
fn messages_of_a_programs_own_go_both_ways_beside_the_transfer() {
    simulate(async {
        let sim = Sim::new(1);
        let [seeder, leecher] = [1, 2].map(|number| start(&sim, number));
        let mut there = register(&seeder, chat("lobby", 100));
        let mut here = register(&leecher, chat("cellar", 100));
        let payload = Payload::new(1, LEN, PIECE);
        let [seed, leech] = meet((&seeder, 1), &leecher, &payload).await;
        let (peer, us) = (joined(&mut here).await, joined(&mut there).await);
        assert_eq!((peer.torrent, peer.addr), (leech, addr(1)));
        assert_eq!((us.torrent, us.addr.ip()), (seed, ip(2)));
        assert_eq!(peer.entry, Some(Tree::Bytes(b"lobby".to_vec())));
        assert_eq!(us.entry, Some(Tree::Bytes(b"cellar".to_vec())));
        assert_eq!(here.peers(), std::slice::from_ref(&peer));
        here.send(peer.number, Bytes::from_static(b"hello"))
            .expect("sent");
        let long = Bytes::from(vec![7; MOST_PAYLOAD]);
        here.send(peer.number, long.clone()).expect("sent");
        assert_eq!(
            message(&mut there).await,
            (us.number, Bytes::from_static(b"hello"))
        );
        assert_eq!(message(&mut there).await, (us.number, long));
        there
            .send(us.number, Bytes::from_static(b"and you"))
            .expect("sent");
        assert_eq!(message(&mut here).await.1, "and you");
        let longer = Bytes::from(vec![7; MOST_PAYLOAD + 1]);
        assert_eq!(here.send(peer.number, longer), Err(SendRefused::TooLong));
        assert!(leecher.finishes(leech, Duration::from_secs(600)).await);
        seeder.handle.remove(seed, false).await.expect("removed");
        let left = here.recv().await;
        assert_eq!(left, Ok(ExtensionEvent::Left { peer: peer.number }));
        let gone = here.send(peer.number, Bytes::from_static(b"?"));
        assert_eq!(gone, Err(SendRefused::Gone));
        assert!(here.peers().is_empty() && there.peers().is_empty());
        sim
    });
}

#[test]
fn an_extension_is_of_the_torrents_that_it_names_and_nothing_to_those_who_lack_it() {
    simulate(async {
        let sim = Sim::new(2);
        let [seeder, leecher] = [1, 2].map(|number| start(&sim, number));
        let payloads = [2, 3].map(|seed| Payload::new(seed, LEN, PIECE));
        let mut ids = Vec::new();
        for (payload, folder) in payloads.iter().zip(["a", "b"]) {
            ids.push(seeder.seed_apart(payload, folder).await);
        }
        let mut there = register(
            &seeder,
            ExtensionSpec {
                torrents: Some(vec![ids[1]]),
                ..chat("lobby", 100)
            },
        );
        // Who has it for all torrents, and who has another.
        let mut here = register(&leecher, chat("cellar", 100));
        let other = ExtensionSpec {
            name: "xx_other".to_owned(),
            entry: None,
            ..chat("", 100)
        };
        let mut lone = register(&leecher, other);
        for (payload, folder) in payloads.iter().zip(["a", "b"]) {
            let source = Source::Metainfo(payload.metainfo());
            let dir = leecher.dir.path().join(folder);
            let id = leecher
                .add_with(source, |add| {
                    add.peers = vec![addr(1)];
                    add.dir = dir;
                })
                .await;
            assert!(leecher.finishes(id, Duration::from_secs(600)).await);
        }
        assert_eq!(joined(&mut there).await.torrent, ids[1]);
        joined(&mut here).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(
            there.peers().len(),
            0,
            "both have everything, and have parted"
        );
        assert_eq!(lone.try_recv(), Err(NoEvent::Empty));
        sim
    });
}

#[test]
fn a_program_that_does_not_listen_holds_nobody_up_and_is_told_what_it_missed() {
    simulate(async {
        let sim = Sim::new(4);
        let [seeder, leecher] = [1, 2].map(|number| start(&sim, number));
        let mut deaf = register(&seeder, chat("lobby", 3));
        let mut here = register(&leecher, chat("cellar", 100));
        let payload = Payload::new(4, LEN, PIECE);
        let slow = engine::Limits {
            down: Some(20_000),
            up: None,
        };
        leecher.handle.set_limits(None, slow).await.expect("set");
        let [_, leech] = meet((&seeder, 1), &leecher, &payload).await;
        let peer = joined(&mut here).await.number;
        let mut sent = 0;
        let full = loop {
            match here.send(peer, Bytes::from(vec![0; 1000])) {
                Ok(()) => sent += 1,
                Err(why) => break why,
            }
        };
        assert_eq!((full, sent), (SendRefused::Full, 32));
        assert!(leecher.finishes(leech, Duration::from_secs(600)).await);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let heard = deaf.recv().await;
        // There was room for one who came and two of what it said.
        assert_eq!(heard, Err(NoEvent::Missed(30 + 1)), "and that it has left");
        joined(&mut deaf).await;
        message(&mut deaf).await;
        message(&mut deaf).await;
        assert_eq!(deaf.try_recv(), Err(NoEvent::Empty));
        sim
    });
}

#[test]
fn what_cannot_be_an_extension_is_refused_and_a_name_is_free_when_its_program_leaves() {
    simulate(async {
        let sim = Sim::new(5);
        let node = start(&sim, 1);
        let named = |name: &str| ExtensionSpec {
            name: name.to_owned(),
            ..chat("", 1)
        };
        let refused = |spec| node.handle.add_extension(spec).expect_err("refused");
        assert!(matches!(
            refused(named("ut_pex")),
            ExtensionRefusal::Wrong(_)
        ));
        let port = register(&node, named("a"));
        assert_eq!(
            refused(named("a")),
            ExtensionRefusal::Exists("a".to_owned())
        );
        let others: Vec<ExtensionPort> = (1..16)
            .map(|number| register(&node, named(&format!("a{number}"))))
            .collect();
        assert_eq!(refused(named("b")), ExtensionRefusal::Full);
        drop((port, others));
        register(&node, named("a"));
        sim
    });
}
