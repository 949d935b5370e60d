//! Where torrents come from: files, magnet links, addresses, bare hashes, standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use net::Network;
use net::http::{Client, Guard, HeaderValue, Policy, Request, Url};
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};
use protocol::magnet::{Magnet, MutableItem};
use protocol::metainfo::{LoadLimits, Metainfo, MetainfoError};

use crate::failure::{Failure, reason};
use crate::units::Size;

/// Most bytes of a torrent that is fetched over HTTP: 30 MiB.
pub(crate) const MAX_FETCHED: usize = 30 << 20;

/// A torrent, or what names one.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// All of its metadata.
    Torrent(Arc<Metainfo>),
    /// Its info-hash, and perhaps more.
    Magnet(Box<Magnet>),
}

/// What the text of a SOURCE argument is.
#[derive(Clone, Debug, PartialEq)]
enum Kind<'a> {
    File(&'a Path),
    Hash(InfoHashes),
    Magnet(&'a str),
    Stdin,
    Url(&'a str),
}

impl Source {
    /// Reads a SOURCE argument; only a URL uses the network.
    ///
    /// # Errors
    /// [`Failure::NotFound`] where a file is not there, [`Failure::Failed`] where it is not acceptable; the text names
    /// the source.
    pub(crate) async fn read(text: &str, network: &Network) -> Result<Self, Failure> {
        match kind(text) {
            Kind::Url(url) => {
                let bytes = fetch(url, network, Arc::new(Guard::USER)).await?;
                Self::from_bytes(&without_login(url), &bytes)
            }
            Kind::File(_) | Kind::Hash(_) | Kind::Magnet(_) | Kind::Stdin => Self::read_local(text),
        }
    }

    /// Reads a magnet link or an info-hash.
    ///
    /// # Errors
    /// [`Failure::Failed`] where it is neither, or not acceptable.
    pub(crate) fn of_link(text: &str) -> Result<Self, Failure> {
        match kind(text) {
            Kind::Magnet(_) | Kind::Hash(_) => Self::read_local(text),
            Kind::File(_) | Kind::Stdin | Kind::Url(_) => {
                let why = format!("{text}: this is neither a magnet link nor an info-hash");
                Err(Failure::Failed(why))
            }
        }
    }

    /// Whether it is a magnet link or an info-hash.
    pub(crate) fn is_link(text: &str) -> bool {
        matches!(kind(text), Kind::Magnet(_) | Kind::Hash(_))
    }

    /// Whether reading it needs the network.
    pub(crate) fn is_remote(text: &str) -> bool {
        matches!(kind(text), Kind::Url(_))
    }

    /// Reads a SOURCE argument that needs no network.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_local(text: &str) -> Result<Self, Failure> {
        match kind(text) {
            Kind::Magnet(link) => magnet(link),
            Kind::Hash(hashes) => Ok(Self::Magnet(Box::new(Magnet::new(hashes)))),
            Kind::Stdin => {
                let bytes = read_bounded(io::stdin().lock(), 0).map_err(|error| {
                    Failure::Failed(format!("standard input: {}", reason(&error)))
                })?;
                Self::from_bytes("standard input", &bytes)
            }
            Kind::File(path) => {
                let bytes = File::open(path)
                    .and_then(|file| {
                        let len = file.metadata()?.len();
                        read_bounded(file, len)
                    })
                    .map_err(|error| unreadable(text, path, &error))?;
                Self::from_bytes(text, &bytes)
            }
            Kind::Url(url) => {
                let url = without_login(url);
                Err(Failure::Failed(format!("{url} needs the network")))
            }
        }
    }

    /// Reads a torrent file's bytes, or a text with a magnet link or hash in it.
    ///
    /// # Errors
    /// [`Failure::Failed`] names `whence`.
    pub(crate) fn from_bytes(whence: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let refused = |why: &dyn std::fmt::Display| Failure::Failed(format!("{whence}: {why}"));
        let most = LoadLimits::default().bencode.bytes;
        if bytes.len() > most {
            let most = Size(most as u64);
            let why = format_args!("not a torrent that can be read: it has more than {most}");
            return Err(refused(&why));
        }
        let error = match Metainfo::from_bytes(bytes, &LoadLimits::default()) {
            Ok(metainfo) => return Ok(Self::Torrent(Arc::new(metainfo))),
            Err(MetainfoError::MagnetInstead(magnet)) => return Ok(Self::Magnet(magnet)),
            Err(error) => error,
        };
        match std::str::from_utf8(bytes).map(str::trim) {
            Ok("") => Err(refused(&"not a torrent: there is nothing in it")),
            Ok(text) if text.starts_with('<') => {
                Err(refused(&"not a torrent: it looks like a web page"))
            }
            Ok(text) if text.len() < 64 * 1024 => match kind(text) {
                Kind::Magnet(link) => magnet(link),
                Kind::Hash(hashes) => Ok(Self::Magnet(Box::new(Magnet::new(hashes)))),
                Kind::File(_) | Kind::Stdin | Kind::Url(_) => Err(refused(&error)),
            },
            _ => Err(refused(&error)),
        }
    }

    /// The metadata.
    ///
    /// # Errors
    /// [`Failure::Usage`] where only a hash is known.
    pub(crate) fn into_torrent(self, text: &str) -> Result<Arc<Metainfo>, Failure> {
        match self {
            Self::Torrent(metainfo) => Ok(metainfo),
            Self::Magnet(_) => Err(Failure::Usage(format!(
                "{text} names a torrent but does not hold its metadata; a .torrent file is needed here"
            ))),
        }
    }

    /// The name, as far as it is known.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Torrent(metainfo) => Some(metainfo.name()),
            Self::Magnet(magnet) => magnet.name.as_deref(),
        }
    }

    /// Bytes of the content, as far as they are known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Torrent(metainfo) => Some(metainfo.content_len()),
            Self::Magnet(magnet) => magnet.len,
        }
    }

    /// What names the torrent where its info-hash does not: its publisher's key (BEP 46).
    pub(crate) fn named(&self) -> Option<&MutableItem> {
        match self {
            Self::Magnet(magnet) if magnet.hashes.is_none() => magnet.mutable.as_ref(),
            Self::Magnet(_) | Self::Torrent(_) => None,
        }
    }

    /// The info-hashes; `None` for a link that names its torrent in another way.
    pub(crate) fn hashes(&self) -> Option<InfoHashes> {
        match self {
            Self::Torrent(metainfo) => Some(metainfo.hashes()),
            Self::Magnet(magnet) => magnet.hashes,
        }
    }
}

