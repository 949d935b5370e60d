//! What one datagram is answered.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, SocketAddr};

use protocol::id::InfoHash;
use protocol::tracker::udp::{Asked, Family, read_options};
use protocol::tracker::{Announce, AnnounceEvent, ScrapeEntry};
use rand::Rng;

use super::ConnectionIds;
use crate::access::{Access, Refusal};
use crate::clock::Moment;
use crate::policy::Policy;
use crate::swarms::{Announced, Event, Picked, Report, Swarms};

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// Peers that fit a datagram on every network: 1,232 bytes with a head of 20.
const MOST_V4: usize = 202;
const MOST_V6: usize = 67;

/// Answers datagrams. One for each thread: it has room that is used again.
#[derive(Debug)]
pub struct Answerer<'a> {
    /// The swarms.
    pub swarms: &'a Swarms,
    /// Who may announce what.
    pub access: &'a Access,
    /// Connection ids, the same in all threads.
    pub ids: &'a ConnectionIds,
    /// What peers are told.
    pub policy: Policy,
    /// Instead of loopback addresses of peers.
    pub external_ip: Option<IpAddr>,
    /// Room.
    pub picked: Picked,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A connection id.
    Connect,
    /// Peers.
    Announce,
    /// Numbers.
    Scrape,
    /// A refusal, to a proven address.
    Refusal,
}

/// Why a datagram gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is no request, or one with impossible fields.
    Alien,
    /// Its connection id is forged, too old, or of another address.
    Unproven,
    /// It came from port 0.
    NoPort,
}

impl Answerer<'_> {
    /// Adds the answer to a datagram to `out`.
    ///
    /// # Errors
    /// [`Silence`] where there is none; `out` is as it was.
    pub fn answer(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now: Moment,
        rng: &mut impl Rng,
        out: &mut Vec<u8>,
    ) -> Result<Answer, Silence> {
        if from.port() == 0 {
            return Err(Silence::NoPort);
        }
        let second = now.second();
        let ip = from.ip().to_canonical();
        match Asked::decode(datagram).map_err(|_| Silence::Alien)? {
            Asked::Connect { transaction } => {
                words(out, [CONNECT, transaction]);
                out.extend_from_slice(&self.ids.give(ip, second).to_be_bytes());
                Ok(Answer::Connect)
            }
            Asked::Announce {
                connection,
                transaction,
                announce,
                options,
            } => {
                if !self.ids.is_good(connection, ip, second) {
                    return Err(Silence::Unproven);
                }
                if let Err(refusal) = self.check(&announce.info_hash, options, now) {
                    words(out, [ERROR, transaction]);
                    out.extend_from_slice(refusal.to_string().as_bytes());
                    return Ok(Answer::Refusal);
                }
                self.announce((transaction, &announce), (ip, from), now, rng, out);
                Ok(Answer::Announce)
            }
            Asked::Scrape {
                connection,
                transaction,
                torrents,
            } => {
                if !self.ids.is_good(connection, ip, second) {
                    return Err(Silence::Unproven);
                }
                words(out, [SCRAPE, transaction]);
                for torrent in torrents {
                    let torrent = InfoHash(*torrent);
                    // A scrape has no place for a key.
                    let entry = match self.access.check(&torrent, None, now.unix()) {
                        Ok(()) => self.swarms.scrape(&torrent),
                        Err(_) => ScrapeEntry::default(),
                    };
                    words(out, [entry.complete, entry.downloaded, entry.incomplete]);
                }
                Ok(Answer::Scrape)
            }
        }
    }

    /// Whether a torrent may be announced; the key is in the path that the client's URL has (BEP 41): `/announce/KEY`.
    fn check(&self, info_hash: &InfoHash, options: &[u8], now: Moment) -> Result<(), Refusal> {
        if !self.access.mode().private {
            return self.access.check_torrent(info_hash);
        }
        let path = read_options(options);
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let key = path.strip_prefix(b"/announce/").map(str::from_utf8);
        let key = key.transpose().map_err(|_| Refusal::BadKey)?;
        self.access.check(info_hash, key, now.unix())
    }

    fn announce(
        &mut self,
        (transaction, announce): (u32, &Announce),
        (ip, from): (IpAddr, SocketAddr),
        now: Moment,
        rng: &mut impl Rng,
        out: &mut Vec<u8>,
    ) {
        let family = Family::of(&SocketAddr::new(ip, from.port()));
        let ip = match self.external_ip {
            Some(external) if ip.is_loopback() && external.is_ipv4() == ip.is_ipv4() => external,
            _ => ip,
        };
        let most = match family {
            Family::V4 => MOST_V4,
            Family::V6 => MOST_V6,
        };
        let announced = Announced {
            info_hash: announce.info_hash,
            peer_id: announce.peer_id,
            addr: SocketAddr::new(ip, announce.port),
            seeder: announce.left == Some(0),
            stopped: announce.event == AnnounceEvent::Stopped,
            report: report(announce),
            want: self.policy.want(announce.num_want).min(most),
            mixed: false,
        };
        self.picked.clear();
        let standing = self
            .swarms
            .announce(&announced, now.seconds(), rng, &mut self.picked);
        words(
            out,
            [
                ANNOUNCE,
                transaction,
                self.policy.interval,
                standing.counts.leechers,
                standing.counts.seeders,
            ],
        );
        match family {
            Family::V4 => out.extend_from_slice(self.picked.v4.as_flattened()),
            Family::V6 => out.extend_from_slice(self.picked.v6.as_flattened()),
        }
    }
}

/// What a client tells of its transfer.
pub(crate) fn report(announce: &Announce) -> Report {
    Report {
        uploaded: announce.uploaded,
        downloaded: announce.downloaded,
        left: announce.left.unwrap_or(u64::MAX),
        event: match announce.event {
            AnnounceEvent::Completed => Event::Completed,
            AnnounceEvent::Paused => Event::Paused,
            AnnounceEvent::Started => Event::Started,
            AnnounceEvent::None | AnnounceEvent::Stopped => Event::None,
        },
    }
}

fn words<const N: usize>(out: &mut Vec<u8>, words: [u32; N]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
