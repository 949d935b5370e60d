//! What is told: the list, and all about one torrent.

use std::path::Path;

use control::{
    Code, File, FilesOf, Page, Peer, Query, Refusal, Stats, Torrent, Tracker, TrackersOf,
};
use engine::{
    CommandError, FileError, Filter, PeerInfo, Priority, Sort, State, TorrentId, TorrentStatus,
    Wire,
};
use protocol::metainfo::Metainfo;
use serde_json::{Value, json};
use state::Health;

use super::{Desk, refused, value};
use crate::failure::plain;
use crate::json::seconds;
use crate::selection::Selection;
use crate::source::shown_hash;

impl Desk {
    /// A page of the list.
    pub(super) fn list(&self, query: Query) -> Result<Page, Refusal> {
        let limit = Some(query.most());
        let sort = match query.sort.as_deref() {
            None => Sort::default(),
            Some(word) => Sort::of_word(word).ok_or_else(|| {
                let words = Sort::EACH.map(Sort::word).join(", ");
                let why = format!("a list is not sorted by `{word}`: use one of {words}");
                Refusal::new(Code::Wrong, why)
            })?,
        };
        let page = self.engine.page(&engine::Query {
            filter: Filter {
                text: query.name,
                category: query.category,
                tags: query.tags,
                states: Some(query.states).filter(|states| !states.is_empty()),
                hops: query.hops,
                moving: query.moving,
                complete: query.complete,
                blocked: query.blocked,
            },
            sort,
            descending: query.descending,
            offset: query.offset,
            limit,
        });
        Ok(Page {
            all: page.torrents,
            listed: page.fitting,
            torrents: page.rows.iter().map(|row| torrent(row)).collect(),
        })
    }

    /// All that is known of a torrent, beside its files, peers and trackers.
    pub(super) async fn show(&self, word: String) -> Result<Value, Refusal> {
        let id = self.one(word)?;
        let found = self.engine.status(id);
        let found = found.ok_or_else(|| refused(&CommandError::NoSuchTorrent))?;
        let mut shown = value(&torrent(&found))?;
        let known = |number: Option<u32>| number.map_or(Value::Null, Value::from);
        let trackers = self.engine.trackers(id).await;
        let history = self.engine.history(id).await.unwrap_or_default();
        let limits = self.engine.limits(id).await.unwrap_or_default();
        let queue = self.engine.queue().await.unwrap_or_default();
        let position = queue.iter().position(|one| *one == id);
        let modes: Vec<&str> = found.modes.iter().map(engine::Mode::word).collect();
        let seeding = control::SeedingOf {
            forever: found.seeding.forever,
            ratio_per_mille: found.seeding.ratio_per_mille,
            seconds: found.seeding.seconds,
            idle_seconds: found.seeding.idle_seconds,
        };
        let web_seeds = found.web_seeds.iter().map(|seed| seed.url.clone());
        if let Value::Object(map) = &mut shown {
            let more = json!({
                "dir": found.dir.display().to_string(),
                "moved": found.moving.as_ref().map(|moving| moving.done),
                "to_move": found.moving.as_ref().map(|moving| moving.total),
                "down_limit": limits.down,
                "up_limit": limits.up,
                "wasted": found.wasted,
                "age": seconds(found.age),
                "modes": modes,
                "seeding": seeding,
                "position": position,
                "all_downloaded": history.downloaded,
                "all_uploaded": history.uploaded,
                "active_seconds": history.active.as_secs(),
                "seeding_seconds": history.finished.as_secs(),
                "swarm_seeds": known(found.swarm.seeds),
                "swarm_leechers": known(found.swarm.leechers),
                "web_seeds": web_seeds.collect::<Vec<_>>(),
                "trackers": tracker_rows(trackers.unwrap_or_default()),
            });
            if let Value::Object(more) = more {
                map.extend(more);
            }
        }
        Ok(shown)
    }

    /// The files of a torrent, changed first where that is asked for.
    pub(super) async fn files(&self, of: FilesOf) -> Result<Value, Refusal> {
        let id = self.one(of.torrent.clone())?;
        let metainfo = self.engine.metainfo(id).await.map_err(|e| refused(&e))?;
        let Some(metainfo) = metainfo else {
            let why = "its metadata is not there yet";
            return Err(Refusal::new(Code::Failed, why));
        };
        self.change_files(id, &metainfo, of).await?;
        let priorities = self
            .engine
            .file_priorities(id)
            .await
            .map_err(|error| unable(&error))?;
        let mut renamed = self
            .engine
            .renamed_files(id)
            .await
            .map_err(|error| unable(&error))?;
        let progress = self.engine.file_progress(id).await;
        let progress = progress.map_err(|error| refused(&error))?;
        let files = metainfo.files().iter().enumerate();
        let files = files.filter(|(_, file)| !file.attr.pad);
        let files = files.map(|(index, file)| File {
            index,
            path: file.path.join("/"),
            renamed: renamed.remove(&index).map(|at| at.display().to_string()),
            size: file.len,
            done: progress.get(index).copied(),
            priority: priorities.get(index).copied().unwrap_or_default().get(),
        });
        Ok(json!({"files": files.collect::<Vec<_>>()}))
    }