/// The info-hash that people know a torrent by: v1 where there is one, else the whole v2.
pub(crate) fn shown_hash(hashes: InfoHashes) -> String {
    match (hashes.get_v1(), hashes.get_v2()) {
        (Some(v1), _) => v1.to_string(),
        (None, Some(v2)) => v2.to_string(),
        (None, None) => hashes.wire().to_string(),
    }
}

fn kind(text: &str) -> Kind<'_> {
    let starts = |prefix: &str| {
        text.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if text == "-" {
        Kind::Stdin
    } else if starts("magnet:") {
        Kind::Magnet(text)
    } else if starts("http://") || starts("https://") {
        Kind::Url(text)
    } else if let Ok(v1) = text.parse::<InfoHash>() {
        Kind::Hash(InfoHashes::v1(v1))
    } else if let Ok(v2) = text.parse::<InfoHashV2>() {
        Kind::Hash(InfoHashes::v2(v2))
    } else {
        Kind::File(Path::new(text))
    }
}

/// Why a file cannot be read, where it is one at all.
fn unreadable(text: &str, path: &Path, error: &io::Error) -> Failure {
    let missing = error.kind() == io::ErrorKind::NotFound;
    let digits = text.chars().all(|c| c.is_ascii_hexdigit());
    if error.kind() == io::ErrorKind::IsADirectory {
        Failure::Failed(format!(
            "{text} is a folder and not a torrent; `tribler-rs create` makes a torrent of a folder"
        ))
    } else if missing && text.contains("://") {
        let line = format!("{text}: torrents are fetched by http and https only");
        Failure::Usage(line)
    } else if missing && digits && text.len() > 30 {
        let count = text.len();
        Failure::NotFound(format!(
            "{text} does not exist; an info-hash has 40 or 64 hexadecimal digits, and these are {count}"
        ))
    } else {
        Failure::on_file(path, error)
    }
}

fn magnet(link: &str) -> Result<Source, Failure> {
    let parsed = Magnet::parse(link);
    let magnet = parsed.map_err(|error| {
        let hint = hash_hint(link).unwrap_or_default();
        Failure::Failed(format!("magnet link: {error}{hint}"))
    })?;
    Ok(Source::Magnet(Box::new(magnet)))
}

/// What is wrong with the length of the hash in a link, where that is it.
fn hash_hint(link: &str) -> Option<String> {
    let (_, behind) = link.split_once("urn:btih:")?;
    let len = behind.split('&').next()?.trim().chars().count();
    let why = "has 40 hexadecimal digits, or 32 of base32";
    (len != 40 && len != 32)
        .then(|| format!("; the hash after `urn:btih:` has {len} characters, and one {why}"))
}

/// Reads no more than a torrent may have, and one byte to tell that there was more; `len` bytes are expected.
fn read_bounded(from: impl Read, len: u64) -> io::Result<Vec<u8>> {
    let most = LoadLimits::default().bencode.bytes as u64;
    let mut bytes = Vec::with_capacity(len.min(most) as usize + 1);
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An address as it is told: who logs in there and how is nobody else's business.
pub(crate) fn without_login(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|host| host.rfind('@')) {
        Some(login) => format!("{scheme}://{}", rest.get(login + 1..).unwrap_or_default()),
        None => address.to_owned(),
    }
}

