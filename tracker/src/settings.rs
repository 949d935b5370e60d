//! Everything that can be set of a tracker, as it is written in TOML.
//!
//! [`KEYS`] has every key with its unit, default and range; [`commented`] makes the file of defaults and [`table`] the table of
//! the documentation of it, and what is read is held to the ranges in it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

mod file;
mod keys;
#[cfg(test)]
mod tests;

pub use file::SettingsError;
pub use keys::{KEYS, KeyInfo, commented, table};

use crate::access::{Listing, Mode};
use crate::http::{HttpLimits, HttpRules, Patience};
use crate::policy::Policy;
use crate::swarms::{Identity, Keep, SwarmOptions};

/// Settings of a tracker.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Threads for each address of UDP and of HTTP; 0 is one for each core.
    pub workers: u16,
    /// Seconds that clients and the database may take when the tracker ends.
    pub stop_seconds: u32,
    /// Instead of loopback addresses of peers.
    pub external_ip: Option<IpAddr>,
    /// What peers are told.
    pub announce: AnnounceSettings,
    /// What is kept of peers, and of how many.
    pub swarms: SwarmSettings,
    /// Who may announce what.
    pub access: AccessSettings,
    /// What is kept when the tracker ends.
    pub database: DatabaseSettings,
    /// UDP trackers.
    pub udp: Vec<UdpSettings>,
    /// HTTP trackers.
    pub http: Vec<HttpSettings>,
    /// The management API.
    pub api: Option<ApiSettings>,
    /// Where it is told whether all servers answer.
    pub health: Option<HealthSettings>,
}

/// What peers are told about times and numbers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct AnnounceSettings {
    /// Seconds until a peer's next announce.
    pub interval: u32,
    /// Seconds that a peer waits at least.
    pub min_interval: u32,
    /// Seconds after which a silent peer is forgotten.
    pub peer_timeout: u32,
    /// Peers for whoever does not say how many it wants.
    pub default_peers: u32,
    /// Peers for anybody at most.
    pub most_peers: u32,
    /// Peers are told how often the torrent was completed.
    pub tells_completed: bool,
}

/// What is kept of peers, and of how many.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct SwarmSettings {
    /// Torrents at most.
    pub most_torrents: u32,
    /// Peers of one torrent and family at most.
    pub most_peers: u32,
    /// Whether torrents go with their last peer.
    pub forget_empty: bool,
    /// Whether peer ids are kept.
    pub ids: bool,
    /// Whether it is kept what peers tell of their transfer.
    pub reports: bool,
    /// By what a peer is known again.
    pub identity: Identity,
    /// Seconds between looks for silent peers.
    pub sweep_seconds: u32,
}

/// Who may announce what.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// Which torrents are served.
    pub listing: Listing,
    /// Only who has a key is served.
    pub private: bool,
    /// Keys hold for ever, whatever was said when they were made.
    pub ignore_expiry: bool,
    /// A file of info-hashes that are on the list, beside those of the database.
    pub list_file: Option<PathBuf>,
}

/// What is kept when the tracker ends.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// What keeps it.
    pub kind: DatabaseKind,
    /// The file of SQLite, from the folder of the tracker's state.
    pub path: PathBuf,
    /// Where PostgreSQL is: a URL, or words such as `host=/run/postgresql dbname=tracker`.
    pub url: Secret,
    /// Whether completions of torrents are kept.
    pub completed: bool,
    /// Seconds between writes of completions.
    pub write_seconds: u32,
    /// Seconds between looks at what other trackers have written: lists and keys; 0 is never.
    pub reload_seconds: u32,
}

/// What keeps lists, keys and completions.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// Nothing: all is gone when the tracker ends.
    None,
    /// A file.
    #[default]
    Sqlite,
    /// A server, which several trackers may share.
    PostgreSql,
}

/// A UDP tracker.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct UdpSettings {
    /// Where it listens.
    pub bind: SocketAddr,
}

/// An HTTP tracker.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices")]
pub struct HttpSettings {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Who asks is the right-most address of `X-Forwarded-For`, and nothing else.
    #[serde(default)]
    pub behind_proxy: bool,
    /// Clients that do not say `compact` are answered in the compact form.
    #[serde(default)]
    pub compact: bool,
    /// A client that does not say what is left has everything.
    #[serde(default)]
    pub absent_left_is_none: bool,
    /// Clients are told their address (BEP 24).
    #[serde(default)]
    pub tells_address: bool,
    /// Connections stay open for further requests.
    #[serde(default = "yes")]
    pub keep_alive: bool,
    /// Connections at a time.
    #[serde(default = "connections")]
    pub connections: u32,
    /// Seconds for a request, and for taking its answer.
    #[serde(default = "request_seconds")]
    pub request_seconds: u32,
    /// Seconds between requests.
    #[serde(default = "idle_seconds")]
    pub idle_seconds: u32,
    /// For HTTPS.
    pub certificate: Option<PathBuf>,
    /// For HTTPS.
    pub private_key: Option<PathBuf>,
}