    /// Changes how much files are wanted, or where one lies.
    async fn change_files(
        &self,
        id: TorrentId,
        metainfo: &Metainfo,
        of: FilesOf,
    ) -> Result<(), Refusal> {
        let wrong = |why: String| Refusal::new(Code::Wrong, why);
        let chosen = Selection::parse("--choose", &of.choose)
            .map_err(|failure| wrong(failure.to_string()))?;
        if chosen.is_some() != (of.priority.is_some() || of.rename.is_some()) {
            let why = "say which files, and how much they are wanted or where one shall lie";
            return Err(wrong(why.to_owned()));
        }
        let chosen = chosen.map(|chosen| chosen.of(metainfo)).transpose();
        let chosen = chosen.map_err(|failure| wrong(failure.to_string()))?;
        let chosen: Vec<usize> = chosen.into_iter().flatten().collect();
        if let Some(priority) = of.priority {
            if priority > 7 {
                return Err(wrong("a priority is 0 to 7".to_owned()));
            }
            let mut priorities = self
                .engine
                .file_priorities(id)
                .await
                .map_err(|error| unable(&error))?;
            for file in &chosen {
                if let Some(of) = priorities.get_mut(*file) {
                    *of = Priority::new(priority);
                }
            }
            let set = self.engine.set_file_priorities(id, priorities).await;
            set.map_err(|error| unable(&error))?;
        }
        if let Some(to) = of.rename {
            let [file] = chosen.as_slice() else {
                let why = format!(
                    "one file is renamed at a time, and {} are chosen",
                    chosen.len()
                );
                return Err(wrong(why));
            };
            let renamed = self.engine.rename_file(id, *file, Path::new(&to)).await;
            renamed.map_err(|error| unable(&error))?;
        }
        Ok(())
    }

    /// The peers that a torrent is connected to.
    pub(super) async fn peers(&self, word: String) -> Result<Value, Refusal> {
        let id = self.one(word)?;
        let peers = self.engine.peers(id).await.map_err(|e| refused(&e))?;
        let peers: Vec<Peer> = peers.iter().map(peer).collect();
        Ok(json!({"peers": peers}))
    }

    /// The trackers of a torrent, changed first where that is asked for.
    pub(super) async fn trackers(&self, of: TrackersOf) -> Result<Value, Refusal> {
        let id = self.one(of.torrent)?;
        let before = self.engine.trackers(id).await;
        let before = before.map_err(|error| refused(&error))?;
        let mut wanted = of.replace.unwrap_or_else(|| before.clone());
        let known: Vec<String> = wanted.iter().flatten().cloned().collect();
        let new = of.add.into_iter().filter(|url| !known.contains(url));
        wanted.extend(new.map(|url| vec![url]));
        for tier in &mut wanted {
            tier.retain(|url| !of.remove.contains(url));
        }
        wanted.retain(|tier| !tier.is_empty());
        if let Some(gone) = of.remove.iter().find(|url| !known.contains(url)) {
            let why = format!("{gone} is none of its trackers");
            return Err(Refusal::new(Code::Wrong, why));
        }
        if let Some(bad) = wanted.iter().flatten().find(|url| !is_tracker(url)) {
            let why = format!("{bad}: a tracker's address begins with udp://, http:// or https://");
            return Err(Refusal::new(Code::Wrong, why));
        }
        if wanted != before {
            let replaced = self.engine.replace_trackers(id, wanted.clone()).await;
            replaced.map_err(|error| refused(&error))?;
        }
        let list = self.engine.tracker_list(id).await;
        let list = list.map_err(|error| refused(&error))?;
        let hashes = self.engine.status(id).map(|found| found.hashes);
        // Of a torrent with one hash there is nothing to tell apart.
        let both = hashes.and_then(|of| of.get_v1().zip(of.get_v2()));
        let told_of = |hash| match both {
            Some((v1, _)) if v1 == hash => Some(v1.to_string()),
            Some((_, v2)) => Some(v2.to_string()),
            None => None,
        };
        let rows = list.into_iter().map(|tracker| Tracker {
            tier: tracker.tier,
            url: tracker.url,
            info_hash: told_of(tracker.hash),
            state: tracker.state.word().to_owned(),
            next: tracker.next.map(|next| next.as_secs()),
            seeds: tracker.swarm.seeds,
            leechers: tracker.swarm.leechers,
            message: tracker.message,
        });
        Ok(json!({"trackers": rows.collect::<Vec<_>>()}))
    }

