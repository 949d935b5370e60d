//! Swarms for people who look at them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use protocol::id::{InfoHash, PeerId};

use super::family::Seen;
use super::mark::Seconds;
use super::member::{Counts, Report};
use super::{Swarms, Torrent};

/// A torrent, without its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TorrentView {
    /// Its hash.
    pub info_hash: InfoHash,
    /// Peers of both families.
    pub counts: Counts,
    /// How often it was completed.
    pub completed: u32,
}

/// A peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Where it is.
    pub addr: SocketAddr,
    /// Its id, where ids are kept.
    pub peer_id: Option<PeerId>,
    /// Whether it has everything.
    pub seeder: bool,
    /// When it was heard of last.
    pub seen: Seconds,
    /// What it told then, where that is kept.
    pub report: Option<Report>,
}

impl Swarms {
    /// A torrent, if it is known.
    pub fn torrent(&self, info_hash: &InfoHash) -> Option<TorrentView> {
        let hash = self.rules.hash(&info_hash.0);
        let shard = self.shard(hash).lock();
        let at = shard.find(hash, info_hash)?;
        Some(TorrentView::new(&shard.torrents[at]))
    }

    /// Up to `most` peers of a torrent, those of IPv4 first.
    pub fn peers(&self, info_hash: &InfoHash, most: usize) -> Vec<PeerView> {
        let hash = self.rules.hash(&info_hash.0);
        let shard = self.shard(hash).lock();
        let Some(at) = shard.find(hash, info_hash) else {
            return Vec::new();
        };
        let Torrent { v4, v6, .. } = &shard.torrents[at];
        let v4 = v4.seen(0, &self.rules).map(|seen| {
            let [a, b, c, d, high, low] = *seen.addr;
            let port = u16::from_be_bytes([high, low]);
            PeerView::new((Ipv4Addr::new(a, b, c, d), port).into(), &seen)
        });
        let v6 = v6
            .iter()
            .flat_map(|v6| v6.seen(0, &self.rules))
            .map(|seen| {
                let mut ip = [0; 16];
                ip.copy_from_slice(&seen.addr[..16]);
                let port = u16::from_be_bytes([seen.addr[16], seen.addr[17]]);
                PeerView::new((Ipv6Addr::from(ip), port).into(), &seen)
            });
        v4.chain(v6).take(most).collect()
    }

    /// Up to `most` torrents behind the first `offset`, in an order that holds only while none come and go.
    pub fn page(&self, mut offset: usize, most: usize) -> Vec<TorrentView> {
        let mut page = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let here = shard.torrents.len();
            let room = most - page.len();
            let torrents = shard.torrents.skip(offset).take(room);
            page.extend(torrents.map(TorrentView::new));
            offset = offset.saturating_sub(here);
            if page.len() == most {
                break;
            }
        }
        page
    }
}

impl TorrentView {
    fn new(torrent: &Torrent) -> Self {
        Self {
            info_hash: torrent.hash,
            counts: torrent.counts(),
            completed: torrent.completed(),
        }
    }
}

impl PeerView {
    fn new<const N: usize>(addr: SocketAddr, seen: &Seen<'_, N>) -> Self {
        Self {
            addr,
            peer_id: seen.id.map(|id| PeerId(*id)),
            seeder: seen.mark.is_seeder(),
            seen: seen.mark.seen(),
            report: seen.report.copied(),
        }
    }
}