/// The management API.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Who may use it: names, and what each shows.
    #[serde(default)]
    pub tokens: BTreeMap<String, Secret>,
    /// Refused tokens have the status and the text that Torrust has for them.
    #[serde(default)]
    pub torrust_compat: bool,
    /// For HTTPS.
    pub certificate: Option<PathBuf>,
    /// For HTTPS.
    pub private_key: Option<PathBuf>,
}

/// Where it is told whether all servers answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct HealthSettings {
    /// Where it listens.
    pub bind: SocketAddr,
}

/// A text that nobody sees: its `Debug` shows nothing of it.
#[derive(Clone, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 0,
            stop_seconds: 30,
            external_ip: None,
            announce: AnnounceSettings::default(),
            swarms: SwarmSettings::default(),
            access: AccessSettings::default(),
            database: DatabaseSettings::default(),
            udp: Vec::new(),
            http: Vec::new(),
            api: None,
            health: None,
        }
    }
}

impl Default for AnnounceSettings {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            interval: policy.interval,
            min_interval: policy.min_interval,
            peer_timeout: policy.peer_timeout,
            default_peers: policy.default_want,
            most_peers: policy.most_want,
            tells_completed: policy.tells_completed,
        }
    }
}

impl Default for SwarmSettings {
    fn default() -> Self {
        let options = SwarmOptions::default();
        Self {
            most_torrents: options.most_torrents,
            most_peers: options.most_peers,
            forget_empty: options.forget_empty,
            ids: options.keep.ids,
            reports: options.keep.reports,
            identity: options.keep.identity,
            sweep_seconds: 120,
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            kind: DatabaseKind::default(),
            path: "tracker.db".into(),
            url: Secret::default(),
            completed: true,
            write_seconds: 5,
            reload_seconds: 60,
        }
    }
}

impl UdpSettings {
    /// A tracker there.
    pub const fn new(bind: SocketAddr) -> Self {
        Self { bind }
    }
}

impl HttpSettings {
    /// A tracker there, with the defaults.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            behind_proxy: false,
            compact: false,
            absent_left_is_none: false,
            tells_address: false,
            keep_alive: yes(),
            connections: connections(),
            request_seconds: request_seconds(),
            idle_seconds: idle_seconds(),
            certificate: None,
            private_key: None,
        }
    }

    /// What holds for its answers.
    pub const fn rules(&self) -> HttpRules {
        HttpRules {
            behind_proxy: self.behind_proxy,
            compact: self.compact,
            absent_left_is_none: self.absent_left_is_none,
            external_ip: self.tells_address,
            closes: !self.keep_alive,
        }
    }

    /// Its bounds.
    pub const fn limits(&self) -> HttpLimits {
        HttpLimits {
            connections: self.connections as usize,
            patience: Patience {
                request: Duration::from_secs(self.request_seconds as u64),
                idle: Duration::from_secs(self.idle_seconds as u64),
            },
        }
    }
}

impl Settings {
    /// A tracker that keeps nothing, for programs that have one within: nothing listens yet.
    pub fn in_memory() -> Self {
        Self {
            workers: 1,
            database: DatabaseSettings {
                kind: DatabaseKind::None,
                ..DatabaseSettings::default()
            },
            ..Self::default()
        }
    }

    /// Threads for each address.
    pub fn threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers.into(),
        }
    }

    /// What peers are told.
    pub const fn policy(&self) -> Policy {
        Policy {
            interval: self.announce.interval,
            min_interval: self.announce.min_interval,
            peer_timeout: self.announce.peer_timeout,
            default_want: self.announce.default_peers,
            most_want: self.announce.most_peers,
            tells_completed: self.announce.tells_completed,
        }
    }

    /// How access is decided.
    pub const fn mode(&self) -> Mode {
        Mode {
            listing: self.access.listing,
            private: self.access.private,
            keys_expire: !self.access.ignore_expiry,
        }
    }

    /// Bounds and habits of swarms.
    pub fn swarm_options(&self) -> SwarmOptions {
        SwarmOptions {
            keep: Keep {
                ids: self.swarms.ids,
                reports: self.swarms.reports,
                identity: self.swarms.identity,
            },
            most_torrents: self.swarms.most_torrents,
            most_peers: self.swarms.most_peers,
            completions_taken: self.keeps_completed(),
            forget_empty: self.swarms.forget_empty,
        }
    }

    /// Whether completions are written somewhere.
    pub fn keeps_completed(&self) -> bool {
        self.database.completed && self.database.kind != DatabaseKind::None
    }
}

const fn yes() -> bool {
    true
}

fn connections() -> u32 {
    HttpLimits::default().connections as u32
}

const fn request_seconds() -> u32 {
    5
}

const fn idle_seconds() -> u32 {
    60
}
