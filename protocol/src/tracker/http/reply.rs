//! Replies of HTTP trackers, both ways.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::bencode::{self, Dict, Encoder, Limits, List};
use crate::fault::Fault;
use crate::id::{InfoHash, PeerId};
use crate::tracker::{AnnounceReply, RetryIn, ScrapeEntry, TrackerPeer, compact};

/// Bytes of a reply that are looked at: 4 MiB hold 80 000 peers even as dictionaries.
pub const MAX_REPLY_LEN: usize = 4 * 1024 * 1024;

/// Characters of a text for people that are kept.
const MAX_TEXT_CHARS: usize = 500;

/// Peers named by host that are kept of one reply: each costs a look-up.
const MAX_NAMED_PEERS: usize = 50;

/// Why a reply is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The body is not bencode.
    #[error("the tracker's reply is unreadable: {0}")]
    Bencode(#[from] bencode::Error),
    /// The tracker refuses.
    #[error("the tracker says: {reason}")]
    Failure {
        /// Its words.
        reason: String,
        /// When to come back (BEP 31).
        retry_in: Option<RetryIn>,
    },
    /// The body is not of the form of a reply.
    #[error("the tracker's reply has no {0}")]
    Missing(&'static str),
}

impl ReplyError {
    /// Always the other side: the tracker.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// How a server writes peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerForm {
    /// 6 and 18 bytes each, in `peers` and `peers6` (BEP 23, BEP 7).
    Compact,
    /// Dictionaries (BEP 3).
    Dict,
    /// Dictionaries without peer ids (`no_peer_id=1`).
    DictNoPeerId,
}

/// Reads the body of an announce reply, whatever its form.
///
/// # Errors
/// [`ReplyError`]: a `failure reason` is one.
pub fn parse_announce(body: &[u8]) -> Result<AnnounceReply, ReplyError> {
    let dict = parse(body)?;
    let mut reply = AnnounceReply {
        interval: seconds(dict, b"interval"),
        min_interval: seconds(dict, b"min interval"),
        complete: count(dict, b"complete"),
        incomplete: count(dict, b"incomplete"),
        downloaded: count(dict, b"downloaded"),
        external_ip: dict.bytes(b"external ip").and_then(compact::ip),
        warning: dict.bytes(b"warning message").map(text),
        tracker_id: dict.bytes(b"tracker id").map(<[u8]>::to_vec),
        ..AnnounceReply::default()
    };
    let peers = dict.get(b"peers");
    if let Some(bytes) = peers.and_then(bencode::Value::as_bytes) {
        add(&mut reply, compact::peers_v4(bytes));
    } else if let Some(list) = peers.and_then(bencode::Value::as_list) {
        add_dicts(&mut reply, list);
    }
    if let Some(bytes) = dict.bytes(b"peers6") {
        add(&mut reply, compact::peers_v6(bytes));
    }
    Ok(reply)
}

/// Reads the body of a scrape reply (BEP 48).
///
/// # Errors
/// [`ReplyError`]: a `failure reason` is one.
pub fn parse_scrape(body: &[u8]) -> Result<BTreeMap<InfoHash, ScrapeEntry>, ReplyError> {
    let files = parse(body)?
        .dict(b"files")
        .ok_or(ReplyError::Missing("files"))?;
    let entry = |dict: Dict<'_>| ScrapeEntry {
        complete: count(dict, b"complete").unwrap_or(0),
        downloaded: count(dict, b"downloaded").unwrap_or(0),
        incomplete: count(dict, b"incomplete").unwrap_or(0),
    };
    Ok(files
        .into_iter()
        .filter_map(|(hash, value)| {
            let hash = InfoHash(hash.try_into().ok()?);
            Some((hash, entry(value.as_dict()?)))
        })
        .collect())
}

/// Writes an announce reply. Keys that hold nothing are left out, but for `complete`, `incomplete`, `interval`,
/// `peers` and (compact) `peers6`.
pub fn encode_announce(reply: &AnnounceReply, form: PeerForm) -> Vec<u8> {
    let mut e = Encoder::new();
    e.begin_dict();
    e.key(b"complete").int(reply.complete.unwrap_or(0).into());
    if let Some(downloaded) = reply.downloaded {
        e.key(b"downloaded").int(downloaded.into());
    }
    if let Some(ip) = reply.external_ip {
        let mut bytes = Vec::with_capacity(16);
        compact::write_ip(&mut bytes, ip);
        e.key(b"external ip").bytes(&bytes);
    }
    e.key(b"incomplete")
        .int(reply.incomplete.unwrap_or(0).into());
    let interval = reply.interval.unwrap_or(crate::tracker::DEFAULT_INTERVAL);
    e.key(b"interval").int(whole_seconds(interval));
    if let Some(min) = reply.min_interval {
        e.key(b"min interval").int(whole_seconds(min));
    }
    match form {
        PeerForm::Compact => {
            let list = |v6: bool| {
                let mut bytes = Vec::new();
                for peer in reply.peers.iter().filter(|p| p.addr.is_ipv6() == v6) {
                    compact::write_peer(&mut bytes, peer.addr);
                }
                bytes
            };
            e.key(b"peers").bytes(&list(false));
            e.key(b"peers6").bytes(&list(true));
        }
        PeerForm::Dict | PeerForm::DictNoPeerId => {
            e.key(b"peers").begin_list();
            for peer in &reply.peers {
                write_dict(&mut e, peer, form == PeerForm::Dict);
            }
            e.end();
        }
    }
    if let Some(id) = &reply.tracker_id {
        e.key(b"tracker id").bytes(id);
    }
    if let Some(warning) = &reply.warning {
        e.key(b"warning message").str(warning);
    }
    e.end();
    e.finish()
}

