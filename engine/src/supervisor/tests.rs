use std::time::Duration;

use protocol::id::PeerId;

use super::*;
use crate::scene::{Scene, addr, closed, play};

/// Hands a control straight to a torrent.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Tell(TorrentId, Control);

impl Handler<Tell> for Supervisor {
    type Result = ();

    fn handle(&mut self, Tell(id, control): Tell, _: &mut Context<Self>) {
        self.control(id, control).expect("it is there");
    }
}

#[test]
fn idle_connections_end_with_a_torrent_that_panicked() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let player = scene.host(1);
        let mut stream = scene
            .connect(&player, addr(0), PeerId(*b"-XX0001-idleidleidle"))
            .await;
        engine.until(|status| status.peers == 1).await;
        let before = scene.sim.elapsed();
        let told = engine.supervisor.send(Tell(engine.id, Control::Panic));
        told.await.expect("delivered");
        closed(&mut stream).await;
        let took = scene.sim.elapsed().saturating_sub(before);
        assert!(took < Duration::from_secs(1), "it took {took:?}");
        engine.until(|status| status.peers == 0).await;
        let _again = scene
            .connect(&player, addr(0), PeerId(*b"-XX0001-onceagainnow"))
            .await;
        engine.until(|status| status.peers == 1).await;
    });
}
