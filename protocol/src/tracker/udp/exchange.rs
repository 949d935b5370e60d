//! One question to one UDP tracker, with connecting and retransmission (BEP 15, "Time outs").

use std::time::{Duration, Instant};

use rand::Rng;

use super::{Family, Request, Response};
use crate::fault::Fault;
use crate::id::InfoHash;
use crate::tracker::{Announce, AnnounceReply, ScrapeEntry, TrackerPeer};

/// How long a client may use a connection id: 60 s (BEP 15).
const CONNECTION_LIFE: Duration = Duration::from_mins(1);

/// A connection id and when it was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    id: u64,
    since: Instant,
}

/// When to ask again: after `base * 2^n`, for `n` from 0 to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Time until the first retransmission.
    pub base: Duration,
    /// The last `n`; when its time is over, the exchange has failed.
    pub last: u32,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// An announce, and path and query of the tracker's URL (see [`super::url_data`]).
    Announce(Announce, Vec<u8>),
    /// A scrape of at most [`crate::tracker::MAX_SCRAPE`] torrents.
    Scrape(Vec<InfoHash>),
}

/// What the tracker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To an announce.
    Announce(AnnounceReply),
    /// To a scrape: one entry for each torrent asked for, in that order; fewer where the tracker cuts.
    Scrape(Vec<ScrapeEntry>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The tracker refuses.
    #[error("the tracker says: {0}")]
    Refused(String),
    /// No answer, though asked as often as the schedule says.
    #[error("the tracker does not answer")]
    TimedOut,
}

impl ExchangeError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Refused(_) => Fault::Peer,
            Self::TimedOut => Fault::Network,
        }
    }
}

/// One question to one tracker: sends connect and question, again when no answer comes, and matches the answers.
///
/// The caller sends what [`Exchange::poll_transmit`] gives until that is `None`, hands datagrams from the tracker's
/// address to [`Exchange::handle_datagram`], and calls [`Exchange::handle_timeout`] when [`Exchange::poll_timeout`]
/// says so. The connection may be handed to the next exchange with the same address.
#[derive(Debug)]
pub struct Exchange {
    ask: Ask,
    family: Family,
    schedule: Schedule,
    connection: Option<Connection>,
    /// Whether `connection` came from an earlier exchange.
    borrowed: bool,
    /// The transaction of the last datagram. Retransmissions repeat it, so that a late answer counts.
    transaction: Option<u32>,
    /// Waits that were in vain. The first connection starts the count anew, later ones do not: a tracker that
    /// connects and never answers is given up.
    waited: u32,
    connected: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A datagram is due.
    Send,
    /// Waiting for the answer to what went out at `since`.
    Wait {
        since: Instant,
        connecting: bool,
    },
    Done,
}

impl Default for Schedule {
    /// BEP 15: 15 s, doubled eight times; given up after 3840 s more.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(15),
            last: 8,
        }
    }
}

impl Schedule {
    /// How long to wait after `n` waits in vain.
    fn wait(&self, n: u32) -> Duration {
        self.base.saturating_mul(2_u32.saturating_pow(n.min(16)))
    }
}

impl Connection {
    /// Whether a client may still use it.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < CONNECTION_LIFE
    }
}

impl Exchange {
    /// A question that goes out with the next [`Exchange::poll_transmit`]; `connection` is that of an earlier exchange
    /// with the same address, if there was one.
    pub const fn new(
        ask: Ask,
        family: Family,
        schedule: Schedule,
        connection: Option<Connection>,
    ) -> Self {
        Self {
            ask,
            family,
            schedule,
            connection,
            borrowed: connection.is_some(),
            transaction: None,
            waited: 0,
            connected: false,
            state: State::Send,
        }
    }

