//! What events look like as lines of JSON.

use std::path::Path;

use engine::{EngineHandle, Event, TorrentId};
use serde_json::{Map, Value, json};

use crate::failure::plain;
use crate::json::seconds;
use crate::source::shown_hash;

/// What the line of an event has beside its word: the torrent first, by its info-hash as far as that is known.
pub(crate) fn fields(
    event: &Event,
    hash: impl Fn(TorrentId) -> Option<String>,
) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("event".to_owned(), event.word().into());
    if let Some(hash) = torrent_of(event).and_then(hash) {
        line.insert("info_hash".to_owned(), hash.into());
    }
    if let Value::Object(more) = more(event) {
        line.extend(more);
    }
    // What the system says is for people, too.
    if let Some(Value::String(error)) = line.get_mut("error") {
        *error = plain(error);
    }
    line
}

/// The torrent that an event is about.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the engine may tell of more than is told here"
)]
pub(crate) fn torrent_of(event: &Event) -> Option<TorrentId> {
    match event {
        Event::Added { id, .. }
        | Event::BlockAsked { id, .. }
        | Event::BlockDropped { id, .. }
        | Event::BlockReceived { id, .. }
        | Event::BlockRequested { id, .. }
        | Event::BlockSent { id, .. }
        | Event::BlockTimedOut { id, .. }
        | Event::BlockUnwanted { id, .. }
        | Event::CheckFinished { id, .. }
        | Event::DataDeleted { id }
        | Event::DeleteFailed { id, .. }
        | Event::DhtPeers { id, .. }
        | Event::DuePiece { id, .. }
        | Event::Error { id, .. }
        | Event::FilesCompleted { id, .. }
        | Event::FilesRenamed { id, .. }
        | Event::Finished { id, .. }
        | Event::InvalidRequest { id, .. }
        | Event::LocalData { id, .. }
        | Event::LocalPeer { id, .. }
        | Event::MetadataFailed { id }
        | Event::MetadataReceived { id, .. }
        | Event::MoveFailed { id, .. }
        | Event::Moved { id, .. }
        | Event::Newer { id, .. }
        | Event::Paused { id }
        | Event::PeerBanned { id, .. }
        | Event::PeerBlocked { id, .. }
        | Event::PeerConnected { id, .. }
        | Event::PeerDisconnected { id, .. }
        | Event::PeerError { id, .. }
        | Event::PeerSends { id, .. }
        | Event::PeerSnubs { id, .. }
        | Event::PieceFailed { id, .. }
        | Event::PieceFinished { id, .. }
        | Event::PrioritiesSet { id }
        | Event::Recovered { id }
        | Event::Removed { id, .. }
        | Event::ResumeRejected { id, .. }
        | Event::Resumed { id }
        | Event::Reused { id, .. }
        | Event::Route { id, .. }
        | Event::SeedingDone { id, .. }
        | Event::StateChanged { id, .. }
        | Event::TrackerAnnounce { id, .. }
        | Event::TrackerError { id, .. }
        | Event::TrackerId { id, .. }
        | Event::TrackersChanged { id, .. }
        | Event::TrackerReply { id, .. }
        | Event::TrackerWarning { id, .. }
        | Event::Unsaved { id, .. }
        | Event::WebSeedBanned { id, .. }
        | Event::WebSeedError { id, .. } => Some(*id),
        _ => None,
    }
}

/// What is told of an event beside its torrent.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the engine may tell of more than is told here"
)]
fn more(event: &Event) -> Value {
    let peer = of_peer(event);
    if !peer.is_null() {
        return peer;
    }
    let outer = of_network(event);
    if !outer.is_null() {
        return outer;
    }
    let shown = |path: &Path| path.display().to_string();
    match event {
        Event::CheckFinished { good, .. } => json!({"good": good}),
        Event::DeleteFailed { path, reason, .. } => {
            json!({"path": shown(path), "error": &**reason})
        }
        Event::DhtPeers { peers, .. } => json!({"peers": peers}),
        Event::DuePiece { piece, late, .. } => json!({"piece": piece, "late": seconds(*late)}),
        Event::Error { error, .. } => json!({"error": error.to_string()}),
        Event::ExternalIp { ip } => json!({"ip": ip.to_string()}),
        Event::FilesCompleted { files, .. } => json!({"files": &**files}),
        Event::FilesRenamed { files, .. } => {
            let files = files.iter();
            let files = files.map(|(index, path)| json!({"index": index, "path": shown(path)}));
            json!({"files": files.collect::<Vec<_>>()})
        }
        Event::Finished { after, fetched, .. } => {
            json!({"seconds": seconds(*after), "fetched": fetched})
        }
        Event::LocalData { files, .. } => json!({
            "files": files.len(),
            "bytes": files.iter().map(|file| file.len).sum::<u64>(),
        }),
        Event::LowSpace { dir, free } | Event::SpaceBack { dir, free } => {
            json!({"dir": shown(dir), "free": free})
        }
        Event::MetadataReceived { metainfo, .. } => {
            json!({"name": metainfo.name(), "size": metainfo.content_len()})
        }
        Event::Moved { from, dir, .. } => json!({"from": shown(from), "dir": shown(dir)}),
        Event::MoveFailed { dir, error, .. } => {
            json!({"dir": shown(dir), "error": error.to_string()})
        }
        Event::Newer { published, .. } => {
            json!({"newer": published.info_hash.to_string(), "seq": published.seq})
        }
        Event::Performance { warning } => json!({"warning": warning.to_string()}),
        Event::PieceFailed { piece, .. } | Event::PieceFinished { piece, .. } => {
            json!({"piece": piece})
        }
        Event::ResumeRejected { why, .. } => json!({"error": why.to_string()}),
        Event::Reused { pieces, bytes, .. } => json!({"pieces": pieces, "bytes": bytes}),
        Event::Route { hops, blocked, .. } => json!({"hops": hops, "blocked": blocked.as_deref()}),
        Event::Stats { metrics } => {
            let figures = metrics.iter();
            let figures = figures.map(|it| (it.about.name.to_owned(), it.value.into()));
            json!({"metrics": Value::Object(figures.collect())})
        }
        Event::SeedingDone { end, .. } => json!({"end": end.word()}),
        Event::StateChanged { was, is, .. } => json!({"was": was.word(), "is": is.word()}),
        Event::TrackerAnnounce { url, .. } | Event::WebSeedBanned { url, .. } => {
            json!({"url": url})
        }
        Event::TrackerError { url, reason, .. } | Event::WebSeedError { url, reason, .. } => {
            json!({"url": url, "error": reason})
        }
        Event::TrackerId {
            url, tracker_id, ..
        } => json!({"url": url, "tracker_id": tracker_id}),
        Event::TrackersChanged { trackers, .. } => json!({"trackers": trackers}),
        Event::TrackerReply { url, peers, .. } => json!({"url": url, "peers": peers}),
        Event::TrackerWarning { url, message, .. } => json!({"url": url, "message": message}),
        Event::Unsaved { path, reason, .. } => json!({"path": shown(path), "error": reason}),
        _ => Value::Null,
    }
}

