//! What a torrent tells the rest of the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use actors::tell_recipient;

use crate::content::Traffic;
use crate::peer::driver::now;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::messages::News;
use crate::torrent::peers::PeerEntry;
use crate::{Event, Source, State, TorrentStatus};

impl Torrent {
    /// Takes the counters of the last second.
    pub(crate) fn sample(&mut self, seconds: f64, now: Instant) {
        self.down_rate
            .sample(Traffic::get(&self.traffic.down), seconds);
        self.up_rate.sample(Traffic::get(&self.traffic.up), seconds);
        for (_, peer) in self.peers.iter_mut() {
            if peer.down.sample(Traffic::get(&peer.traffic.down), seconds) > 0 {
                peer.last_payload = now;
            }
            peer.up.sample(Traffic::get(&peer.traffic.up), seconds);
        }
        self.update_progress();
    }

    /// Takes over what trackers are told.
    pub(crate) fn update_progress(&self) {
        let left = match (&self.phase, &self.metainfo) {
            (Phase::Active(active), _) => active.picker.wanted_left().bytes,
            (_, Some(metainfo)) => metainfo.content_len(),
            // Unknown: a leecher by any measure.
            (_, None) => 16 * 1024,
        };
        self.progress.set(
            Traffic::get(&self.traffic.up),
            Traffic::get(&self.traffic.down),
            left,
            self.most_peers().saturating_sub(self.peers.len()) as u64,
        );
    }

    /// Tells of something that happened.
    pub(crate) fn event(&self, event: Event) {
        tell_recipient(&self.setup.supervisor, News::Event(event));
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
            Phase::Checking(_) | Phase::Metadata(_) => (size, 0),
        };
        TorrentStatus {
            id: self.id,
            hashes: self.hashes,
            name: self.name(),
            state: self.state(),
            size,
            wanted,
            done,
            downloaded: Traffic::get(&self.traffic.down),
            uploaded: Traffic::get(&self.traffic.up),
            wasted: self.traffic.wasted.load(Ordering::Relaxed),
            down_rate: self.down_rate.bytes_per_s,
            up_rate: self.up_rate.bytes_per_s,
            peers: self
                .peers
                .iter()
                .filter(|(_, peer)| peer.since.is_some())
                .count(),
            seeds: self.peers.iter().filter(|(_, peer)| peer.is_seed()).count(),
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
            Phase::Metadata(_) => State::FetchingMetadata,
            Phase::Opening => State::Checking { done: 0, total: 0 },
            Phase::Paused => State::Paused,
        }
    }

    /// Why nothing moves, where nothing does.
    fn reason(&self) -> Option<String> {
        let finished = match &self.phase {
            Phase::Active(active) => active.finished,
            Phase::Metadata(_) => false,
            Phase::Checking(_) | Phase::Failed(..) | Phase::Opening | Phase::Paused => return None,
        };
        if finished || self.down_rate.bytes_per_s > 0 {
            return None;
        }
        let connected = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.since.is_some())
            .count();
        if connected == 0 {
            let dialling = self.peers.half_open();
            let known = self.candidates.counts().known;
            if dialling == 0
                && known == 0
                && let Some(reason) = self.trackerless.reason()
            {
                return Some(reason);
            }
            return Some(match (dialling, known) {
                (0, 0) if self.announcer.is_some() => "waiting for peers from the trackers".into(),
                (0, 0) => "no peers known".into(),
                (0, known) => format!("{known} peers known, none can be reached"),
                (dialling, _) => format!("connecting to {dialling} peers"),
            });
        }
        if matches!(self.phase, Phase::Metadata(_)) {
            return Some(format!("asking {connected} peers for the metadata"));
        }
        let count =
            |what: fn(&PeerEntry) -> bool| self.peers.iter().filter(|(_, p)| what(p)).count();
        if count(|peer| peer.we_are_interested) == 0 {
            return Some(format!(
                "{connected} peers have nothing that is missing here"
            ));
        }
        if count(|peer| peer.unchoked_us) == 0 {
            return Some(format!("{connected} peers, none serves us yet"));
        }
        None
    }
}

impl Active {
    /// Bytes that are wanted, and those of them that are there and verified.
    pub(super) fn amount(&self) -> (u64, u64) {
        let wanted = self.picker.wanted_bytes();
        let left = self.picker.wanted_left().bytes;
        (wanted, wanted.saturating_sub(left))
    }
}
