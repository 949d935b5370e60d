//! A host and a port, as people write them.

use std::fmt;
use std::str::FromStr;

/// A name or an address, and a port that is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// The host; an IPv6 address stands here without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

/// The text is none.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write it as HOST:PORT")]
pub(crate) struct NotHostPort;

impl FromStr for HostPort {
    type Err = NotHostPort;

    fn from_str(text: &str) -> Result<Self, NotHostPort> {
        let (host, port) = text.rsplit_once(':').ok_or(NotHostPort)?;
        let bare = |host: &str| Some(host.strip_prefix('[')?.strip_suffix(']')?.to_owned());
        let host = bare(host).unwrap_or_else(|| host.to_owned());
        let port: u16 = port.parse().map_err(|_| NotHostPort)?;
        if host.is_empty() || port == 0 {
            return Err(NotHostPort);
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_both_families_are_read() {
        for text in ["host:1", "127.0.0.1:65535", "[2001:db8::1]:80"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:9".parse::<HostPort>().unwrap().host, "::1");
        for text in ["", "host", ":1", "host:", "host:0", "host:65536", "[]:1"] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }
}
