//! UDP trackers (BEP 15): datagrams of both sides, and in [`exchange`] the client's side as a machine.
//!
//! # Format
//! Everything is big-endian. Requests: connection id `u64` (the magic number for connect), action `u32`, transaction
//! `u32`, body. Responses: action, transaction, body. Behind the 98 bytes of an announce, options may follow (BEP 41).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddr;

use crate::id::{InfoHash, PeerId};
use crate::tracker::{Announce, AnnounceEvent, MAX_SCRAPE, ScrapeEntry, UNKNOWN_LEFT, compact};

mod exchange;

pub use exchange::{Ask, Connection, Exchange, ExchangeError, Reply, Schedule};

/// The connection id of a connect request.
pub const MAGIC: u64 = 0x0000_0417_2710_1980;

/// The longest datagram that is sent or read: an announce response of 200 IPv6 peers has 3620 bytes.
pub const MAX_DATAGRAM: usize = 4096;

/// Bytes of path and query that an announce carries at most (BEP 41): eight options.
const MAX_URL_DATA: usize = 8 * 255;

/// Characters of an error message that are kept.
const MAX_MESSAGE_CHARS: usize = 500;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_URL_DATA: u8 = 2;

/// A datagram of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for a connection id.
    Connect {
        /// Chosen by the client, repeated by the tracker.
        transaction: u32,
    },
    /// Announces.
    Announce {
        /// From the tracker's connect response.
        connection: u64,
        /// Chosen by the client, repeated by the tracker.
        transaction: u32,
        /// What is told; `Paused` becomes `None`, `tracker_id` and `ipv6` do not travel.
        announce: Announce,
        /// Path and query of the tracker's URL (BEP 41); empty for none.
        url_data: Vec<u8>,
    },
    /// Scrapes.
    Scrape {
        /// From the tracker's connect response.
        connection: u64,
        /// Chosen by the client, repeated by the tracker.
        transaction: u32,
        /// The torrents, at most [`MAX_SCRAPE`].
        torrents: Vec<InfoHash>,
    },
}

/// A datagram of a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Gives a connection id.
    Connect {
        /// The request's.
        transaction: u32,
        /// Valid for a minute (client) or two (tracker).
        connection: u64,
    },
    /// Answers an announce.
    Announce {
        /// The request's.
        transaction: u32,
        /// Seconds until the next announce.
        interval: u32,
        /// Peers that have not everything.
        leechers: u32,
        /// Peers that have.
        seeders: u32,
        /// Peers, all of the family that the request came by, port 0 included.
        peers: Vec<SocketAddr>,
    },
    /// Answers a scrape, in the order of the request.
    Scrape {
        /// The request's.
        transaction: u32,
        /// One entry a torrent.
        entries: Vec<ScrapeEntry>,
    },
    /// Refuses.
    Error {
        /// The request's.
        transaction: u32,
        /// The tracker's words.
        message: String,
    },
}

/// The family of the socket: it decides the size of the peers in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Peers of 6 bytes.
    V4,
    /// Peers of 18 bytes.
    V6,
}

/// Why a datagram is none of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The action is unknown, or a connect request lacks the magic number.
    #[error("not a datagram of a UDP tracker")]
    Alien,
    /// A field has an impossible value: event or port.
    #[error("bad {0}")]
    Field(&'static str),
    /// The datagram ends too early.
    #[error("datagram of {len} bytes is too short")]
    Short {
        /// Its length.
        len: usize,
    },
}

impl Family {
    /// The family of an address.
    pub const fn of(addr: &SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }
}

