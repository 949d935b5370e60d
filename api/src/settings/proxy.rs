//! The proxy, which is one address here and three keys there.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use url::Url;

/// One of the three keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// 0 none, 1 SOCKS4, 2 SOCKS5, 3 SOCKS5 with a password, 4 HTTP, 5 HTTP with a password.
    Kind,
    /// `host:port`.
    Server,
    /// `user:password`.
    Login,
}

/// The three keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    kind: i64,
    server: String,
    user: String,
    password: String,
}

impl Way {
    /// Those of an address.
    pub(crate) fn of(url: Option<&str>) -> Self {
        let none = Self {
            kind: 0,
            server: ":".to_owned(),
            user: String::new(),
            password: String::new(),
        };
        let Some(url) = url.and_then(|url| Url::parse(url).ok()) else {
            return none;
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (
            decoded(url.username()),
            decoded(url.password().unwrap_or_default()),
        );
        let secret = !user.is_empty();
        let kind = match url.scheme() {
            "socks4" | "socks4a" => 1,
            "socks5" | "socks5h" => 2 + i64::from(secret),
            "http" => 4 + i64::from(secret),
            _ => return none,
        };
        let port = url.port_or_known_default().unwrap_or(1080);
        Self {
            kind,
            server: format!("{}:{port}", url.host_str().unwrap_or_default()),
            user,
            password,
        }
    }

    /// Changes one of them, whose value is of the right kind.
    pub(super) fn set(&mut self, part: Part, value: &Value) {
        let text = || value.as_str().unwrap_or_default().to_owned();
        match part {
            Part::Kind => self.kind = value.as_i64().unwrap_or(-1),
            Part::Server => self.server = text(),
            Part::Login => {
                let text = text();
                let (user, password) = text.split_once(':').unwrap_or((&text, ""));
                (self.user, self.password) = (user.to_owned(), password.to_owned());
            }
        }
    }

    /// The address; empty for none.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn url(&self) -> Result<String, String> {
        let scheme = match self.kind {
            0 => return Ok(String::new()),
            1 => "socks4",
            2 | 3 => "socks5",
            4 | 5 => "http",
            other => return Err(format!("proxy_type is 0 to 5, and not {other}")),
        };
        let server = &self.server;
        let wrong = || "proxy_server is a host and a port".to_owned();
        let mut url = Url::parse(&format!("{scheme}://{server}")).map_err(|_| wrong())?;
        let is_place = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_place || url.host_str().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        // SOCKS4 knows who asks by a name alone.
        if let 1 | 3 | 5 = self.kind {
            let user = escaped(&self.user);
            url.set_username(&user).map_err(|()| wrong())?;
        }
        if let 3 | 5 = self.kind {
            let password = escaped(&self.password);
            let password = Some(password.as_str()).filter(|password| !password.is_empty());
            url.set_password(password).map_err(|()| wrong())?;
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
}

/// What stays as it is in a name or a password of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A name or a password as an address has it.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// One of the keys of an address. The password is not shown.
pub(crate) fn shown(url: Option<&str>, part: Part) -> Value {
    let way = Way::of(url);
    match part {
        Part::Kind => way.kind.into(),
        Part::Server => way.server.into(),
        Part::Login => format!("{}:", way.user).into(),
    }
}

/// The parts of an address that are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyParts {
    /// As that of the keys.
    pub(crate) kind: i64,
    pub(crate) host: String,
    /// 0 where there is no proxy.
    pub(crate) port: u16,
    pub(crate) user: String,
}

impl ProxyParts {
    pub(crate) fn of(url: &str) -> Self {
        let way = Way::of(Some(url));
        let (host, port) = way.server.rsplit_once(':').unwrap_or_default();
        Self {
            kind: way.kind,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().unwrap_or_default(),
            user: way.user,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_three_keys_lead_to_each_other() {
        for url in [
            "socks5://127.0.0.1:9050",
            "socks5://me:pa%23ss@proxy.example:1080",
            "socks4://proxy.example:1080",
            "socks4://me@proxy.example:1080",
            "http://me:pw@proxy.example:3128",
            "socks5://[::1]:1080",
            "socks5://me%3Ayou:pw@proxy.example:1080",
            "socks5://me:100%2541@proxy.example:1080",
        ] {
            assert_eq!(Way::of(Some(url)).url().as_deref(), Ok(url));
        }
        assert_eq!(Way::of(None).url().as_deref(), Ok(""));
        let way = Way::of(Some("socks5://me:pa%23ss@proxy.example:1080"));
        let login = (way.user.as_str(), way.password.as_str());
        assert_eq!((way.kind, login), (3, ("me", "pa#ss")));
        assert_eq!(shown(Some("socks5://me:pw@h:1"), Part::Login), "me:");
        let parts = ProxyParts::of("socks5://me:pw@[::1]:1080");
        let (host, user) = (parts.host.as_str(), parts.user.as_str());
        assert_eq!((parts.kind, host, parts.port, user), (3, "::1", 1080, "me"));
        let none = ProxyParts::of("");
        assert_eq!((none.kind, none.host.as_str(), none.port), (0, "", 0));
        let mut bad = Way::of(None);
        bad.set(Part::Kind, &Value::from(2));
        assert!(bad.url().unwrap_err().contains("proxy_server"));
        for server in [
            "",
            ":1",
            "me:pw@host:1",
            "host:1/x",
            "host:1?x",
            "host:1#x",
            "host:x",
        ] {
            bad.set(Part::Server, &Value::from(server));
            assert!(bad.url().is_err(), "{server}");
        }
        bad.set(Part::Kind, &Value::from(9));
        assert!(bad.url().unwrap_err().contains("proxy_type"));
    }
}
