//! What a torrent tells the rest of the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actors::tell_recipient;

use crate::content::Traffic;
use crate::metrics::Counters;
use crate::peer::driver::now;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::messages::News;
use crate::torrent::modes::Room;
use crate::torrent::peers::PeerEntry;
use crate::{Categories, Event, PeerStatus, Source, State, TorrentId, TorrentStatus};

impl Torrent {
    /// Takes the counters of the last second.
    pub(crate) fn sample(&mut self, seconds: f64, now: Instant) {
        let out = self.setup.reach.network.outage().is_some();
        // There is nothing that anything could move by.
        let still = out || (self.peers.len() == 0 && self.web_seeds.are_idle());
        let counters = [&self.traffic.down, &self.traffic.up].map(Traffic::get);
        for (rate, counter) in [&mut self.down_rate, &mut self.up_rate]
            .into_iter()
            .zip(counters)
        {
            if rate.sample(counter, seconds) == 0 && still {
                rate.stop();
            }
        }
        for (_, peer) in self.peers.iter_mut() {
            if peer.down.sample(Traffic::get(&peer.traffic.down), seconds) > 0 {
                peer.last_payload = now;
            }
            peer.up.sample(Traffic::get(&peer.traffic.up), seconds);
        }
        self.web_seeds.sample(seconds);
        self.tell_flows();
        self.take_census();
        self.update_progress();
    }

    /// Tells what moves, for the shares of TCP and uTP.
    fn tell_flows(&mut self) {
        let mut flows = self.peers.flows(&self.setup.classes.get());
        self.web_seeds.count_into(&mut flows[0]);
        if flows != self.flows {
            self.flows = flows;
            tell_recipient(&self.setup.supervisor, News::Flows(self.id, flows));
        }
    }

    /// Connections that could be added now.
    fn room(&self) -> usize {
        let own = self.most_peers().saturating_sub(self.peers.len());
        own.min(self.setup.seats.free())
    }

    /// Takes over what trackers are told.
    pub(crate) fn update_progress(&self) {
        let left = match (&self.phase, &self.metainfo) {
            // A partial seed is told apart from a seed by what it lacks (BEP 21).
            (Phase::Active(active), _) if active.finished => active.missing(),
            (Phase::Active(active), _) => active.picker.wanted_left().bytes,
            (_, Some(metainfo)) => metainfo.content_len(),
            // Unknown: a leecher by any measure.
            (_, None) => 16 * 1024,
        };
        let finished = matches!(&self.phase, Phase::Active(active) if active.finished);
        let partial = finished && left > 0;
        self.progress.partial_seed.store(partial, Ordering::Relaxed);
        let [up_before, down_before] = self.moves.before;
        self.progress.set(
            Traffic::get(&self.traffic.up).saturating_sub(up_before),
            Traffic::get(&self.traffic.down).saturating_sub(down_before),
            left,
            self.room() as u64,
        );
    }

    /// Counts one more of something.
    pub(crate) fn count(&self, of: impl FnOnce(&Counters) -> &AtomicU64) {
        Counters::add(of(self.setup.events.counters()), 1);
    }

    /// Tells of something that happened, after which somebody may look at the snapshot.
    pub(crate) fn event(&self, event: Event) {
        tell_recipient(&self.setup.supervisor, News::Event(event));
    }

    /// Tells of something that happens often, if anybody wants to hear of it.
    pub(crate) fn tell_of(
        &self,
        about: impl Into<Categories>,
        event: impl FnOnce(TorrentId) -> Event,
    ) {
        self.setup.events.tell_of(about, || event(self.id));
    }

    /// Tells the state of the moment.
    pub(crate) fn publish(&self) {
        tell_recipient(
            &self.setup.supervisor,
            News::Status(Arc::new(self.status())),
        );
    }

    /// Bytes of all files; 0 while unknown.
    pub(super) fn size(&self) -> u64 {
        let metainfo = self.metainfo.as_ref();
        metainfo.map_or(0, |metainfo| metainfo.content_len())
    }

    fn status(&self) -> TorrentStatus {
        let size = self.size();
        let (wanted, done) = match &self.phase {
            Phase::Active(active) => active.amount(),
            Phase::Failed(..) | Phase::Opening | Phase::Paused => {
                self.rested_at.unwrap_or((size, 0))
            }
            Phase::Checking(_) | Phase::Layers(_) | Phase::Metadata(_) => (size, 0),
        };
        let open = self.peers.iter().filter(|(_, peer)| peer.since.is_some());
        let connections: Arc<[PeerStatus]> = open
            .map(|(_, peer)| PeerStatus {
                addr: peer.addr,
                outgoing: peer.outgoing,
                wire: peer.wire,
            })
            .collect();
        let route = self.moves.target().unwrap_or(&self.setup.reach);
        TorrentStatus {
            id: self.id,
            hashes: self.hashes,
            name: self.name(),
            dir: self.add.dir.as_path().into(),
            added: 0,
            labels: self.add.labels.clone(),
            state: self.state(),
            queue: None,
            seeding: self.add.seeding,
            modes: self.add.modes(),
            hops: route.hops,
            blocked: route.blocked(),
            size,
            pieces: self
                .metainfo
                .as_ref()
                .map_or(0, |metainfo| metainfo.geometry().pieces()),
            wanted,
            done,
            downloaded: Traffic::get(&self.traffic.down),
            uploaded: Traffic::get(&self.traffic.up),
            wasted: self.traffic.wasted.load(Ordering::Relaxed),
            down_rate: self.down_rate.bytes_per_s,
            up_rate: self.up_rate.bytes_per_s,
            peers: connections.len(),
            connections,
            seeds: self.peers.iter().filter(|(_, peer)| peer.is_seed()).count(),
            web_seeds: self.web_seeds.status(now(), route.web_seeds),
            newer: self.newer.newest,
            local_data: Arc::clone(&self.local.offered),
            moving: self.relocating.status(),
            swarm: self.heard.swarm(),
            age: now().saturating_duration_since(self.added_at),
            reason: self.reason(),
        }
    }

