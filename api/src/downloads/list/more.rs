//! What is told of torrents beside the usual, where it is asked for.

use std::sync::Arc;

use engine::{EngineHandle, TorrentId, TorrentStatus};
use protocol::bitfield::Bitfield;
use protocol::metainfo::Metainfo;

use crate::downloads::inventory::{Files, SLICE, bytes_of};
use crate::downloads::ledger::is_at_work;
use crate::downloads::peers::Peer;
use crate::downloads::shown::More;

/// Torrents that are asked for more at a time.
pub(super) const AT_A_TIME: usize = 16;

/// About how many bytes a torrent takes when it is told, and a peer of it.
const TORRENT: usize = 1024;
const PEER: usize = 512;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) peers: bool,
    pub(super) pieces: bool,
    pub(super) files: bool,
    /// The only torrent that these are for.
    pub(super) of: Option<TorrentId>,
}

/// What was seen of a torrent before more is asked.
#[derive(Debug)]
pub(super) struct Seen {
    /// Where its files are told and known.
    metainfo: Option<Arc<Metainfo>>,
    /// About how much it takes to tell of it.
    bytes: usize,
}

/// How many of these are told together: one at least, and as many as are not too long.
pub(super) fn fitting(seen: &[Seen]) -> usize {
    let sums = seen.iter().scan(0_usize, |sum, seen| {
        *sum = sum.saturating_add(seen.bytes);
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= SLICE).count().max(1)
}

/// Whether the files of the only one of these are too many to be told with it.
pub(super) fn has_files_apart(seen: &[Seen]) -> bool {
    let files = |seen: &Seen| seen.metainfo.as_deref().map_or(0, bytes_of);
    matches!(seen, [only] if files(only) > SLICE)
}

impl Wish {
    /// Whether anything is asked for that not everybody is told.
    pub(super) const fn is_any(self) -> bool {
        self.peers || self.pieces || self.files || self.of.is_some()
    }

    fn is_for(self, id: TorrentId) -> bool {
        self.of.is_none_or(|of| of == id)
    }

    /// Finds out about how much there is to tell of a torrent, for which nothing is copied.
    pub(super) async fn look(self, engine: &EngineHandle, status: &TorrentStatus) -> Seen {
        let mut seen = Seen {
            metainfo: None,
            bytes: TORRENT,
        };
        if !self.is_for(status.id) {
            return seen;
        }
        let field = Bitfield::byte_len(status.pieces);
        if self.peers {
            // How many have each piece is counted for it.
            let counts = if is_at_work(&status.state) {
                status.pieces as usize * size_of::<u32>()
            } else {
                0
            };
            seen.bytes += counts + status.peers * PEER;
        }
        if self.pieces {
            seen.bytes += 3 * field;
        }
        if self.files {
            seen.metainfo = engine.metainfo(status.id).await.ok().flatten();
            seen.bytes += seen.metainfo.as_deref().map_or(0, bytes_of);
        }
        seen
    }

    /// What is told of one beside the usual. Of those at rest that is nothing for which they would have to be woken, unless they are
    /// asked for by their names. Files that are told `apart` are none here.
    pub(super) async fn more(
        self,
        engine: &EngineHandle,
        status: &TorrentStatus,
        seen: Seen,
        apart: bool,
    ) -> More {
        let id = status.id;
        let asks = is_at_work(&status.state);
        let mut more = More::default();
        if !self.is_for(id) {
            return more;
        }
        if self.peers {
            let peers = if asks {
                engine.peers(id).await.unwrap_or_default()
            } else {
                Vec::new()
            };
            let peers = peers.iter().map(|peer| Peer::of(peer, status.pieces));
            more.peers = Some(peers.collect());
            if asks {
                more.copies = engine.availability(id).await.ok().map(|of| copies(&of));
            }
        }
        if self.pieces {
            let pieces = if asks {
                engine.pieces(id).await.ok()
            } else {
                None
            };
            let pieces = pieces.filter(|pieces| !pieces.as_bytes().is_empty());
            let pieces = pieces.unwrap_or_else(|| at_rest(status));
            more.pieces = Some(data_encoding::BASE64.encode(pieces.as_bytes()));
        }
        if self.files {
            let files = match seen.metainfo.filter(|_| !apart) {
                Some(metainfo) => Files::of(engine, id, metainfo).await.ok(),
                None => None,
            };
            more.files = Some(files.map_or_else(Vec::new, |files| files.all()));
        }
        more
    }
}

/// The bit field of a torrent at rest: of one that has everything, all pieces; of another, which it has is not known.
fn at_rest(status: &TorrentStatus) -> Bitfield {
    if status.size > 0 && status.done >= status.size {
        return Bitfield::full(status.pieces);
    }
    Bitfield::new(status.pieces)
}

/// How many copies there are, by how many have each piece: whole ones, and the share of pieces of which there is one more.
fn copies(of: &[u32]) -> f64 {
    let Some(least) = of.iter().copied().min() else {
        return 0.0;
    };
    let more = of.iter().filter(|count| **count > least).count();
    f64::from(least) + more as f64 / of.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_whole_ones_and_the_share_of_pieces_that_there_are_more_of() {
        for (of, due) in [
            (&[][..], 0.0),
            (&[2, 2], 2.0),
            (&[1, 2, 3, 1], 1.5),
            (&[0, 0, 0, 4], 0.25),
        ] {
            assert!((copies(of) - due).abs() < 1e-9, "{of:?}");
        }
    }

    #[test]
    fn as_many_are_told_together_as_are_not_too_long_and_one_at_least() {
        let seen = |bytes: &[usize]| -> Vec<Seen> {
            let seen = bytes.iter().map(|bytes| Seen {
                metainfo: None,
                bytes: *bytes,
            });
            seen.collect()
        };
        for (bytes, due) in [
            (&[1, 2, 3][..], 3),
            (&[SLICE, 1], 1),
            (&[SLICE / 2, SLICE / 2, 1], 2),
            (&[usize::MAX, usize::MAX], 1),
            (&[1, usize::MAX, 1], 1),
        ] {
            assert_eq!(fitting(&seen(bytes)), due, "{bytes:?}");
        }
    }
}