impl Request {
    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Connect { transaction } => head(&mut out, MAGIC, CONNECT, *transaction),
            Self::Announce {
                connection,
                transaction,
                announce,
                url_data,
            } => {
                head(&mut out, *connection, ANNOUNCE, *transaction);
                write_announce(&mut out, announce);
                write_options(&mut out, url_data);
            }
            Self::Scrape {
                connection,
                transaction,
                torrents,
            } => {
                head(&mut out, *connection, SCRAPE, *transaction);
                for torrent in torrents.iter().take(MAX_SCRAPE) {
                    out.extend_from_slice(&torrent.0);
                }
            }
        }
        out
    }

    /// Reads a client's datagram. A scrape of more than [`MAX_SCRAPE`] torrents is cut.
    ///
    /// # Errors
    /// [`DecodeError`]; a server does not answer such datagrams.
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(datagram);
        let connection = fields.u64()?;
        let action = fields.u32()?;
        let transaction = fields.u32()?;
        match action {
            CONNECT if connection == MAGIC => Ok(Self::Connect { transaction }),
            ANNOUNCE => Ok(Self::Announce {
                connection,
                transaction,
                announce: read_announce(&mut fields)?,
                url_data: read_options(fields.rest),
            }),
            SCRAPE => Ok(Self::Scrape {
                connection,
                transaction,
                torrents: chunks::<20>(fields.rest)
                    .take(MAX_SCRAPE)
                    .map(|hash| InfoHash(*hash))
                    .collect(),
            }),
            _ => Err(DecodeError::Alien),
        }
    }
}

impl Response {
    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let mut words = |words: &[u32]| {
            for word in words {
                out.extend_from_slice(&word.to_be_bytes());
            }
        };
        match self {
            Self::Connect {
                transaction,
                connection,
            } => {
                words(&[CONNECT, *transaction]);
                out.extend_from_slice(&connection.to_be_bytes());
            }
            Self::Announce {
                transaction,
                interval,
                leechers,
                seeders,
                peers,
            } => {
                words(&[ANNOUNCE, *transaction, *interval, *leechers, *seeders]);
                for peer in peers {
                    compact::write_peer(&mut out, *peer);
                }
            }
            Self::Scrape {
                transaction,
                entries,
            } => {
                words(&[SCRAPE, *transaction]);
                for entry in entries {
                    words(&[entry.complete, entry.downloaded, entry.incomplete]);
                }
            }
            Self::Error {
                transaction,
                message,
            } => {
                words(&[ERROR, *transaction]);
                out.extend_from_slice(message.as_bytes());
            }
        }
        out
    }

    /// Reads a tracker's datagram that came by a socket of this family.
    ///
    /// # Errors
    /// [`DecodeError`]; a client goes on waiting.
    pub fn decode(datagram: &[u8], family: Family) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(datagram);
        let action = fields.u32()?;
        let transaction = fields.u32()?;
        match action {
            CONNECT => Ok(Self::Connect {
                transaction,
                connection: fields.u64()?,
            }),
            ANNOUNCE => Ok(Self::Announce {
                transaction,
                interval: fields.u32()?,
                leechers: fields.u32()?,
                seeders: fields.u32()?,
                peers: match family {
                    Family::V4 => compact::peers_v4(fields.rest).collect(),
                    Family::V6 => compact::peers_v6(fields.rest).collect(),
                },
            }),
            SCRAPE => Ok(Self::Scrape {
                transaction,
                entries: chunks::<12>(fields.rest).map(scrape_entry).collect(),
            }),
            ERROR => Ok(Self::Error {
                transaction,
                message: message(fields.rest),
            }),
            _ => Err(DecodeError::Alien),
        }
    }

    /// The transaction that is answered.
    pub const fn transaction(&self) -> u32 {
        match self {
            Self::Connect { transaction, .. }
            | Self::Announce { transaction, .. }
            | Self::Scrape { transaction, .. }
            | Self::Error { transaction, .. } => *transaction,
        }
    }
}

/// Path and query of a tracker's URL, as an announce carries them (BEP 41); empty where there are none.
pub fn url_data(tracker: &str) -> Vec<u8> {
    let url = tracker.split('#').next().unwrap_or_default();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find(['/', '?']).and_then(|at| rest.get(at..));
    let path = path.unwrap_or_default().as_bytes();
    path.get(..MAX_URL_DATA).unwrap_or(path).to_vec()
}

fn head(out: &mut Vec<u8>, connection: u64, action: u32, transaction: u32) {
    out.extend_from_slice(&connection.to_be_bytes());
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction.to_be_bytes());
}

