//! What all torrents come to together.

use super::facts::Facts;
use super::{Board, Table};
use crate::Metrics;

/// Bytes that torrents have moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    downloaded: u64,
    uploaded: u64,
    wasted: u64,
}

impl Moved {
    /// A torrent is no more.
    pub(super) const fn gone(&mut self, facts: &Facts) {
        self.downloaded += facts.downloaded;
        self.uploaded += facts.uploaded;
        self.wasted += facts.wasted;
    }

    /// A torrent may have begun to count anew, after it failed.
    pub(super) const fn began_anew(&mut self, was: &Facts, is: &Facts) {
        if is.downloaded < was.downloaded || is.uploaded < was.uploaded || is.wasted < was.wasted {
            self.gone(was);
        }
    }
}

impl Board {
    /// Bytes of payload that all torrents together receive in a second.
    pub(crate) fn down_rate(&self) -> u64 {
        self.0.read().down_rate
    }

    /// Takes the figures that torrents make together.
    pub(crate) fn measure(&self, to: &mut Metrics) {
        let table = self.0.read();
        let mut moved = table.past;
        let mut states = [
            ("checking", "ses.num_checking_torrents", 0),
            ("downloading", "ses.num_downloading_torrents", 0),
            ("metadata", "ses.num_downloading_torrents", 0),
            ("error", "ses.num_error_torrents", 0),
            ("seeding", "ses.num_seeding_torrents", 0),
            ("paused", "ses.num_stopped_torrents", 0),
            ("queued", "ses.num_queued_torrents", 0),
        ];
        let [mut all, mut blocked, mut peers, mut seeds, mut down, mut up] = [0; 6];
        for facts in table.present() {
            moved.gone(facts);
            for (word, _, count) in &mut states {
                *count += u64::from(*word == facts.state);
            }
            all += 1;
            blocked += u64::from(facts.blocked);
            peers += u64::from(facts.peers);
            seeds += u64::from(facts.seeds);
            down += facts.down_rate;
            up += facts.up_rate;
        }
        drop(table);
        for (_, name, count) in states {
            let before = to.get(name).unwrap_or(0);
            to.set(name, before + count);
        }
        let failed = to.get("net.recv_failed_bytes").unwrap_or(0);
        for (name, value) in [
            ("ses.num_torrents", all),
            ("ses.num_blocked_torrents", blocked),
            ("peer.num_peers_connected", peers),
            ("peer.num_seeds_connected", seeds),
            ("net.down_rate_bytes", down),
            ("net.up_rate_bytes", up),
            ("net.recv_payload_bytes", moved.downloaded),
            ("net.sent_payload_bytes", moved.uploaded),
            (
                "net.recv_redundant_bytes",
                moved.wasted.saturating_sub(failed),
            ),
        ] {
            to.set(name, value);
        }
    }
}

impl Table {
    fn present(&self) -> impl Iterator<Item = &Facts> {
        let rows = self.rows.iter().filter(|row| row.status.is_some());
        rows.map(|row| &row.facts)
    }
}
