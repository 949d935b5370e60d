//! Requests to HTTP trackers that originators want sent.

use net::http::{HeaderValue, Url};
use overlay::wire::Address;

/// What is asked for, and who asks by its own words; `None` unless it is the head of a GET request to a host.
pub fn asked_of_tracker(to: &Address, request: &[u8]) -> Option<(Url, HeaderValue)> {
    let text = std::str::from_utf8(request).ok()?;
    let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (Some("GET"), Some(path), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (first.next(), first.next(), first.next(), first.next())
    else {
        return None;
    };
    if !path.starts_with('/') {
        return None;
    }
    let agent = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_agent = name.eq_ignore_ascii_case("user-agent");
        is_agent.then(|| HeaderValue::from_str(value.trim()).ok())?
    });
    // The host is parsed by itself, so that nothing in the path can be taken for a part of it.
    let base = match to {
        Address::Ip(addr) => format!("http://{addr}/"),
        Address::Host(host, port) => format!("http://{host}:{port}/"),
    };
    let base = Url::parse(&base).ok()?;
    let plain = base.path() == "/" && base.query().is_none() && base.username().is_empty();
    if !plain || base.fragment().is_some() || base.password().is_some() {
        return None;
    }
    let mut url = base;
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(p, q)| (p, Some(q)));
    url.set_path(path);
    url.set_query(query);
    Some((url, agent.unwrap_or_else(|| HeaderValue::from_static(""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, port: u16) -> Address {
        Address::Host(host.to_owned(), port)
    }

    #[test]
    fn the_path_of_a_request_is_asked_for_at_the_host_that_the_cell_names() {
        let request = b"GET /announce?info_hash=%aa%20&port=1 HTTP/1.1\r\nHost: elsewhere\r\nUser-Agent: x/1\r\n\r\n";
        let (url, agent) = asked_of_tracker(&host("tracker.example", 6969), request).unwrap();
        let expected = "http://tracker.example:6969/announce?info_hash=%aa%20&port=1";
        assert_eq!(url.as_str(), expected);
        assert_eq!(agent, "x/1");
        let ip = Address::Ip("1.2.3.4:80".parse().unwrap());
        let (url, _) = asked_of_tracker(&ip, b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(url.as_str(), "http://1.2.3.4/");
        let v6 = Address::Ip("[2001::1]:8080".parse().unwrap());
        let (url, _) = asked_of_tracker(&v6, b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(url.as_str(), "http://[2001::1]:8080/a");
    }

    #[test]
    fn what_is_no_get_request_to_a_host_is_not_sent() {
        let there = host("tracker.example", 80);
        for request in [
            "",
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET http://other/ HTTP/1.1\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\n\r\n",
        ] {
            assert!(
                asked_of_tracker(&there, request.as_bytes()).is_none(),
                "{request}"
            );
        }
        let get = b"GET /announce HTTP/1.1\r\n\r\n";
        for strange in ["a/b", "a?b", "a#b", "u:p@a", "", "a b", "[", "u@a"] {
            assert!(
                asked_of_tracker(&host(strange, 80), get).is_none(),
                "{strange}"
            );
        }
        assert!(asked_of_tracker(&there, b"GET /\xff HTTP/1.1\r\n\r\n").is_none());
    }

    #[test]
    fn nothing_in_a_path_becomes_another_host_or_another_request() {
        for path in [
            "//evil/",
            "/@evil",
            "/\\evil",
            "/../..//evil",
            "/a%0d%0aX:1",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\n\r\n");
            if let Some((url, _)) = asked_of_tracker(&host("good", 80), request.as_bytes()) {
                assert_eq!(url.host_str(), Some("good"), "{path}");
                assert!(!url.as_str().contains(['\r', '\n']));
            }
        }
    }
}