    fn name(&self) -> String {
        match (&self.metainfo, &self.add.source) {
            (Some(metainfo), _) => metainfo.name().to_owned(),
            (None, Source::Magnet(magnet)) => magnet
                .name
                .clone()
                .unwrap_or_else(|| self.hashes.wire().to_string()),
            (None, Source::Metainfo(_)) => self.hashes.wire().to_string(),
        }
    }

    fn state(&self) -> State {
        match &self.phase {
            Phase::Active(active) if active.finished => State::Seeding,
            Phase::Active(_) => State::Downloading,
            Phase::Checking(check) => {
                let (done, total) = check.get();
                State::Checking { done, total }
            }
            Phase::Failed(error, _) => State::Error(error.clone()),
            Phase::Layers(_) | Phase::Metadata(_) => State::FetchingMetadata,
            Phase::Opening => State::Checking { done: 0, total: 0 },
            Phase::Paused if self.held && !self.add.paused => State::Queued,
            Phase::Paused => State::Paused,
        }
    }

    /// Why nothing moves, where nothing does.
    fn reason(&self) -> Option<String> {
        let finished = match &self.phase {
            Phase::Active(active) => active.finished,
            Phase::Layers(_) | Phase::Metadata(_) => false,
            Phase::Checking(_) | Phase::Failed(..) | Phase::Opening | Phase::Paused => return None,
        };
        if finished {
            return self.reason_of_hidden();
        }
        if self.room == Room::Little {
            return Some("there is little room left on its disk".to_owned());
        }
        if self.down_rate.bytes_per_s > 0 {
            return None;
        }
        let connected = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.since.is_some())
            .count();
        if connected == 0 {
            if let Some(why) = self.setup.reach.blocked() {
                return Some(why.to_string());
            }
            if self.moves.are_under_way() {
                return Some("leaving the former route".to_owned());
            }
            let alone = || self.reason_alone();
            if matches!(self.phase, Phase::Layers(_)) {
                let known = self.metainfo.as_ref();
                let by_web = known.is_some_and(|metainfo| !metainfo.web_seeds().is_empty());
                let nor = if by_web { ", not from web seeds" } else { "" };
                let what = "the hashes of pieces are missing, which come from peers";
                return Some(format!("{what}{nor}: {}", alone()));
            }
            return Some(self.web_seeds.reason().unwrap_or_else(alone));
        }
        let several = counted(connected, "peer");
        if matches!(self.phase, Phase::Layers(_)) {
            return Some(self.reason_of_layers());
        }
        if matches!(self.phase, Phase::Metadata(_)) {
            return Some(format!("asking {several} for the metadata"));
        }
        let count =
            |what: fn(&PeerEntry) -> bool| self.peers.iter().filter(|(_, p)| what(p)).count();
        if count(|peer| peer.holdings.is_some()) == 0 {
            return Some(format!("{several}, not known yet what they have"));
        }
        if count(|peer| peer.we_are_interested) == 0 {
            return Some(format!("{several}, with nothing that is missing here"));
        }
        if count(|peer| peer.unchoked_us) == 0 {
            return Some(format!("{several}, none serves us yet"));
        }
        None
    }

    /// Why no peer is connected: what is tried at the moment, or what came of it.
    fn reason_alone(&self) -> String {
        let last = self.last_failure.as_ref();
        let last = match (last, self.setup.reach.network.datagrams_pass()) {
            (Some(last), Some(Err(why))) if last.is_for_want_of_network() => {
                format!("; the proxy carries no UDP, which uTP needs ({why})")
            }
            (Some(last), _) => format!("; {last}"),
            (None, _) => String::new(),
        };
        let dialling = self.peers.half_open();
        if dialling > 0 {
            return format!("connecting to {}{last}", counted(dialling, "peer"));
        }
        let known = self.candidates.counts().known;
        if known > 0 {
            let what = if self.candidates.is_in_vain(now()) {
                "none can be reached"
            } else {
                "to be dialled"
            };
            return format!("{} known, {what}{last}", counted(known, "peer"));
        }
        let announced = !self.announcers.is_empty();
        let age = now().saturating_duration_since(self.added_at);
        let trackers = announced.then(|| self.heard.reason(age));
        let trackers = trackers.map(str::to_owned);
        let hidden = self.reason_of_hidden();
        let asked: Vec<String> = [trackers, self.trackerless.reason(), hidden]
            .into_iter()
            .flatten()
            .collect();
        if asked.is_empty() {
            return "no peers known, and no tracker or DHT to ask".to_owned();
        }
        asked.join("; ")
    }
}

/// A number of things, in the singular where it is one.
pub(super) fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

impl Active {
    /// Bytes of pieces that are not there, whether they are wanted or not.
    fn missing(&self) -> u64 {
        let geometry = &self.content.geometry;
        let have = self.picker.have();
        let all = u64::from(have.count()) * u64::from(geometry.piece_len());
        let last = geometry.iter().next_back().filter(|last| have.get(*last));
        let short = last.map_or(0, |last| geometry.piece_len() - geometry.len_of(last));
        (geometry.total_len() + u64::from(short)).saturating_sub(all)
    }

    /// Bytes that are wanted, and those of them that are there and verified.
    pub(super) fn amount(&self) -> (u64, u64) {
        let wanted = self.picker.wanted_bytes();
        let left = self.picker.wanted_left().bytes;
        (wanted, wanted.saturating_sub(left))
    }
}
