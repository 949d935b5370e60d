//! The JSON lines of `download`, `seed`, `check` and `demo`.

use serde::Serialize;

/// One line. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    /// A torrent was added. `size` and `name` are null while a magnet link's metadata is not there.
    Added {
        info_hash: &'a str,
        name: Option<&'a str>,
        size: Option<u64>,
    },
    /// How it stands with the circuits that everything goes through.
    Anonymity {
        hops: u8,
        state: &'a str,
        /// Why it is not `protected`, in words for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        ready: usize,
        building: usize,
        exits: usize,
    },
    /// Neighbouring pieces of checked data are wrong or missing.
    BadPieces {
        first: u32,
        last: u32,
        files: &'a [String],
    },
    /// A file of checked data is wrong or missing.
    BadFile {
        path: &'a str,
        missing: bool,
        bad_pieces: u32,
        /// Bytes beyond its end.
        extra: u64,
    },
    /// Data was checked.
    Checked {
        info_hash: &'a str,
        pieces: u32,
        good: u32,
        bad: u32,
        size: u64,
        seconds: f64,
    },
    /// The work failed, or is held up where it may go on by itself.
    Error { message: &'a str },
    /// A torrent is complete and verified.
    Finished { info_hash: &'a str, seconds: f64 },
    /// A torrent goes by another number of hops than the last time, or by as many though `--hops` is not given.
    Hops { name: &'a str, hops: u8, before: u8 },
    /// A list of addresses that are not talked to was read.
    IpFilter {
        ranges: usize,
        /// Lines that are no ranges and were passed over.
        bad_lines: usize,
    },
    /// Peers can connect here, and our node of the DHT is here.
    Listening {
        addr: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        dht: Option<String>,
    },
    /// Files that a torrent lacks lie on this machine, where another torrent has them; `--reuse-local-data` takes them.
    LocalData {
        info_hash: &'a str,
        files: usize,
        bytes: u64,
        /// The folders that they lie in.
        places: &'a [String],
    },
    /// The router forwards a port to ours.
    Mapped {
        transport: &'a str,
        port: u16,
        external_port: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        external_ip: Option<String>,
        by: &'a str,
    },
    /// A magnet link's metadata is there.
    Metadata {
        info_hash: &'a str,
        name: &'a str,
        size: u64,
    },
    /// The only way out, a proxy or what everything is bound to, is gone or is back; the reason is a sentence for people.
    Network { up: bool, reason: &'a str },
    /// The publisher of a torrent has signed a newer version (BEP 46); this one stays as it is.
    Newer {
        info_hash: &'a str,
        newer: &'a str,
        seq: i64,
        magnet: &'a str,
    },
    /// A peer sent bad data and is no longer spoken to.
    PeerBanned { info_hash: &'a str, ip: String },
    /// A piece that came failed its hash; what is bad of it is fetched again.
    PieceFailed { info_hash: &'a str, piece: u32 },
    /// How far a torrent is, about once a second.
    Progress {
        info_hash: &'a str,
        done: u64,
        size: u64,
        down: u64,
        up: u64,
        peers: usize,
        /// Peers whose connection is under RC4.
        encrypted: usize,
        /// Web seeds that are asked for what is missing; absent where there are none.
        #[serde(skip_serializing_if = "is_zero")]
        web_seeds: usize,
        state: &'a str,
        /// What it is waiting for, in words for people; absent where it is not waiting.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    /// Everything goes through a proxy: nobody can connect to us, and there is neither local discovery nor port mapping.
    Proxy {
        proxy: &'a str,
        /// Whether it carries UDP; null where that is not known.
        udp: Option<bool>,
        /// Why it does not.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    /// A torrent that had failed goes on.
    Recovered { info_hash: &'a str },
    /// It is known which torrent a publisher's key names (BEP 46).
    Resolved { info_hash: &'a str, seq: i64 },
    /// It is looked up which torrent a publisher's key names (BEP 46).
    Resolving { key: &'a str },
    /// What lay on this machine was compared with a torrent's hashes, and what is right was copied.
    Reused {
        info_hash: &'a str,
        pieces: u32,
        bytes: u64,
    },
    /// Nothing leaves by a torrent's circuits, for this reason; or something does again.
    Route {
        info_hash: &'a str,
        hops: u8,
        blocked: Option<&'a str>,
    },
    /// A torrent is complete and served.
    Seeding {
        info_hash: &'a str,
        name: &'a str,
        size: u64,
    },
    /// Other programs can go through circuits of so many hops here.
    Socks { hops: u8, addr: String },
    /// A signal asked for the end: resume data is saved and trackers are told.
    Stopping,
    /// A tracker answered, or did not.
    Tracker {
        info_hash: &'a str,
        url: &'a str,
        peers: Option<usize>,
        error: Option<&'a str>,
    },
    /// A tracker has something to tell people.
    TrackerWarning {
        info_hash: &'a str,
        url: &'a str,
        message: &'a str,
    },
    /// A web seed failed, and is left alone for a while or for good.
    WebSeed {
        info_hash: &'a str,
        url: &'a str,
        error: &'a str,
    },
    /// No router forwards a port to ours: there is none, or it was asked in every way and gave none.
    Unmapped { port: u16 },
    /// Progress or metadata cannot be saved in the state directory; told once.
    Unsaved {
        info_hash: &'a str,
        folder: &'a str,
        error: &'a str,
    },
    /// The demonstration's copy was compared with the original; the seconds are those of the transfer.
    Verified {
        sha256: &'a str,
        equal: bool,
        seconds: f64,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Whether `docs/json.md` says what is written.
#[cfg(test)]
pub(crate) mod page;

/// Seconds with three decimals, which is all that a person or a program can use.
pub(crate) fn seconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_users_has_a_row_for_each_event_with_each_field_and_no_other() {
        let section = "`download`, `seed`, `check` and `demo`";
        let events = page::agrees(section, include_str!("json.rs"), "enum Line");
        assert!(events.len() > 20, "{events:?}");
        let fields = |name: &str| {
            let found = events.iter().find(|(event, _)| event == name);
            found.unwrap().1.clone()
        };
        assert!(fields("progress").iter().any(|field| field == "encrypted"));
        assert_eq!(fields("peer_banned"), ["info_hash", "ip"]);
    }

    #[test]
    fn a_line_starts_with_its_event() {
        let line = Line::Finished {
            info_hash: "ab",
            seconds: seconds(std::time::Duration::from_micros(1_234_567)),
        };
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"event":"finished","info_hash":"ab","seconds":1.235}"#
        );
    }
}
