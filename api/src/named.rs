//! Texts that name a torrent: magnet links, addresses, and files of this machine.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::problem::Problem;
use crate::shared::Shared;
use crate::turns::Turn;

/// Bytes of a .torrent file.
pub(crate) const MOST: usize = 30 << 20;

/// Bytes of a text that names one.
const LONGEST: usize = 64 << 10;

/// What is said of a text that names no torrent.
const INVALID: &str =
    "invalid uri: it is a magnet link, or begins with http://, https:// or file:/";

/// What a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// A magnet link.
    Link(&'a str),
    /// An address of the web.
    Address(&'a str),
    /// A `file:` address.
    File(&'a str),
}

impl<'a> Named<'a> {
    /// Tells what a text names by how it begins.
    ///
    /// # Errors
    /// 400 where it is nothing of this, or too long for it.
    pub(crate) fn of(text: &'a str) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            let why = format!("uri has more than {LONGEST} bytes");
            return Err(Problem::wrong(why));
        }
        let starts = |prefix: &str| {
            let start = text.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if starts("magnet:") {
            Ok(Self::Link(text))
        } else if starts("http://") || starts("https://") {
            Ok(Self::Address(text))
        } else if starts("file:") {
            Ok(Self::File(text))
        } else {
            Err(Problem::wrong(INVALID))
        }
    }
}

/// A text as it was before it was encoded as in a query: Tribler takes such texts too, and programs send them.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    const LINK: &str = "magnet:%3f";
    let start = text.get(..LINK.len());
    let is_link = start.is_some_and(|start| start.eq_ignore_ascii_case(LINK));
    if !is_link && Named::of(text).is_ok() {
        return text.into();
    }
    let spaced = text.replace('+', " ");
    let plain = percent_decode_str(&spaced).decode_utf8().ok();
    let named = plain.filter(|plain| Named::of(plain).is_ok());
    named.map_or(Cow::Borrowed(text), |plain| plain.into_owned().into())
}

/// A link that a server has sent instead of a torrent: they send either.
pub(crate) fn link_in(fetched: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(fetched).ok()?.trim();
    text.starts_with("magnet:").then_some(text)
}

/// The bytes behind a `file:` address. Whoever reads them has a turn.
///
/// # Errors
/// 400 where it is none or cannot be read, 404 where there is no such file, 413 where it is too long, 501 for channels.
pub(crate) async fn read_uri(uri: &str, turn: Turn) -> Result<(Vec<u8>, Turn), Problem> {
    let path = file_path(uri)?;
    let kind = path.extension();
    if kind.is_some_and(|kind| kind == "mdblob" || kind == "lz4") {
        return Err(Problem::not_there("channels"));
    }
    // Whoever asked may be gone: its turn is not over before the file is read.
    Shared::apart(move || read_file(&path).map(|bytes| (bytes, turn))).await?
}

/// The path of a `file:` address, from the root.
pub(crate) fn file_path(uri: &str) -> Result<PathBuf, Problem> {
    let rest = uri.get(5..).unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        // A host may stand there, and only this one.
        Some(after) if after.starts_with('/') => after,
        Some(after) => after.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    // The names of files are bytes, which need not be text.
    let path: Vec<u8> = percent_decode_str(path).collect();
    if !path.starts_with(b"/") || path.starts_with(b"//") {
        let why = format!("{uri}: a file is named from the root");
        return Err(Problem::wrong(why));
    }
    Ok(PathBuf::from(OsString::from_vec(path)))
}

/// Reads a .torrent file of this machine.
fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let why = format!("{shown}: {error}");
        if error.kind() == std::io::ErrorKind::NotFound {
            return Problem::missing(why);
        }
        Problem::wrong(why)
    };
    let kind = std::fs::metadata(path).map_err(failed)?;
    if !kind.is_file() {
        return Err(Problem::wrong(format!("{shown}: this is no file")));
    }
    if kind.len() > MOST as u64 {
        let why = format!("{shown}: this has more than {MOST} bytes and is no torrent");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart_by_how_they_begin() {
        assert_eq!(Named::of("MAGNET:?x"), Ok(Named::Link("MAGNET:?x")));
        assert_eq!(Named::of("Https://x"), Ok(Named::Address("Https://x")));
        assert_eq!(Named::of("file:x"), Ok(Named::File("file:x")));
        let long = format!("magnet:{}", "x".repeat(LONGEST));
        for none in [&long, "", "é", "http:/x", "ftp://x", "magnet", " magnet:"] {
            assert!(Named::of(none).is_err(), "{}", none.len());
        }
    }

    #[test]
    fn what_is_encoded_as_in_a_query_is_read_and_what_is_not_stays_as_it_is() {
        let link = "magnet:?xt=urn:btih:x&dn=a+b%2525";
        for (text, plain) in [
            (link, link),
            ("file:/a%20b+c", "file:/a%20b+c"),
            ("http://x/?y=%2f", "http://x/?y=%2f"),
            ("magnet%3A%3Fxt%3Durn%3Abtih%3Ax%26dn%3Da%2Bb%252525", link),
            ("magnet:%3Fxt=urn:btih:x&dn=a%2Bb%252525", link),
            ("https%3a%2f%2fx%2fa+b", "https://x/a b"),
            ("file%3A/a", "file:/a"),
            ("%6dagnet%ff", "%6dagnet%ff"),
            ("ftp%3A%2F%2Fx", "ftp%3A%2F%2Fx"),
        ] {
            assert_eq!(decoded(text), plain, "{text}");
        }
    }

    #[test]
    fn a_server_may_send_a_link_instead_of_a_torrent() {
        let link = "magnet:?xt=urn:btih:x";
        assert_eq!(link_in(format!(" {link}\n").as_bytes()), Some(link));
        assert_eq!(link_in(b"d4:infod"), None);
        assert_eq!(link_in(b"\xffmagnet:"), None);
    }

    #[test]
    fn addresses_of_files_are_paths_from_the_root_on_this_machine() {
        for (uri, path) in [
            ("file:/a/b.torrent", "/a/b.torrent"),
            ("file:///a/b%20c.torrent", "/a/b c.torrent"),
            ("file://localhost/a", "/a"),
        ] {
            assert_eq!(file_path(uri), Ok(PathBuf::from(path)), "{uri}");
        }
        let bytes = PathBuf::from(OsString::from_vec(b"/a/\xff.torrent".to_vec()));
        assert_eq!(file_path("file:/a/%ff.torrent"), Ok(bytes));
        for uri in [
            "file:",
            "file:a",
            "file://evil.example/a",
            "file:../a",
            "file:%00%ff",
        ] {
            assert!(file_path(uri).is_err(), "{uri}");
        }
    }
}
