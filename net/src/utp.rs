//! uTP (BEP 29) over any datagram socket: many streams, one socket, one task.
//!
//! ```text
//!  UtpDialer  UtpListener  streams          Others: KRPC, UDP trackers, …
//!       │         ▲        ▲    │             ▲      │
//!       │ new     │ proven │    │ written,    │      │ sends
//!       ▼         │        │    ▼ read        │      ▼
//!   ┌─────────────┴────────┴──────────────────┴───────────┐
//!   │ driver: the one task that receives, keeps time      │
//!   │ and sends for all connections                       │
//!   └──────────────────────────┬──────────────────────────┘
//!                       DatagramSocket
//! ```
//!
//! The machines are [`protocol::utp::Connection`]s, each behind a lock of its own that its stream and the driver share.
//! A stream puts bytes in or takes them out and tells the driver, which sends: so packets that became due together go
//! out together.
//!
//! When the socket has no way for datagrams any more ([`DatagramSocket::is_up`]), all streams end with `NetworkDown`.
//!
//! # Bounds
//! - [`UtpOptions::connections`] in all, [`HALF_OPEN`] of them inbound ones that have not shown to be where they say, and
//!   [`HALF_OPEN_PER_IP`] of one address; who has waited longest makes room.
//! - Receive windows of more than 256 KiB share [`UtpOptions::windows`].
//! - [`WAITING`] connections wait to be accepted.
//! - Packets of no connection are answered with a RESET as long as there are fewer than [`RESETS`] in a second: a stranger
//!   gets no more bytes back than were sent.

mod budget;
mod conn;
mod driver;
mod figures;
mod half_open;
mod listener;
mod others;
mod outage;
mod shared;
mod stream;
mod table;
mod timers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::{BoxFuture, BoxStream, DatagramSocket, Dialer, Pool, Task};
use budget::Budget;
use driver::Driver;
use shared::Shared;
use table::Table;

pub use figures::UtpFigures;
pub use listener::UtpListener;
pub use others::{Other, Others};

/// Inbound connections whose initiators have not shown that they are where they say.
pub const HALF_OPEN: usize = 256;

/// Of these, connections from one address.
pub const HALF_OPEN_PER_IP: usize = 32;

/// Connections that wait to be accepted.
pub const WAITING: usize = 128;

/// RESETs to strangers in a second.
pub const RESETS: u32 = 100;

/// How a socket is used.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UtpOptions {
    /// Streams at the same time; `None` is 4,096.
    pub connections: Option<usize>,
    /// Bytes by which the receive windows of all streams together may grow, beyond the 256 KiB that each has; `None` is 64 MiB.
    pub windows: Option<usize>,
    /// What chance is drawn from; `None` asks the system.
    pub seed: Option<u64>,
    /// How long is waited for others, and how often they are asked again; `None` is as usual.
    pub patience: Option<Patience>,
}

/// How long the other end of a stream is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long the first SYN may stay without an answer; the next ones twice as long each.
    pub syn_timeout: Duration,
    /// How often a SYN is sent again.
    pub syn_resends: u32,
    /// How often data is sent again without a sign of life.
    pub data_resends: u32,
    /// How often the end of a stream is told again.
    pub fin_resends: u32,
}

/// Opens uTP streams on a socket. Clones are the same socket.
#[derive(Clone, Debug)]
pub struct UtpDialer {
    handle: Arc<Handle>,
}

/// Keeps the driver at work as long as anyone uses the socket.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    _driver: Task<()>,
}

/// Starts uTP on a socket, which nobody else may receive from: what is not uTP is given out by [`Others`].
///
/// The socket is used on the runtime of `pool`. Connections are taken in once the listener is polled.
///
/// All ends when the dialer, the listener, the doors of the others and the streams are gone.
pub fn start(
    socket: Arc<dyn DatagramSocket>,
    pool: &Pool,
    options: &UtpOptions,
) -> (UtpDialer, UtpListener, Others) {
    let seed = options.seed.unwrap_or_else(rand::random);
    let rng = SmallRng::seed_from_u64(seed);
    let (foreign, queues) = others::channels();
    let connections = options.connections.unwrap_or(CONNECTIONS);
    let budget = Budget::new(options.windows.unwrap_or(WINDOWS));
    socket.answer_where_asked();
    let shared = Arc::new(
        Shared::new(socket, budget, Table::new(connections, rng)).waiting(options.patience),
    );
    let driver = Driver::new(Arc::clone(&shared), foreign);
    let handle = Arc::new(Handle {
        shared,
        _driver: pool.spawn(driver.run()),
    });
    let dialer = UtpDialer {
        handle: Arc::clone(&handle),
    };
    let listener = UtpListener::new(Arc::clone(&handle));
    let others = Others::new(&handle, queues);
    (dialer, listener, others)
}

impl UtpDialer {
    /// What all streams of the socket have done and met.
    pub fn figures(&self) -> UtpFigures {
        self.handle.shared.figures()
    }
}

/// Streams at the same time.
const CONNECTIONS: usize = 4096;

/// Bytes by which all receive windows may grow: 16 streams that are as fast as they can be.
const WINDOWS: usize = 64 * 1024 * 1024;

impl Dialer for UtpDialer {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(stream::dial(
            Arc::clone(&self.handle),
            crate::resolve::canonical(to),
        ))
    }
}

#[cfg(test)]
mod tests;