    /// The datagram to send now, if one is due.
    pub fn poll_transmit(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Vec<u8>> {
        if self.state != State::Send {
            return None;
        }
        let connection = self
            .connection
            .filter(|connection| connection.is_fresh(now));
        if connection.is_none() && self.connection.take().is_some() {
            self.transaction = None;
        }
        let transaction = *self.transaction.get_or_insert_with(|| rng.next_u32());
        self.state = State::Wait {
            since: now,
            connecting: connection.is_none(),
        };
        let request = match (connection, &self.ask) {
            (None, _) => Request::Connect { transaction },
            (Some(Connection { id, .. }), Ask::Announce(announce, url_data)) => Request::Announce {
                connection: id,
                transaction,
                announce: announce.clone(),
                url_data: url_data.clone(),
            },
            (Some(Connection { id, .. }), Ask::Scrape(torrents)) => Request::Scrape {
                connection: id,
                transaction,
                torrents: torrents.clone(),
            },
        };
        Some(request.encode())
    }

    /// Takes a datagram from the tracker's address; `None` where it is not the answer.
    ///
    /// # Errors
    /// [`ExchangeError::Refused`].
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<Option<Reply>, ExchangeError> {
        let State::Wait { connecting, .. } = self.state else {
            return Ok(None);
        };
        let Ok(response) = Response::decode(datagram, self.family) else {
            return Ok(None);
        };
        if Some(response.transaction()) != self.transaction {
            return Ok(None);
        }
        match response {
            Response::Connect { connection: id, .. } if connecting => {
                self.connection = Some(Connection { id, since: now });
                self.borrowed = false;
                if !std::mem::replace(&mut self.connected, true) {
                    self.waited = 0;
                }
                self.send_anew();
                Ok(None)
            }
            Response::Announce {
                interval,
                leechers,
                seeders,
                peers,
                ..
            } if !connecting && matches!(self.ask, Ask::Announce(..)) => {
                self.state = State::Done;
                Ok(Some(Reply::Announce(AnnounceReply {
                    interval: Some(Duration::from_secs(interval.into())),
                    complete: Some(seeders),
                    incomplete: Some(leechers),
                    peers: peers
                        .into_iter()
                        .filter(|peer| peer.port() != 0)
                        .map(TrackerPeer::new)
                        .collect(),
                    ..AnnounceReply::default()
                })))
            }
            Response::Scrape { mut entries, .. } if !connecting => {
                let Ask::Scrape(torrents) = &self.ask else {
                    return Ok(None);
                };
                entries.truncate(torrents.len());
                self.state = State::Done;
                Ok(Some(Reply::Scrape(entries)))
            }
            // The tracker may have forgotten a connection of an earlier exchange: one fresh try.
            Response::Error { .. } if self.borrowed && !connecting => {
                self.connection = None;
                self.borrowed = false;
                self.send_anew();
                Ok(None)
            }
            Response::Error { message, .. } => {
                self.state = State::Done;
                Err(ExchangeError::Refused(message))
            }
            Response::Connect { .. } | Response::Announce { .. } | Response::Scrape { .. } => {
                Ok(None)
            }
        }
    }

    /// Makes the next datagram due where the wait for an answer is over.
    ///
    /// # Errors
    /// [`ExchangeError::TimedOut`] after the last wait of the schedule.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ExchangeError> {
        if self.poll_timeout().is_none_or(|(at, _)| at > now) {
            return Ok(());
        }
        if self.waited >= self.schedule.last {
            self.state = State::Done;
            return Err(ExchangeError::TimedOut);
        }
        self.waited = self.waited.saturating_add(1);
        self.state = State::Send;
        Ok(())
    }

    const fn send_anew(&mut self) {
        self.transaction = None;
        self.state = State::Send;
    }

    /// When [`Exchange::handle_timeout`] is due, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let State::Wait { since, connecting } = self.state else {
            return None;
        };
        let wait = self.schedule.wait(self.waited);
        let reason = if connecting { "connect" } else { "answer" };
        since.checked_add(wait).map(|at| (at, reason))
    }

    /// The connection, for the next exchange with the same address.
    pub const fn connection(&self) -> Option<Connection> {
        self.connection
    }

    /// Whether the exchange has ended, by an answer or an error.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }
}
