//! Taking out peers that were not heard of for long, a little at a time.

use super::mark::Seconds;
use super::{SHARDS, Swarms};

/// Peers and torrents that are looked at under one lock: well under a millisecond.
const AT_ONCE: usize = 4096;

/// How far a round through all swarms has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sweep {
    shard: usize,
    /// Torrents of the shard that have not been looked at: those below; `None` before the first.
    torrents: Option<usize>,
    /// Peers of the torrent behind those, by family, that have not been looked at.
    v4: Option<usize>,
    v6: Option<usize>,
}

impl Swarms {
    /// Goes on with a round: takes out peers that were last heard of before `oldest`, and torrents without peers. It looks at a
    /// few thousand of them and returns; `true` when the round is over, and `sweep` stands at the beginning of the next.
    pub fn sweep(&self, sweep: &mut Sweep, oldest: Seconds) -> bool {
        let Some(shard) = self.shards.get(sweep.shard) else {
            *sweep = Sweep::default();
            return true;
        };
        let mut shard = shard.lock();
        let shard = &mut *shard;
        let mut budget = AT_ONCE;
        let mut below = sweep
            .torrents
            .unwrap_or(usize::MAX)
            .min(shard.torrents.len());
        while below > 0 && budget > 0 {
            budget -= 1;
            let torrent = &mut shard.torrents[below - 1];
            let from = sweep.v4.unwrap_or(usize::MAX);
            let total = (&mut budget, &mut shard.totals.0);
            sweep.v4 = Some(torrent.v4.expire(from, oldest, total, &self.rules));
            if let Some(v6) = &mut torrent.v6 {
                let from = sweep.v6.unwrap_or(usize::MAX);
                let total = (&mut budget, &mut shard.totals.1);
                sweep.v6 = Some(v6.expire(from, oldest, total, &self.rules));
                if v6.is_empty() {
                    torrent.v6 = None;
                }
            }
            if sweep.v4.is_some_and(|left| left > 0) || sweep.v6.is_some_and(|left| left > 0) {
                break;
            }
            (sweep.v4, sweep.v6) = (None, None);
            below -= 1;
            let torrent = &shard.torrents[below];
            if torrent.is_empty() && self.goes(torrent, self.is_crowded(shard)) {
                shard.remove(below, &self.rules);
            }
        }
        sweep.torrents = Some(below);
        if below > 0 {
            return false;
        }
        *sweep = Sweep {
            shard: sweep.shard + 1,
            ..Sweep::default()
        };
        if sweep.shard < SHARDS {
            return false;
        }
        *sweep = Sweep::default();
        true
    }
}
