//! The list of downloads, written piece by piece: it is as long as there are torrents, and nobody waits for all of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Of};
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use engine::{EngineHandle, Outline, Stretch, StretchOf, TorrentId, TorrentStatus};
use futures_util::stream::{self, StreamExt as _};

use super::content;
use super::ledger::is_at_work;
use super::peers::Peer;
use super::pieces::{Edition, Piece};
use super::shown::{Common, Download, More};
use crate::asked::Query;
use crate::lanes::Long;
use crate::problem::Problem;
use crate::shared::Shared;

/// Downloads that are written at a time.
const PIECE: usize = 128;

/// Torrents that are asked for more at a time.
const AT_A_TIME: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    peers: bool,
    pieces: bool,
    files: bool,
    /// The only torrent that these are for.
    of: Option<TorrentId>,
}

impl Wish {
    /// Whether anything is asked for that not everybody is told.
    const fn is_any(self) -> bool {
        self.peers || self.pieces || self.files || self.of.is_some()
    }
}

pub(super) async fn list(
    Of(shared): Of<Shared>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let query = Query::of(request.uri());
    let of = match query.get("infohash") {
        Some(hash) => Some(super::find(&shared, hash).await?.0),
        None => None,
    };
    let since = query.number("since")?;
    let wish = Wish {
        peers: query.flag("get_peers"),
        pieces: query.flag("get_pieces"),
        files: query.flag("get_files"),
        of,
    };
    let outline = shared.engine().outline(since.unwrap_or_default());
    let end = since.map_or_else(|| b"]}".to_vec(), |_| end(&shared, &outline));
    let since = if outline.whole { None } else { since };
    let is_long = since.is_none() && shared.engine().snapshot().torrents.len() > PIECE;
    let writer = Writer {
        common: Common::of(shared.engine()),
        rest: outline.last.map(|through| StretchOf {
            after: None,
            through,
            since: since.unwrap_or_default(),
            most: PIECE,
        }),
        is_begun: false,
        is_first: true,
        end: Some(end.into()),
        wish,
        shared,
    };
    let body = stream::unfold(writer, |mut writer| async move {
        let next = writer.next().await?;
        Some((Ok::<_, std::convert::Infallible>(next), writer))
    });
    let mut response = Response::new(Body::from_stream(body));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if is_long {
        response.extensions_mut().insert(Long);
    }
    Ok(response)
}

/// What is written behind what has changed.
fn end(shared: &Shared, outline: &Outline) -> Vec<u8> {
    let gone = shared.0.ledger.gone(shared.engine(), &outline.removed);
    let gone = serde_json::Value::from(gone);
    let (revision, whole) = (outline.revision, outline.whole);
    format!("],\"removed\":{gone},\"revision\":{revision},\"whole\":{whole}}}").into_bytes()
}

/// Writes the list. Between two pieces it has nothing but its place, so that a client that reads slowly costs no more than a few pieces.
struct Writer {
    shared: Shared,
    common: Common,
    /// What is not written yet.
    rest: Option<StretchOf>,
    is_begun: bool,
    /// No torrent is written yet.
    is_first: bool,
    end: Option<Bytes>,
    wish: Wish,
}