/// What is told of an event about the DHT, a way out or a port of the gateway.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the engine may tell of more than is told here"
)]
fn of_network(event: &Event) -> Value {
    match event {
        Event::DhtAnnounced {
            from,
            info_hash,
            port,
        } => json!({"addr": from.to_string(), "hash": info_hash.to_string(), "port": port}),
        Event::DhtAsked {
            from: addr,
            info_hash,
        }
        | Event::DhtAsks {
            to: addr,
            info_hash,
        } => json!({"addr": addr.to_string(), "hash": info_hash.to_string()}),
        Event::DhtFailed { reason } | Event::LocalFailed { reason } => {
            json!({"error": &**reason})
        }
        Event::MapFailed { port } => json!({"port": port}),
        Event::Mapped { port } => {
            let mut fields = json!({
                "transport": port.transport.to_string(),
                "port": port.internal,
                "external_port": port.external,
                "by": port.by.to_string(),
            });
            if let (Some(ip), Value::Object(fields)) = (port.ip, &mut fields) {
                fields.insert("external_ip".to_owned(), ip.to_string().into());
            }
            fields
        }
        Event::NetworkDown { hops, reason } => json!({"hops": hops, "error": &**reason}),
        Event::NetworkUp { hops } => json!({"hops": hops}),
        _ => Value::Null,
    }
}

/// What is told of an event about a peer, or an address.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the engine may tell of more than is told here"
)]
fn of_peer(event: &Event) -> Value {
    match event {
        Event::BlockAsked {
            addr,
            piece,
            begin,
            len,
            ..
        }
        | Event::InvalidRequest {
            addr,
            piece,
            begin,
            len,
            ..
        }
        | Event::BlockSent {
            addr,
            piece,
            begin,
            len,
            ..
        } => json!({"addr": addr.to_string(), "piece": piece, "begin": begin, "len": len}),
        Event::BlockDropped {
            addr, piece, block, ..
        }
        | Event::BlockReceived {
            addr, piece, block, ..
        }
        | Event::BlockRequested {
            addr, piece, block, ..
        }
        | Event::BlockTimedOut {
            addr, piece, block, ..
        } => json!({"addr": addr.to_string(), "piece": piece, "block": block}),
        Event::BlockUnwanted { addr, len, .. } => json!({"addr": addr.to_string(), "len": len}),
        Event::Incoming { addr }
        | Event::Listening { addr }
        | Event::LocalPeer { addr, .. }
        | Event::PeerSends { addr, .. }
        | Event::PeerSnubs { addr, .. } => json!({"addr": addr.to_string()}),
        Event::PeerBanned { ip, .. } => json!({"ip": ip.to_string()}),
        Event::PeerBlocked { addr, why, .. } => {
            json!({"addr": addr.to_string(), "error": why.to_string()})
        }
        Event::PeerConnected {
            addr,
            outgoing,
            utp,
            ..
        } => json!({"addr": addr.to_string(), "outgoing": outgoing, "utp": utp}),
        Event::PeerDisconnected {
            addr,
            outgoing,
            was_there,
            why,
            ..
        } => json!({
            "addr": addr.to_string(),
            "outgoing": outgoing,
            "was_there": was_there,
            "error": why.to_string(),
        }),
        Event::PeerError { addr, reason, .. } => {
            json!({"addr": addr.to_string(), "error": &**reason})
        }
        _ => Value::Null,
    }
}

/// The info-hash that a torrent is known by, as far as its engine has told of it.
pub(crate) fn hash_of(engine: &EngineHandle, id: TorrentId) -> Option<String> {
    engine.status(id).map(|status| shown_hash(status.hashes))
}
