//! Which URLs are taken from torrents and magnet links.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Whether a text is a tracker's URL: `http`, `https`, `udp`, `ws` or `wss`, with a host of letters, digits,
/// dots, dashes and underscores or a bracketed address, a port in range if there is one, and no blank or control
/// character.
pub fn is_tracker(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let known = ["http", "https", "udp", "ws", "wss"];
    if !known.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
        return false;
    }
    if url.chars().any(|c| c.is_control() || c == ' ') {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_port.strip_prefix('[').map(|v6| v6.split_once(']')) {
        Some(Some((host, after))) => (host, after.strip_prefix(':')),
        Some(None) => return false,
        None => match host_port.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_port, None),
        },
    };
    let host_char = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    !host.is_empty()
        && host.chars().all(host_char)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Percent-encodes what may not stand in a URL as it is: blanks, control characters, quotes, brackets and everything
/// beyond ASCII. Escapes that are already there stay.
pub(crate) fn encode(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        let plain = byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15].map(|n| char::from_digit(u32::from(n), 16).unwrap_or('0')),
            );
        }
    }
    out
}

/// The host of a URL, without user info and port; empty where there is none.
pub(crate) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_port = authority.rsplit('@').next().unwrap_or_default();
    match host_port
        .strip_prefix('[')
        .and_then(|v6| v6.split_once(']'))
    {
        Some((host, _)) => host,
        None => host_port.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_urls_of_known_schemes_name_a_tracker() {
        for good in [
            "http://a/announce",
            "https://a.example:443/x?y=1",
            "udp://[::1]:80",
            "wss://t.example",
            "http://tracker_1:80/é",
            "HTTP://user:pw@host:1/",
        ] {
            assert!(is_tracker(good), "{good}");
        }
        for bad in [
            "",
            "http://",
            "http://:80/",
            "ftp://a/",
            "udp://a:0",
            "udp://a:65536",
            "udp://a:x",
            "http://a b/",
            "http://a\n/",
            "http:/a",
            "http://é/",
            "http://a\"b/",
            "http://a@/",
            "http://a:/",
            "http://a:1:2/",
            "udp://[::1",
            "javascript:alert(1)",
        ] {
            assert!(!is_tracker(bad), "{bad}");
        }
        assert_eq!(
            encode("http://a/b c?x=%20\"é"),
            "http://a/b%20c?x=%20%22%c3%a9"
        );
        assert_eq!(host("http://u:p@x.i2p:80/a"), "x.i2p");
        assert_eq!(host("udp://[::1]:80"), "::1");
    }
}
