//! `dht get-peers` and `dht announce`.

use std::time::Instant;

use dht::{AnnounceAs, GetPeers, Outcome, Update};

use super::line::Line;
use super::{Work, info_hash};
use crate::cli::dht::{AnnounceArgs, GetPeersArgs};
use crate::failure::Failure;
use crate::json::seconds;

impl Work<'_> {
    /// Tells peers as they are found.
    pub(super) async fn get_peers(&self, args: &GetPeersArgs) -> Result<(), Failure> {
        let get = GetPeers {
            noseed: args.noseed,
            scrape: args.scrape,
            ..GetPeers::new(info_hash(&args.torrent)?)
        };
        self.ready().await?;
        let began = Instant::now();
        let mut search = self.dht.get_peers(get).await.map_err(Failure::failed)?;
        let mut any = false;
        while let Some(update) = search.next().await.map_err(Failure::failed)? {
            if let Update::Peers(peers, progress) = &update {
                any = true;
                self.tell(&Line::Peers {
                    peers: peers.iter().map(ToString::to_string).collect(),
                    asked: progress.asked,
                    answered: progress.answered,
                })?;
            } else if let Update::Done(Outcome::Peers(outcome), progress) = &update {
                let took = seconds(began.elapsed());
                self.tell(&Line::done(progress, took, outcome.scrape))?;
            }
        }
        if any { Ok(()) } else { Err(Failure::Told) }
    }

    /// Announces this host.
    pub(super) async fn announce(&self, args: &AnnounceArgs) -> Result<(), Failure> {
        let info_hash = info_hash(&args.torrent)?;
        let announce = AnnounceAs {
            port: args.port,
            seed: args.seed,
        };
        self.ready().await?;
        let stored = self.dht.announce(info_hash, announce).await;
        let stored = stored.map_err(Failure::failed)?;
        self.tell(&Line::Announced {
            info_hash: info_hash.to_string(),
            nodes: stored.nodes,
            refused: stored.refused,
        })?;
        if stored.nodes > 0 {
            Ok(())
        } else {
            Err(Failure::Told)
        }
    }
}
