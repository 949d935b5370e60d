//! What a torrent gets from its engine.

use actix::Recipient;
use net::{Pool, RateLimiter};

use crate::Memory;
use crate::checks::Checks;
use crate::claims::Claims;
use crate::classes::Classes;
use crate::disk::Disk;
use crate::event::hub::Hub;
use crate::plugins::Plugins;
use crate::queue::Voices;
use crate::reach::Reach;
use crate::seats::Seats;
use crate::settings::Live;
use crate::shelf::Shelf;
use crate::torrent::messages::News;
use crate::turns::Turns;

/// What a torrent gets from its engine.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// By which route it is reached and reaches others.
    pub(crate) reach: Reach,
    pub(crate) pool: Pool,
    pub(crate) disk: Disk,
    /// What all stores share; see [`Setup::storage`].
    pub(crate) store_base: storage::StoreOptions,
    pub(crate) memory: Memory,
    /// As they are at the moment.
    pub(crate) settings: Live,
    /// Shared by all torrents.
    pub(crate) seats: Seats,
    /// Shared by all torrents.
    pub(crate) claims: Claims,
    /// Shared by all torrents.
    pub(crate) shelf: Shelf,
    /// Shared by all torrents.
    pub(crate) turns: Turns,
    pub(crate) down: RateLimiter,
    pub(crate) up: RateLimiter,
    /// Extensions of programs; shared by all torrents.
    pub(crate) plugins: Plugins,
    /// Shared by all torrents.
    pub(crate) classes: Classes,
    /// Limits of both directions, down first, that hold for the connections of TCP as well.
    pub(crate) tcp: [RateLimiter; 2],
    /// Shared by all torrents.
    pub(crate) checks: Checks,
    /// The queue has it wait.
    pub(crate) held: bool,
    /// Where it may announce.
    pub(crate) voices: Voices,
    pub(crate) seed: u64,
    /// Which life of the torrent this is: the first is 0, and no two are the same.
    pub(crate) life: u32,
    /// Bytes that it has moved in this session before: that came, went, and were of no use.
    pub(crate) moved: [u64; 3],
    /// Bytes that were wanted, and those of them that were there, when it was last at work in an earlier life.
    pub(crate) rested: Option<(u64, u64)>,
    /// Where is told of what happens often, and before which no snapshot is published.
    pub(crate) events: Hub,
    pub(crate) supervisor: Recipient<News>,
}

impl Setup {
    /// How content files are opened at this moment.
    pub(crate) fn storage(&self) -> storage::StoreOptions {
        let settings = self.settings.get();
        storage::StoreOptions {
            write: settings.disk.write,
            read: settings.disk.read,
            preallocate: settings.disk.preallocate,
            ..self.store_base.clone()
        }
    }
}
