//! A web server, an engine that wants what it has, and whoever a test adds.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use common::sim::{addr, config, ip};
use engine::{
    AddTorrent, EngineHandle, Event, Source, State, Supervisor, TorrentId, TorrentStatus,
};
use net::sim::{Host, HostOptions, Sim};
use protocol::metainfo::Metainfo;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::common;
use crate::server::{Manners, Server};
use crate::torrents::{bytes, here, single};

pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) server: Host,
    pub(crate) client: Host,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let server = sim.host(HostOptions::at(ip(80)));
        let client = sim.host(HostOptions::at(ip(1)));
        Self {
            sim,
            server,
            client,
        }
    }

    /// A file on the server, and a torrent of it that says so.
    pub(crate) fn serve(&self, len: usize, manners: Manners) -> File {
        let content = bytes(1, len);
        File {
            server: Server::start(&self.server, &[("/f", &content)], manners),
            metainfo: single(&content, &[here("/f")]),
            content,
        }
    }

    /// An engine that has the file from the start, at the third address.
    pub(crate) async fn seed(&self, file: &File, change: impl FnOnce(&mut AddTorrent)) -> Engine {
        let host = self.sim.host(HostOptions::at(ip(3)));
        Engine::with(&host, 3, file, &file.content, change).await
    }

    /// Has the client get the file, also from the engine at the third address.
    pub(crate) async fn fetch_from_both(&self, file: &File) -> Engine {
        let source = file.source();
        Engine::start(&self.client, 1, source, |add| add.peers = vec![addr(3)]).await
    }
}

/// A file that a server has.
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    pub(crate) server: Server,
    pub(crate) metainfo: Arc<Metainfo>,
}

impl File {
    pub(crate) fn source(&self) -> Source {
        Source::Metainfo(Arc::clone(&self.metainfo))
    }
}

pub(crate) struct Engine {
    pub(crate) handle: EngineHandle,
    pub(crate) id: TorrentId,
    pub(crate) dir: TempDir,
    pub(crate) events: engine::Events,
}

impl Engine {
    pub(crate) async fn start(
        host: &Host,
        number: u64,
        source: Source,
        change: impl FnOnce(&mut AddTorrent),
    ) -> Self {
        let dir = TempDir::new().expect("a folder");
        let mut add = AddTorrent::new(source, dir.path().into());
        change(&mut add);
        let (_, handle) = Supervisor::launch(config(host, number)).expect("an engine");
        let events = handle.events(engine::Categories::USUAL, 1024);
        let id = handle.add(add).await.expect("added");
        Self {
            handle,
            id,
            dir,
            events,
        }
    }

    /// An engine in whose folder lies `begun` of a file.
    pub(crate) async fn with(
        host: &Host,
        number: u64,
        file: &File,
        begun: &[u8],
        change: impl FnOnce(&mut AddTorrent),
    ) -> Self {
        let dir = TempDir::new().expect("a folder");
        fs::write(dir.path().join("payload"), begun).expect("written");
        let path = dir.path().to_owned();
        let engine = Self::start(host, number, file.source(), |add| {
            add.dir = path;
            change(add);
        });
        Self {
            dir,
            ..engine.await
        }
    }

    pub(crate) async fn fetch(host: &Host, metainfo: &Arc<Metainfo>) -> Self {
        Self::start(host, 7, Source::Metainfo(Arc::clone(metainfo)), |_| {}).await
    }

    pub(crate) async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) -> Arc<TorrentStatus> {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.torrents.iter().any(|t| done(t)));
        let found = timeout(Duration::from_secs(7200), wait).await.is_ok();
        let status = self.status();
        assert!(found, "{status:?}");
        status
    }

    pub(crate) fn status(&self) -> Arc<TorrentStatus> {
        Arc::clone(&self.handle.snapshot().torrents[0])
    }

    pub(crate) async fn completes(&self) -> Arc<TorrentStatus> {
        self.until(|status| status.state == State::Seeding).await
    }

    /// Waits until the only file is there, and compares it.
    pub(crate) async fn arrives(&self, content: &[u8]) -> Arc<TorrentStatus> {
        let status = self.completes().await;
        assert!(self.content("payload") == content);
        status
    }

    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(path)).expect("the content")
    }

    /// What went wrong with web seeds so far.
    pub(crate) fn web_news(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let Event::WebSeedError { reason, .. } = event {
                news.push(reason);
            } else if matches!(event, Event::WebSeedBanned { .. }) {
                news.push("banned".to_owned());
            }
        }
        news
    }
}
