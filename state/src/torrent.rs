//! The records of a torrent: the short one, which lists are made of, and what is apart from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use protocol::id::InfoHashes;

use crate::codec::{Field, Reader, RecordError, fields, record};

/// A torrent's number in its store; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TorrentKey(pub u64);

impl fmt::Display for TorrentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What lists, filters and the start of a session need of a torrent; a few hundred bytes. Everything else of it is read
/// when it is needed: [`Details`], [`Progress`](crate::Progress), [`Traffic`](crate::Traffic), and its .torrent file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torrent {
    /// Its info-hashes, as far as they are known.
    pub hashes: InfoHashes,
    /// What it is called: by its user, else by its metadata or its link.
    pub name: String,
    /// The folder that content goes to; the torrent's own name is below it.
    pub dir: PathBuf,
    /// What its metadata says; `None` while there is none.
    pub content: Option<Content>,
    /// When it was added: seconds since 1970.
    pub added: i64,
    /// When it came to have everything that was wanted: seconds since 1970.
    pub completed: Option<i64>,
    /// What is to be done with it.
    pub switches: Switches,
    /// Through how many others all of its traffic goes; 0 is the direct way.
    pub hops: u8,
    /// Its place in the queue, from 0; `None` where it has none, as one that has everything.
    pub queue: Option<u32>,
    /// Rate from peers in bytes a second; `None` is unlimited.
    pub down_limit: Option<u64>,
    /// Rate to peers in bytes a second; `None` is unlimited.
    pub up_limit: Option<u64>,
    /// Connections; `None` for the session's default.
    pub max_peers: Option<u32>,
    /// Peers served at the same time; `None` for the session's default.
    pub upload_slots: Option<u32>,
    /// Until when it is seeded.
    pub seeding: SeedingRule,
    /// What becomes of files that lie there already.
    pub existing: Existing,
    /// The category that the user put it in.
    pub category: Option<String>,
    /// The tags that the user gave it.
    pub tags: BTreeSet<String>,
    /// What it had when it was last at work; `None` where it never was, or where nobody took note of it.
    pub rested: Option<Amount>,
}

/// How much there is of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Bytes of the wanted pieces.
    pub wanted: u64,
    /// Bytes of the wanted pieces that are there and verified.
    pub done: u64,
}

/// What the metadata says of a torrent's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes, without padding.
    pub len: u64,
    /// Bytes in a piece.
    pub piece_len: u32,
    /// Pieces.
    pub pieces: u32,
    /// Files, pad files counted.
    pub files: u32,
    /// Whether its peers come from its trackers alone (BEP 27).
    pub private: bool,
}

/// Yes or no, each for a torrent.
///
/// # Format
/// A whole number; the switches are its bits in this order, the first is the lowest. That of [`hidden_seeding`](Self::hidden_seeding) is set
/// where it is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of the user"
)]
pub struct Switches {
    /// It does nothing until it is resumed.
    pub paused: bool,
    /// The queue decides when it runs.
    pub managed: bool,
    /// It fetches in order.
    pub sequential: bool,
    /// It shows each peer a few pieces at a time while it has everything (BEP 16).
    pub super_seed: bool,
    /// It requests nothing.
    pub upload_only: bool,
    /// It fetches only what is good for its ratio.
    pub share: bool,
    /// Its data is taken as right until the first time that it is not.
    pub trusted: bool,
    /// It pauses as soon as it has been checked.
    pub stop_when_ready: bool,
    /// It announces to trackers.
    pub trackers: bool,
    /// Its peers are sought in the DHT.
    pub dht: bool,
    /// Its peers are sought on the local networks.
    pub local_discovery: bool,
    /// Peers tell it of peers.
    pub peer_exchange: bool,
    /// It fetches from web seeds.
    pub web_seeds: bool,
    /// The IP filter holds for it.
    pub ip_filter: bool,
    /// What other torrents have is copied instead of fetched (BEP 38).
    pub reuse: bool,
    /// Hidden peers find it while it has everything. Records from before there was this switch have it on.
    pub hidden_seeding: bool,
}

/// Until when a torrent is seeded: the first bound that is reached ends it; without one the session's rule holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeedingRule {
    /// It is seeded for ever, whatever else is said here or by the session.
    pub forever: bool,
    /// Bytes sent for a thousand bytes of content.
    pub ratio_per_mille: Option<u32>,
    /// Seconds of seeding.
    pub seconds: Option<u64>,
    /// Seconds of seeding in which nobody fetched anything.
    pub idle_seconds: Option<u64>,
}

/// What becomes of files that lie where a torrent's content belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// They are checked and completed, unless they are somebody else's.
    #[default]
    Complete,
    /// They are checked and completed, whatever they are.
    Replace,
    /// They are served as they are, and never written to.
    Serve,
}

