//! The composition root: builds the network, and the runtime that it runs in.

use std::future::Future;

use net::{Network, RealOptions};

/// Runs a future in an actor system on this thread.
///
/// The system is not taken apart afterwards: the process is about to end, and nothing is left to wait for.
pub(crate) fn run<T>(main: impl Future<Output = T>) -> T {
    let system = actix_rt::System::new();
    let outcome = system.block_on(main);
    std::mem::forget(system);
    outcome
}

/// The real network without any wishes.
pub(crate) fn plain_network() -> Network {
    Network::real(RealOptions::default())
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