    /// Sums over all torrents, and of the process.
    pub(super) fn stats(&self) -> Stats {
        let torrents = self.torrents();
        let mut stats = Stats {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seconds: seconds(self.since.elapsed()),
            listen: self.engine.snapshot().listen.map(|addr| addr.to_string()),
            dht: self.dht.map(|addr| addr.to_string()),
            torrents: torrents.len(),
            guests: self.guests.count(),
            events: self.bulletin.last(),
            unsaved: match self.keeper.health() {
                Health::Failing(error) => Some(error.to_string()),
                Health::Well | _ => None,
            },
            ..Stats::default()
        };
        for torrent in &torrents {
            let state = torrent.state.word().to_owned();
            *stats.states.entry(state).or_default() += 1;
            stats.peers += torrent.peers;
            stats.down += torrent.down_rate;
            stats.up += torrent.up_rate;
            stats.downloaded += torrent.downloaded;
            stats.uploaded += torrent.uploaded;
        }
        stats
    }
}

pub(super) fn is_tracker(url: &str) -> bool {
    let schemes = ["udp://", "http://", "https://"];
    schemes.iter().any(|scheme| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// What a command about files is refused for.
fn unable(error: &FileError) -> Refusal {
    if let FileError::Command(error) = error {
        return refused(error);
    }
    Refusal::new(Code::Failed, error.to_string())
}

fn tracker_rows(tiers: Vec<Vec<String>>) -> Vec<Tracker> {
    let tiers = tiers.into_iter().enumerate();
    let rows = tiers.flat_map(|(tier, urls)| {
        urls.into_iter().map(move |url| Tracker {
            tier,
            url,
            ..Tracker::default()
        })
    });
    rows.collect()
}

/// A torrent as lists have it.
fn torrent(status: &TorrentStatus) -> Torrent {
    let both = (status.hashes.get_v1(), status.hashes.get_v2());
    Torrent {
        info_hash: shown_hash(status.hashes),
        info_hash_v2: match both {
            (Some(_), Some(v2)) => Some(v2.to_string()),
            _ => None,
        },
        name: status.name.clone(),
        category: status
            .labels
            .as_ref()
            .and_then(|labels| labels.category.clone()),
        tags: (status.labels.iter())
            .flat_map(|labels| labels.tags.iter().cloned())
            .collect(),
        state: status.state.word().to_owned(),
        hops: status.hops,
        blocked: status.blocked.as_deref().map(str::to_owned),
        size: status.size,
        wanted: status.wanted,
        done: status.done,
        checked: checked(&status.state),
        downloaded: status.downloaded,
        uploaded: status.uploaded,
        down: status.down_rate,
        up: status.up_rate,
        peers: status.peers,
        seeds: status.seeds,
        moving: status
            .moving
            .as_ref()
            .map(|it| it.dir.display().to_string()),
        error: error_of(&status.state),
        reason: status.reason.clone(),
    }
}

fn peer(info: &PeerInfo) -> Peer {
    let letter = |byte: &u8| {
        if byte.is_ascii_graphic() {
            char::from(*byte)
        } else {
            '.'
        }
    };
    Peer {
        addr: info.addr.to_string(),
        id: info.id.map(|id| id.0.iter().map(letter).collect()),
        outgoing: info.outgoing,
        utp: info.utp,
        encrypted: info.wire == Wire::Rc4,
        pieces: info.pieces,
        interested: info.interested,
        served: info.served,
        we_are_interested: info.we_are_interested,
        serves_us: info.serves_us,
        downloaded: info.downloaded,
        uploaded: info.uploaded,
        down: info.down_rate,
        up: info.up_rate,
    }
}

/// Bytes that a check has looked at, once it has begun.
fn checked(state: &State) -> Option<u64> {
    let State::Checking { done, total: 1.. } = state else {
        return None;
    };
    Some(*done)
}

fn error_of(state: &State) -> Option<String> {
    let State::Error(error) = state else {
        return None;
    };
    Some(plain(&error.to_string()))
}
