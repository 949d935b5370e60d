//! Two connections to the same peer: which of them stays.
//!
//! Peers are known by their peer id, which most clients keep for as long as they run, whatever address they are reached
//! at. Of two connections the older one stays: nobody should be able to end a connection of others by using their id.
//! Only where both sides dialled at about the same time can neither say which is older; then the one stays that the
//! side with the greater peer id dialled, as deployed clients have it.
//!
//! Both ends see both connections, each at times of its own, and must not end one each. So the side that was dialled
//! decides about a later connection, and the side that dialled it leaves that alone for [`GRACE`]. What counts as the
//! same time is longer for the former by [`SKEW`], so that it never takes for late what the other takes for
//! simultaneous.
//!
//! A peer that comes back from an outage has lost the older one. It dials again then although it had dialled before, from the same
//! host, and nothing was heard of it for a while. A hidden peer has no host; both ends of a new link with it let go of the old one,
//! for there is a new one only where the old one has fallen silent.

use std::time::{Duration, Instant};

use protocol::id::PeerId;

use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Order};
use crate::torrent::actor::Torrent;
use crate::torrent::peers::PeerEntry;

/// Handshakes that are done within this time of each other may be of peers that dialled each other at the same time: a
/// dial and its handshakes take some round trips.
const TOGETHER: Duration = Duration::from_secs(10);

/// By how much the times differ, at most, at which the two ends see the handshakes done.
const SKEW: Duration = Duration::from_secs(5);

/// How long the other side is given to end the one of two connections that it does not want.
const GRACE: Duration = Duration::from_secs(10);

/// A connection that carried nothing for so long makes way for a new one that the same host dials: the peer may have lost it in
/// an outage, of which this end hears nothing.
const QUIET: Duration = Duration::from_secs(10);

/// The same of a hidden peer, that has no host: a link is made again when another one has been silent for longer than that. Who
/// else would know its peer id, which is drawn for this torrent and way alone, and told at the far end of links only?
const QUIET_LINK: Duration = Duration::from_secs(2);

/// A connection, as one end sees it.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// This end dialled.
    outgoing: bool,
    /// When the handshake was done.
    since: Instant,
}

/// Which of two connections this end ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Neither,
    Newer,
    Older,
}

/// Judges two connections between `ours` and `theirs`.
fn judge(ours: &PeerId, theirs: &PeerId, older: Link, newer: Link) -> Verdict {
    let apart = newer.since.saturating_duration_since(older.since);
    let together = if newer.outgoing {
        TOGETHER
    } else {
        TOGETHER + SKEW
    };
    if older.outgoing != newer.outgoing && apart < together {
        let dialled_stays = ours > theirs;
        if newer.outgoing == dialled_stays {
            Verdict::Older
        } else {
            Verdict::Newer
        }
    } else if newer.outgoing {
        Verdict::Neither
    } else {
        Verdict::Newer
    }
}

impl PeerEntry {
    fn link(&self) -> Option<Link> {
        let outgoing = self.outgoing;
        self.since.map(|since| Link { outgoing, since })
    }
}

impl Torrent {
    /// Ends all but one of the connections to the peer of a connection whose handshake is done now.
    pub(super) fn judge_twins(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get(key) else {
            return;
        };
        let ours = peer.ours;
        let Some((theirs, newer)) = peer.id.zip(peer.link()) else {
            return;
        };
        for (other, older) in self.twins(key, &theirs) {
            let verdict = if self.is_left_behind(other, key) {
                Verdict::Older
            } else {
                judge(&ours, &theirs, older, newer)
            };
            match verdict {
                Verdict::Neither => {
                    if let Some(peer) = self.peers.get_mut(key) {
                        peer.twin = Some(other);
                    }
                }
                Verdict::Newer => {
                    self.end_twin(key, other);
                    return;
                }
                Verdict::Older => self.end_twin(other, key),
            }
        }
    }

    /// Whether the other end has likely lost a connection for which it dialled another.
    fn is_left_behind(&self, older: PeerKey, newer: PeerKey) -> bool {
        let (Some(older), Some(newer)) = (self.peers.get(older), self.peers.get(newer)) else {
            return false;
        };
        let quiet_for = newer
            .since
            .map(|since| since.saturating_duration_since(older.last_payload));
        let is_hidden = |peer: &PeerEntry| self.setup.reach.is_hidden(peer.addr);
        if is_hidden(older) && is_hidden(newer) {
            return older.outgoing == newer.outgoing && quiet_for >= Some(QUIET_LINK);
        }
        let same_host = older.addr.ip().to_canonical() == newer.addr.ip().to_canonical();
        let quiet = quiet_for >= Some(QUIET);
        !older.outgoing && !newer.outgoing && same_host && quiet
    }

    /// Ends what the other side had time to end and did not.
    pub(super) fn end_lasting_twins(&mut self, now: Instant) {
        let lasting = self.peers.iter().filter_map(|(key, peer)| {
            let twin = peer.twin?;
            let over = now.saturating_duration_since(peer.since?) >= GRACE;
            (over && self.peers.get(twin)?.id == peer.id).then_some((key, twin))
        });
        let lasting: Vec<(PeerKey, PeerKey)> = lasting.collect();
        for (key, twin) in lasting {
            self.end_twin(key, twin);
        }
    }

    /// A connection has ended: whether that was because there is another one to the same peer. The other one then knows
    /// of the address.
    pub(super) fn ended_as_twin(&mut self, entry: &PeerEntry, ended: &Ended) -> bool {
        match ended {
            Ended::Duplicate => true,
            // That is how it looks when the other side ended it.
            Ended::Lost => {
                let other = self
                    .peers
                    .iter_mut()
                    .find(|(_, peer)| peer.id.is_some() && peer.id == entry.id);
                let twin = other.is_some();
                if let Some((_, other)) = other.filter(|_| entry.outgoing) {
                    other.also_at = Some(entry.addr);
                }
                twin
            }
            Ended::Banned
            | Ended::Dismissed
            | Ended::Misbehaved(_)
            | Ended::OurOwn
            | Ended::Redundant
            | Ended::Renewed
            | Ended::Silent
            | Ended::Unreachable(_) => false,
        }
    }

    fn twins(&self, key: PeerKey, id: &PeerId) -> Vec<(PeerKey, Link)> {
        self.peers
            .iter()
            .filter(|(other, peer)| *other != key && peer.id.as_ref() == Some(id))
            .filter_map(|(other, peer)| Some((other, peer.link()?)))
            .collect()
    }

    fn end_twin(&mut self, key: PeerKey, stays: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        // It no longer counts as a connection to this peer.
        peer.id = None;
        peer.twin = None;
        peer.order(Order::Close(Ended::Duplicate));
        tracing::debug!(peer = %peer.addr, "there is another connection to the same peer");
        let addr = peer.outgoing.then_some(peer.addr);
        if let (Some(addr), Some(peer)) = (addr, self.peers.get_mut(stays)) {
            peer.also_at = Some(addr);
        }
    }
}

#[cfg(test)]
mod tests;
