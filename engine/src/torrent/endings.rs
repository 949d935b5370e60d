//! The end of a connection: what it held is taken back, and what it tells of the address is noted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::metrics::Counters;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Ended;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::candidates::{self, DialFailure, Ways};
use crate::torrent::last_failure::LastFailure;
use crate::torrent::peers::PeerEntry;
use crate::torrent::picker::PeerPieces;
use crate::{Category, Event, Wire};

impl Torrent {
    /// Notes the end of a connection and takes back what it held.
    pub(crate) fn on_ended(&mut self, key: PeerKey, ended: &Ended) {
        let Some(entry) = self.peers.remove(key) else {
            return;
        };
        self.take_stock(key);
        let now = now();
        tracing::debug!(peer = %entry.addr, ?ended, "connection ended");
        self.tell_ended(&entry, ended);
        self.choker.gone(key);
        self.pex.left(key);
        self.punch.left(key);
        match &mut self.phase {
            Phase::Active(active) => {
                match entry.pieces() {
                    PeerPieces::All => active.picker.peer_left_full(),
                    PeerPieces::Some(set) => active.picker.peer_bitfield_removed(set),
                    PeerPieces::None => {}
                }
                active.picker.peer_gone(key);
                if let Some(fetch) = &mut self.late_layers {
                    fetch.peer_gone(key);
                }
            }
            Phase::Layers(layers) => layers.peer_gone(key),
            Phase::Metadata(fetch) => fetch.peer_gone(key),
            Phase::Checking(_) | Phase::Failed(..) | Phase::Opening | Phase::Paused => {}
        }
        let ended = if self.ended_as_twin(&entry, ended) {
            &Ended::Duplicate
        } else {
            ended
        };
        if entry.outgoing {
            self.note_end(entry.addr, entry.since.is_some(), ended, now);
            if matches!(ended, Ended::Unreachable(_)) {
                self.seek_meeting(entry.addr, now);
            }
        } else if *ended == Ended::OurOwn
            && let Some(port) = self.setup.reach.listen_port
        {
            // We have dialled ourselves; this end has found out, and the other sees only that it was closed.
            let ours = SocketAddr::new(entry.addr.ip(), port);
            self.found_ourselves(ours);
            self.candidates
                .disconnected(ours, now, candidates::Ended::SelfConnection);
        }
        self.guest_gone(key);
        self.hash_desk.gone(key);
        if let Some(addr) = entry.also_at {
            let how = if self.is_let_go(ended) {
                candidates::Ended::Renewed
            } else {
                candidates::Ended::Normal
            };
            self.candidates.twin_ended(addr, now, how);
        }
        self.look_after_trials(now, Some(key));
        self.feed_hungry();
    }

    /// Whether a peer was let go because the torrent stands still: when that goes on, it is wanted at once.
    fn is_let_go(&self, ended: &Ended) -> bool {
        *ended == Ended::Dismissed && !self.is_at_work()
    }

    fn tell_ended(&self, entry: &PeerEntry, ended: &Ended) {
        let (addr, outgoing) = (entry.addr, entry.outgoing);
        self.count(|counters| &counters.ended);
        self.count_ended(entry, ended);
        if let Ended::Misbehaved(reason) = ended {
            let reason = Arc::clone(reason);
            let about = Category::Peers.and_errors();
            self.tell_of(about, |id| Event::PeerError { id, addr, reason });
        }
        self.tell_of(Category::Connections, |id| Event::PeerDisconnected {
            id,
            addr,
            outgoing,
            was_there: entry.since.is_some(),
            why: ended.into(),
        });
    }