/// Writes a scrape reply.
pub fn encode_scrape(files: &BTreeMap<InfoHash, ScrapeEntry>) -> Vec<u8> {
    let mut e = Encoder::new();
    e.begin_dict().key(b"files").begin_dict();
    for (hash, entry) in files {
        e.key(&hash.0).begin_dict();
        e.key(b"complete").int(entry.complete.into());
        e.key(b"downloaded").int(entry.downloaded.into());
        e.key(b"incomplete").int(entry.incomplete.into());
        e.end();
    }
    e.end().end();
    e.finish()
}

/// Writes a refusal (BEP 3, BEP 31).
pub fn encode_failure(reason: &str, retry_in: Option<RetryIn>) -> Vec<u8> {
    let mut e = Encoder::new();
    e.begin_dict().key(b"failure reason").str(reason);
    match retry_in {
        None => {}
        Some(RetryIn::Never) => _ = e.key(b"retry in").str("never"),
        Some(RetryIn::After(time)) => {
            _ = e
                .key(b"retry in")
                .int(whole_seconds(time).saturating_add(59) / 60);
        }
    }
    e.end();
    e.finish()
}

fn parse(body: &[u8]) -> Result<Dict<'_>, ReplyError> {
    let limits = Limits::default().with_bytes(MAX_REPLY_LEN);
    let dict = bencode::decode(body, &limits)?
        .as_dict()
        .ok_or(ReplyError::Missing("dictionary"))?;
    match dict.bytes(b"failure reason") {
        None => Ok(dict),
        Some(reason) => Err(ReplyError::Failure {
            reason: text(reason),
            retry_in: retry_in(dict),
        }),
    }
}

fn retry_in(dict: Dict<'_>) -> Option<RetryIn> {
    let value = dict.get(b"retry in")?;
    if value.as_bytes() == Some(b"never") {
        return Some(RetryIn::Never);
    }
    // Some trackers write the number as a string.
    let minutes = value
        .as_int()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    let minutes = u32::try_from(minutes).ok()?;
    Some(RetryIn::After(Duration::from_mins(minutes.into())))
}

fn add(reply: &mut AnnounceReply, peers: impl Iterator<Item = SocketAddr>) {
    let usable = peers.filter(|peer| peer.port() != 0);
    reply.peers.extend(usable.map(TrackerPeer::new));
}

fn add_dicts(reply: &mut AnnounceReply, list: List<'_>) {
    for dict in list.iter().filter_map(bencode::Value::as_dict) {
        let port = dict.int(b"port").and_then(|port| u16::try_from(port).ok());
        let (Some(host), Some(port)) = (dict.get(b"ip").and_then(bencode::Value::as_str), port)
        else {
            continue;
        };
        if port == 0 {
            continue;
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            reply.peers.push(TrackerPeer {
                addr: SocketAddr::new(ip.to_canonical(), port),
                peer_id: dict
                    .bytes(b"peer id")
                    .and_then(|id| id.try_into().ok())
                    .map(PeerId),
            });
        } else if is_host_name(host) && reply.named_peers.len() < MAX_NAMED_PEERS {
            reply.named_peers.push((host.to_owned(), port));
        }
    }
}

fn is_host_name(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (1..=253).contains(&host.len()) && host.chars().all(allowed)
}

fn write_dict(e: &mut Encoder, peer: &TrackerPeer, with_id: bool) {
    e.begin_dict();
    e.key(b"ip").str(&peer.addr.ip().to_string());
    if let Some(id) = peer.peer_id.filter(|_| with_id) {
        e.key(b"peer id").bytes(id.as_bytes());
    }
    e.key(b"port").int(peer.addr.port().into());
    e.end();
}

fn seconds(dict: Dict<'_>, key: &[u8]) -> Option<Duration> {
    let seconds = dict.int(key)?;
    let seconds = u32::try_from(seconds).ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn count(dict: Dict<'_>, key: &[u8]) -> Option<u32> {
    dict.int(key).and_then(|n| u32::try_from(n).ok())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT_CHARS)
        .collect()
}
