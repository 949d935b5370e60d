//! Downloads: the list, adding, changing, removing, their files and .torrent files.

mod adding;
mod changing;
mod content;
mod ledger;
mod list;
mod peers;
mod shown;

use axum::routing::get;
use engine::TorrentId;
use protocol::id::InfoHash;

pub(crate) use self::adding::{hash_of, read_uri};
pub(crate) use self::ledger::{Ledger, is_at_work};
use crate::problem::Problem;
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    vec![
        route("GET", "/downloads", get(list::list)),
        route("PUT", "/downloads", axum::routing::put(adding::add)),
        route(
            "DELETE",
            "/downloads/{infohash}",
            axum::routing::delete(changing::remove),
        ),
        route(
            "PATCH",
            "/downloads/{infohash}",
            axum::routing::patch(changing::change),
        ),
        route("GET", "/downloads/{infohash}/files", get(content::files)),
        route(
            "GET",
            "/downloads/{infohash}/torrent",
            get(content::torrent),
        ),
    ]
}

/// The torrent of an info-hash in hex: SHA-1, or SHA-256 or the first 20 bytes of it.
///
/// # Errors
/// 400 where it is no info-hash, 404 where there is no such torrent.
pub(crate) async fn find(shared: &Shared, text: &str) -> Result<(TorrentId, InfoHash), Problem> {
    let hash = info_hash(text)?;
    let id = shared.engine().find(hash).await?;
    id.map(|id| (id, hash)).ok_or_else(Problem::no_download)
}

/// The first 20 bytes of an info-hash in hex.
///
/// # Errors
/// 400 where it is none.
pub(crate) fn info_hash(text: &str) -> Result<InfoHash, Problem> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = if hex && matches!(text.len(), 40 | 64) {
        text.get(..40).and_then(|hash| hash.parse().ok())
    } else {
        None
    };
    hash.ok_or_else(|| {
        let why = if hex {
            "an info-hash has 40 or 64 hexadecimal digits"
        } else {
            "Non-hexadecimal digit found"
        };
        Problem::of_class(axum::http::StatusCode::BAD_REQUEST, (false, "Error"), why)
    })
}

#[cfg(test)]
mod tests;
