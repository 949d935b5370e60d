//! What people and programs are told of what happens.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{Event, Source, TorrentError, TorrentId};
use protocol::metainfo::Metainfo;
use storage::ErrorKind;

use super::tracked::{Outcome, host, tell_error};
use super::{Transfer, status};
use crate::failure::{Failure, plain};
use crate::json::Line;
use crate::screen::Style;
use crate::text::printable;

impl Transfer {
    pub(super) async fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::CheckFinished { id, good } => self.checked(id, good),
            Event::Error { id, error } => self.failed(id, &error)?,
            Event::Finished { id, after, .. } => self.finished(id, after)?,
            Event::LocalData { id, files } => self.local_data(id, &files)?,
            Event::MetadataReceived { id, metainfo } => self.metadata(id, metainfo).await?,
            Event::Newer { id, published } => self.newer(id, published)?,
            Event::PeerBanned { id, ip } => self.banned(id, ip)?,
            Event::PieceFailed { id, piece } => self.piece_failed(id, piece)?,
            Event::Recovered { id } => self.recovered(id)?,
            Event::Reused { id, pieces, bytes } => self.reused(id, pieces, bytes)?,
            Event::Removed { id, .. } => self.removed(id).await?,
            Event::Route { id, hops, blocked } => self.route(id, hops, blocked.as_deref())?,
            Event::TrackerError { id, url, reason } => self.tracker(id, &url, Err(&reason))?,
            Event::TrackerReply { id, url, peers } => self.tracker(id, &url, Ok(peers))?,
            Event::TrackerWarning { id, url, message } => self.warning(id, &url, &message)?,
            Event::Unsaved { id, path, reason } => self.unsaved(id, &path, &reason)?,
            Event::WebSeedBanned { id, url } => {
                self.web_seed(id, &url, "it sends bad data and is not asked any more")?;
            }
            Event::WebSeedError { id, url, reason } => self.web_seed(id, &url, &reason)?,
            Event::Added { .. } | Event::Listening { .. } | _ => {}
        }
        Ok(())
    }

    /// Says once where peers can connect.
    pub(super) fn tell_listening(&mut self) -> Result<(), Failure> {
        if self.listening.is_some() || self.torrents.is_empty() {
            return Ok(());
        }
        let Some(addr) = self.engine.snapshot().listen else {
            return Ok(());
        };
        self.listening = Some(addr);
        let asked = self.asked.map_or(0, |asked| asked.port());
        if asked != 0 && asked != addr.port() {
            let taken = format_args!("port {asked} is taken: using {} instead", addr.port());
            self.screen.warn("warning", taken);
        }
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Listening {
                addr: addr.to_string(),
                dht: self.dht.map(|at| at.to_string()),
            }),
            Style::Bars | Style::Lines => self.screen.say(format_args!("listening on {addr}")),
        }
    }

    fn checked(&mut self, id: TorrentId, good: u32) {
        if let Some(torrent) = self.torrents.get_mut(&id) {
            torrent.had = good;
            torrent.checked = true;
        }
    }

    fn failed(&mut self, id: TorrentId, error: &TorrentError) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        let name = printable(&torrent.name);
        let advice = if let TorrentError::Incomplete { .. } = error {
            "; `tribler-rs check` lists them"
        } else if let TorrentError::Foreign(_) = error {
            "; move it away, or say --overwrite"
        } else if let (TorrentError::Missing { .. }, false) = (error, torrent.served) {
            " (--overwrite fetches it anew)"
        } else {
            ""
        };
        let message = format!("{name}: {}{advice}", plain(&error.to_string()));
        // What is to be served must be there from the start.
        let never_whole = torrent.served && torrent.outcome == Outcome::Running;
        if passes(error) && !never_whole {
            let message = format!("{message}; goes on by itself once that is mended");
            tell_error(&self.screen, &message)
        } else {
            torrent.fail(&message, &self.screen)
        }
    }

    /// Tells programs what is wrong with a web seed, and people once for each server.
    fn web_seed(&mut self, id: TorrentId, url: &str, why: &str) -> Result<(), Failure> {
        tracing::debug!(url, why, "web seed");
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::WebSeed {
                info_hash: &torrent.info_hash,
                url,
                error: why,
            });
        }
        torrent.tell_web_seed_failed(url, why, &self.screen);
        Ok(())
    }

    /// Tells programs what a tracker said. People see peers, and hear of a failure while there are none; the rest they
    /// find in the log.
    fn tracker(
        &mut self,
        id: TorrentId,
        url: &str,
        said: Result<usize, &str>,
    ) -> Result<(), Failure> {
        // The rest of the address may hold a passkey.
        tracing::debug!(tracker = %host(url), ?said, "tracker");
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Tracker {
                info_hash: &torrent.info_hash,
                url,
                peers: said.ok(),
                error: said.err(),
            });
        }
        let snapshot = self.engine.snapshot();
        let alone = status(&snapshot, id).is_none_or(|status| status.peers == 0);
        if let Some(why) = said.err().filter(|_| alone) {
            torrent.tell_tracker_failed(url, why, &self.screen);
        }
        Ok(())
    }

    /// Tells programs whether anything leaves by the circuits of a torrent. People hear that of all torrents together where it
    /// is told of their circuits.
    fn route(&mut self, id: TorrentId, hops: u8, blocked: Option<&str>) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Route {
                info_hash: &torrent.info_hash,
                hops,
                blocked,
            });
        }
        if self
            .anonymous
            .as_ref()
            .is_some_and(|all| all.tells_of(hops))
        {
            return Ok(());
        }
        let name = printable(&torrent.name);
        match blocked {
            Some(why) => {
                let line = format_args!("{name}: nothing leaves: {}", printable(why));
                self.screen.warn("warning", line);
                Ok(())
            }
            None => self
                .screen
                .say(format_args!("{name}: something leaves again")),
        }
    }

    /// Passes on what a tracker wants people to know.
    fn warning(&self, id: TorrentId, url: &str, message: &str) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            let info_hash = torrent.info_hash.as_str();
            return self.screen.json(&Line::TrackerWarning {
                info_hash,
                url,
                message,
            });
        }
        let (name, message) = (printable(&torrent.name), printable(message));
        let line = format_args!("{name}: a tracker says: {message}");
        self.screen.warn("warning", line);
        Ok(())
    }

    /// Says once that progress cannot be saved: which of the files it is makes no difference to anybody.
    pub(super) fn unsaved(
        &mut self,
        id: TorrentId,
        path: &Path,
        reason: &str,
    ) -> Result<(), Failure> {
        if std::mem::replace(&mut self.told_unsaved, true) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(path).display().to_string();
        let reason = plain(reason);
        let line = format!("can't save resume data in {}: {reason}", printable(&folder));
        self.screen.warn("warning", line);
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            let info_hash = torrent.info_hash.as_str();
            return self.screen.json(&Line::Unsaved {
                info_hash,
                folder: &folder,
                error: &reason,
            });
        }
        Ok(())
    }

    fn recovered(&mut self, id: TorrentId) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        let info_hash = torrent.info_hash.as_str();
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Recovered { info_hash }),
            Style::Bars | Style::Lines => self
                .screen
                .say(format_args!("{} goes on", printable(&torrent.name))),
        }
    }

    pub(super) fn finished(&mut self, id: TorrentId, after: Duration) -> Result<(), Failure> {
        let snapshot = self.engine.snapshot();
        let goal = self.goal;
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        if torrent.outcome != Outcome::Running || torrent.choose.is_some() {
            return Ok(());
        }
        torrent.outcome = Outcome::Complete(Instant::now());
        let status = status(&snapshot, id);
        let size = status.map_or(0, |status| status.wanted);
        let served = torrent.served;
        if !served {
            torrent.tell_finished(status, after, &self.screen)?;
        }
        if served || !goal.is_met(0, size, Duration::ZERO) {
            torrent.tell_seeding(&self.screen)?;
        }
        Ok(())
    }

    /// Metadata of a magnet link came. Where files are to be chosen, the torrent is taken out, to be added again with
    /// the choice.
    async fn metadata(&mut self, id: TorrentId, metainfo: Arc<Metainfo>) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        torrent.tell_metadata(&metainfo, &self.screen)?;
        let Some((selection, add)) = &mut torrent.choose else {
            return Ok(());
        };
        add.files = Some(selection.of(&metainfo)?);
        if let Source::Magnet(magnet) = &add.source {
            add.follow.clone_from(&magnet.mutable);
        }
        add.source = Source::Metainfo(with_links(metainfo, &add.source));
        self.engine.remove(id, false).await.map_err(Failure::failed)
    }

    /// A torrent was taken out, which only happens to choose its files.
    async fn removed(&mut self, id: TorrentId) -> Result<(), Failure> {
        let Some(mut torrent) = self.torrents.remove(&id) else {
            return Ok(());
        };
        if let Some((_, add)) = torrent.choose.take() {
            let id = self.engine.add(add).await.map_err(Failure::failed)?;
            self.torrents.insert(id, torrent);
        }
        Ok(())
    }
}

/// Metadata with what the magnet link that led to it names: trackers and web seeds.
fn with_links(metainfo: Arc<Metainfo>, source: &Source) -> Arc<Metainfo> {
    let Source::Magnet(magnet) = source else {
        return metainfo;
    };
    let mut metainfo = Arc::unwrap_or_clone(metainfo);
    let tiers = magnet.trackers.iter().map(|url| vec![url.clone()]);
    metainfo.set_trackers(tiers.collect());
    metainfo.set_web_seeds(magnet.web_seeds.clone());
    Arc::new(metainfo)
}

/// Whether the engine tries again by itself after this error, and may well succeed.
fn passes(error: &TorrentError) -> bool {
    if matches!(error, TorrentError::Missing { .. }) {
        return true;
    }
    let TorrentError::Storage { kind, .. } = error else {
        return false;
    };
    [
        ErrorKind::Full,
        ErrorKind::Other,
        ErrorKind::TooShort,
        ErrorKind::Vanished,
    ]
    .contains(kind)
}
