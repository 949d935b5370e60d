//! What a torrent gets from its engine.

use std::path::PathBuf;

use actix::Recipient;
use net::{Pool, RateLimiter};

use crate::Encryption;
use crate::claims::Claims;
use crate::disk::Disk;
use crate::reach::Reach;
use crate::seats::Seats;
use crate::shelf::Shelf;
use crate::torrent::messages::News;

/// What a torrent gets from its engine.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// By which route it is reached and reaches others.
    pub(crate) reach: Reach,
    pub(crate) pool: Pool,
    pub(crate) disk: Disk,
    pub(crate) storage: storage::StoreOptions,
    pub(crate) state_dir: Option<PathBuf>,
    /// Whether peers tell each other of peers.
    pub(crate) peer_exchange: bool,
    /// Whether peers behind NATs are met with the help of others.
    pub(crate) hole_punching: bool,
    pub(crate) encryption: Encryption,
    pub(crate) max_peers: usize,
    /// Shared by all torrents.
    pub(crate) seats: Seats,
    /// Shared by all torrents.
    pub(crate) claims: Claims,
    /// Shared by all torrents.
    pub(crate) shelf: Shelf,
    pub(crate) upload_slots: usize,
    pub(crate) down: RateLimiter,
    pub(crate) up: RateLimiter,
    /// Limits of both directions, down first, that hold for the connections of TCP as well.
    pub(crate) tcp: [RateLimiter; 2],
    /// Whether they hold for peers of the local networks, too.
    pub(crate) limit_local: bool,
    pub(crate) seed: u64,
    pub(crate) supervisor: Recipient<News>,
}
