//! A tracker's address.

use std::fmt;
use std::sync::Arc;

use net::http::Url;

/// How a tracker is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Udp,
}

/// A tracker whose address can be used.
#[derive(Clone)]
pub(crate) struct Tracker {
    /// As the torrent names it.
    pub(crate) text: Arc<str>,
    pub(crate) kind: Kind,
    /// Where it is, whatever the torrent: scheme, host and port. Without passkeys, so it may be logged.
    pub(crate) place: Place,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) Arc<str>);

impl Tracker {
    /// Reads an address; `None` where we cannot speak to it.
    pub(crate) fn parse(text: &Arc<str>) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let kind = match url.scheme() {
            "http" | "https" => Kind::Http,
            "udp" => Kind::Udp,
            _ => return None,
        };
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let host = host.to_ascii_lowercase();
        let port = url.port_or_known_default().filter(|port| *port != 0)?;
        Some(Self {
            text: Arc::clone(text),
            kind,
            place: Place(format!("{}://{host}:{port}", url.scheme()).into()),
            host: host.into(),
            port,
        })
    }

    /// Whether it is asked by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.place.0.starts_with("https:")
    }

    /// The tracker of the same host that is spoken to so, at another port; the path and what is behind it stay. What was asked by TLS
    /// still is, and so is what is not asked by HTTP yet and is to be at the port for that.
    pub(crate) fn at(&self, kind: Kind, port: u16) -> Option<Self> {
        if (kind, port) == (self.kind, self.port) {
            return Some(self.clone());
        }
        let tls = self.is_secure() || self.kind == Kind::Udp && port == 443;
        let scheme = match kind {
            Kind::Http if tls => "https",
            Kind::Http => "http",
            Kind::Udp => "udp",
        };
        // Schemes that browsers know cannot be set in place of others.
        let (_, rest) = self.text.split_once("://")?;
        let mut url = Url::parse(&format!("{scheme}://{rest}")).ok()?;
        url.set_port(Some(port)).ok()?;
        if self.kind == Kind::Udp && kind == Kind::Http && url.path() == "/" {
            url.set_path("/announce");
        }
        Self::parse(&url.as_str().into())
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_named_in_many_ways_and_never_with_a_passkey() {
        let cases = [
            (
                "http://User:pw@T.example/key/announce?passkey=1",
                Some("http://t.example:80"),
            ),
            (
                "HTTPS://t.example:443/announce",
                Some("https://t.example:443"),
            ),
            (
                "udp://T.Example:6969/announce?key",
                Some("udp://t.example:6969"),
            ),
            ("udp://[2A00::1]:80", Some("udp://[2a00::1]:80")),
            ("http://t.example:81", Some("http://t.example:81")),
            ("udp://t.example/announce", None),
            ("udp://t.example:0", None),
            ("wss://t.example/", None),
            ("t.example", None),
            ("", None),
        ];
        for (text, place) in cases {
            let tracker = Tracker::parse(&text.into());
            assert_eq!(tracker.as_ref().map(|t| &*t.place.0), place, "{text}");
            assert!(!format!("{tracker:?}").contains("key"), "{text}");
        }
    }
}
