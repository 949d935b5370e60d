//! What a torrent gets from its engine.

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Addr, Recipient};
use net::{Network, Pool, RateLimiter};

use crate::announce::desk::Desk;
use crate::claims::Claims;
use crate::disk::Disk;
use crate::lookups::Lookups;
use crate::lsd::Lsd;
use crate::seats::Seats;
use crate::shelf::Shelf;
use crate::torrent::messages::News;
use crate::updates::Updates;
use crate::{DhtDoor, Encryption};

/// What a torrent gets from its engine.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) network: Network,
    pub(crate) pool: Pool,
    pub(crate) disk: Disk,
    pub(crate) storage: storage::StoreOptions,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) listen_port: Option<u16>,
    pub(crate) client: Arc<str>,
    pub(crate) desk: Desk,
    /// Makes the requests of web seeds.
    pub(crate) http: net::http::Client,
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
    pub(crate) lsd: Option<Addr<Lsd>>,
    pub(crate) dht: Option<DhtDoor>,
    pub(crate) lookups: Option<Addr<Lookups>>,
    pub(crate) updates: Option<Updates>,
}