    fn count_ended(&self, entry: &PeerEntry, ended: &Ended) {
        let counters = self.setup.events.counters();
        let failed = matches!(
            ended,
            Ended::Banned
                | Ended::Lost
                | Ended::Misbehaved(_)
                | Ended::Silent
                | Ended::Unreachable(_)
        );
        if failed {
            let there = entry.since.is_some();
            for (it_is, counter) in [
                (!entry.outgoing, &counters.failed_in),
                (entry.outgoing, &counters.failed_out),
                (there && !entry.utp, &counters.failed_tcp),
                (there && entry.utp, &counters.failed_utp),
                (entry.wire != Wire::Plain, &counters.failed_encrypted),
                (entry.wire == Wire::Rc4, &counters.failed_rc4),
            ] {
                Counters::add(counter, it_is.into());
            }
        }
        let why = match ended {
            Ended::Misbehaved(_) => &counters.misbehaved,
            Ended::Lost => &counters.lost,
            Ended::Silent => &counters.silent,
            Ended::Redundant => &counters.redundant,
            Ended::Unreachable(DialFailure::Refused) => &counters.refused,
            Ended::Unreachable(DialFailure::Timeout) => &counters.unanswered,
            Ended::Unreachable(DialFailure::Unreachable) => &counters.unreachable,
            Ended::Banned
            | Ended::Dismissed
            | Ended::Duplicate
            | Ended::OurOwn
            | Ended::Renewed
            | Ended::Unreachable(
                DialFailure::Handshake | DialFailure::Offline | DialFailure::Other,
            ) => return,
        };
        Counters::add(why, 1);
    }

    /// Lets the candidate list learn from the end of a connection that we had dialled.
    fn note_end(&mut self, addr: SocketAddr, was_open: bool, ended: &Ended, now: Instant) {
        if !was_open
            && let Some(failure) =
                LastFailure::of(addr, ended, self.setup.settings.get().encryption.peers)
        {
            self.last_failure = Some(failure);
        }
        let finished = self.active().is_some_and(|active| active.finished);
        if was_open {
            let how = match ended {
                Ended::Banned => candidates::Ended::Banned,
                _ if self.is_let_go(ended) => candidates::Ended::Renewed,
                // Nothing is known about the peer: whether there is another way there, the next dial finds out.
                Ended::Unreachable(DialFailure::Offline) | Ended::Renewed => {
                    candidates::Ended::Renewed
                }
                Ended::Dismissed | Ended::Lost | Ended::Unreachable(_) => candidates::Ended::Normal,
                Ended::Duplicate => candidates::Ended::Duplicate,
                Ended::Misbehaved(_) => candidates::Ended::ProtocolError,
                Ended::OurOwn => candidates::Ended::SelfConnection,
                // It may have come to want something since.
                Ended::Redundant if !finished => candidates::Ended::Renewed,
                Ended::Redundant => candidates::Ended::BothSeeds,
                Ended::Silent => candidates::Ended::Timeout,
            };
            self.candidates.disconnected(addr, now, how);
            return;
        }
        // The peer may be one of those who take only one kind of stream.
        let ways = Ways {
            covers: self.setup.settings.get().encryption.peers.has_two_ways(),
            utp: self.setup.reach.network.has_utp(),
        };
        if matches!(ended, Ended::Lost | Ended::Silent) && self.candidates.try_other_way(addr, ways)
        {
            return;
        }
        if !matches!(ended, Ended::Unreachable(_) | Ended::OurOwn) {
            self.try_other_hash(addr);
        }
        match ended {
            Ended::OurOwn => {
                self.found_ourselves(addr);
                self.candidates
                    .disconnected(addr, now, candidates::Ended::SelfConnection);
            }
            Ended::Unreachable(failure) => self.candidates.failed(addr, now, *failure),
            Ended::Silent => self.candidates.failed(addr, now, DialFailure::Timeout),
            Ended::Banned
            | Ended::Dismissed
            | Ended::Duplicate
            | Ended::Lost
            | Ended::Misbehaved(_)
            | Ended::Redundant
            | Ended::Renewed => self.candidates.failed(addr, now, DialFailure::Handshake),
        }
    }
}
