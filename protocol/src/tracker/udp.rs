//! UDP trackers (BEP 15): datagrams of both sides, and the client's side as a machine, [`Exchange`].
//!
//! # Format
//! Everything is big-endian. Requests: connection id `u64` (the magic number for connect), action `u32`, transaction
//! `u32`, body. Responses: action, transaction, body. Behind the 98 bytes of an announce, options may follow (BEP 41).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddr;

use crate::id::InfoHash;
use crate::tracker::{Announce, MAX_SCRAPE, ScrapeEntry, compact};

mod announce;
mod exchange;
mod fields;

pub use announce::read_options;
use announce::{read_announce, write_announce, write_options};
pub use exchange::{Ask, Connection, Exchange, ExchangeError, Reply, Schedule};
use fields::Fields;

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

/// Whether a datagram may be a tracker's, by its action: neither those of uTP (BEP 29) nor those of the DHT (BEP 5) begin
/// like one. Whose it is shows its transaction.
pub const fn is_likely_response(datagram: &[u8]) -> bool {
    matches!(datagram, [0, 0, 0, 0..=3, _, _, _, _, ..])
}

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

/// A datagram of a client, as a server reads it: lists stay where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
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
        /// What is told.
        announce: Announce,
        /// The options behind it (BEP 41), for [`read_options`].
        options: &'a [u8],
    },
    /// Scrapes.
    Scrape {
        /// From the tracker's connect response.
        connection: u64,
        /// Chosen by the client, repeated by the tracker.
        transaction: u32,
        /// The torrents, at most [`MAX_SCRAPE`].
        torrents: &'a [[u8; 20]],
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

    /// Reads a client's datagram as [`Asked::decode`] does.
    ///
    /// # Errors
    /// [`DecodeError`]; a server does not answer such datagrams.
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        Ok(match Asked::decode(datagram)? {
            Asked::Connect { transaction } => Self::Connect { transaction },
            Asked::Announce {
                connection,
                transaction,
                announce,
                options,
            } => Self::Announce {
                connection,
                transaction,
                announce,
                url_data: read_options(options),
            },
            Asked::Scrape {
                connection,
                transaction,
                torrents,
            } => Self::Scrape {
                connection,
                transaction,
                torrents: torrents.iter().map(|hash| InfoHash(*hash)).collect(),
            },
        })
    }
}

impl<'a> Asked<'a> {
    /// Reads a client's datagram without any memory of its own. A scrape of more than [`MAX_SCRAPE`] torrents is cut.
    ///
    /// # Errors
    /// [`DecodeError`]; a server does not answer such datagrams.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
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
                options: fields.rest,
            }),
            SCRAPE => {
                let torrents = fields.rest.as_chunks::<20>().0;
                Ok(Self::Scrape {
                    connection,
                    transaction,
                    torrents: torrents.get(..MAX_SCRAPE).unwrap_or(torrents),
                })
            }
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

#[cfg(test)]
mod tests;