/// What else was decided about a torrent, or is known of it. Most have nothing here; what is not here is as the .torrent
/// file and the defaults say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The magnet link that it was added by.
    pub link: Option<String>,
    /// What was decided about files, by their number in the metadata, pad files counted.
    pub files: BTreeMap<u32, FileChoice>,
    /// The priority of all other files, 0 to 7; `None` is the usual one, 4.
    pub other_files: Option<u8>,
    /// Priorities of pieces, 0 to 7, where they differ from those of their files.
    pub pieces: BTreeMap<u32, u8>,
    /// Trackers in tiers (BEP 12), in place of those that the metadata names.
    pub trackers: Option<Vec<Vec<String>>>,
    /// Web seeds (BEP 19), in place of those that the metadata names.
    pub web_seeds: Option<Vec<String>>,
    /// Peers to begin with.
    pub peers: Vec<SocketAddr>,
    /// Addresses that sent bad data.
    pub banned: Vec<IpAddr>,
    /// The publisher's key whose newer versions are told of (BEP 46).
    pub follow: Option<Follow>,
    /// Folders whose files are copied from where they are the same (BEP 38).
    pub reuse: Vec<PathBuf>,
    /// What the user wrote about it.
    pub comment: Option<String>,
    /// What another program had written about it that has no place here, by its name there; goes back when it is exported.
    pub foreign: BTreeMap<String, Vec<u8>>,
}

/// What was decided about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileChoice {
    /// 0 (not wanted) to 7; `None` is that of all other files.
    pub priority: Option<u8>,
    /// Where it lies in place of its path in the metadata; `/` stands between folders.
    pub renamed: Option<String>,
}

/// Names a mutable item of the DHT (BEP 44).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// The salt, often empty.
    pub salt: Vec<u8>,
}

record!(Torrent {
    hashes,
    name,
    dir,
    content,
    added,
    completed,
    switches,
    hops,
    queue,
    down_limit,
    up_limit,
    max_peers,
    upload_slots,
    seeding,
    existing,
    category,
    tags,
} then {
    rested,
});

fields!(Amount { wanted, done });

fields!(Content {
    len,
    piece_len,
    pieces,
    files,
    private
});

fields!(SeedingRule {
    forever,
    ratio_per_mille,
    seconds,
    idle_seconds
});

record!(Details {
    link,
    files,
    other_files,
    pieces,
    trackers,
    web_seeds,
    peers,
    banned,
    follow,
    reuse,
    comment,
    foreign,
});

fields!(FileChoice { priority, renamed });
fields!(Follow { key, salt });

impl Torrent {
    /// A torrent with usual choices.
    pub const fn new(hashes: InfoHashes, name: String, dir: PathBuf, added: i64) -> Self {
        Self {
            hashes,
            name,
            dir,
            content: None,
            added,
            completed: None,
            switches: Switches::USUAL,
            hops: 0,
            queue: None,
            down_limit: None,
            up_limit: None,
            max_peers: None,
            upload_slots: None,
            seeding: SeedingRule {
                forever: false,
                ratio_per_mille: None,
                seconds: None,
                idle_seconds: None,
            },
            existing: Existing::Complete,
            category: None,
            tags: BTreeSet::new(),
            rested: None,
        }
    }
}

impl Switches {
    /// Running and managed by the queue, with every source of peers.
    pub const USUAL: Self = Self {
        paused: false,
        managed: true,
        sequential: false,
        super_seed: false,
        upload_only: false,
        share: false,
        trusted: false,
        stop_when_ready: false,
        trackers: true,
        dht: true,
        local_discovery: true,
        peer_exchange: true,
        web_seeds: true,
        ip_filter: true,
        reuse: false,
        hidden_seeding: true,
    };

    /// Bits that say the contrary of their switch.
    const CONTRARY: u32 = 1 << 15;

    fn bits(&mut self) -> [&mut bool; 16] {
        [
            &mut self.paused,
            &mut self.managed,
            &mut self.sequential,
            &mut self.super_seed,
            &mut self.upload_only,
            &mut self.share,
            &mut self.trusted,
            &mut self.stop_when_ready,
            &mut self.trackers,
            &mut self.dht,
            &mut self.local_discovery,
            &mut self.peer_exchange,
            &mut self.web_seeds,
            &mut self.ip_filter,
            &mut self.reuse,
            &mut self.hidden_seeding,
        ]
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Field for Switches {
    fn put(&self, out: &mut Vec<u8>) {
        let mut copy = *self;
        let bits = copy.bits();
        let set = bits.iter().enumerate().filter(|(_, on)| ***on);
        let set: u32 = set.map(|(bit, _)| 1_u32 << bit).sum();
        (set ^ Self::CONTRARY).put(out);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        let number = u32::parse(from)?;
        let mut switches = Self::USUAL;
        let bits = switches.bits();
        if number >> bits.len() != 0 {
            return Err(damaged);
        }
        let number = number ^ Self::CONTRARY;
        for (bit, on) in bits.into_iter().enumerate() {
            *on = number >> bit & 1 == 1;
        }
        Ok(switches)
    }
}

/// 0, 1 or 2 in the order of the variants.
impl Field for Existing {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Complete => 0,
            Self::Replace => 1,
            Self::Serve => 2,
        });
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        match from.byte()? {
            0 => Ok(Self::Complete),
            1 => Ok(Self::Replace),
            2 => Ok(Self::Serve),
            _ => Err(damaged),
        }
    }
}
