//! Engines on loopback, for programs that measure them.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use engine::{EngineConfig, EngineHandle, Memory, Supervisor};
use net::{Network, OwnedPool, RealOptions};

/// Starts an engine that listens on a free port of loopback and keeps no state; the pool carries its connections and
/// must outlive it. Must be called inside an actix system.
///
/// # Errors
/// What the operating system refuses.
pub fn engine() -> Result<(EngineHandle, OwnedPool), Box<dyn Error>> {
    engine_with(Memory::None)
}

/// As [`engine()`], but what it is to keep is kept.
///
/// # Errors
/// What the operating system refuses, and what of the memory cannot be read.
pub fn engine_with(memory: Memory) -> Result<(EngineHandle, OwnedPool), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get().div_ceil(2);
    let pool = OwnedPool::start("peers", threads)?;
    let mut config = EngineConfig::new(Network::real(RealOptions::default()), pool.pool().clone());
    config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.memory = memory;
    Ok((Supervisor::launch(config)?.1, pool))
}
