//! What a download looks like.

use std::borrow::Cow;

use engine::{EngineHandle, Mode, Settings, State, TorrentStatus};
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::ledger::{Page, TrackerRow};
use super::peers::Peer;
use crate::asked::Era;
use crate::settings;
use crate::stream::watching::Begun;

/// A download.
#[derive(Debug, Serialize)]
pub(super) struct Download<'a> {
    name: &'a str,
    progress: f64,
    infohash: String,
    speed_down: u64,
    speed_up: u64,
    status: &'static str,
    size: u64,
    eta: f64,
    num_peers: u64,
    num_seeds: u64,
    num_connected_peers: usize,
    num_connected_seeds: usize,
    total_up: u64,
    total_down: u64,
    ratio: f64,
    trackers: Trackers<'a>,
    hops: u8,
    #[serde(rename = "anon_download")]
    anonymous: bool,
    safe_seeding: bool,
    max_upload_speed: u64,
    max_download_speed: u64,
    destination: Cow<'a, str>,
    availability: f64,
    total_pieces: u32,
    vod_mode: bool,
    vod_prebuffering_progress: f64,
    vod_prebuffering_progress_consec: f64,
    vod_header_progress: f64,
    vod_footer_progress: f64,
    error: String,
    time_added: i64,
    /// Whether it is the content of a channel; the older version tells whether it is there to earn credit. None is either.
    #[serde(rename = "channel_download", skip_serializing_if = "Option::is_none")]
    of_channel: Option<bool>,
    #[serde(rename = "credit_mining", skip_serializing_if = "Option::is_none")]
    for_credit: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<Vec<Peer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<File>>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct File {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) included: bool,
    pub(super) progress: f64,
}

/// What is told of a download where it is asked for.
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) peers: Option<Vec<Peer>>,
    pub(super) pieces: Option<String>,
    pub(super) files: Option<Vec<File>>,
    /// How many copies of it the connected peers have between them.
    pub(super) copies: Option<f64>,
    /// Of one that is watched: how much of what a player begins with is there.
    pub(super) begun: Option<Begun>,
}

/// What all downloads have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Common {
    /// Down, up.
    rates: [u64; 2],
    dht: bool,
    exchange: bool,
    era: Era,
}

impl Common {
    /// For the version that is asked for.
    pub(super) fn of(engine: &EngineHandle, era: Era) -> Self {
        let settings = engine.settings();
        let on = |path| {
            let value = Settings::key(path).map(|key| key.of(&settings));
            value == Some(engine::settings::Value::Bool(true))
        };
        Self {
            rates: settings::rates(engine),
            dht: on("dht.enabled"),
            exchange: on("peers.exchange"),
            era,
        }
    }
}

