//! Who comes by one route is not told of torrents on others.

use std::net::SocketAddr;
use std::time::Duration;

use engine::{Encryption, RoutePolicy};
use net::BoxStream;
use net::sim::{Host, HostOptions};
use protocol::id::PeerId;
use protocol::magnet::Magnet;
use protocol::peer::handshake::{HANDSHAKE_LEN, Handshake, Reserved};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::PATIENCE;
use crate::common::sim::simulate;
use crate::scene::{ROUTE_PORT, Scene, US, addr, exit, ip};

/// Where we listen on a route.
fn door(hops: u8) -> SocketAddr {
    match hops {
        0 => addr(US),
        _ => (exit(hops), ROUTE_PORT).into(),
    }
}

/// The peer id of whoever answers for the torrent there.
async fn answer(scene: &Scene, stranger: &Host, at: SocketAddr) -> Option<PeerId> {
    let mut stream: BoxStream = stranger.network().dial(at).await.ok()?;
    let ours = Handshake {
        reserved: Reserved::default(),
        info_hash: scene.payload.metainfo().hashes().wire(),
        peer_id: PeerId(*b"-XX0001-justasking00"),
    };
    stream.write_all(&ours.encode()).await.ok()?;
    let mut theirs = [0; HANDSHAKE_LEN];
    stream.read_exact(&mut theirs).await.ok()?;
    Some(Handshake::parse(&theirs).expect("a handshake").peer_id)
}

/// On which routes somebody answers for the torrent.
async fn answers(scene: &Scene, stranger: &Host) -> Vec<(u8, PeerId)> {
    let mut all = Vec::new();
    for hops in 0..=3 {
        let answer =
            tokio::time::timeout(Duration::from_secs(60), answer(scene, stranger, door(hops)));
        all.extend(answer.await.ok().flatten().map(|id| (hops, id)));
    }
    all
}

#[test]
fn a_torrent_answers_on_its_own_route_and_no_other() {
    simulate(async {
        let scene = Scene::with(11, RoutePolicy::Anonymous, |config| {
            config.settings.encryption.peers = Encryption::Allow;
        })
        .await;
        let stranger = scene.sim.host(HostOptions::at(ip(0x9_0000)));
        let id = scene.fetch(2).await;
        assert!(scene.us.finishes(id, PATIENCE).await);
        // Routes that other torrents use are listened on, too.
        let mut others = Vec::new();
        for hops in [1, 3] {
            let other = crate::common::Payload::new(99 + u64::from(hops), 100_000, 32 * 1024);
            let source = engine::Source::Metainfo(other.metainfo());
            let add = |add: &mut engine::AddTorrent| {
                add.hops = Some(hops);
                add.dir = scene.us.dir.path().join(hops.to_string());
            };
            others.push(scene.us.add_with(source, add).await);
        }
        let mut ids = Vec::new();
        for hops in [2, 0, 3, 1, 2] {
            scene.us.handle.set_hops(id, hops).await.expect("moved");
            sleep(Duration::from_secs(10)).await;
            let heard = answers(&scene, &stranger).await;
            assert_eq!(
                heard.iter().map(|(hops, _)| *hops).collect::<Vec<_>>(),
                [hops]
            );
            ids.extend(heard.into_iter().map(|(_, id)| (hops, id)));
        }
        for (number, (hops, id)) in ids.iter().enumerate() {
            assert_eq!(*hops == 0, id.as_bytes().starts_with(b"-"), "{id:?}");
            let again = ids.iter().filter(|(_, other)| other == id).count();
            assert_eq!(again, 1, "number {number} is known from elsewhere");
        }
        scene.sim.clone()
    });
}

#[test]
fn a_route_is_closed_behind_its_last_torrent_and_opened_again_for_another() {
    simulate(async {
        use std::sync::atomic::Ordering::Relaxed;
        let scene = Scene::new(12, RoutePolicy::Anonymous).await;
        let stranger = scene.sim.host(HostOptions::at(ip(0x9_0000)));
        let refused = async |hops| stranger.network().dial(door(hops)).await.is_err();
        let id = scene.fetch(1).await;
        scene.until(id, |status| status.done > 500_000).await;
        assert!(!refused(1).await);
        scene.us.handle.set_hops(id, 2).await.expect("moved");
        scene
            .us
            .handle
            .set_hops(id, 2)
            .await
            .expect("nothing to do");
        sleep(Duration::from_secs(1)).await;
        assert!(refused(1).await, "the door is open");
        assert!(!refused(2).await);
        assert_eq!(scene.routes.opened.load(Relaxed), 2);
        scene.us.handle.set_hops(id, 1).await.expect("moved");
        sleep(Duration::from_secs(1)).await;
        assert!(!refused(1).await && refused(2).await);
        assert_eq!(scene.routes.opened.load(Relaxed), 3);
        scene.us.handle.remove(id, false).await.expect("removed");
        sleep(Duration::from_secs(30)).await;
        assert!(refused(1).await);
        scene.sim.clone()
    });
}

#[test]
fn nobody_is_dialled_by_one_route_for_having_been_known_on_another() {
    simulate(async {
        let scene = Scene::new(13, RoutePolicy::Anonymous).await;
        let host = |number| scene.sim.host(HostOptions::at(ip(number)));
        // Nobody listens there, so nobody else hears of them.
        let (named, linked, late) = (host(0x9_0000), host(0xa_0000), host(0xb_0000));
        let at = |host: &Host| SocketAddr::new(host.ip(), 6881);
        let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
        magnet.peers = vec![addr(1), at(&linked)];
        let source = engine::Source::Magnet(Box::new(magnet));
        let id = scene
            .us
            .add_with(source, |add| add.peers = vec![at(&named)])
            .await;
        let handle = &scene.us.handle;
        handle.add_peer(id, at(&late)).await.expect("told");
        scene.until(id, |status| status.done > 300_000).await;
        // More than are dialled at a time: some still wait when the torrent leaves.
        for number in 0..40 {
            let nobody = (ip(0xc_0000 + number), 6881).into();
            handle.add_peer(id, nobody).await.expect("told");
        }
        sleep(Duration::from_secs(1)).await;
        for bait in [&named, &linked, &late] {
            scene.dialled(exit(0), bait.ip());
        }
        scene.look_away();
        for hops in [1, 0] {
            handle.set_hops(id, hops).await.expect("moved");
            sleep(Duration::from_secs(150)).await;
            assert_eq!(scene.us_status(id).peers, 0);
        }
        for from in [exit(1), exit(0)] {
            scene.no_peer_was_spoken_to_by(from);
        }
        handle.set_hops(id, 2).await.expect("moved");
        handle.add_peer(id, addr(1)).await.expect("told");
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.dialled(exit(2), addr(1).ip());
        scene.sim.clone()
    });
}
