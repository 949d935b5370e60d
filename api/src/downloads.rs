//! Downloads: the list, adding, changing, removing, their files and .torrent files.

pub(crate) mod adding;
mod changing;
mod content;
mod inventory;
mod kept;
mod ledger;
mod list;
mod peers;
mod pieces;
mod shown;

use axum::routing::{delete, get, patch, put};
use engine::TorrentId;
use protocol::id::InfoHash;
use serde_json::json;

use self::adding::TORRENT;
pub(crate) use self::adding::hash_of;
pub(crate) use self::inventory::Inventories;
pub(crate) use self::ledger::{Ledger, is_at_work};
pub(crate) use self::pieces::Pieces;
use crate::describe::About;
use crate::describe::shapes::{count, flag, list, object, reference, text};
use crate::problem::Problem;
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let one = "/downloads/{infohash}";
    let all = object(&[
        ("downloads", list(reference("Download"))),
        ("removed?", list(text())),
        ("revision?", count()),
        ("whole?", flag()),
    ]);
    let list_about = About::new("All downloads, or those that have changed")
        .flag("get_peers", "With connected peers")
        .flag("get_pieces", "With the bit field, in base64")
        .flag("get_files", "With files")
        .asks("infohash", text(), "The flags are for this download only")
        .asks(
            "since",
            count(),
            "Only those that have changed since this revision, and what is gone",
        )
        .answers(all)
        .refuses(&[400, 404]);
    let files_about = About::new("The files of a download")
        .answers(object(&[("files", list(reference("File")))]))
        .refuses(&[400, 404]);
    let torrent_about = About::new("The .torrent file of a download")
        .answers_as(200, TORRENT, json!({"type": "string", "format": "binary"}))
        .refuses(&[400, 404]);
    vec![
        route("GET", "/downloads", get(list::list), list_about),
        route("PUT", "/downloads", put(adding::add), adding::about()),
        route(
            "DELETE",
            one,
            delete(changing::remove),
            changing::remove_about(),
        ),
        route(
            "PATCH",
            one,
            patch(changing::change),
            changing::change_about(),
        ),
        route(
            "GET",
            "/downloads/{infohash}/files",
            get(content::files),
            files_about,
        ),
        route(
            "GET",
            "/downloads/{infohash}/torrent",
            get(content::torrent),
            torrent_about,
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