/// Fetches a torrent over HTTP, from where a policy allows.
///
/// # Errors
/// [`Failure::NotFound`] where there is none, [`Failure::Usage`] where that is no address, [`Failure::Failed`] where it cannot be had;
/// the text names the address without a login.
pub(crate) async fn fetch(
    address: &str,
    network: &Network,
    policy: Arc<dyn Policy>,
) -> Result<Vec<u8>, Failure> {
    let told = without_login(address);
    let failed = |why: &dyn std::fmt::Display| Failure::failed(format_args!("{told}: {why}"));
    let url = address.parse();
    let url: Url = url.map_err(|error| Failure::Usage(format!("{told}: {error}")))?;
    let agent = HeaderValue::from_static(concat!("tribler-rs/", env!("CARGO_PKG_VERSION")));
    let mut request = Request::new(url);
    request.limits.body = MAX_FETCHED;
    request.limits.unpacked = MAX_FETCHED;
    request.policy = policy;
    let response = Client::new(network.clone(), agent).get(&request).await;
    let response = response.map_err(|error| failed(&error))?;
    match response.status {
        200 => Ok(response.body.into()),
        404 | 410 => Err(Failure::NotFound(format!("{told} does not exist"))),
        status => Err(failed(&format_args!(
            "the server answered with status {status}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_source_is_what_it_looks_like() {
        let v2 = "01".repeat(32);
        assert_eq!(kind("-"), Kind::Stdin);
        assert_eq!(kind("Magnet:?x"), Kind::Magnet("Magnet:?x"));
        assert_eq!(kind("HTTPS://x/y"), Kind::Url("HTTPS://x/y"));
        assert_eq!(kind("a.torrent"), Kind::File(Path::new("a.torrent")));
        assert_eq!(kind(V1), Kind::Hash(InfoHashes::v1(V1.parse().unwrap())));
        assert_eq!(kind(&v2), Kind::Hash(InfoHashes::v2(v2.parse().unwrap())));
        assert_eq!(kind(&V1[1..]), Kind::File(Path::new(&V1[1..])));
        assert_eq!(kind("é"), Kind::File(Path::new("é")));
    }

    #[test]
    fn who_logs_in_at_an_address_is_not_told() {
        for (address, told) in [
            ("http://me:secret@host/x?a=b@c#d", "http://host/x?a=b@c#d"),
            ("https://secret@host", "https://host"),
            ("HTTP://me:se@cret@host:7/", "HTTP://host:7/"),
            ("http://host/me:word@x", "http://host/me:word@x"),
            ("http://me:secret@", "http://"),
            ("http://me:secret@bad host", "http://bad host"),
            ("http://host", "http://host"),
            ("file.torrent", "file.torrent"),
        ] {
            assert_eq!(without_login(address), told, "{address}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_fetched_is_named_without_a_login() {
        let at = "127.0.0.1:1";
        for address in [
            format!("http://me:secret@{at}/x"),
            "http://me:secret@/x".to_owned(),
        ] {
            let fetched = fetch(&address, &Network::none(), Arc::new(Guard::USER)).await;
            let told = fetched.unwrap_err().to_string();
            assert!(!told.contains("secret") && told.contains("/x: "), "{told}");
        }
        let told = Source::read_local("http://me:secret@host/x").unwrap_err();
        assert_eq!(told.to_string(), "http://host/x needs the network");
    }

    #[tokio::test]
    async fn what_is_no_address_is_not_the_fault_of_a_server() {
        for address in ["http://", "http://[::1", "https://:7/x"] {
            let fetched = fetch(address, &Network::none(), Arc::new(Guard::USER)).await;
            let refused = fetched.unwrap_err();
            assert_eq!(refused.code(), 2, "{refused}");
            assert!(refused.to_string().starts_with(address), "{refused}");
        }
    }

    #[test]
    fn a_text_with_a_link_or_hash_in_it_will_do() {
        let link = format!("magnet:?xt=urn:btih:{V1}\n");
        for text in [link.as_str(), V1] {
            let source = Source::from_bytes("x", text.as_bytes()).unwrap();
            assert_eq!(shown_hash(source.hashes().unwrap()), V1);
        }
        for (bytes, why) in [
            ("hello", "x: not a torrent file: "),
            ("\n", "x: not a torrent: there is nothing in it"),
            (
                "<!doctype html>",
                "x: not a torrent: it looks like a web page",
            ),
        ] {
            let refused = Source::from_bytes("x", bytes.as_bytes()).unwrap_err();
            assert_eq!(refused.code(), 1);
            assert!(refused.to_string().starts_with(why), "{refused}");
        }
    }

    #[test]
    fn metadata_cannot_be_had_from_a_link() {
        let source = Source::read_local(V1).unwrap();
        assert_eq!(source.into_torrent(V1).unwrap_err().code(), 2);
        assert_eq!(Source::read_local("/nonexistent").unwrap_err().code(), 3);
    }

    #[test]
    fn what_is_no_file_is_told_what_it_may_have_been_meant_as() {
        let folder = env!("CARGO_MANIFEST_DIR");
        for (text, code, why) in [
            (folder, 1, "is a folder and not a torrent"),
            ("ftp://host/x.torrent", 2, "by http and https only"),
            (&V1[1..], 3, "and these are 39"),
            ("0123", 3, "0123 does not exist"),
        ] {
            let refused = Source::read_local(text).unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
            assert!(refused.to_string().contains(why), "{refused}");
        }
    }
}
