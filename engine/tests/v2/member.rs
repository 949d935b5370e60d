//! An engine with one torrent of a folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, EngineHandle, Event, Source, State, Supervisor, TorrentId, TorrentStatus,
};
use net::sim::{HostOptions, Sim};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::common::folder::Folder;
use crate::common::sim::{self, addr, ip};

/// Lengths of files that meet every case: many pieces, the last one short; a piece and a byte; one piece; a few blocks; a
/// block and a byte; nothing; one byte.
pub(crate) const LENS: [usize; 7] = [700_001, 65_537, 65_536, 40_000, 16_385, 0, 1];
pub(crate) const PIECE: usize = 64 * 1024;

pub(crate) struct Member {
    pub(crate) handle: EngineHandle,
    pub(crate) id: TorrentId,
    pub(crate) dir: TempDir,
    events: engine::Events,
}

impl Member {
    /// A seed at host `number`.
    pub(crate) async fn seed(sim: &Sim, number: u32, folder: &Folder) -> Self {
        let source = Source::Metainfo(Arc::clone(&folder.metainfo));
        Self::start(sim, number, source, |add, dir| {
            folder.put(dir);
            add.trust_data = true;
        })
        .await
    }

    /// A download at host `number` from the hosts `from`.
    pub(crate) async fn fetch(sim: &Sim, number: u32, source: Source, from: &[u32]) -> Self {
        let peers = from.iter().map(|number| addr(*number)).collect();
        Self::start(sim, number, source, |add, _| add.peers = peers).await
    }

    pub(crate) async fn start(
        sim: &Sim,
        number: u32,
        source: Source,
        change: impl FnOnce(&mut AddTorrent, &Path),
    ) -> Self {
        let dir = TempDir::new().expect("a folder");
        let host = sim.host(HostOptions::at(ip(number)));
        let mut config = sim::config(&host, u64::from(number));
        config.memory = engine::Memory::Files(dir.path().join("state"));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let events = handle.events(engine::Categories::USUAL, 1024);
        let mut add = AddTorrent::new(source, dir.path().into());
        change(&mut add, dir.path());
        let id = handle.add(add).await.expect("added");
        Self {
            handle,
            id,
            dir,
            events,
        }
    }

    pub(crate) fn status(&self) -> Arc<TorrentStatus> {
        Arc::clone(&self.handle.snapshot().torrents[0])
    }

    pub(crate) async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.torrents.iter().any(|t| done(t)));
        let waited = timeout(Duration::from_secs(600), wait).await.is_ok();
        assert!(waited, "{:?}", self.status());
    }

    /// Waits until everything is there, and compares it.
    pub(crate) async fn completes(&self, folder: &Folder) {
        self.until(|status| status.state == State::Seeding).await;
        folder.assert_equal(self.dir.path());
    }

    /// Peers that were banned so far.
    pub(crate) fn banned(&mut self) -> usize {
        let mut banned = 0;
        while let Ok(event) = self.events.try_recv() {
            banned += usize::from(matches!(event, Event::PeerBanned { .. }));
        }
        banned
    }
}
