//! What a torrent may be told to do or not to do, each a switch of its own.

use std::fmt;

use crate::AddTorrent;

/// A switch of a torrent, which may be turned at any time; see [`EngineHandle::set_modes`](crate::EngineHandle::set_modes).
///
/// Whether it is paused is no switch: see [`EngineHandle::pause`](crate::EngineHandle::pause).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// The queue decides when it runs; without this it runs whatever else does, and takes nobody's place.
    Managed,
    /// It is fetched in order, the first and last piece of each file first.
    Sequential,
    /// While it has everything, it shows each peer a few pieces at a time (BEP 16).
    SuperSeed,
    /// It asks nobody for anything, and serves what it has.
    UploadOnly,
    /// It fetches only as many pieces as can be given to several others each, so that more goes than comes.
    Share,
    /// It is paused, and this turned off, as soon as its files were looked at.
    StopWhenReady,
    /// It announces to its trackers.
    Trackers,
    /// Its peers are sought in the DHT, unless it is private.
    Dht,
    /// Its peers are sought on the local networks, unless it is private.
    LocalDiscovery,
    /// Its peers tell it of peers, and are told of some (BEP 11), unless it is private.
    PeerExchange,
    /// It is fetched from its web seeds, too.
    WebSeeds,
    /// The IP filter holds for its peers and web seeds.
    IpFilter,
    /// While it has everything and goes through circuits, hidden peers find it.
    HiddenSeeding,
}

impl Mode {
    /// All of them.
    pub const EACH: [Self; 13] = [
        Self::Managed,
        Self::Sequential,
        Self::SuperSeed,
        Self::UploadOnly,
        Self::Share,
        Self::StopWhenReady,
        Self::Trackers,
        Self::Dht,
        Self::LocalDiscovery,
        Self::PeerExchange,
        Self::WebSeeds,
        Self::IpFilter,
        Self::HiddenSeeding,
    ];

    /// Its word in commands and lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Sequential => "sequential",
            Self::SuperSeed => "super_seed",
            Self::UploadOnly => "upload_only",
            Self::Share => "share",
            Self::StopWhenReady => "stop_when_ready",
            Self::Trackers => "trackers",
            Self::Dht => "dht",
            Self::LocalDiscovery => "local_discovery",
            Self::PeerExchange => "peer_exchange",
            Self::WebSeeds => "web_seeds",
            Self::IpFilter => "ip_filter",
            Self::HiddenSeeding => "hidden_seeding",
        }
    }

    /// The one that is called so.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|mode| mode.word() == word)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of switches.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Modes(u16);

impl Modes {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Whether one is among them.
    pub const fn has(self, mode: Mode) -> bool {
        self.0 & mode.bit() != 0
    }

    /// With one, or without it.
    #[must_use]
    pub const fn with(self, mode: Mode, on: bool) -> Self {
        if on {
            Self(self.0 | mode.bit())
        } else {
            Self(self.0 & !mode.bit())
        }
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Mode> {
        Mode::EACH.into_iter().filter(move |mode| self.has(*mode))
    }

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` has not.
    #[must_use]
    pub const fn but(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<Mode> for Modes {
    fn from_iter<I: IntoIterator<Item = Mode>>(modes: I) -> Self {
        modes
            .into_iter()
            .fold(Self::NONE, |set, mode| set.with(mode, true))
    }
}

impl fmt::Debug for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl AddTorrent {
    /// The switches that are on.
    pub fn modes(&self) -> Modes {
        let on = |mode: &Mode| match mode {
            Mode::Managed => self.managed,
            Mode::Sequential => self.sequential,
            Mode::SuperSeed => self.super_seed,
            Mode::UploadOnly => self.upload_only,
            Mode::Share => self.share,
            Mode::StopWhenReady => self.stop_when_ready,
            Mode::Trackers => self.use_trackers,
            Mode::Dht => self.use_dht,
            Mode::LocalDiscovery => self.use_local_discovery,
            Mode::PeerExchange => self.use_peer_exchange,
            Mode::WebSeeds => self.use_web_seeds,
            Mode::IpFilter => self.use_ip_filter,
            Mode::HiddenSeeding => self.hidden_seeding,
        };
        Mode::EACH.into_iter().filter(on).collect()
    }

    /// Turns those on, and then those off.
    pub fn set_modes(&mut self, on: Modes, off: Modes) {
        for mode in on.iter() {
            self.set_mode(mode, true);
        }
        for mode in off.iter() {
            self.set_mode(mode, false);
        }
    }

    /// Turns a switch.
    pub const fn set_mode(&mut self, mode: Mode, on: bool) {
        *match mode {
            Mode::Managed => &mut self.managed,
            Mode::Sequential => &mut self.sequential,
            Mode::SuperSeed => &mut self.super_seed,
            Mode::UploadOnly => &mut self.upload_only,
            Mode::Share => &mut self.share,
            Mode::StopWhenReady => &mut self.stop_when_ready,
            Mode::Trackers => &mut self.use_trackers,
            Mode::Dht => &mut self.use_dht,
            Mode::LocalDiscovery => &mut self.use_local_discovery,
            Mode::PeerExchange => &mut self.use_peer_exchange,
            Mode::WebSeeds => &mut self.use_web_seeds,
            Mode::IpFilter => &mut self.use_ip_filter,
            Mode::HiddenSeeding => &mut self.hidden_seeding,
        } = on;
    }
}

/// The switches that a record has on.
pub(crate) fn modes_of(record: &state::Torrent) -> Modes {
    let switches = &record.switches;
    let on = |mode: &Mode| match mode {
        Mode::Managed => switches.managed,
        Mode::Sequential => switches.sequential,
        Mode::SuperSeed => switches.super_seed,
        Mode::UploadOnly => switches.upload_only,
        Mode::Share => switches.share,
        Mode::StopWhenReady => switches.stop_when_ready,
        Mode::Trackers => switches.trackers,
        Mode::Dht => switches.dht,
        Mode::LocalDiscovery => switches.local_discovery,
        Mode::PeerExchange => switches.peer_exchange,
        Mode::WebSeeds => switches.web_seeds,
        Mode::IpFilter => switches.ip_filter,
        Mode::HiddenSeeding => switches.hidden_seeding,
    };
    Mode::EACH.into_iter().filter(on).collect()
}

/// Writes switches to a record.
pub(crate) fn keep_modes(record: &mut state::Torrent, modes: Modes) {
    let switches = &mut record.switches;
    for mode in Mode::EACH {
        *match mode {
            Mode::Managed => &mut switches.managed,
            Mode::Sequential => &mut switches.sequential,
            Mode::SuperSeed => &mut switches.super_seed,
            Mode::UploadOnly => &mut switches.upload_only,
            Mode::Share => &mut switches.share,
            Mode::StopWhenReady => &mut switches.stop_when_ready,
            Mode::Trackers => &mut switches.trackers,
            Mode::Dht => &mut switches.dht,
            Mode::LocalDiscovery => &mut switches.local_discovery,
            Mode::PeerExchange => &mut switches.peer_exchange,
            Mode::WebSeeds => &mut switches.web_seeds,
            Mode::IpFilter => &mut switches.ip_filter,
            Mode::HiddenSeeding => &mut switches.hidden_seeding,
        } = modes.has(mode);
    }
}
