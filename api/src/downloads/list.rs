//! The list of downloads, written piece by piece: it is as long as there are torrents, and nobody waits for all of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Of};
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use engine::{Changes, EngineHandle, TorrentId, TorrentStatus};
use futures_util::stream::{self, StreamExt as _};

use super::content;
use super::ledger::is_at_work;
use super::peers::Peer;
use super::shown::{Common, Download, More};
use crate::asked::Query;
use crate::problem::Problem;
use crate::shared::Shared;

/// Downloads that are written at a time.
const PIECE: usize = 128;

/// Torrents that are asked for more at a time.
const AT_A_TIME: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the request")]
struct Wish {
    peers: bool,
    pieces: bool,
    files: bool,
    /// The only torrent that these are for.
    of: Option<TorrentId>,
    /// What has changed since is told, and what is gone.
    since: bool,
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
        since: since.is_some(),
    };
    let changes = shared.engine().changes(since.unwrap_or_default());
    let torrents = changes.torrents.as_slice();
    shared.0.ledger.fill(shared.engine(), torrents, of).await;
    let end = end(&shared, &changes, wish);
    let writer = Writer {
        common: Common::of(shared.engine()),
        torrents: changes.torrents,
        at: 0,
        end: Some(end),
        wish,
        shared,
    };
    let body = stream::unfold(writer, |mut writer| async move {
        let piece = writer.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), writer))
    });
    let mut response = Response::new(Body::from_stream(body));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What is written behind the list.
fn end(shared: &Shared, changes: &Changes, wish: Wish) -> Vec<u8> {
    if !wish.since {
        return b"]}".to_vec();
    }
    let ledger = &shared.0.ledger;
    let gone = ledger.gone(shared.engine(), &changes.removed);
    ledger.note(&changes.torrents);
    let gone = serde_json::Value::from(gone);
    let (revision, whole) = (changes.revision, changes.whole);
    format!("],\"removed\":{gone},\"revision\":{revision},\"whole\":{whole}}}").into_bytes()
}

/// Writes the list.
struct Writer {
    shared: Shared,
    common: Common,
    torrents: Vec<Arc<TorrentStatus>>,
    at: usize,
    end: Option<Vec<u8>>,
    wish: Wish,
}

impl Writer {
    async fn next(&mut self) -> Option<Bytes> {
        let end = self.torrents.len().min(self.at + PIECE);
        let piece = self.torrents.get(self.at..end).unwrap_or_default();
        let pages = self.shared.0.ledger.pages(piece);
        let more = self.more(piece).await;
        let mut out = Vec::with_capacity(piece.len() * 1024 + 64);
        if self.at == 0 && self.end.is_some() {
            out.extend_from_slice(b"{\"downloads\":[");
        }
        for (number, ((status, page), more)) in piece.iter().zip(&pages).zip(more).enumerate() {
            if self.at + number > 0 {
                out.push(b',');
            }
            let watched = self.shared.0.watchers.has(status.id);
            let download = Download::new(status, page, more, (&self.common, watched));
            // There is nothing in it that JSON cannot say.
            let _ = serde_json::to_writer(&mut out, &download);
        }
        self.at = end;
        if self.at == self.torrents.len() {
            out.extend_from_slice(&self.end.take()?);
        }
        Some(out.into())
    }

    /// What is told of torrents beside the usual.
    async fn more(&self, torrents: &[Arc<TorrentStatus>]) -> Vec<More> {
        let (engine, wish) = (self.shared.engine(), self.wish);
        if !(wish.peers || wish.pieces || wish.files) {
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
}