impl Writer {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_begun {
            self.is_begun = true;
            return Some(Bytes::from_static(b"{\"downloads\":["));
        }
        let Some(piece) = self.piece().await else {
            return self.end.take();
        };
        let comma = usize::from(self.is_first);
        self.is_first = false;
        if let Some(rest) = &mut self.rest {
            rest.after = Some(piece.last);
        }
        Some(piece.bytes.slice(comma..))
    }

    /// The next piece, where there is one.
    async fn piece(&self) -> Option<Piece> {
        let rest = self.rest?;
        if rest.since > 0 || self.wish.is_any() {
            return self.write(self.shared.engine().stretch(&rest)).await;
        }
        // Twice as many as there can be of this length.
        let most = self.shared.engine().snapshot().torrents.len() / (PIECE / 2) + 2;
        let place = self.shared.0.pieces.place(rest.after, most);
        let mut kept = place.piece.lock().await;
        // Looked at behind the request, and with nobody else at work on it.
        let stretch = self.shared.engine().stretch(&rest);
        let ledger = &self.shared.0.ledger;
        ledger
            .fill(self.shared.engine(), &stretch.torrents, None)
            .await;
        if let Some(kept) = &*kept
            && kept.edition == self.edition(&stretch)
        {
            return Some(kept.clone());
        }
        *kept = self.write(stretch).await;
        kept.clone()
    }

    /// What decides what a piece of these says.
    fn edition(&self, stretch: &Stretch) -> Edition {
        let ledger = &self.shared.0.ledger;
        self.edition_with(stretch, ledger.revision(&stretch.torrents))
    }

    fn edition_with(&self, stretch: &Stretch, pages: u64) -> Edition {
        let ids = stretch.torrents.iter().map(|status| status.id);
        Edition {
            revisions: stretch.revisions,
            torrents: stretch.torrents.len(),
            pages,
            watched: self.shared.0.watchers.among(ids),
            common: self.common,
        }
    }

    /// Writes a piece of these, where there are any.
    async fn write(&self, stretch: Stretch) -> Option<Piece> {
        let torrents = stretch.torrents.as_slice();
        let last = torrents.last()?.id;
        let ledger = &self.shared.0.ledger;
        ledger
            .fill(self.shared.engine(), torrents, self.wish.of)
            .await;
        ledger.note(torrents);
        let (pages, revision) = ledger.pages(torrents);
        let edition = self.edition_with(&stretch, revision);
        let more = self.more(torrents).await;
        let mut out = Vec::with_capacity(torrents.len() * 1024);
        for ((status, page), more) in torrents.iter().zip(&pages).zip(more) {
            out.push(b',');
            let watched = edition.watched.contains(&status.id);
            let download = Download::new(status, page, more, (&self.common, watched));
            // There is nothing in it that JSON cannot say.
            let _ = serde_json::to_writer(&mut out, &download);
        }
        // It may be kept for a while.
        out.shrink_to_fit();
        Some(Piece {
            edition,
            bytes: out.into(),
            last,
        })
    }

    /// What is told of torrents beside the usual.
    async fn more(&self, torrents: &[Arc<TorrentStatus>]) -> Vec<More> {
        let (engine, wish) = (self.shared.engine(), self.wish);
        if !wish.is_any() {
            return torrents.iter().map(|_| More::default()).collect();
        }
        let asked = torrents.iter().cloned().map(|status| async move {
            if wish.of.is_some_and(|id| id != status.id) {
                return More::default();
            }
            more(engine, &status, wish).await
        });
        stream::iter(asked).buffered(AT_A_TIME).collect().await
    }
}

/// What is told of one beside the usual. Of those at rest that is nothing for which they would have to be woken, unless they are
/// asked for by their names.
async fn more(engine: &EngineHandle, status: &TorrentStatus, wish: Wish) -> More {
    let id = status.id;
    let asks = is_at_work(&status.state);
    let mut more = More::default();
    if wish.peers {
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
    if wish.pieces {
        let pieces = if asks {
            engine.pieces(id).await.ok()
        } else {
            None
        };
        let bytes = pieces.map(|pieces| pieces.as_bytes().to_vec());
        let bytes = bytes.filter(|bytes| !bytes.is_empty());
        let bytes = bytes.unwrap_or_else(|| at_rest(status));
        more.pieces = Some(data_encoding::BASE64.encode(&bytes));
    }
    if wish.files {
        let files = content::files_of(engine, id).await;
        more.files = Some(files.unwrap_or_default());
    }
    more
}

/// The bit field of a torrent at rest: of one that has everything, all pieces; of another, which it has is not known.
fn at_rest(status: &TorrentStatus) -> Vec<u8> {
    if status.size > 0 && status.done >= status.size {
        return protocol::bitfield::Bitfield::full(status.pieces)
            .as_bytes()
            .to_vec();
    }
    protocol::bitfield::Bitfield::new(status.pieces)
        .as_bytes()
        .to_vec()
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
mod tests;
