use std::time::Duration;

use protocol::magnet::Magnet;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::scene::{Scene, addr, play};
use crate::{AddTorrent, Source, State};

#[test]
fn a_link_that_turns_out_private_is_told_of_no_more_even_while_its_content_does_not_come_up() {
    play(async {
        for private in [true, false] {
            let scene = if private {
                Scene::private(1, 50_000, 16 * 1024)
            } else {
                Scene::new(1, 50_000, 16 * 1024)
            };
            let (_, handle) = scene.launch(0, |config| config.local_discovery = true);
            let player = scene.host(1);
            // It selects a file that the torrent lacks, so that there is nothing to fetch.
            let dir = TempDir::new().unwrap();
            let hash = scene.metainfo.hashes().wire();
            let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{hash}&so=5")).unwrap();
            let add = AddTorrent::new(Source::Magnet(Box::new(magnet)), dir.path().into());
            handle.add(add).await.unwrap();
            let minute = Duration::from_secs(60);
            assert_eq!(scene.announcements(&player, minute).await, 1);
            let _stream = scene.give_metadata(&player, addr(0)).await;
            let mut snapshots = handle.snapshots();
            let failed = snapshots.wait_for(|snapshot| {
                let mut torrents = snapshot.torrents.iter();
                torrents.any(|status| matches!(status.state, State::Error(_)))
            });
            timeout(minute, failed).await.expect("it fails").unwrap();
            let heard = scene.announcements(&player, 20 * minute).await;
            assert_eq!(heard == 0, private, "{heard} announcements");
        }
    });
}
