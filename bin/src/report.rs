//! How it stands with a process in the overlay, as others are told: by the control socket, as figures, as text.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{Pool, Task};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tunnels::{
    Anonymity, CircuitId, CircuitInfo, CircuitStatus, Dialect, Protection, Purpose, State,
};

use crate::text::{hex, per_second};

/// Hops that circuits for torrents may have.
const HOPS: std::ops::RangeInclusive<u8> = 1..=3;

/// How often it is looked how much went through circuits.
const SAMPLE: Duration = Duration::from_secs(1);

/// All of it. Later versions may add fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The process.
    pub(crate) pid: u32,
    /// What it does: the name of its command.
    pub(crate) command: String,
    /// Where its socket of the overlay is.
    pub(crate) addr: String,
    /// Its identity, in hex.
    pub(crate) public_key: String,
    /// Each number of hops that is in use.
    pub(crate) hops: Vec<Lane>,
    /// Its own circuits.
    pub(crate) circuits: Vec<Circuit>,
    /// What it does for others and whom it knows, in each community.
    pub(crate) communities: Vec<Community>,
    /// Whether it has carried all for others that it may: nothing more is.
    #[serde(default)]
    pub(crate) used_up: bool,
    /// Datagrams that it has sent and received in the overlay.
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// How it stands with circuits of one number of hops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) hops: u8,
    /// `protected`, `degraded` or `blocked`.
    pub(crate) state: String,
    /// Why it is not `protected`, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reason: Option<String>,
    /// Circuits that can be used.
    pub(crate) ready: usize,
    /// Circuits under way.
    pub(crate) building: usize,
    /// Exits that are known.
    pub(crate) exits: usize,
}

/// One circuit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Circuit {
    /// Its number on the first link.
    pub(crate) id: String,
    /// The community's wire: `today` or `tribler`.
    pub(crate) wire: String,
    /// What it is for: `data`, `introduction`, `rendezvous` or `test`.
    pub(crate) purpose: String,
    /// How many hops it is to have.
    pub(crate) hops: u8,
    /// `building`, `ready`, or `silent` where it is ready but does not answer.
    pub(crate) state: String,
    /// The nodes that have joined, first to last.
    pub(crate) through: Vec<Through>,
    /// Whether it ends at a hidden peer.
    pub(crate) linked: bool,
    /// Seconds since it was begun.
    pub(crate) age: u64,
    /// Bytes in both directions.
    pub(crate) bytes: u64,
    /// Bytes a second in the last second.
    pub(crate) rate: u64,
    /// How long the last ping took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rtt_ms: Option<u64>,
}

/// A node of a circuit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Through {
    /// Its address, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) addr: Option<String>,
    /// Its public key, in hex.
    pub(crate) public_key: String,
}

/// One community.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Community {
    /// `today` or `tribler`.
    pub(crate) wire: String,
    /// Nodes that are known, and those of them that relay, and that let traffic out.
    pub(crate) known: usize,
    pub(crate) known_relays: usize,
    pub(crate) known_exits: usize,
    /// Circuits of others that are relayed, and that end here.
    pub(crate) relays: usize,
    pub(crate) ends: usize,
    /// What was done for others since the start.
    pub(crate) joined: u64,
    pub(crate) relayed_cells: u64,
    pub(crate) carried: u64,
    pub(crate) destroyed: u64,
    /// What was refused, by the reason.
    pub(crate) refused: BTreeMap<String, u64>,
}

/// Makes reports. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    anonymity: Anonymity,
    command: &'static str,
    public_key: Arc<str>,
    /// By how many hops its torrents go; 0 where none goes through circuits.
    torrents: u8,
    rates: Arc<Mutex<Rates>>,
    _sampling: Arc<Task<()>>,
}

/// What went through circuits lately.
#[derive(Debug)]
struct Rates {
    at: Instant,
    /// Bytes of each circuit so far, and in the last second.
    of: BTreeMap<(Dialect, CircuitId), (u64, u64)>,
}

impl Reporter {
    /// Reports on what was launched for a command.
    pub(crate) fn new(
        anonymity: &Anonymity,
        command: &'static str,
        public_key: &str,
        pool: &Pool,
    ) -> Self {
        let rates = Arc::new(Mutex::new(Rates {
            at: Instant::now(),
            of: BTreeMap::new(),
        }));
        let (sampled, counted) = (anonymity.clone(), Arc::clone(&rates));
        let sampling = pool.spawn(async move {
            loop {
                tokio::time::sleep(SAMPLE).await;
                counted.lock().count(Instant::now(), &sampled);
            }
        });
        Self {
            anonymity: anonymity.clone(),
            command,
            public_key: public_key.into(),
            torrents: 0,
            rates,
            _sampling: Arc::new(sampling),
        }
    }

    /// Tells of so many hops even while there is no circuit of them: torrents wait for one.
    pub(crate) const fn with_torrents(mut self, hops: u8) -> Self {
        self.torrents = hops;
        self
    }

