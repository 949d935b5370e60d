//! The metadata of links that nobody has added: for each an engine of its own, which ends when it has it. What the daemon's engine
//! lists, keeps, counts and tells has nothing of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, Category, DhtDoor, EngineConfig, EngineHandle, Event, Priority, Routes, Settings,
    Source, Supervisor,
};
use net::filter::IpFilter;
use net::{Filter, Network, Pool};
use protocol::id::InfoHash;
use protocol::magnet::Magnet;
use protocol::metainfo::Metainfo;
use tokio::time::timeout;

/// How long peers are waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Links that are looked up at a time.
pub(crate) const AT_A_TIME: usize = 8;

/// How long trackers may take to hear that nobody is there any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// Peers of a look: more bring the metadata no sooner.
const PEERS: usize = 30;

/// Events that may wait.
const WAITING: usize = 64;

/// Addresses that are not in the open net, as lists of addresses have them: those that no peer or tracker that a stranger names can
/// be reached at without somebody's own network being meant. It has at least those that [`net::Scope`] does not call global.
const HERE: &str = "
    0.0.0.0/8\n10.0.0.0/8\n100.64.0.0/10\n127.0.0.0/8\n169.254.0.0/16\n172.16.0.0/12\n192.0.0.0/24\n192.0.2.0/24
    192.88.99.0/24\n192.168.0.0/16\n198.18.0.0/15\n198.51.100.0/24\n203.0.113.0/24\n224.0.0.0/3
    ::/7\n400::/6\n800::/5\n1000::/4\n4000::/2\n8000::/1
    2001::/32\n2001:2::/48\n2001:10::/28\n2001:20::/28\n2001:db8::/32\n2002::/16\n3fff::/20
";

/// What looks are made of.
#[derive(Clone, Debug)]
pub(crate) struct Outfit {
    /// The direct way.
    pub(crate) network: Network,
    pub(crate) pool: Pool,
    /// The node of the DHT on the direct way.
    pub(crate) dht: Option<DhtDoor>,
    /// The other ways.
    pub(crate) routes: Option<Arc<dyn Routes>>,
    /// Those of the daemon's engine.
    pub(crate) settings: Settings,
    /// A folder for a while, which need not be there.
    pub(crate) dir: PathBuf,
    /// Whether addresses of this machine and its networks are talked to.
    pub(crate) local: bool,
    /// Whether trackers are asked.
    pub(crate) trackers: bool,
}

/// Why there is no metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotFound {
    /// There can be no look.
    #[error("{0}")]
    Failed(String),
    /// Nobody has given it in time.
    #[error("metainfo error: nobody has given the metadata of {0} within {1:?}")]
    Nobody(InfoHash, Duration),
}

/// Fetches the metadata of a link by so many hops. Must be called inside an actor system.
///
/// # Errors
/// [`NotFound`].
///
/// # Cancel safety
/// The engine of the look would go on: it is to be waited for.
pub(crate) async fn fetch(
    outfit: Outfit,
    magnet: Magnet,
    hops: u8,
    patience: Duration,
) -> Result<Arc<Metainfo>, NotFound> {
    let failed = |error: &dyn std::fmt::Display| NotFound::Failed(error.to_string());
    let hash = magnet.hashes.map(|hashes| hashes.wire());
    let hash = hash.ok_or_else(|| NotFound::Failed("missing infohash".to_owned()))?;
    let (dir, trackers) = (outfit.dir.clone(), outfit.trackers);
    let config = config(outfit, hops);
    let (_, engine) = Supervisor::launch(config).map_err(|error| failed(&error))?;
    let mut add = AddTorrent::new(Source::Magnet(Box::new(magnet)), dir.clone());
    add.hops = Some(hops);
    add.use_trackers = trackers;
    add.use_web_seeds = false;
    add.max_peers = Some(PEERS);
    add.managed = false;
    // Nothing of the content is wanted.
    add.choices.others = Priority::SKIP;
    add.files = Some(Vec::new());
    let found = timeout(patience, metadata(&engine, add)).await;
    engine.shutdown(FAREWELL).await;
    remove(&dir).await;
    match found {
        Ok(found) => found.map_err(|error| failed(&error)),
        Err(_) => Err(NotFound::Nobody(hash, patience)),
    }
}

/// The engine of a look.
fn config(outfit: Outfit, hops: u8) -> EngineConfig {
    let mut settings = outfit.settings;
    // What these say was done when the way was opened.
    settings.network = engine::settings::NetworkSettings::default();
    settings.local_discovery.enabled = false;
    let network = if hops > 0 {
        // There is no way but routes, and who is meant by an address there is for exits to judge.
        Network::none()
    } else if outfit.local {
        outfit.network
    } else {
        // Where there is a list of the user's, its door stays; uTP has none but the list that is asked last.
        settings.connections.outgoing_utp &= !outfit.network.is_filtered();
        outfit.network.filtered(&open_net())
    };
    let mut config = EngineConfig::new(network, outfit.pool);
    config.dht = outfit.dht.filter(|_| hops == 0);
    config.routes = outfit.routes;
    config.settings = settings;
    config.disk_threads = 0;
    config.torrent_threads = 0;
    config
}

/// Adds a link and waits for its metadata.
async fn metadata(
    engine: &EngineHandle,
    add: AddTorrent,
) -> Result<Arc<Metainfo>, engine::CommandError> {
    let mut events = engine.events(Category::Status.into(), WAITING);
    let id = engine.add(add).await?;
    loop {
        if let Some(metainfo) = engine.metainfo(id).await? {
            return Ok(metainfo);
        }
        // Whatever it is that has happened: events that were missed are as good as any.
        while let Ok(event) = events.recv().await {
            if matches!(event, Event::MetadataReceived { .. }) {
                break;
            }
        }
    }
}

/// Takes away what a look may have left.
async fn remove(dir: &Path) {
    let dir = dir.to_owned();
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
    if let Ok(Err(error)) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::debug!(%error, "the folder of a look stays");
    }
}

/// A filter that lets through what is in the open net.
fn open_net() -> Filter {
    let (list, _) = IpFilter::read(HERE.as_bytes());
    Filter::new(list)
}

#[cfg(test)]
mod tests;
