//! Proxies as people write them.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use protocol::proxy::{BadCredentials, Credentials};
use url::Url;

use super::{Kind, Proxy};

/// Why a text names no proxy. It never repeats the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It is no URL.
    #[error(
        "not a URL; write socks5://HOST:PORT or http://HOST:PORT, with USER:PASSWORD@ before the host if need be"
    )]
    NotAUrl,
    /// Another kind of proxy.
    #[error(
        "not a kind of proxy that is known; there are socks5:// (also written socks5h://) and http://"
    )]
    UnknownKind,
    /// No host.
    #[error("the URL names no host")]
    NoHost,
    /// A path, a query or a fragment, which proxies do not have.
    #[error("there is more behind the host and the port")]
    TooMuch,
    /// The user name or the password cannot be told to a proxy.
    #[error(transparent)]
    Credentials(#[from] BadCredentials),
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    /// Reads `socks5://`, `socks5h://` (the same: names are always looked up by the proxy) or `http://`, a user and a
    /// password (percent-encoded where need be), a host and a port (1080, or 8080 of an HTTP proxy).
    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyUrlError::NotAUrl)?;
        let (kind, port) = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            "http" => (Kind::Http, 8080),
            _ => return Err(ProxyUrlError::UnknownKind),
        };
        // Only of the schemes that it knows does the parser take hosts apart as everyone does. `ftp` has a port of its own
        // that nobody's proxy has, so that none is lost.
        let url = Url::parse(&format!("ftp://{rest}")).map_err(|_| ProxyUrlError::NotAUrl)?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(ProxyUrlError::NoHost)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUrlError::TooMuch);
        }
        let (user, password) = (url.username(), url.password());
        let credentials = if user.is_empty() && password.is_none() {
            None
        } else {
            let password = percent_decode_str(password.unwrap_or_default());
            Some(Credentials::new(
                percent_decode_str(user).collect(),
                password.collect(),
            )?)
        };
        Ok(Self {
            kind,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            credentials,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_shown_without_their_passwords() {
        let cases = [
            ("socks5://1.2.3.4", "socks5://1.2.3.4:1080"),
            (
                "SOCKS5h://user:pa%3Ass@proxy.example:9",
                "socks5://proxy.example:9",
            ),
            ("http://user@[::1]:3128/", "http://[::1]:3128"),
            ("http://host", "http://host:8080"),
        ];
        for (text, shown) in cases {
            let proxy: Proxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"));
            assert_eq!(proxy.credentials.is_some(), text.contains('@'));
        }
        let known = Credentials::new(b"user".to_vec(), b"pa:ss".to_vec()).unwrap();
        let proxy: Proxy = "socks5://user:pa%3ass@h".parse().unwrap();
        assert_eq!(proxy.credentials, Some(known));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        let cases = [
            ("1.2.3.4:1080", ProxyUrlError::NotAUrl),
            ("https://u:secret@h", ProxyUrlError::UnknownKind),
            ("socks4://h", ProxyUrlError::UnknownKind),
            ("socks5://", ProxyUrlError::NotAUrl),
            ("socks5://h:99999", ProxyUrlError::NotAUrl),
            ("http://h/path", ProxyUrlError::TooMuch),
            ("http://h?secret", ProxyUrlError::TooMuch),
            (
                "socks5://:secret@h",
                ProxyUrlError::Credentials(BadCredentials),
            ),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Proxy>().unwrap_err(), error, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
