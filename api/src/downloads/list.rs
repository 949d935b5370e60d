//! The list of downloads, written piece by piece: it is as long as there are torrents, and nobody waits for all of it.

mod more;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Of};
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use engine::{Outline, Stretch, StretchOf, TorrentId, TorrentStatus};
use futures_util::stream::{self, StreamExt as _};

use self::more::{AT_A_TIME, Seen, Wish, fitting, has_files_apart};
use super::inventory::Reading;
use super::pieces::{Edition, Piece};
use super::shown::{Common, Download, More};
use crate::asked::{self, Query};
use crate::lanes::Long;
use crate::problem::Problem;
use crate::shared::Shared;
use crate::stream::watching::Begun;

/// Downloads that are written at a time.
const PIECE: usize = 128;

/// What is written behind the files of a download, which come last of all that is told of it.
const END_OF_FILES: &[u8] = b"]}";

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
        common: Common::of(shared.engine(), asked::era(&request)),
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
        ahead: AT_A_TIME,
        files: None,
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
    /// Torrents that are looked at next, where more is told of them than the usual.
    ahead: usize,
    /// The place among the files of the last torrent, where these are long and not all told yet.
    files: Option<Reading>,
}

impl Writer {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_begun {
            self.is_begun = true;
            return Some(Bytes::from_static(b"{\"downloads\":["));
        }
        if let Some(files) = self.files.take() {
            return Some(self.slice(files).await);
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
    async fn piece(&mut self) -> Option<Piece> {
        let rest = self.rest?;
        if self.wish.is_any() {
            return self.full_piece(rest).await;
        }
        if rest.since > 0 {
            return self
                .write(self.shared.engine().stretch(&rest), Vec::new())
                .await;
        }
        // Twice as many as there can be of this length.
        let most = self.shared.engine().snapshot().torrents.len() / (PIECE / 2) + 2;
        let place = self.shared.0.pieces.place(rest.after, most);
        let mut kept = place.what.lock().await;
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
        *kept = self.write(stretch, Vec::new()).await;
        kept.clone()
    }

    /// The next piece of torrents of which more is told than the usual: of as many as are not too long together. The files of a torrent
    /// that is too long by itself are told after it.
    async fn full_piece(&mut self, rest: StretchOf) -> Option<Piece> {
        let (engine, wish) = (self.shared.engine(), self.wish);
        let most = if wish.of.is_some() { PIECE } else { self.ahead };
        let mut stretch = engine.stretch(&StretchOf { most, ..rest });
        let looks = stretch.torrents.clone().into_iter();
        let looks = looks.map(|status| async move { wish.look(engine, &status).await });
        let looks = stream::iter(looks).buffered(AT_A_TIME);
        let mut seen: Vec<Seen> = looks.collect().await;
        let fitting = fitting(&seen);
        self.ahead = (2 * fitting).clamp(1, AT_A_TIME);
        stretch.torrents.truncate(fitting);
        seen.truncate(fitting);
        let id = stretch.torrents.first()?.id;
        let apart = has_files_apart(&seen);
        let told = stretch.torrents.clone().into_iter().zip(seen);
        let told =
            told.map(|(status, seen)| async move { wish.more(engine, &status, seen, apart).await });
        let more = stream::iter(told).buffered(AT_A_TIME).collect().await;
        let mut piece = self.write(stretch, more).await?;
        if apart && piece.bytes.ends_with(END_OF_FILES) {
            piece.bytes.truncate(piece.bytes.len() - END_OF_FILES.len());
            self.files = Some(Reading::of(id));
        }
        Some(piece)
    }

    /// The next files of a torrent that are told apart from it. Where it is gone they end.
    async fn slice(&mut self, mut files: Reading) -> Bytes {
        let mut slice = Vec::new();
        if let Ok(true) = files.slice(&self.shared, &mut slice).await {
            self.files = Some(files);
        } else {
            slice.extend_from_slice(END_OF_FILES);
        }
        slice.into()
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

    /// Writes a piece of these, where there are any, with what is told of them beside the usual.
    async fn write(&self, stretch: Stretch, more: Vec<More>) -> Option<Piece> {
        let torrents = stretch.torrents.as_slice();
        let last = torrents.last()?.id;
        let ledger = &self.shared.0.ledger;
        ledger
            .fill(self.shared.engine(), torrents, self.wish.of)
            .await;
        ledger.note(torrents);
        let (pages, revision) = ledger.pages(torrents);
        let edition = self.edition_with(&stretch, revision);
        let more = more
            .into_iter()
            .chain(std::iter::repeat_with(More::default));
        let begun = self.begun(torrents, &edition.watched).await;
        let mut out = Vec::with_capacity(torrents.len() * 1024);
        for ((status, page), more) in torrents.iter().zip(&pages).zip(more) {
            out.push(b',');
            let more = More {
                begun: begun.get(&status.id).copied(),
                ..more
            };
            let download = Download::new(status, page, more, &self.common);
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

    /// How much of what players begin with is there, of those torrents that are watched.
    async fn begun(
        &self,
        torrents: &[Arc<TorrentStatus>],
        watched: &[(TorrentId, usize)],
    ) -> BTreeMap<TorrentId, Begun> {
        let mut begun = BTreeMap::new();
        for (id, file) in watched {
            if let Some(status) = torrents.iter().find(|status| status.id == *id) {
                begun.insert(*id, Begun::of(self.shared.engine(), status, *file).await);
            }
        }
        begun
    }
}

#[cfg(test)]
mod tests;