impl<'a> Download<'a> {
    pub(super) fn new(
        status: &'a TorrentStatus,
        page: &'a Page,
        more: More,
        common: &Common,
    ) -> Self {
        let [total_down, total_up] = [
            page.before[0].saturating_add(status.downloaded),
            page.before[1].saturating_add(status.uploaded),
        ];
        let connected = status.peers.saturating_sub(status.seeds);
        let progress = progress(status);
        let speed = (status.down_rate as f64).max(1e-6);
        let left = status.wanted.saturating_sub(status.done) as f64;
        let begun = |of: fn(Begun) -> f64| more.begun.map_or(0.0, of);
        let heard = |heard: Option<u32>, met: usize| heard.map_or(met as u64, u64::from);
        Self {
            name: &status.name,
            progress,
            infohash: status.hashes.wire().to_string(),
            speed_down: status.down_rate,
            speed_up: status.up_rate,
            status: word(status),
            size: status.size,
            eta: left / speed,
            num_peers: heard(status.swarm.leechers, connected),
            num_seeds: heard(status.swarm.seeds, status.seeds),
            num_connected_peers: connected,
            num_connected_seeds: status.seeds,
            total_up,
            total_down,
            ratio: ratio(total_up, status.done),
            trackers: Trackers {
                own: page.trackers.as_deref(),
                dht: common.dht && status.modes.has(Mode::Dht),
                exchange: common.exchange && status.modes.has(Mode::PeerExchange),
            },
            hops: status.hops,
            anonymous: status.hops > 0,
            safe_seeding: status.hops > 0,
            max_upload_speed: common.rates[1],
            max_download_speed: common.rates[0],
            destination: status.dir.to_string_lossy(),
            availability: more.copies.unwrap_or(status.seeds as f64),
            total_pieces: status.pieces,
            vod_mode: more.begun.is_some(),
            vod_prebuffering_progress: begun(|it| it.before),
            vod_prebuffering_progress_consec: begun(|it| it.in_row),
            vod_header_progress: begun(|it| it.header),
            vod_footer_progress: begun(|it| it.footer),
            error: if let State::Error(error) = &status.state {
                error.to_string()
            } else {
                String::new()
            },
            time_added: status.added,
            of_channel: (common.era == Era::Now).then_some(false),
            for_credit: (common.era == Era::V70).then_some(false),
            peers: more.peers,
            pieces: more.pieces,
            files: more.files,
        }
    }
}

/// What went to others for each byte that is there, wherever that came from: by this it is decided how long a torrent is seeded.
fn ratio(uploaded: u64, there: u64) -> f64 {
    if there == 0 {
        return 0.0;
    }
    uploaded as f64 / there as f64
}

/// The share that is there of what is wanted; while it is checked, of what is to be checked.
fn progress(status: &TorrentStatus) -> f64 {
    let (mut done, mut total) = (status.done, status.wanted);
    if let State::Checking {
        done: looked_at,
        total: all,
    } = &status.state
        && *all > 0
    {
        (done, total) = (*looked_at, *all);
    }
    if total == 0 {
        return 0.0;
    }
    (done as f64 / total as f64).min(1.0)
}

/// What a download is doing.
fn word(status: &TorrentStatus) -> &'static str {
    match &status.state {
        State::Error(_) => "DLSTATUS_STOPPED_ON_ERROR",
        State::Paused | State::Queued => "DLSTATUS_STOPPED",
        State::Checking { .. } | State::Downloading | State::FetchingMetadata | State::Seeding
            if status.hops > 0 && status.blocked.is_some() =>
        {
            "DLSTATUS_CIRCUITS"
        }
        State::Checking { total, .. } if *total > 0 => "DLSTATUS_HASHCHECKING",
        State::Downloading => "DLSTATUS_DOWNLOADING",
        State::FetchingMetadata => "DLSTATUS_METADATA",
        State::Seeding => "DLSTATUS_SEEDING",
        State::Checking { .. } | _ => "DLSTATUS_WAITING4HASHCHECK",
    }
}

/// Trackers, and two rows for what is none.
#[derive(Debug)]
struct Trackers<'a> {
    own: Option<&'a [TrackerRow]>,
    dht: bool,
    exchange: bool,
}

#[derive(Serialize)]
struct Other {
    url: &'static str,
    peers: u64,
    status: &'static str,
}

impl Serialize for Trackers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = self.own.unwrap_or_default();
        let mut list = serializer.serialize_seq(Some(own.len() + 2))?;
        for row in own {
            list.serialize_element(row)?;
        }
        let others = [("[DHT]", self.dht), ("[PeX]", self.exchange)];
        // By whom a connected peer was named is not known any more.
        for (url, on) in others {
            let status = if on { "Working" } else { "Disabled" };
            list.serialize_element(&Other {
                url,
                peers: 0,
                status,
            })?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_here_from_the_start_has_a_ratio_too() {
        for (up, there, percent) in [(0, 0, 0), (7, 0, 0), (50, 100, 50), (300, 100, 300)] {
            assert_eq!((ratio(up, there) * 100.0).round() as u64, percent);
        }
    }
}
