//! Hosts with ports, in one text.

use super::listed::Listed;

/// Hosts that one text may name.
const MOST: usize = 64;

/// Some hosts, each with its port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(pub Vec<(String, u16)>);

/// A host and its port; addresses of IPv6 stand in brackets.
fn one(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/@\"?#[]".contains(c);
    let host = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None if host.is_empty() || host.contains(odd) || host.contains(':') => return None,
        None => host.to_ascii_lowercase(),
    };
    Some((host, port))
}

impl Listed for Hosts {
    const DUE: &'static str = "at most 64 hosts with ports, such as \"node.example:6881, [2001:db8::1]:25401\", or an empty text";
    const RANGE: &'static str = "hosts with ports, such as node.example:6881, with commas between";

    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let all: Option<Vec<_>> = words.take(MOST + 1).map(one).collect();
        all.filter(|all| all.len() <= MOST).map(Self)
    }

    fn words(&self) -> Vec<String> {
        let each = self.0.iter().map(|(host, port)| {
            if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Value;
    use crate::settings::value::Setting;

    #[test]
    fn hosts_are_written_as_they_are_read_and_nothing_else_is() {
        let read = |text: &str| Hosts::read(&Value::Text(text.to_owned()));
        let three = read(" Node.Example:6881,[2001:DB8::1]:1, 1.2.3.4:65535,").unwrap();
        let written = three.write();
        let text = "node.example:6881, [2001:db8::1]:1, 1.2.3.4:65535";
        assert_eq!(written, Value::Text(text.to_owned()));
        assert_eq!(Hosts::read(&written), Ok(three));
        assert_eq!(read(""), Ok(Hosts::default()));
        for wrong in [
            "a",
            "a:0",
            "a:b",
            ":1",
            "2001:db8::1:5",
            "[x]:1",
            "a b:1",
            "u@h:1",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(&"a:1,".repeat(65)).is_err());
    }
}
