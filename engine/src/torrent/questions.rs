//! What is asked of a torrent about the moment, and what the user wants of it at once.

use actors::tell;
use protocol::bitfield::Bitfield;
use storage::OpenFileStatus;
use tokio::sync::oneshot;

use crate::PeerInfo;
use crate::announce::messages::Announce;
use crate::content::Traffic;
use crate::peer::driver::now;
use crate::peer::messages::Holdings;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::Question;
use crate::torrent::peers::PeerEntry;
use crate::torrent::resume::Ledger;

impl Torrent {
    /// Answers; whoever does not wait any more is not told.
    pub(super) fn answer(&self, question: Question) {
        match question {
            Question::Availability(reply) => {
                let _ = reply.send(self.availability());
            }
            Question::FileProgress(reply) => self.file_progress(reply),
            Question::OpenFiles(reply) => {
                let _ = reply.send(self.open_files());
            }
            Question::Limits(reply) => {
                let _ = reply.send(self.add.limits);
            }
            Question::Metainfo(reply) => {
                let _ = reply.send(self.metainfo.clone());
            }
            Question::Trackers(reply) => {
                let _ = reply.send(self.trackers());
            }
            Question::TrackerList(reply) => self.list_trackers(reply),
            Question::Begun(reply) => {
                let _ = reply.send(self.begun_pieces());
            }
            Question::WebSeeds(reply) => {
                let _ = reply.send(self.web_seed_urls());
            }
            Question::Pieces(reply) => {
                let _ = reply.send(self.pieces());
            }
            Question::Peers(reply) => {
                let open = self.peers.iter();
                let open = open.filter(|(_, peer)| peer.since.is_some());
                let now = now();
                let open = open.map(|(key, peer)| PeerInfo {
                    by_chance: peer.unchoked && self.choker.is_optimistic(key),
                    snubs: peer.snubs(now),
                    ..info(peer)
                });
                let _ = reply.send(open.collect());
            }
        }
    }

    fn availability(&self) -> Vec<u32> {
        let Phase::Active(active) = &self.phase else {
            return Vec::new();
        };
        let geometry = active.content.geometry;
        let pieces = (0..geometry.pieces()).filter_map(|index| geometry.piece(index));
        pieces
            .map(|piece| active.picker.availability(piece))
            .collect()
    }

    /// Of one that is not at work, what was known when it last was, as its status has it.
    fn file_progress(&self, reply: oneshot::Sender<Vec<u64>>) {
        if let Phase::Active(active) = &self.phase {
            let progress = active.content.store.file_progress(active.picker.have());
            let _ = reply.send(progress);
            return;
        }
        let Some(Ok(spec)) = self.layout() else {
            let _ = reply.send(Vec::new());
            return;
        };
        let known = self.known.as_ref().and_then(|known| known.have.clone());
        let ledger = self.ledger();
        self.setup.disk.apart(move || {
            let pieces = spec.geometry.pieces();
            let have = known.or_else(|| ledger.as_ref().and_then(Ledger::have));
            let have = have.filter(|have| have.len() == pieces);
            let have = have.unwrap_or_else(|| Bitfield::new(pieces));
            let _ = reply.send(spec.file_progress(&have).unwrap_or_default());
        });
    }

    fn open_files(&self) -> Vec<OpenFileStatus> {
        let Phase::Active(active) = &self.phase else {
            return Vec::new();
        };
        active.content.store.open_files()
    }

    fn pieces(&self) -> Bitfield {
        match &self.phase {
            Phase::Active(active) => active.picker.have().clone(),
            Phase::Checking(_)
            | Phase::Failed(..)
            | Phase::Layers(_)
            | Phase::Metadata(_)
            | Phase::Opening
            | Phase::Paused => Bitfield::new(0),
        }
    }

    /// Fetches in order from now on, or no longer.
    pub(super) fn set_sequential(&mut self, sequential: bool) {
        self.add.sequential = sequential;
        if let (Phase::Active(active), Some(metainfo)) = (&mut self.phase, &self.metainfo) {
            Self::apply_selection((&self.add, &self.sharing), metainfo, &mut active.picker);
        }
    }

    /// Announces wherever it is announced at all, as soon as that is allowed.
    pub(super) fn reannounce(&self) {
        for announcer in self.announcers.iter() {
            tell(announcer, Announce::Hurry);
        }
        for hash in self.hashes.names() {
            if let Some(lookups) = &self.setup.reach.lookups {
                tell(lookups, crate::lookups::Hurry(hash));
            }
            if let Some(lsd) = &self.setup.reach.lsd {
                tell(lsd, crate::lsd::Hurry(hash));
            }
        }
    }
}

fn info(peer: &PeerEntry) -> PeerInfo {
    let [downloaded, uploaded] = [&peer.traffic.down, &peer.traffic.up].map(Traffic::get);
    PeerInfo {
        addr: peer.addr,
        listens: peer.listens,
        id: peer.id,
        outgoing: peer.outgoing,
        utp: peer.utp,
        wire: peer.wire,
        pieces: match &peer.holdings {
            Some(Holdings::Some(pieces)) => Some(pieces.count()),
            Some(Holdings::All) => None,
            None => Some(0),
        },
        upload_only: peer.upload_only,
        interested: peer.interested,
        served: peer.unchoked,
        we_are_interested: peer.we_are_interested,
        serves_us: peer.unchoked_us,
        by_chance: false,
        snubs: false,
        downloaded,
        uploaded,
        down_rate: peer.down.bytes_per_s,
        up_rate: peer.up.bytes_per_s,
    }
}
