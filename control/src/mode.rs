//! What torrents are told to do or not to do, the queue, until when they are seeded, and their web seeds.

use serde::{Deserialize, Serialize};

use crate::request::is_false;

/// Which torrents do what from now on. What is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModesOf {
    /// As in [`Which`](crate::Which).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torrents: Vec<String>,
    /// All torrents, and no names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Switches that are turned on, such as `sequential`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// Switches that are turned off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub off: Vec<String>,
    /// Until when they are seeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeding: Option<SeedingOf>,
}

/// Until when torrents are seeded: the first bound that is reached ends it. Without any, it is as the settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedingOf {
    /// As long as they are there, whatever else is said.
    #[serde(skip_serializing_if = "is_false")]
    pub forever: bool,
    /// Bytes sent for a thousand bytes of content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_per_mille: Option<u32>,
    /// Seconds of seeding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Seconds in which nobody fetched anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
}

/// The queue, changed first where that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueOf {
    /// Torrents that are moved, as in [`Which`](crate::Which); they keep their order among themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torrents: Vec<String>,
    /// Where to: `top`, `bottom`, `up`, `down`, or behind so many others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A torrent of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queued {
    /// How many are before it.
    pub position: usize,
    /// Its info-hash.
    pub info_hash: String,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: String,
}

/// Whose web seeds, and what they shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSeedsOf {
    /// As in [`Which`](crate::Which).
    pub torrent: String,
    /// Web seeds that come to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Web seeds that it is fetched from no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}
