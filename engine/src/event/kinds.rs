//! The kinds of events: their words, and what they are about.

use super::{Categories, Category, Event};

/// Of each kind of event: its word and what it is about.
macro_rules! kinds {
    ($($kind:ident = $word:literal: $category:ident $(+ $errors:ident)?;)*) => {
        impl Event {
            /// Words for programs, as [`Event::word`] gives them.
            pub const WORDS: &[&str] = &[$($word),*];

            /// Its word, its category, and all that it is about.
            const fn kind(&self) -> (&'static str, Category, Categories) {
                match self {
                    $(Self::$kind { .. } => {
                        let category = Category::$category;
                        let about = Categories::NONE.with(category)$(.with(Category::$errors))?;
                        ($word, category, about)
                    })*
                }
            }
        }
    };
}

impl Event {
    /// One word for programs.
    pub const fn word(&self) -> &'static str {
        self.kind().0
    }

    /// What it is about.
    pub const fn category(&self) -> Category {
        self.kind().1
    }

    /// All that it is about: beside its category [`Category::Errors`], where something went wrong.
    pub const fn categories(&self) -> Categories {
        self.kind().2
    }
}

kinds! {
    Added = "added": Status;
    BlockAsked = "block_asked": Requests;
    BlockDropped = "block_dropped": Blocks;
    BlockReceived = "block_received": Blocks;
    BlockRequested = "block_requested": Blocks;
    BlockSent = "block_sent": Uploads;
    BlockTimedOut = "block_timed_out": Blocks;
    BlockUnwanted = "block_unwanted": Blocks;
    CheckFinished = "check_finished": Status;
    DataDeleted = "data_deleted": Storage;
    DeleteFailed = "delete_failed": Storage + Errors;
    DhtAnnounced = "dht_announced": DhtQueries;
    DhtAsked = "dht_asked": DhtQueries;
    DhtAsks = "dht_asks": DhtQueries;
    DhtFailed = "dht_failed": Dht + Errors;
    DhtPeers = "dht_peers": Dht;
    DhtReady = "dht_ready": Dht;
    DuePiece = "due_piece": Pieces;
    Error = "error": Status + Errors;
    ExternalIp = "external_ip": Status;
    FilesCompleted = "files_completed": Files;
    FilesRenamed = "files_renamed": Storage;
    Finished = "finished": Status;
    Incoming = "incoming": Connections;
    InvalidRequest = "invalid_request": Peers;
    Listening = "listening": Status;
    LocalData = "local_data": Storage;
    LocalFailed = "local_failed": Connections + Errors;
    LocalPeer = "local_peer": Connections;
    LowSpace = "low_space": Storage + Errors;
    MapFailed = "map_failed": Status + Errors;
    Mapped = "mapped": Status;
    MetadataFailed = "metadata_failed": Status + Errors;
    MetadataReceived = "metadata_received": Status;
    MoveFailed = "move_failed": Storage + Errors;
    Moved = "moved": Storage;
    NetworkDown = "network_down": Status + Errors;
    NetworkUp = "network_up": Status;
    Newer = "newer": Status;
    Paused = "paused": Status;
    PeerBanned = "peer_banned": Peers + Errors;
    PeerBlocked = "peer_blocked": Blocked;
    PeerConnected = "peer_connected": Connections;
    PeerDisconnected = "peer_disconnected": Connections;
    PeerError = "peer_error": Peers + Errors;
    PeerSends = "peer_sends": Peers;
    PeerSnubs = "peer_snubs": Peers;
    Performance = "performance": Performance;
    PieceFailed = "piece_failed": Pieces + Errors;
    PieceFinished = "piece_finished": Pieces;
    PrioritiesSet = "priorities_set": Storage;
    Recovered = "recovered": Status;
    Removed = "removed": Status;
    ResumeRejected = "resume_rejected": Storage + Errors;
    Resumed = "resumed": Status;
    Reused = "reused": Storage;
    Route = "route": Status;
    SeedingDone = "seeding_done": Status;
    SpaceBack = "space_back": Storage;
    StateChanged = "state_changed": Status;
    Stats = "stats": Stats;
    TrackerAnnounce = "tracker_announce": Trackers;
    TrackerError = "tracker_error": Trackers + Errors;
    TrackerId = "tracker_id": Trackers;
    TrackerReply = "tracker_reply": Trackers;
    TrackerWarning = "tracker_warning": Trackers + Errors;
    TrackersChanged = "trackers_changed": Trackers;
    Unsaved = "unsaved": Storage + Errors;
    WebSeedBanned = "web_seed_banned": Peers + Errors;
    WebSeedError = "web_seed_error": Peers + Errors;
}
