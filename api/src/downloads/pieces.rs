//! Pieces of the list as they are sent, which all share who ask for the list in the same moment.
//!
//! Who needs a piece looks at how its torrents stand now, and takes what is here only where nothing of it has changed since: what a
//! client was told is done is never missing from what it reads afterwards. One writes a piece while others who need it wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use engine::TorrentId;
use parking_lot::Mutex;
use tokio::sync::Mutex as Turns;
use tokio::time::{Instant, sleep};

use super::shown::Common;

/// How long a piece is kept for which nobody asks.
const KEPT: Duration = Duration::from_secs(10);

/// All that decides what a piece says, where it begins behind the same torrent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edition {
    /// Of the torrents.
    pub(super) revisions: [u64; 2],
    /// How many there are.
    pub(super) torrents: usize,
    /// Of what the ledger knows of them.
    pub(super) pages: u64,
    /// Those of them whose files are read.
    pub(super) watched: Vec<TorrentId>,
    pub(super) common: Common,
}

/// A piece as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) edition: Edition,
    /// Each torrent has a comma before it.
    pub(super) bytes: Bytes,
    /// Its last torrent.
    pub(super) last: TorrentId,
}

/// The place of a piece. Whoever holds it is alone with it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) piece: Turns<Option<Piece>>,
    asked: Mutex<Instant>,
}

/// Keeps pieces, by the torrents that they begin behind.
#[derive(Debug, Default)]
pub(crate) struct Pieces(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    places: BTreeMap<Option<TorrentId>, Arc<Place>>,
    /// Somebody comes to take away what nobody asks for.
    is_swept: bool,
}

impl Pieces {
    /// The place of the piece that begins behind a torrent. So many may be kept; where there are more, as when torrents go and pieces
    /// begin elsewhere, all are let go of.
    pub(super) fn place(&self, after: Option<TorrentId>, most: usize) -> Arc<Place> {
        let mut inner = self.0.lock();
        if inner.places.len() > most {
            inner.places.clear();
        }
        let place = inner.places.entry(after).or_insert_with(|| {
            Arc::new(Place {
                piece: Turns::new(None),
                asked: Mutex::new(Instant::now()),
            })
        });
        *place.asked.lock() = Instant::now();
        let place = Arc::clone(place);
        if !inner.is_swept {
            inner.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
        place
    }

    /// Pieces that are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().places.len()
    }
}

/// Takes pieces away that nobody asks for, until there are none.
async fn sweep(pieces: Weak<Mutex<Inner>>) {
    loop {
        sleep(KEPT).await;
        let Some(pieces) = pieces.upgrade() else {
            return;
        };
        let mut inner = pieces.lock();
        let now = Instant::now();
        let places = &mut inner.places;
        places.retain(|_, place| now.saturating_duration_since(*place.asked.lock()) < KEPT);
        if places.is_empty() {
            inner.is_swept = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(bytes: &'static [u8]) -> Piece {
        Piece {
            edition: Edition {
                revisions: [1, 0],
                torrents: 1,
                pages: 0,
                watched: Vec::new(),
                common: Common::default(),
            },
            bytes: Bytes::from_static(bytes),
            last: TorrentId::from(1),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_are_kept_while_somebody_asks_for_them() {
        let pieces = Pieces::default();
        let second = Some(TorrentId::from(7));
        *pieces.place(None, 10).piece.lock().await = Some(piece(b"a"));
        *pieces.place(second, 10).piece.lock().await = Some(piece(b"b"));
        for _ in 0..5 {
            sleep(KEPT / 2).await;
            let kept = pieces.place(None, 10);
            assert!(kept.piece.lock().await.is_some());
        }
        assert_eq!(pieces.len(), 1);
        sleep(3 * KEPT).await;
        assert_eq!(pieces.len(), 0);
        // Whoever swept is gone: it comes again.
        *pieces.place(None, 10).piece.lock().await = Some(piece(b"a"));
        sleep(3 * KEPT).await;
        assert_eq!(pieces.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_no_more_pieces_than_were_allowed() {
        let pieces = Pieces::default();
        for id in 0..100 {
            pieces.place(Some(TorrentId::from(id)), 5);
            assert!(pieces.len() <= 6);
        }
    }
}