    /// How it stands now.
    pub(crate) fn report(&self) -> Report {
        let counters = self.anonymity.counters();
        let circuits = self.circuits();
        let used = |hops: &u8| {
            let mut own = circuits.iter().filter(|it| it.purpose == "data");
            let stands = self.anonymity.status(*hops);
            *hops == self.torrents
                || stands.building + stands.ready > 0
                || own.any(|circuit| circuit.hops == *hops)
        };
        Report {
            pid: std::process::id(),
            command: self.command.to_owned(),
            addr: self.anonymity.local_addr().to_string(),
            public_key: self.public_key.to_string(),
            hops: HOPS.filter(used).map(|hops| self.lane(hops)).collect(),
            communities: counters.nodes.iter().map(community).collect(),
            used_up: counters.nodes.iter().any(|node| node.spent),
            sent: counters.endpoint.sent,
            received: counters.endpoint.received,
            circuits,
        }
    }

    /// Its own circuits, as they are known.
    pub(crate) fn own(&self) -> Vec<CircuitStatus> {
        self.anonymity.circuits()
    }

    /// How it stands with circuits of so many hops.
    pub(crate) fn lane(&self, hops: u8) -> Lane {
        lane(&self.anonymity, hops)
    }

    fn circuits(&self) -> Vec<Circuit> {
        let now = Instant::now();
        let rates = self.rates.lock();
        let circuits = self.anonymity.circuits().into_iter().map(|circuit| {
            let info = &circuit.info;
            let rate = rates.of.get(&(circuit.dialect, info.id));
            let through = info.hops.iter().zip(&circuit.hops);
            let through = through.map(|(key, at)| Through {
                addr: at.map(|at: SocketAddr| at.to_string()),
                public_key: hex(key.as_bytes()),
            });
            Circuit {
                id: info.id.to_string(),
                wire: wire(circuit.dialect).to_owned(),
                purpose: purpose(info.purpose).to_owned(),
                hops: info.goal,
                state: state(now, info).to_owned(),
                through: through.collect(),
                linked: info.linked,
                age: now.saturating_duration_since(info.born).as_secs(),
                bytes: info.bytes,
                rate: rate.map_or(0, |(_, rate)| *rate),
                rtt_ms: info
                    .rtt
                    .map(|rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX)),
            }
        });
        circuits.collect()
    }
}

/// How it stands with circuits of so many hops.
pub(crate) fn lane(anonymity: &Anonymity, hops: u8) -> Lane {
    let stands = anonymity.status(hops);
    let (state, why) = match stands.protection {
        Protection::Protected => ("protected", None),
        Protection::Degraded(why) => ("degraded", Some(why)),
        Protection::Blocked(why) => ("blocked", Some(why)),
    };
    Lane {
        hops,
        state: state.to_owned(),
        reason: why.map(|why| why.to_string()),
        ready: stands.ready,
        building: stands.building,
        exits: stands.exits,
    }
}

impl Rates {
    fn count(&mut self, now: Instant, anonymity: &Anonymity) {
        let passed = now.saturating_duration_since(self.at);
        let circuits = anonymity.circuits().into_iter();
        let of = circuits.map(|circuit| {
            let key = (circuit.dialect, circuit.info.id);
            let bytes = circuit.info.bytes;
            let before = self.of.get(&key).map_or(0, |(before, _)| *before);
            (
                key,
                (bytes, per_second(bytes.saturating_sub(before), passed)),
            )
        });
        self.of = of.collect();
        self.at = now;
    }
}

fn community(node: &tunnels::NodeStatus) -> Community {
    let refused = node.counters.refused.iter();
    Community {
        wire: wire(node.dialect).to_owned(),
        known: node.known,
        known_relays: node.known_relays,
        known_exits: node.known_exits,
        relays: node.relays,
        ends: node.ends,
        joined: node.counters.joined,
        relayed_cells: node.counters.relayed,
        carried: node.counters.carried,
        destroyed: node.counters.destroyed,
        refused: refused
            .map(|(why, times)| (why.to_string(), *times))
            .collect(),
    }
}

const fn wire(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Modern => "today",
        Dialect::Classic => "tribler",
    }
}

const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Data => "data",
        Purpose::Test => "test",
        Purpose::Introduction => "introduction",
        Purpose::RendezvousSeeder | Purpose::RendezvousDownloader => "rendezvous",
    }
}

fn state(now: Instant, circuit: &CircuitInfo) -> &'static str {
    match circuit.state {
        State::Building => "building",
        State::Ready if circuit.is_silent(now) => "silent",
        State::Ready => "ready",
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hops,
            state,
            ready,
            building,
            exits,
            ..
        } = self;
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let hop = if *hops == 1 { "hop" } else { "hops" };
        write!(
            f,
            "{hops} {hop}: {state}, {ready} circuit{} ready, {building} building; {exits} exit{} known",
            plural(*ready),
            plural(*exits)
        )?;
        match &self.reason {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::json::page;

    #[test]
    fn the_page_for_users_has_a_row_for_each_field_and_no_other() {
        let places = [
            ("struct Report", ""),
            ("struct Lane", "hops[]."),
            ("struct Circuit", "circuits[]."),
            ("struct Through", "circuits[].through[]."),
            ("struct Community", "communities[]."),
        ];
        page::names_fields("`circuits`", include_str!("report.rs"), &places);
    }
}
