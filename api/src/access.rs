//! Who may ask.
//!
//! A page of the web that a browser of this machine shows can have that browser send requests here. Such requests are told by what
//! browsers say themselves: the name by which they were led here, which has to be one of this machine's, and the site of the page,
//! which has to be our own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use subtle::ConstantTimeEq as _;

use crate::asked::Query;
use crate::problem::Problem;

/// The header of the key.
const KEY_HEADER: &str = "x-api-key";

/// What a client has to know. It is shown nowhere.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// A key; `None` where there is nothing in the text.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn is(&self, said: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(said).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What everybody has to know; `None` lets in all who reach the port.
    pub key: Option<Key>,
    /// Names of this machine, beside its addresses and `localhost`.
    pub names: Vec<String>,
}

impl Access {
    /// Whether a request may come in.
    ///
    /// # Errors
    /// 421 where it names another machine, 403 where it comes from a page of another site, 401 without the key.
    pub(crate) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let ours = hosts.all(|host| host.to_str().is_ok_and(|host| self.is_ours(host)));
        let named = uri.authority().map(axum::http::uri::Authority::as_str);
        if !ours || named.is_some_and(|host| !self.is_ours(host)) {
            let why = "ask by an address of this machine, as localhost or by one of its names (--api-name)";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, why));
        }
        if comes_from_elsewhere(method, headers) {
            let why = "this comes from a page of another site, which may not ask";
            return Err(Problem::new(StatusCode::FORBIDDEN, why));
        }
        if is_free(method, uri.path()) || self.knows_key(uri, headers) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized access",
        ))
    }

    fn knows_key(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let Some(key) = &self.key else { return true };
        let said = headers.get(KEY_HEADER);
        let in_header = said.is_some_and(|said| key.is(said.as_bytes()));
        let query = Query::of(uri);
        in_header
            || query
                .get("apikey")
                .is_some_and(|said| key.is(said.as_bytes()))
    }

    /// Whether a host that was asked for, perhaps with a port, can be nothing but this machine.
    fn is_ours(&self, host: &str) -> bool {
        if host.parse::<SocketAddr>().is_ok() {
            return true;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let same = |own: &String| name.eq_ignore_ascii_case(own);
        bare.unwrap_or(name).parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(same)
    }
}

/// Whether a browser says that a page of another site asks. Following a link to here is no such request.
fn comes_from_elsewhere(method: &Method, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let foreign = origins.any(|origin| {
        let origin = origin.as_bytes();
        let at = origin
            .strip_prefix(b"http://")
            .or_else(|| origin.strip_prefix(b"https://"));
        !at.zip(host)
            .is_some_and(|(at, host)| at.eq_ignore_ascii_case(host))
    });
    let safe = *method == Method::GET || *method == Method::HEAD;
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let mode = headers.get("sec-fetch-mode").map(HeaderValue::as_bytes);
    let other_site = matches!(site, Some(b"cross-site" | b"same-site"));
    let place = headers.get("sec-fetch-dest").map(HeaderValue::as_bytes);
    // In a frame it would still be the other site's page.
    let follows = mode == Some(b"navigate") && matches!(place, None | Some(b"document"));
    foreign || (other_site && !(safe && follows))
}

/// Whether a path is for everybody: the description of the API.
fn is_free(method: &Method, path: &str) -> bool {
    let reads = *method == Method::GET || *method == Method::HEAD;
    reads && (matches!(path, "/" | "/docs") || path.starts_with("/docs/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(
        access: &Access,
        method: &Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(), u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let checked = access.check(method, &path.parse().unwrap(), &map);
        checked.map_err(|problem| problem.status().as_u16())
    }

    fn with_key() -> Access {
        Access {
            key: Key::new("secret"),
            names: vec!["box".to_owned()],
        }
    }

    #[test]
    fn only_who_knows_the_key_is_let_in_by_header_or_by_query() {
        let access = with_key();
        let get = |path: &str, headers: &[(&'static str, &str)]| {
            asked(&access, &Method::GET, path, headers)
        };
        assert_eq!(get("/state", &[]), Err(401));
        assert_eq!(get("/state", &[("x-api-key", "secret")]), Ok(()));
        assert_eq!(get("/state?apikey=secret", &[]), Ok(()));
        assert_eq!(get("/state?a=1&apikey=se%63ret", &[]), Ok(()));
        assert_eq!(get("/state?apikey=secret2", &[]), Err(401));
        assert_eq!(get("/state?apikey=", &[]), Err(401));
        assert_eq!(get("/state", &[("x-api-key", "secre")]), Err(401));
        assert_eq!(
            get("/state?apikey=secret", &[("x-api-key", "wrong")]),
            Ok(())
        );
        assert_eq!(get("/", &[]), Ok(()));
        assert_eq!(get("/docs", &[]), Ok(()));
        assert_eq!(get("/docs/index.html", &[]), Ok(()));
        assert_eq!(get("/docsx", &[]), Err(401));
        assert_eq!(asked(&access, &Method::PUT, "/docs", &[]), Err(401));
        let open = Access::default();
        assert_eq!(asked(&open, &Method::GET, "/state", &[]), Ok(()));
        assert!(Key::new("").is_none());
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[test]
    fn only_who_names_this_machine_is_answered() {
        let access = Access {
            key: None,
            ..with_key()
        };
        let with = |host: &str| asked(&access, &Method::GET, "/state", &[("host", host)]);
        let ours = [
            "127.0.0.1:8085",
            "192.168.1.7",
            "[::1]:8085",
            "[::1]",
            "localhost",
            "LOCALHOST:8085",
            "Box:8085",
        ];
        for host in ours {
            assert_eq!(with(host), Ok(()), "{host}");
        }
        let others = [
            "evil.example",
            "evil.example:8085",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "boxer",
            "",
        ];
        for host in others {
            assert_eq!(with(host), Err(421), "{host}");
        }
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(asked(&access, &Method::GET, "/state", &two), Err(421));
        let whole = "http://evil.example/state";
        assert_eq!(asked(&access, &Method::GET, whole, &[]), Err(421));
    }

    #[test]
    fn pages_of_other_sites_are_refused_whatever_else_is_right() {
        let access = with_key();
        let from = |method: &Method, more: &[(&'static str, &str)]| {
            let mut headers = vec![("x-api-key", "secret"), ("host", "localhost:8085")];
            headers.extend_from_slice(more);
            asked(&access, method, "/shutdown", &headers)
        };
        for method in [Method::GET, Method::PUT, Method::POST] {
            for origin in [
                "http://evil.example",
                "null",
                "http://localhost:80",
                "https://localhost",
                "file://localhost:8085",
            ] {
                assert_eq!(from(&method, &[("origin", origin)]), Err(403), "{origin}");
            }
            let own = [("origin", "http://localhost:8085")];
            assert_eq!(from(&method, &own), Ok(()));
            let cross = [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ];
            assert_eq!(from(&method, &cross), Err(403));
            assert_eq!(from(&method, &[("sec-fetch-site", "same-origin")]), Ok(()));
            assert_eq!(from(&method, &[("sec-fetch-site", "none")]), Ok(()));
        }
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert_eq!(from(&Method::GET, &link), Ok(()));
        assert_eq!(from(&Method::PUT, &link), Err(403));
        let into = |place| [link[0], link[1], ("sec-fetch-dest", place)];
        assert_eq!(from(&Method::GET, &into("document")), Ok(()));
        for place in ["iframe", "frame", "embed", "object"] {
            assert_eq!(from(&Method::GET, &into(place)), Err(403), "{place}");
        }
    }
}
