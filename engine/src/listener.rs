//! The listening side: takes connections and reads their handshakes, until it is known which torrent they are for.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{BoxStream, Listener, Pool};
use parking_lot::Mutex;
use protocol::id::InfoHash;
use protocol::peer::handshake::PROTOCOL;
use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// Connections with a handshake that may wait for the Supervisor.
pub(crate) const ARRIVALS: usize = 64;

/// Connections whose handshake may be awaited at the same time.
const GREETING: usize = 256;

/// Of these, connections from one address.
const GREETING_PER_IP: usize = 64;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when the system is out of descriptors or memory.
const RECOVERY: Duration = Duration::from_millis(200);

/// Bytes of a handshake up to the end of the info-hash (BEP 3).
const NAMED: usize = 48;

/// A connection that named a torrent.
pub(crate) struct Arrival {
    /// The torrent that it named.
    pub(crate) info_hash: InfoHash,
    /// The connection.
    pub(crate) stream: BoxStream,
    /// All bytes that were read, the handshake's first.
    pub(crate) first: Vec<u8>,
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("info_hash", &self.info_hash)
            .finish_non_exhaustive()
    }
}

/// Takes connections until the receiver of `arrivals` is gone.
///
/// A connection holds its place among the [`GREETING`] until it has named a torrent or is given up; when all places
/// are taken, further connections wait in the system's queue.
pub(crate) async fn listen(
    mut door: Box<dyn Listener>,
    arrivals: mpsc::Sender<Arrival>,
    pool: Pool,
) {
    let places = Arc::new(Semaphore::new(GREETING));
    let crowd = Arc::<Crowd>::default();
    while !arrivals.is_closed() {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (stream, from) = match door.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for a moment");
                sleep(RECOVERY).await;
                continue;
            }
        };
        let Some(guest) = Crowd::enter(&crowd, from.ip()) else {
            continue;
        };
        let arrivals = arrivals.clone();
        let greeting = async move {
            let named = timeout(HANDSHAKE_TIMEOUT, read_name(stream)).await;
            drop((place, guest));
            if let Ok(Some(arrival)) = named {
                let _ = arrivals.send(arrival).await;
            }
        };
        pool.spawn(greeting).detach();
    }
}

/// Reads as far as the info-hash; `None` where the stream is not of this protocol.
async fn read_name(mut stream: BoxStream) -> Option<Arrival> {
    let mut first = Vec::with_capacity(1024);
    while first.len() < NAMED {
        if stream.read_buf(&mut first).await.ok()? == 0 {
            return None;
        }
        if first.iter().zip(&PROTOCOL).any(|(is, due)| is != due) {
            return None;
        }
    }
    let hash = first.get(NAMED - 20..)?.first_chunk::<20>()?;
    Some(Arrival {
        info_hash: InfoHash(*hash),
        stream,
        first,
    })
}

/// How many connections of each address are being greeted.
#[derive(Debug, Default)]
struct Crowd(Mutex<BTreeMap<IpAddr, usize>>);

/// A place in the [`Crowd`].
#[derive(Debug)]
struct Guest(Arc<Crowd>, IpAddr);

impl Crowd {
    fn enter(crowd: &Arc<Self>, ip: IpAddr) -> Option<Guest> {
        let mut counts = crowd.0.lock();
        let count = counts.entry(ip).or_default();
        if *count >= GREETING_PER_IP {
            return None;
        }
        *count += 1;
        Some(Guest(Arc::clone(crowd), ip))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock();
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}
