//! What is told of torrents, their files, peers and trackers, and of settings. Sizes are bytes, rates bytes a second, times
//! seconds. Words in `reason`, `blocked` and `error` are for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A torrent, as lists have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Torrent {
    /// Its info-hash in hex, v1 where there is one.
    pub info_hash: String,
    /// That of v2, of a hybrid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v2: Option<String>,
    /// Its name.
    pub name: String,
    /// The category that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it is doing: `checking`, `downloading`, `error`, `metadata`, `paused`, `queued` or `seeding`.
    pub state: String,
    /// Through how many others it goes; 0 is the direct way.
    pub hops: u8,
    /// Why nothing leaves by its route, where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// Bytes of all files; 0 while that is not known.
    pub size: u64,
    /// Bytes of what is wanted.
    pub wanted: u64,
    /// Bytes of that which are there and verified.
    pub done: u64,
    /// Bytes of all files that were looked at, while it is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<u64>,
    /// Bytes of payload received in this run.
    pub downloaded: u64,
    /// Bytes of payload sent in this run.
    pub uploaded: u64,
    /// Bytes a second that come.
    pub down: u64,
    /// Bytes a second that are sent.
    pub up: u64,
    /// Connected peers.
    pub peers: usize,
    /// Connected peers that have everything.
    pub seeds: usize,
    /// The folder that its content is being moved to, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moving: Option<String>,
    /// Why it has stopped, where that is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it waits for, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A file of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its number in the torrent, padding between files counted.
    pub index: usize,
    /// Its path in the torrent, with `/`.
    pub path: String,
    /// Where it lies, where that is another path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// Bytes of it that are there and verified; of a torrent at rest, that were when it last was at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// How much it is wanted: 0 (not at all) to 7; 4 is usual.
    pub priority: u8,
}

/// A tracker of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tracker {
    /// Its tier, from 0.
    pub tier: usize,
    /// Its address, which may hold a key of the user.
    pub url: String,
    /// The info-hash that it is told of, of a torrent that has two: each has a row. Absent where that is not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash: Option<String>,
    /// How it stands: `announcing`, `failed`, `given_up`, `untried` or `working`. Empty where that is not asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// Seconds until it may be asked again, where that has to be waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Peers that have everything, as it told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<u32>,
    /// Peers that have not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leechers: Option<u32>,
    /// What it said for people, or why it failed the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A peer of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of both sides, as the protocol has them"
)]
pub struct Peer {
    /// Its address.
    pub addr: String,
    /// Who it says it is: its peer id, with `.` for what is no letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether we dialled.
    pub outgoing: bool,
    /// Whether it goes by uTP.
    pub utp: bool,
    /// Whether the stream is under RC4.
    pub encrypted: bool,
    /// Pieces that it has; absent for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<u32>,
    /// Whether it wants something of ours.
    pub interested: bool,
    /// Whether we serve it.
    pub served: bool,
    /// Whether we want something of it.
    pub we_are_interested: bool,
    /// Whether it serves us.
    pub serves_us: bool,
    /// Bytes that came from it.
    pub downloaded: u64,
    /// Bytes that it was sent.
    pub uploaded: u64,
    /// Bytes a second that come from it.
    pub down: u64,
    /// Bytes a second that it is sent.
    pub up: u64,
}

/// A setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// Its key, such as `limits.down`.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Whether that was set over the channel, and is kept for the next start.
    pub kept: bool,
}

/// What the process takes of the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What was read of late, oldest first.
    pub samples: Vec<Sample>,
    /// Files and connections that the system lets the process have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_files: Option<u64>,
    /// What is short now, for a person to read.
    pub short: Vec<String>,
}

/// What the process took of the machine at a moment. What the system does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// The moment: seconds since 1970.
    pub time: f64,
    /// Processor time since the one before, in percent of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Bytes of memory that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of memory that were left, on the machine or in the control group of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    /// Files and connections that were open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
}

/// Sums over all torrents, and of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// The number of the process.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
    /// Seconds since the start.
    pub seconds: f64,
    /// Where peers can connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where its node of the DHT is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dht: Option<String>,
    /// Torrents.
    pub torrents: usize,
    /// How many of them are in each state, by its word.
    pub states: std::collections::BTreeMap<String, usize>,
    /// Connected peers.
    pub peers: usize,
    /// Bytes a second that come.
    pub down: u64,
    /// Bytes a second that are sent.
    pub up: u64,
    /// Bytes of payload received in this run.
    pub downloaded: u64,
    /// Bytes of payload sent in this run.
    pub uploaded: u64,
    /// Who talks to the daemon over the channel now.
    pub guests: usize,
    /// The number of the last event.
    pub events: u64,
    /// Why what changes does not reach the disk, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsaved: Option<String>,
}
