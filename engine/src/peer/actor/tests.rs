use std::sync::Arc;
use std::time::Duration;

use net::{BoxStream, RateLimiter};
use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use protocol::id::PeerId;
use protocol::peer::handshake::Reserved;
use protocol::peer::{Extension, SessionConfig, TorrentParams};
use storage::{BlockState, Store, StoreOptions, StoreSpec};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::*;
use crate::Wire;
use crate::content::{Content, HaveBoard};
use crate::peer::messages::Assignment;
use crate::scene::{Scene, addr, message, play, say};

/// Keeps what a connection reports.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<PeerReport>>>);

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<PeerReport> for Recorder {
    type Result = ();

    fn handle(&mut self, report: PeerReport, _: &mut Context<Self>) {
        self.0.lock().push(report);
    }
}

impl Recorder {
    fn heard(&self, what: impl Fn(&Fact) -> bool) -> bool {
        self.0
            .lock()
            .iter()
            .flat_map(|report| &report.facts)
            .any(what)
    }

    async fn hears(&self, what: impl Fn(&Fact) -> bool) {
        while !self.heard(&what) {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until so many blocks of a piece have come back.
    async fn gets_back(&self, of: PieceIndex, blocks: usize) {
        let came = || {
            let reports = self.0.lock();
            let facts = reports.iter().flat_map(|report| &report.facts);
            let count = |fact: &Fact| {
                if let Fact::Returned { piece, blocks } = fact {
                    usize::from(*piece == of) * blocks.len()
                } else {
                    0
                }
            };
            facts.map(count).sum::<usize>()
        };
        while came() < blocks {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(came(), blocks);
    }

    fn ended(&self) -> Option<Ended> {
        self.0.lock().iter().find_map(|report| report.ended.clone())
    }
}

fn content(scene: &Scene, dir: &TempDir) -> Arc<Content> {
    let spec = StoreSpec::from_metainfo(&scene.metainfo, dir.path().into()).unwrap();
    let geometry = scene.metainfo.geometry();
    Arc::new(Content {
        store: Store::open(spec, StoreOptions::default()).unwrap(),
        geometry,
        info: scene.metainfo.info_bytes().clone(),
        have: Arc::new(HaveBoard::new(&Bitfield::new(geometry.pieces()))),
        trees: None,
        tails: None,
    })
}

/// A connection of ours that dials the player, and its content.
fn launch(scene: &Scene, dir: &TempDir, recorder: &Recorder) -> (Addr<Peer>, Arc<Content>) {
    let content = content(scene, dir);
    let opening = Opening::Dial {
        way: opening::Way::Usual,
        network: scene.host(0).network(),
        to: addr(1),
        cover: None,
        config: SessionConfig::new(PeerId(*b"-XX0001-ourselvesour")),
        torrent: TorrentParams {
            geometry: Some(content.geometry),
            ..TorrentParams::new(scene.metainfo.hashes())
        },
    };
    let limit = RateLimiter::new(None);
    let wiring = Wiring {
        key: PeerKey(1),
        content: Some(Arc::clone(&content)),
        bounds: crate::classes::Bounds {
            classes: crate::classes::Classes::new(&crate::Settings::default()),
            torrent: [limit.clone(), limit.clone()],
            tcp: [limit.clone(), limit],
        },
        traffic: Arc::default(),
        torrent_traffic: Arc::default(),
        dht_port: None,
        veiled: false,
        wire: Wire::Plain,
        settings: crate::settings::Live::new(crate::Settings::default()),
        watch: crate::peer::watch::Watch::new(
            crate::event::hub::Hub::default(),
            (crate::TorrentId(1), addr(1)),
        ),
        joined: None,
    };
    let torrent = recorder.clone().start().recipient();
    (
        Peer::launch(opening, wiring, Pool::current(), torrent),
        content,
    )
}

/// The same where a player has accepted, has both pieces and serves us.
async fn served(
    scene: &Scene,
    dir: &TempDir,
    recorder: &Recorder,
) -> (Addr<Peer>, Arc<Content>, BoxStream) {
    let player = scene.host(1).network();
    let mut door = player.listen(addr(1)).unwrap();
    let (peer, content) = launch(scene, dir, recorder);
    let (mut stream, _) = door.accept().await.unwrap();
    let id = PeerId(*b"-XX0001-playerplayer");
    let able = Reserved::EXTENSIONS;
    scene.greet_with(&mut stream, id, able).await;
    say(&mut stream, &[5, 0b1100_0000]).await;
    say(&mut stream, &[1]).await;
    recorder
        .hears(|fact| matches!(fact, Fact::Unchoked(true)))
        .await;
    (peer, content, stream)
}

#[test]
fn a_driver_that_takes_no_orders_tells_what_it_wrote_before_it_ends() {
    play(async {
        let scene = Scene::new(1, 100_000, 64 * 1024);
        let (dir, recorder) = (TempDir::new().unwrap(), Recorder::default());
        let (peer, content, mut stream) = served(&scene, &dir, &recorder).await;
        let first = content.geometry.piece(0).unwrap();
        let assignment = Assignment {
            active: content.store.activate(first),
            from: 0,
            to: 4,
        };
        let active = Arc::clone(&assignment.active);
        actors::tell(&peer, Order::Assign(vec![assignment]));
        while message(&mut stream).await.unwrap().first() != Some(&6) {}
        let mut block = vec![7, 0, 0, 0, 0, 0, 0, 0, 0];
        block.extend_from_slice(&scene.payload[..16 * 1024]);
        say(&mut stream, &block).await;
        while active.written() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(
            !recorder.heard(|fact| matches!(fact, Fact::Written { .. })),
            "it is told already, which proves nothing"
        );
        for turn in 0..2 * ORDERS {
            actors::tell(&peer, Order::Interested(turn % 2 == 0));
        }
        while recorder.ended().is_none() {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(recorder.ended(), Some(Ended::Silent));
        assert!(
            recorder.heard(|fact| matches!(fact, Fact::Written { from: 0, to: 1, .. })),
            "the block that was written was not told"
        );
    });
}

#[test]
fn a_peer_that_stalls_in_the_middle_of_a_block_is_left_alone_until_it_goes_on() {
    play(async {
        let scene = Scene::new(2, 100_000, 64 * 1024);
        let (dir, recorder) = (TempDir::new().unwrap(), Recorder::default());
        let (peer, content, mut stream) = served(&scene, &dir, &recorder).await;
        let first = content.geometry.piece(0).unwrap();
        let assign = |from, to| {
            let active = content.store.activate(first);
            actors::tell(&peer, Order::Assign(vec![Assignment { active, from, to }]));
        };
        assign(0, 1);
        while message(&mut stream).await.unwrap().first() != Some(&6) {}
        let block = &scene.payload[..16 * 1024];
        let (half, rest) = block.split_at(8 * 1024);
        stream
            .write_all(&(9 + 16 * 1024u32).to_be_bytes())
            .await
            .unwrap();
        stream
            .write_all(&[7, 0, 0, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        stream.write_all(half).await.unwrap();
        // A driver that keeps waking itself would not let virtual time come to this.
        recorder
            .hears(|fact| matches!(fact, Fact::Returned { blocks, .. } if blocks.contains(&0)))
            .await;
        sleep(Duration::from_secs(30)).await;
        // The rest of the block is not taken for the one that is asked for next.
        assign(1, 2);
        while message(&mut stream).await.unwrap().first() != Some(&6) {}
        stream.write_all(rest).await.unwrap();
        recorder
            .hears(|fact| matches!(fact, Fact::Returned { blocks, .. } if blocks.contains(&1)))
            .await;
        assert_eq!(recorder.ended(), None);
    });
}

#[test]
fn a_block_that_drips_is_given_up_once_another_could_bring_it() {
    play(async {
        let scene = Scene::new(4, 100_000, 64 * 1024);
        let (dir, recorder) = (TempDir::new().unwrap(), Recorder::default());
        let (peer, content, mut stream) = served(&scene, &dir, &recorder).await;
        let first = content.geometry.piece(0).unwrap();
        let active = content.store.activate(first);
        let assignment = Assignment {
            active: Arc::clone(&active),
            from: 0,
            to: 1,
        };
        actors::tell(&peer, Order::Assign(vec![assignment]));
        while message(&mut stream).await.unwrap().first() != Some(&6) {}
        let mut said = (9 + 16 * 1024u32).to_be_bytes().to_vec();
        said.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0, 0]);
        said.extend_from_slice(&scene.payload[..8 * 1024]);
        stream.write_all(&said).await.unwrap();
        while active.state(0) != BlockState::Receiving {
            sleep(Duration::from_millis(1)).await;
        }
        let contested = scene.sim.elapsed();
        let block = |at| content.geometry.block(first, at).unwrap();
        // Word of another block does not matter.
        actors::tell(&peer, Order::Yield(block(1)));
        actors::tell(&peer, Order::Yield(block(0)));
        recorder
            .hears(|fact| matches!(fact, Fact::Returned { blocks, .. } if blocks.contains(&0)))
            .await;
        let after = scene.sim.elapsed().saturating_sub(contested);
        assert!(
            (Duration::from_secs(1)..Duration::from_secs(2)).contains(&after),
            "given up after {after:?}"
        );
        assert_eq!(active.state(0), BlockState::Missing, "others can bring it");
        // What comes of it late is left out, and the connection goes on.
        stream
            .write_all(&scene.payload[8 * 1024..16 * 1024])
            .await
            .unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(active.state(0), BlockState::Missing);
        assert_eq!(recorder.ended(), None);
    });
}

#[test]
fn of_a_piece_that_the_peer_has_no_more_nothing_is_waited_for() {
    play(async {
        let scene = Scene::new(3, 100_000, 64 * 1024);
        let (dir, recorder) = (TempDir::new().unwrap(), Recorder::default());
        let (peer, content, mut stream) = served(&scene, &dir, &recorder).await;
        let [first, second] = [0, 1].map(|index| content.geometry.piece(index).unwrap());
        let assign = |piece, to| {
            let active = content.store.activate(piece);
            let from = 0;
            actors::tell(&peer, Order::Assign(vec![Assignment { active, from, to }]));
        };
        assign(first, 4);
        while message(&mut stream).await.unwrap().first() != Some(&6) {}
        say(
            &mut stream,
            &[20, Extension::DontHave.local_id(), 0, 0, 0, 0],
        )
        .await;
        recorder
            .hears(|fact| matches!(fact, Fact::Gone(pieces) if *pieces == [first]))
            .await;
        recorder.gets_back(first, 4).await;
        assert!(
            scene.sim.elapsed() < Duration::from_secs(2),
            "it was snubbed"
        );
        // What was assigned before the torrent heard of it comes back too, and the rest is asked for.
        assign(first, 4);
        assign(second, 1);
        recorder.gets_back(first, 8).await;
        let mut asked = Vec::new();
        while asked.first() != Some(&6) || asked[1..5] != [0, 0, 0, 1] {
            asked = message(&mut stream).await.unwrap();
        }
        assert_eq!(recorder.ended(), None);
    });
}
