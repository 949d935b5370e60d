//! Torrents are added.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use control::{Add, Added, Code, Origin, Refusal, label, tags};
use engine::{AddTorrent, Existing, Labels, Limits, TorrentId};
use futures_util::stream::{self, StreamExt as _};
use net::Network;
use protocol::metainfo::Metainfo;
use protocol::web_seed::{Kind, WebSeed};
use serde::Serialize;

use super::looking::is_tracker;
use super::{Desk, refused};
use crate::failure::Failure;
use crate::selection::Selection;
use crate::source::{Source, shown_hash, without_login};

/// Torrents that are added at a time, whoever adds them: each takes several times the memory that it has later, and a few of
/// them together are enough to wait for the disk once.
pub(super) const AT_A_TIME: usize = 64;

/// How often, and after how long each time, it is looked whether a torrent is on the list.
pub(super) const LOOKS: u32 = 200;
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// What became of all torrents of a request, in their order.
#[derive(Debug, Serialize)]
pub(super) struct AllAdded {
    torrents: Vec<Added>,
}

/// What is wanted of each torrent of a request, as the engine has it.
struct Wish {
    dir: PathBuf,
    peers: Vec<SocketAddr>,
    selection: Option<Selection>,
    hops: Option<u8>,
    labels: Labels,
    add: Add,
}

impl Desk {
    /// Adds torrents; each is answered for itself.
    pub(super) async fn add(&self, add: Add) -> Result<AllAdded, Refusal> {
        let torrents = self.add_each(add).await?;
        Ok(AllAdded { torrents })
    }

    /// Adds torrents; what became of each, in their order.
    ///
    /// # Errors
    /// [`Refusal`], where what is wanted of them cannot be.
    pub(crate) async fn add_each(&self, mut add: Add) -> Result<Vec<Added>, Refusal> {
        let origins = std::mem::take(&mut add.torrents);
        let wish = self.wish(add)?;
        let wish = &wish;
        let added = stream::iter(origins).map(|origin| async move {
            // Whoever has to be asked for it first holds nobody up.
            let _turn = match origin {
                Origin::Url(_) => None,
                Origin::File(_) | Origin::Link(_) => self.adding.acquire().await.ok(),
            };
            match self.add_one(origin, wish).await {
                Ok(added) => added,
                Err((added, refusal)) => Added {
                    error: Some(refusal),
                    ..added
                },
            }
        });
        Ok(added.buffered(AT_A_TIME).collect().await)
    }

    fn wish(&self, add: Add) -> Result<Wish, Refusal> {
        let wrong = |why: String| Refusal::new(Code::Wrong, why);
        let labels = Labels {
            category: add.category.as_deref().map(label).transpose()?,
            tags: tags(&add.tags)?,
        };
        let of_category = || self.categories.dir(labels.category.as_deref()?);
        let dir = match &add.dir {
            Some(dir) => PathBuf::from(dir),
            None => of_category().unwrap_or_else(|| self.output.clone()),
        };
        if !dir.is_absolute() {
            return Err(wrong(format!(
                "{}: a folder is named from the root",
                dir.display()
            )));
        }
        let peer = |text: &String| {
            let read = text.parse();
            read.map_err(|_| wrong(format!("{text}: a peer is an IP address and a port")))
        };
        let peers = add.peers.iter().map(peer);
        if let Some(bad) = add.trackers.iter().find(|url| !is_tracker(url)) {
            let why = format!("{bad}: a tracker's address begins with udp://, http:// or https://");
            return Err(wrong(why));
        }
        let is_seed = |url: &&String| WebSeed::new(Kind::GetRight, url).is_none();
        if let Some(bad) = add.web_seeds.iter().find(is_seed) {
            let why = format!("{bad}: a web seed's address begins with http:// or https://");
            return Err(wrong(why));
        }
        if let Some(hops) = add.hops.filter(|hops| *hops > 3) {
            return Err(wrong(format!("{hops} hops: there are 0 to 3")));
        }
        let selection = Selection::parse("--files", &add.files);
        Ok(Wish {
            dir,
            peers: peers.collect::<Result<_, _>>()?,
            selection: selection.map_err(|failure| wrong(failure.to_string()))?,
            hops: add.hops.or(self.args.common.hops.hops),
            labels,
            add,
        })
    }

    /// Adds one torrent.
    async fn add_one(&self, origin: Origin, wish: &Wish) -> Result<Added, (Added, Refusal)> {
        let source = self.read(origin, wish.hops).await;
        let source = source.map_err(|refusal| (Added::default(), refusal))?;
        let mut added = Added {
            info_hash: source.hashes().map(shown_hash),
            name: source.name().map(str::to_owned),
            error: None,
        };
        let add = match self.as_wished(source, wish) {
            Ok(add) => add,
            Err(refusal) => return Err((added, refusal)),
        };
        match self.engine.add(add).await {
            Ok(id) => {
                self.is_listed(id).await;
                // What only a publisher's key named has its hash now.
                if added.info_hash.is_none() {
                    added.info_hash = crate::daemon::told::hash_of(&self.engine, id);
                }
                Ok(added)
            }
            Err(error) => Err((added, refused(&error))),
        }
    }

