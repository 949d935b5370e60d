//! What a tracker hears of somebody who wants only a part (BEP 21).

use std::sync::Arc;

use engine::{AddTorrent, Source};
use protocol::metainfo::{LoadLimits, Metainfo};
use protocol::tracker::AnnounceEvent;
use tempfile::TempDir;

use crate::tracker::Behaviour;
use crate::{Scene, simulate, sleep};

#[test]
fn a_partial_seed_says_that_it_is_paused_and_what_it_lacks() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        let url = "http://60.0.0.1/announce";
        let pieces = "x".repeat(3 * 20);
        let torrent = format!(
            "d8:announce{}:{url}4:infod6:lengthi40000e4:name1:n12:piece lengthi16384e6:pieces60:{pieces}ee",
            url.len()
        );
        let metainfo = Metainfo::from_bytes(torrent.as_bytes(), &LoadLimits::default());
        let source = Source::Metainfo(Arc::new(metainfo.expect("a torrent")));
        let dir = TempDir::new().expect("a folder");
        let mut add = AddTorrent::new(source, dir.path().into());
        add.files = Some(Vec::new());
        scene.engine.add(add).await.expect("added");
        sleep(2 * 3600).await;
        let heard = tracker.announces();
        let events: Vec<_> = heard.iter().map(|seen| seen.announce.event).collect();
        assert_eq!(events[0], AnnounceEvent::Started);
        assert!(events.len() > 2);
        assert!(
            events[1..]
                .iter()
                .all(|event| *event == AnnounceEvent::Paused),
            "{events:?}"
        );
        assert!(heard.iter().all(|seen| seen.announce.left == Some(40_000)));
    });
}
