//! The values of `create`'s flags, checked before anything is read.

use std::fs;
use std::path::Path;

use protocol::id::{InfoHash, InfoHashV2};

use crate::cli::CreateArgs;
use crate::failure::Failure;
use crate::host_port::HostPort;

/// The torrent's name: as asked for, else the last part of the path.
pub(super) fn name_of(args: &CreateArgs) -> Result<String, Failure> {
    if let Some(name) = &args.name {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(Failure::Usage(format!("--name {name}: not a name")));
        }
        return Ok(name.clone());
    }
    let real =
        fs::canonicalize(&args.path).map_err(|error| Failure::on_file(&args.path, &error))?;
    // A link lends its own name, but `.` and `..` have none.
    let name = args.path.file_name().or_else(|| real.file_name());
    let name = name.and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| {
        let path = args.path.display();
        Failure::Usage(format!(
            "{path} has no name that a torrent can have: give one with --name"
        ))
    })
}

/// The trackers of one `--tracker` value.
pub(super) fn tier_of(value: &str) -> Result<Vec<String>, Failure> {
    let urls = value.split(',').map(str::trim);
    urls.map(|url| {
        check_url("--tracker", url, &["http", "https", "udp", "ws", "wss"]).map(|()| url.to_owned())
    })
    .collect()
}

/// Refuses what is not a URL of one of these kinds.
pub(super) fn check_url(flag: &str, text: &str, schemes: &[&str]) -> Result<(), Failure> {
    let known = |url: &url::Url| schemes.contains(&url.scheme()) && url.has_host();
    match url::Url::parse(text) {
        Ok(url) if known(&url) => Ok(()),
        _ => Err(Failure::Usage(format!(
            "{flag} {text}: not a URL of the kind {}",
            schemes.join(", ")
        ))),
    }
}

/// The torrent that a `--similar` value names; one that is v2 alone by its cut hash, as peers name it.
pub(super) fn similar_of(value: &str) -> Result<InfoHash, Failure> {
    let v2 = || value.parse::<InfoHashV2>().map(|hash| hash.truncated());
    let hash = value.parse::<InfoHash>().or_else(|_| v2());
    hash.map_err(|error| Failure::Usage(format!("--similar {value}: {error}")))
}

/// The host and port of a `--node` value.
pub(super) fn node_of(value: &str) -> Result<(String, u16), Failure> {
    let at: HostPort = value
        .parse()
        .map_err(|error| Failure::Usage(format!("--node {value}: {error}")))?;
    Ok((at.host, at.port))
}

/// The folder that a path is in.
pub(super) fn parent_of(path: &Path) -> Option<&Path> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(Path::new(".")),
        parent => parent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_may_be_an_address_of_either_family() {
        assert_eq!(node_of("a.example:1").ok(), Some(("a.example".into(), 1)));
        assert_eq!(node_of("[::1]:2").ok(), Some(("::1".into(), 2)));
        for wrong in ["a.example", ":1", "a.example:0", "a.example:70000"] {
            assert_eq!(node_of(wrong).unwrap_err().code(), 2, "{wrong}");
        }
    }

    #[test]
    fn similar_torrents_are_named_by_either_hash() {
        let v2 = "ab".repeat(32);
        let cut = similar_of(&v2).unwrap();
        assert_eq!(cut.to_string(), v2[..40]);
        assert_eq!(similar_of(&v2[..40]).unwrap(), cut);
        assert_eq!(similar_of(&v2[..50]).unwrap_err().code(), 2);
    }

    #[test]
    fn trackers_of_one_tier_are_joined_by_commas() {
        let tier = tier_of("http://a.example/x, udp://b.example:80").unwrap();
        assert_eq!(tier, ["http://a.example/x", "udp://b.example:80"]);
        for wrong in ["", "a.example", "ftp://a.example", "http://a.example/,"] {
            assert_eq!(tier_of(wrong).unwrap_err().code(), 2, "{wrong}");
        }
    }
}
