//! Engines on hosts of the simulated network.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use engine::EngineConfig;
use net::Pool;
use net::sim::{Host, Sim};
use tokio::task::LocalSet;

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
