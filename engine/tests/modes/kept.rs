//! Switches are kept, of torrents that are at work and of those that sleep.

use std::time::Duration;

use engine::{Mode, Modes};
use net::sim::Sim;
use tokio::time::sleep;

use crate::common::Payload;
use crate::common::sim::simulate;
use crate::scene::{Session, root};

#[test]
fn switches_that_were_turned_hold_in_the_next_session() {
    simulate(async {
        let sim = Sim::new(70);
        let payloads = [70, 71].map(|seed| Payload::new(seed, 100_000, 16 * 1024));
        let session = Session::start(&sim, 1, root());
        let mut ids = Vec::new();
        for (payload, paused) in payloads.iter().zip([true, false]) {
            let mut add = session.usual(payload);
            add.paused = paused;
            ids.push(session.handle.add(add).await.expect("added"));
        }
        let on: Modes = [
            Mode::Sequential,
            Mode::UploadOnly,
            Mode::Share,
            Mode::SuperSeed,
        ]
        .into_iter()
        .collect();
        let off: Modes = [Mode::Dht, Mode::PeerExchange, Mode::Trackers, Mode::Managed]
            .into_iter()
            .collect();
        for id in &ids {
            let turned = session.handle.set_modes(*id, on, off).await;
            turned.expect("turned");
        }
        sleep(Duration::from_secs(2)).await;
        let due: Modes = Mode::EACH
            .into_iter()
            .filter(|mode| !off.has(*mode) && *mode != Mode::StopWhenReady)
            .collect();
        let before: Vec<Modes> = ids.iter().map(|id| session.status(*id).modes).collect();
        assert_eq!(before, [due, due]);
        let root = session.stop().await;
        let session = Session::start(&sim, 2, root);
        let first: Vec<Modes> = ids.iter().map(|id| session.status(*id).modes).collect();
        sleep(Duration::from_secs(5)).await;
        let after: Vec<Modes> = ids.iter().map(|id| session.status(*id).modes).collect();
        assert_eq!((first, after), (vec![due, due], vec![due, due]));
        sim
    });
}
