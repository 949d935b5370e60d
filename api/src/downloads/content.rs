//! The files of a download, and its .torrent file.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, header};
use engine::{EngineHandle, TorrentId};
use serde_json::json;

use super::shown::File;
use crate::problem::{Answer, Problem};
use crate::shared::Shared;

/// The files of a download.
pub(super) async fn files(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
) -> Result<Answer, Problem> {
    let (id, _) = super::find(&shared, &hash).await?;
    let files = files_of(shared.engine(), id).await?;
    Ok(Answer(json!({"files": files})))
}

/// The files of a torrent; none while its metadata is not there.
pub(super) async fn files_of(engine: &EngineHandle, id: TorrentId) -> Result<Vec<File>, Problem> {
    let Some(metainfo) = engine.metainfo(id).await? else {
        return Ok(Vec::new());
    };
    let priorities = engine.file_priorities(id).await?;
    let progress = engine.file_progress(id).await?;
    let status = engine.status(id).ok_or_else(Problem::no_download)?;
    // Of one that is not at work only this is known.
    let whole = status.size > 0 && status.done >= status.size;
    // The name of a torrent of several files is the folder that they are in.
    let skip = usize::from(!metainfo.is_single_file());
    let files = metainfo.files().iter().enumerate();
    let files = files.filter(|(_, file)| !file.attr.pad);
    let files = files.map(|(index, file)| {
        let done = progress.get(index).copied();
        let done = done.unwrap_or(if whole { file.len } else { 0 });
        let path = file.path.get(skip..).unwrap_or_default();
        File {
            index,
            name: path.join("/"),
            size: file.len,
            included: priorities.get(index).is_none_or(|of| of.get() > 0),
            progress: if file.len == 0 {
                1.0
            } else {
                (done as f64 / file.len as f64).min(1.0)
            },
        }
    });
    Ok(files.collect())
}

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
