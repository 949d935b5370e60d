//! The files of a download, and its .torrent file.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use super::inventory::Reading;
use crate::problem::Problem;
use crate::shared::Shared;

/// The files of a download: those of the first slice at once, and others as they are read.
pub(super) async fn files(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
) -> Result<Response<Body>, Problem> {
    let (id, _) = super::find(&shared, &hash).await?;
    let mut reading = Reading::of(id);
    let mut first = b"{\"files\":[".to_vec();
    let body = if reading.slice(&shared, &mut first).await? {
        let rest = stream::unfold(Some((shared, reading)), |reading| async {
            let (shared, mut reading) = reading?;
            let mut slice = Vec::new();
            match reading.slice(&shared, &mut slice).await {
                Ok(true) => Some((Ok(slice.into()), Some((shared, reading)))),
                Ok(false) => {
                    slice.extend_from_slice(END);
                    Some((Ok(slice.into()), None))
                }
                // The answer breaks off, for what is there is not all.
                Err(_) => Some((Err(GONE), None)),
            }
        });
        let first = stream::once(async { Ok::<Bytes, &str>(first.into()) });
        Body::from_stream(first.chain(rest))
    } else {
        first.extend_from_slice(END);
        Body::from(first)
    };
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What is written behind the files.
const END: &[u8] = b"]}";

/// Why an answer breaks off.
const GONE: &str = "the download has gone while its files were told";

/// The .torrent file of a download.
pub(super) async fn torrent(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
) -> Result<Response<Body>, Problem> {
    let (id, hash) = super::find(&shared, &hash).await?;
    let metainfo = shared.engine().metainfo(id).await?;
    let metainfo = metainfo.ok_or_else(Problem::no_download)?;
    let bytes = metainfo
        .to_bytes()
        .map_err(|error| Problem::failed(error.to_string()))?;
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/x-bittorrent");
    headers.insert(header::CONTENT_TYPE, kind);
    let name = format!("attachment; filename=\"{hash}.torrent\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