    /// Waits until a torrent that was added is on the list: whoever asked for it may name it next.
    async fn is_listed(&self, id: TorrentId) {
        for _ in 0..LOOKS {
            if self.engine.status(id).is_some() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The network of torrents of which so many hops are said.
    pub(crate) async fn way(&self, hops: Option<u8>) -> Result<Network, Refusal> {
        match hops.unwrap_or_default() {
            0 => Ok(self.direct.network()),
            hops => {
                let network = self.circuits.network(hops).await;
                network.map_err(|why| Refusal::new(Code::NoRoute, why))
            }
        }
    }

    /// Reads what is known of a torrent; what has to be fetched is so on the torrent's own way.
    async fn read(&self, origin: Origin, hops: Option<u8>) -> Result<Source, Refusal> {
        let wrong = |failure: Failure| {
            let code = if let Failure::NotFound(_) = failure {
                Code::NotFound
            } else {
                Code::Wrong
            };
            Refusal::new(code, failure.to_string())
        };
        match origin {
            Origin::File(bytes) => Source::from_bytes("the file", &bytes.0).map_err(wrong),
            Origin::Link(link) => Source::of_link(&link).map_err(wrong),
            Origin::Url(url) => {
                if !Source::is_remote(&url) {
                    let url = without_login(&url);
                    let why = format!("{url}: torrents are fetched by http and https only");
                    return Err(Refusal::new(Code::Wrong, why));
                }
                let network = self.way(hops).await?;
                Source::read(&url, &network).await.map_err(|failure| {
                    let code = if let Failure::NotFound(_) = failure {
                        Code::NotFound
                    } else {
                        Code::Failed
                    };
                    Refusal::new(code, failure.to_string())
                })
            }
        }
    }

    /// A torrent with what is wanted of it.
    fn as_wished(&self, source: Source, wish: &Wish) -> Result<AddTorrent, Refusal> {
        let wrong = |why: String| Refusal::new(Code::Wrong, why);
        let common = &self.args.common;
        let files = match (&source, &wish.selection) {
            (_, None) => None,
            (Source::Torrent(metainfo), Some(chosen)) => {
                let chosen = chosen.of(metainfo);
                Some(chosen.map_err(|failure| wrong(failure.to_string()))?)
            }
            (Source::Magnet(_), Some(_)) => {
                let why =
                    "its files are not known yet; numbers can be in the link itself, as so=0,3-7";
                return Err(wrong(why.to_owned()));
            }
        };
        let source = match source {
            Source::Torrent(metainfo) => {
                engine::Source::Metainfo(with_trackers(metainfo, &wish.add.trackers))
            }
            Source::Magnet(mut magnet) => {
                magnet.trackers.extend(wish.add.trackers.iter().cloned());
                engine::Source::Magnet(magnet)
            }
        };
        let mut add = AddTorrent::new(source, wish.dir.clone());
        add.files = files;
        add.hops = wish.hops;
        add.peers.clone_from(&wish.peers);
        add.sequential = wish.add.sequential;
        add.trust_data = wish.add.no_check;
        if wish.add.overwrite {
            add.existing = Existing::Replace;
        }
        add.super_seed = wish.add.super_seed;
        add.hidden_seeding = self.engine.settings().seeding.hidden;
        add.labels = wish.labels.clone().shared();
        add.paused = wish.add.paused;
        add.use_trackers = !common.no_trackers;
        add.use_web_seeds = !common.no_webseeds;
        add.web_seeds.clone_from(&wish.add.web_seeds);
        let bound = |rate: Option<u64>| rate.filter(|rate| *rate > 0);
        add.limits = Limits {
            down: bound(wish.add.down),
            up: bound(wish.add.up),
        };
        Ok(add)
    }
}

/// Metadata that names further trackers, each in a tier of its own.
fn with_trackers(metainfo: Arc<Metainfo>, more: &[String]) -> Arc<Metainfo> {
    if more.is_empty() {
        return metainfo;
    }
    let mut tiers = metainfo.trackers().to_vec();
    for url in more {
        if !tiers.iter().flatten().any(|known| known == url) {
            tiers.push(vec![url.clone()]);
        }
    }
    let mut metainfo = Arc::unwrap_or_clone(metainfo);
    metainfo.set_trackers(tiers);
    Arc::new(metainfo)
}
