//! A playlist of the files of a download that players can play, for those that take one address.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::metainfo::Metainfo;

use crate::asked::Query;
use crate::downloads;
use crate::problem::Problem;
use crate::shared::Shared;

/// The type of a playlist.
pub(super) const KIND: &str = "application/vnd.apple.mpegurl";

/// The playlist of a download. Who asked with the key in the query finds it in the addresses: players have no headers.
pub(super) async fn playlist(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (id, _) = downloads::find(&shared, &hash).await?;
    let metainfo = super::metainfo(&shared, id).await?;
    let query = Query::of(request.uri());
    let text = text(&metainfo, query.get("apikey"));
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static(KIND);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

pub(crate) fn text(metainfo: &Metainfo, key: Option<&str>) -> String {
    let key = key.map_or_else(String::new, |key| {
        format!("?apikey={}", utf8_percent_encode(key, NON_ALPHANUMERIC))
    });
    let mut text = "#EXTM3U\n".to_owned();
    for (index, file) in metainfo.files().iter().enumerate() {
        let name = file.path.last().map(String::as_str).unwrap_or_default();
        let kind = mime_guess::from_path(name).first_or_octet_stream();
        if file.attr.pad || (kind.type_() != "video" && kind.type_() != "audio") {
            continue;
        }
        // A line of its own is all that a name could make.
        let title: String = name.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(text, "#EXTINF:-1,{title}\nstream/{index}{key}");
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::metainfo::LoadLimits;

    use super::*;
    use crate::testing::torrent_of;

    #[test]
    fn what_can_be_played_is_listed_and_the_key_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("a.txt", 9), ("b.mp4", 9), ("c d.ogg", 9)];
        let (torrent, _) = torrent_of(dir.path(), "x", &files);
        let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).unwrap();
        assert_eq!(
            text(&metainfo, None),
            "#EXTM3U\n#EXTINF:-1,b.mp4\nstream/1\n#EXTINF:-1,c d.ogg\nstream/2\n"
        );
        assert!(text(&metainfo, Some("a&b")).contains("stream/1?apikey=a%26b\n"));
    }
}
