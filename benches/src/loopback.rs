//! Engines on loopback, for programs that measure them.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use engine::{EngineConfig, EngineHandle, Supervisor};
use net::{Network, OwnedPool, RealOptions};

/// Starts an engine that listens on a free port of loopback and keeps no state; the pool carries its connections and
/// must outlive it. Must be called inside an actix system.
///
/// # Errors
/// What the operating system refuses.
pub fn engine() -> Result<(EngineHandle, OwnedPool), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get().div_ceil(2);
    let pool = OwnedPool::start("peers", threads)?;
    let mut config = EngineConfig::new(Network::real(RealOptions::default()), pool.pool().clone());
    config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Ok((Supervisor::launch(config)?.1, pool))
}
