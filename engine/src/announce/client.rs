//! Trackers that are asked one by one, without an engine.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use net::http::HeaderValue;
use net::{Network, Pool};
use protocol::id::InfoHash;
use protocol::tracker::{Announce, AnnounceReply, ScrapeEntry};

use crate::announce::desk::DeskSetup;
use crate::announce::exchange::{AnnounceError, Exchanges};
use crate::announce::tracker::Tracker;
use crate::settings::{Live, Settings};

/// Asks trackers by HTTP, HTTPS and UDP as torrents do: by all families of addresses that they have, within the limits of the
/// settings. For tools; torrents of an engine announce themselves.
pub struct TrackerClient {
    exchanges: Exchanges,
}

impl fmt::Debug for TrackerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackerClient").finish_non_exhaustive()
    }
}

impl TrackerClient {
    /// Asks through a network, by sockets on a pool. `client` is what HTTP trackers are told of who asks.
    pub fn new(network: Network, pool: Pool, settings: Settings, client: HeaderValue) -> Self {
        Self {
            exchanges: Exchanges::new(DeskSetup {
                network,
                pool,
                settings: Live::new(settings),
                direct: true,
                socket: None,
                client,
                families: Vec::new(),
                meter: Arc::default(),
                seed: rand::random(),
            }),
        }
    }

    /// Announces to a tracker, by whichever family of addresses answers.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the announce, which the tracker may have heard nevertheless.
    ///
    /// # Errors
    /// [`AnnounceError`].
    pub async fn announce(
        &self,
        url: &str,
        announce: &Announce,
    ) -> Result<AnnounceReply, AnnounceError> {
        let tracker = tracker(url)?;
        let announced = self.exchanges.announce(&tracker, announce, rand::random());
        announced.await
    }

    /// Scrapes torrents, [`MAX_SCRAPE`](protocol::tracker::MAX_SCRAPE) at most; those that the tracker does not know may be
    /// missing.
    ///
    /// # Errors
    /// [`AnnounceError`].
    pub async fn scrape(
        &self,
        url: &str,
        torrents: &[InfoHash],
    ) -> Result<BTreeMap<InfoHash, ScrapeEntry>, AnnounceError> {
        let tracker = tracker(url)?;
        let scraped = self.exchanges.scrape(&tracker, torrents, rand::random());
        scraped.await
    }
}

fn tracker(url: &str) -> Result<Tracker, AnnounceError> {
    let parsed = Tracker::parse(&Arc::from(url.trim()));
    parsed.ok_or(AnnounceError::Unusable(
        "not the address of a tracker, such as udp://HOST:PORT or http://HOST/announce",
    ))
}
