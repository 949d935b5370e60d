//! The listening side: takes connections and reads their handshakes, until it is known which torrent they are for.

mod crowd;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use net::{BoxStream, Listener, Pool, RateLimiter};
use protocol::id::InfoHash;
use protocol::mse::{Acceptor, Choice};
use protocol::peer::handshake::PROTOCOL;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use self::crowd::Crowd;
use crate::cover::{self, Reception, Tags};
use crate::encryption::Wire;
use crate::event::hub::Hub;
use crate::metrics::Counters;
use crate::settings::Live;
use crate::{Category, Event};

/// Connections with a handshake that may wait for the Supervisor.
pub(crate) const ARRIVALS: usize = 64;

/// How long to wait when the system is out of descriptors or memory.
const RECOVERY: Duration = Duration::from_millis(200);

/// Bytes of a handshake up to the end of the info-hash (BEP 3).
const NAMED: usize = 48;

/// Key agreements a second with those who connect: 150 us of a core each, so a tenth of one at most. Who comes in excess of
/// that stands in line.
const AGREEMENTS_PER_S: u64 = 600;

/// A connection that named a torrent.
pub(crate) struct Arrival {
    /// The route that it came by: its hops, and which opening of it.
    pub(crate) by: (u8, u64),
    /// The torrent that it named.
    pub(crate) info_hash: InfoHash,
    /// The connection.
    pub(crate) stream: BoxStream,
    /// All bytes that were read, the handshake's first.
    pub(crate) first: Vec<u8>,
    /// How it goes over the wire.
    pub(crate) wire: Wire,
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("info_hash", &self.info_hash)
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

/// On which terms connections are taken.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The route that is listened on: its hops, and which opening of it.
    pub(crate) by: (u8, u64),
    /// Whether plain, encrypted or both, and how long handshakes may take.
    pub(crate) settings: Live,
    /// What can be asked for under cover.
    pub(crate) tags: Arc<Tags>,
    /// Of the keys and pads.
    pub(crate) seed: u64,
    /// Where is told of those who come.
    pub(crate) events: Hub,
}

/// Takes connections until the receiver of `arrivals` is gone.
///
/// A connection holds its place in the [`Crowd`] until it has named a torrent or is given up.
pub(crate) async fn listen(
    mut door: Box<dyn Listener>,
    arrivals: mpsc::Sender<Arrival>,
    pool: Pool,
    terms: Terms,
) {
    let terms = Arc::new(terms);
    let toll = RateLimiter::new(Some(AGREEMENTS_PER_S));
    let crowd = Arc::<Crowd>::default();
    while !arrivals.is_closed() {
        let (stream, from) = match door.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for a moment");
                sleep(RECOVERY).await;
                continue;
            }
        };
        if !terms.takes(stream.is_utp()) {
            continue;
        }
        let Some(guest) = Crowd::enter(&crowd, from.ip()) else {
            continue;
        };
        let number = guest.number();
        let (arrivals, terms, toll) = (arrivals.clone(), Arc::clone(&terms), toll.clone());
        let patience = terms.settings.get().connections.handshake_timeout;
        let greeting = async move {
            let named = timeout(patience, terms.greet(stream, &toll, number)).await;
            drop(guest);
            if let Ok(Some(arrival)) = named {
                Counters::add(&terms.events.counters().incoming, 1);
                let came = || Event::Incoming { addr: from };
                terms.events.tell_of(Category::Connections, came);
                let _ = arrivals.send(arrival).await;
            }
        };
        crowd.stay(number, pool.spawn(greeting));
    }
}

impl Terms {
    /// Whether peers may connect so. Circuits carry what they carry, whatever the settings say of the direct way.
    fn takes(&self, utp: bool) -> bool {
        let settings = self.settings.get();
        let (hops, _) = self.by;
        hops > 0
            || if utp {
                settings.connections.incoming_utp
            } else {
                settings.connections.incoming_tcp
            }
    }

    /// Reads as far as the info-hash; `None` where the stream is not of this protocol, or not as it has to be.
    async fn greet(
        &self,
        mut stream: BoxStream,
        toll: &RateLimiter,
        number: u64,
    ) -> Option<Arrival> {
        let encryption = self.settings.get().encryption.peers;
        let mut first = Vec::with_capacity(1024);
        while first.len() < PROTOCOL.len() && is_plain(&first) {
            read(&mut stream, &mut first).await?;
        }
        let mut wire = Wire::Plain;
        let mut asked = None;
        if !is_plain(&first) {
            let reception = self.reception(encryption.choice()?, toll, number);
            let covered = cover::accepted(stream, first, reception).await;
            let covered = covered
                .inspect_err(|error| tracing::trace!(%error, "no handshake under cover"))
                .ok()?;
            (stream, first, wire) = (covered.stream, covered.first, covered.wire);
            asked = Some(covered.info_hash);
        } else if !encryption.takes_plain() {
            return None;
        }
        while first.len() < NAMED {
            if !is_plain(&first) {
                return None;
            }
            read(&mut stream, &mut first).await?;
        }
        let named = InfoHash(*first.get(NAMED - 20..)?.first_chunk::<20>()?);
        Some(Arrival {
            by: self.by,
            info_hash: asked.unwrap_or(named),
            stream,
            first,
            wire,
        })
    }

    fn reception(&self, choice: Choice, toll: &RateLimiter, number: u64) -> Reception<'_> {
        Reception {
            machine: Acceptor::new(choice),
            torrents: &self.tags,
            toll: toll.throttle(),
            rng: StdRng::seed_from_u64(self.seed ^ number.rotate_left(32)),
        }
    }
}

async fn read(stream: &mut BoxStream, into: &mut Vec<u8>) -> Option<()> {
    let came = stream.read_buf(into).await.ok()?;
    (came > 0).then_some(())
}

/// Whether the bytes can be the beginning of a plain handshake.
fn is_plain(first: &[u8]) -> bool {
    first.iter().zip(&PROTOCOL).all(|(is, due)| is == due)
}
