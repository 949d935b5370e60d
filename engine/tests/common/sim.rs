//! Engines on hosts of the simulated network.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::{
    AddTorrent, EngineConfig, EngineHandle, Source, State, Supervisor, TorrentId, TorrentStatus,
};
use net::Pool;
use net::ports::{Transports, open};
use net::sim::{Host, Sim};
use net::utp::UtpOptions;
use tempfile::TempDir;
use tokio::task::LocalSet;

use super::{Payload, reaches};

const PORT: u16 = 6881;

/// The address of a host.
pub(crate) fn ip(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a01_0000 + number).into()
}

/// Where the engine of a host listens.
pub(crate) fn addr(number: u32) -> SocketAddr {
    (ip(number), PORT).into()
}

/// An engine on a host, all in the calling thread.
pub(crate) fn config(host: &Host, seed: u64) -> EngineConfig {
    let mut config = EngineConfig::new(host.network(), Pool::current());
    config.listen = Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
    config.disk_threads = 0;
    config.torrent_threads = 0;
    config.seed = Some(seed);
    config
}

/// Has an engine of the host of this number take and make streams of these kinds.
pub(crate) fn by(config: &mut EngineConfig, number: u32, transports: Transports) {
    let mut options = UtpOptions::default();
    options.seed = Some(number.into());
    let pool = Pool::current();
    let at = (addr(number), 0);
    let port = open(&config.network, at, transports, &pool, &options).expect("a port");
    (config.network, config.listen) = (port.network, Some(port.addr));
}

/// An engine on a host, with a folder of its own.
pub(crate) struct Node {
    pub(crate) handle: EngineHandle,
    pub(crate) dir: TempDir,
    pub(crate) host: Host,
}

impl Node {
    pub(crate) fn start(host: Host, config: EngineConfig) -> Self {
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        Self {
            handle,
            dir: TempDir::new().expect("a folder"),
            host,
        }
    }

    pub(crate) async fn add(&self, source: Source) -> TorrentId {
        self.add_with(source, |_| {}).await
    }

    pub(crate) async fn add_with(
        &self,
        source: Source,
        change: impl FnOnce(&mut AddTorrent),
    ) -> TorrentId {
        let mut add = AddTorrent::new(source, self.dir.path().to_owned());
        change(&mut add);
        self.handle.add(add).await.expect("added")
    }

    /// Puts the content where it is looked for.
    pub(crate) fn put(&self, payload: &Payload) {
        let path = self.dir.path().join(payload.metainfo().name());
        std::fs::write(path, payload.bytes()).expect("a file");
    }

    pub(crate) async fn seed(&self, payload: &Payload) -> TorrentId {
        self.put(payload);
        self.add(Source::Metainfo(payload.metainfo())).await
    }

    /// Seeds what lies in a folder of its own, for all have the same name.
    #[allow(dead_code, reason = "each test binary uses its part")]
    pub(crate) async fn seed_apart(&self, payload: &Payload, folder: &str) -> TorrentId {
        let dir = self.dir.path().join(folder);
        std::fs::create_dir_all(&dir).expect("a folder");
        std::fs::write(dir.join("payload"), payload.bytes()).expect("written");
        let source = Source::Metainfo(payload.metainfo());
        self.add_with(source, |add| add.dir = dir).await
    }

    /// Whether everything is there within this time.
    pub(crate) async fn finishes(&self, id: TorrentId, within: Duration) -> bool {
        let seeds = |status: &TorrentStatus| status.state == State::Seeding;
        reaches(&self.handle, id, within, seeds).await
    }

    /// Whether the torrent has so many peers within this time.
    pub(crate) async fn meets(&self, id: TorrentId, count: usize, within: Duration) -> bool {
        let met = |status: &TorrentStatus| status.peers >= count;
        reaches(&self.handle, id, within, met).await
    }
}

/// Runs a simulation; returns the digest of its trace and the number of happenings in it.
pub(crate) fn simulate(test: impl Future<Output = Sim>) -> (u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let trace = LocalSet::new().block_on(&runtime, async { test.await.trace() });
    (trace.digest, trace.count)
}