fn write_announce(out: &mut Vec<u8>, announce: &Announce) {
    out.extend_from_slice(&announce.info_hash.0);
    out.extend_from_slice(announce.peer_id.as_bytes());
    let left = announce.left.unwrap_or(UNKNOWN_LEFT);
    for number in [announce.downloaded, left, announce.uploaded] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let event: u32 = match announce.event {
        AnnounceEvent::None | AnnounceEvent::Paused => 0,
        AnnounceEvent::Completed => 1,
        AnnounceEvent::Started => 2,
        AnnounceEvent::Stopped => 3,
    };
    let ip = announce.ipv4.map_or(0, u32::from);
    let num_want = announce.num_want.unwrap_or(u32::MAX);
    for number in [event, ip, announce.key, num_want] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&announce.port.to_be_bytes());
}

fn read_announce(fields: &mut Fields<'_>) -> Result<Announce, DecodeError> {
    let info_hash = InfoHash(fields.array()?);
    let peer_id = PeerId(fields.array()?);
    let downloaded = fields.u64()?;
    let left = fields.u64()?;
    let uploaded = fields.u64()?;
    let event = match fields.u32()? {
        0 => AnnounceEvent::None,
        1 => AnnounceEvent::Completed,
        2 => AnnounceEvent::Started,
        3 => AnnounceEvent::Stopped,
        _ => return Err(DecodeError::Field("event")),
    };
    let ip = fields.u32()?;
    let key = fields.u32()?;
    let num_want = fields.u32()?;
    let port = u16::from_be_bytes(fields.array()?);
    if port == 0 {
        return Err(DecodeError::Field("port"));
    }
    Ok(Announce {
        uploaded,
        downloaded,
        // -1 is said by clients that do not know it.
        left: Some(left).filter(|left| *left != u64::MAX),
        event,
        key,
        // Negative numbers leave it to the tracker.
        num_want: i32::try_from(num_want).is_ok().then_some(num_want),
        ipv4: (ip != 0).then(|| ip.into()),
        ..Announce::new(info_hash, peer_id, port)
    })
}

fn write_options(out: &mut Vec<u8>, url_data: &[u8]) {
    let url_data = url_data.get(..MAX_URL_DATA).unwrap_or(url_data);
    for part in url_data.chunks(255) {
        out.push(OPTION_URL_DATA);
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
}

/// The URL data of the options (BEP 41); options that end too early or are unknown end the list.
fn read_options(mut bytes: &[u8]) -> Vec<u8> {
    let mut url_data = Vec::new();
    while let Some((&option, rest)) = bytes.split_first() {
        bytes = match option {
            OPTION_NOP => rest,
            OPTION_URL_DATA => {
                let Some((&len, rest)) = rest.split_first() else {
                    break;
                };
                let Some((part, rest)) = rest.split_at_checked(len.into()) else {
                    break;
                };
                url_data.extend_from_slice(part);
                rest
            }
            OPTION_END => break,
            // Any other option has a length, too.
            _ => {
                let skip = rest.first().map(|len| usize::from(*len).saturating_add(1));
                match skip.and_then(|skip| rest.get(skip..)) {
                    Some(rest) => rest,
                    None => break,
                }
            }
        };
    }
    url_data
}

fn scrape_entry(bytes: &[u8; 12]) -> ScrapeEntry {
    let mut numbers = chunks::<4>(bytes).map(|number| u32::from_be_bytes(*number));
    let mut next = || numbers.next().unwrap_or(0);
    ScrapeEntry {
        complete: next(),
        downloaded: next(),
        incomplete: next(),
    }
}

fn message(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_MESSAGE_CHARS)
        .collect()
}

fn chunks<const N: usize>(bytes: &[u8]) -> std::slice::Iter<'_, [u8; N]> {
    bytes.as_chunks::<N>().0.iter()
}

/// Fields from the front of a datagram.
struct Fields<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Fields<'a> {
    const fn new(datagram: &'a [u8]) -> Self {
        Self {
            rest: datagram,
            len: datagram.len(),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Short { len: self.len })?;
        self.rest = rest;
        Ok(*field)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests;
