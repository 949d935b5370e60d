//! Where connections begin and by what they go.

use std::fmt;
use std::net::SocketAddr;

use net::{Bind, Proxy};

use super::value::{Setting, not};
use super::{Value, WrongKind};

/// A proxy, and the URL that it was written as. Shown without the user and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    text: String,
    proxy: Proxy,
}

impl ProxyUrl {
    /// The proxy.
    pub const fn proxy(&self) -> &Proxy {
        &self.proxy
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxy.fmt(f)
    }
}

/// Keys of which an empty text is none, and another is read and shown as such.
macro_rules! place {
    ($type:ty, $read:expr, $write:expr, $due:literal) => {
        impl Setting for Option<$type> {
            type Bounds = ();

            fn read(value: &Value) -> Result<Self, WrongKind> {
                let Value::Text(text) = value else {
                    return Err(not(value, $due));
                };
                if text.is_empty() {
                    return Ok(None);
                }
                let read: fn(&str) -> Option<$type> = $read;
                // What was written may hold a password.
                let wrong = || WrongKind::Kind {
                    found: "it is something else".to_owned(),
                    due: $due.to_owned(),
                };
                read(text).map(Some).ok_or_else(wrong)
            }

            fn write(&self) -> Value {
                let write: fn(&$type) -> String = $write;
                Value::Text(self.as_ref().map_or_else(String::new, write))
            }

            fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
                Self::read(&self.write()).map(|_| ())
            }

            fn range((): &(), _: &'static str) -> String {
                $due.to_owned()
            }
        }
    };
}

place!(
    SocketAddr,
    |text| text.parse().ok(),
    ToString::to_string,
    "an address with a port, such as \"[::]:6881\", or an empty text"
);
place!(
    Bind,
    |text| text.parse().ok(),
    ToString::to_string,
    "an IP address or the name of a network interface, or an empty text"
);
place!(
    ProxyUrl,
    |text| {
        let proxy = text.parse().ok()?;
        Some(ProxyUrl {
            text: text.to_owned(),
            proxy,
        })
    },
    |url| url.text.clone(),
    "a URL such as socks5://user:password@host:1080 or http://host:8080, or an empty text"
);

#[cfg(test)]
mod tests {
    use crate::settings::{Patch, Settings};

    #[test]
    fn places_are_read_and_written_and_passwords_are_not_shown() {
        let url = "socks5://me:secret@[2001:db8::1]:1080";
        let patch = Patch::new()
            .with("network.listen", "[::]:6881")
            .with("network.bind", "wg0")
            .with("network.proxy", url);
        let settings = Settings::default().with(&patch).unwrap();
        assert!(!format!("{settings:?}").contains("secret"));
        let again = Patch::between(&Settings::default(), &settings);
        assert_eq!(Settings::default().with(&again).unwrap(), settings);
        let wrong = |key, text: &str| {
            let refused = Settings::default().with(&Patch::new().with(key, text));
            refused.expect_err("it is wrong").to_string()
        };
        assert!(!wrong("network.proxy", "ftp://me:secret@host").contains("secret"));
        assert!(wrong("network.bind", "1.2.3").starts_with("network.bind: "));
        assert!(wrong("network.listen", "6881").starts_with("network.listen: "));
    }
}
