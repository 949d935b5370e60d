//! The policies for URLs that strangers name and for those that users type.

use std::net::SocketAddr;

use url::Url;

use super::Policy;
use crate::Scope;

/// Keeps requests from being aimed at this machine and its neighbours; see [`Scope::admit`].
///
/// `docs/adr/0004-whom-strangers-may-send-us-to.md` has the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    named: Named,
}

/// Who named the URL, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Tracker,
    User,
    WebSeed,
}

impl Guard {
    /// For a tracker that a torrent, a magnet link or a peer names. It may live anywhere, but at a loopback or link-local
    /// address only paths that begin with `/announce` or `/scrape` are asked for.
    pub const TRACKER: Self = Self {
        named: Named::Tracker,
    };

    /// For a URL that the user typed: it is asked wherever it is, but whoever answers there cannot send us any closer.
    pub const USER: Self = Self { named: Named::User };

    /// For a web seed that a torrent or a magnet link names. At a loopback or private address it is asked for files only,
    /// without a query, or with one that begins with `info_hash=` (BEP 17); at a link-local address for nothing.
    pub const WEB_SEED: Self = Self {
        named: Named::WebSeed,
    };
}

impl Policy for Guard {
    fn admit(&self, url: &Url, sent_by: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        let keep_from = |addresses: &mut Vec<SocketAddr>, scope| {
            addresses.retain(|addr| Scope::of(addr.ip()) >= Some(scope));
        };
        match self.named {
            Named::User => {
                if sent_by.is_some() {
                    Scope::admit(addresses, sent_by);
                }
            }
            Named::Tracker => {
                Scope::admit(addresses, sent_by);
                // The URL is parsed: dots are resolved, and neither query nor fragment is part of the path.
                let tracker = ["/announce", "/scrape"]
                    .iter()
                    .any(|start| url.path().starts_with(start));
                if !tracker {
                    keep_from(addresses, Scope::Private);
                }
            }
            Named::WebSeed => {
                Scope::admit(addresses, sent_by);
                addresses.retain(|addr| Scope::of(addr.ip()) != Some(Scope::LinkLocal));
                let file = url
                    .query()
                    .is_none_or(|query| query.starts_with("info_hash="));
                if !file {
                    keep_from(addresses, Scope::Global);
                }
            }
        }
    }

    /// A password that strangers name opens no door in the home network or on this machine. What the user typed goes
    /// wherever he sends it, and back to the same server where that redirects to itself.
    fn may_log_in(&self, server: SocketAddr, sent_by: Option<SocketAddr>) -> bool {
        let typed = match self.named {
            Named::User => sent_by.is_none_or(|sender| sender.ip() == server.ip()),
            Named::Tracker | Named::WebSeed => false,
        };
        typed || Scope::of(server.ip()) == Some(Scope::Global)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_asked_for_announces_only_and_nobody_is_sent_closer() {
        let (tracker, user, seed) = (Guard::TRACKER, Guard::USER, Guard::WEB_SEED);
        // Who named the URL, who sent us on, where to, which path, whether that is allowed.
        let cases = [
            (tracker, None, "1.1.1.1", "/any.php?x", true),
            (tracker, None, "127.0.0.1", "/announce", true),
            (tracker, None, "127.0.0.1", "/announce.php?passkey=1", true),
            (tracker, None, "127.0.0.1", "/scrape", true),
            (tracker, None, "::1", "/announce", true),
            (tracker, None, "127.0.0.1", "/admin?/announce", false),
            (tracker, None, "127.0.0.1", "/announce/../admin", false),
            (tracker, None, "127.0.0.1", "/announce/%2e%2e/admin", false),
            (tracker, None, "127.0.0.1", "/announce\\..\\admin", false),
            (tracker, None, "127.0.0.1", "/%61nnounce", false),
            (tracker, None, "127.0.0.1", "/x#/announce", false),
            (tracker, None, "127.0.0.1", "//announce", false),
            (tracker, None, "::ffff:127.0.0.1", "/admin", false),
            (tracker, None, "169.254.169.254", "/latest/meta-data", false),
            (tracker, None, "169.254.169.254", "/announce", true),
            (tracker, None, "192.168.1.1", "/key/announce", true),
            (tracker, None, "0.0.0.0", "/announce", false),
            (tracker, None, "239.1.1.1", "/announce", false),
            (tracker, Some("1.1.1.1"), "2.2.2.2", "/x", true),
            (tracker, Some("1.1.1.1"), "127.0.0.1", "/announce", false),
            (tracker, Some("1.1.1.1"), "192.168.1.1", "/announce", false),
            (tracker, Some("1.1.1.1"), "100.64.0.1", "/announce", false),
            (tracker, Some("1.1.1.1"), "fd00::1", "/announce", false),
            (tracker, Some("192.168.1.1"), "192.168.1.2", "/x", true),
            (
                tracker,
                Some("192.168.1.1"),
                "127.0.0.1",
                "/announce",
                false,
            ),
            (tracker, Some("192.168.1.1"), "1.1.1.1", "/x", true),
            (tracker, Some("127.0.0.1"), "127.0.0.1", "/announce2", true),
            (tracker, Some("127.0.0.1"), "127.0.0.1", "/admin", false),
            (user, None, "127.0.0.1", "/any.torrent", true),
            (user, None, "192.168.1.1", "/any.torrent", true),
            (user, Some("127.0.0.1"), "127.0.0.1", "/other.torrent", true),
            (user, Some("1.1.1.1"), "1.1.1.2", "/other.torrent", true),
            (user, Some("1.1.1.1"), "127.0.0.1", "/other.torrent", false),
            (user, Some("1.1.1.1"), "10.0.0.1", "/other.torrent", false),
            (seed, None, "1.1.1.1", "/file.iso?token=1", true),
            (seed, None, "192.168.1.1", "/file.iso", true),
            (seed, None, "192.168.1.1", "/reboot?now=1", false),
            (seed, None, "127.0.0.1", "/dir/file.iso", true),
            (seed, None, "127.0.0.1", "/file.iso?", false),
            (seed, None, "127.0.0.1", "/seed?info_hash=%00&piece=0", true),
            (seed, None, "127.0.0.1", "/seed?x=1&info_hash=%00", false),
            (seed, None, "169.254.169.254", "/latest/meta-data", false),
            (seed, None, "fe80::1", "/file.iso", false),
            (seed, Some("1.1.1.1"), "2.2.2.2", "/mirror/x?y=1", true),
            (seed, Some("1.1.1.1"), "192.168.1.1", "/file.iso", false),
            (seed, Some("1.1.1.1"), "127.0.0.1", "/file.iso", false),
            (seed, Some("127.0.0.1"), "127.0.0.1", "/file.iso", true),
        ];
        for (guard, sent_by, to, path, allowed) in cases {
            let addr = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
            let url = Url::parse(&format!("http://host{path}")).unwrap();
            let mut addrs = vec![addr(to)];
            guard.admit(&url, sent_by.map(addr), &mut addrs);
            assert_eq!(
                !addrs.is_empty(),
                allowed,
                "{guard:?} {sent_by:?} {to} {path}"
            );
        }
    }
    #[test]
    fn only_the_users_own_password_goes_where_not_everyone_could_send_it() {
        let (tracker, user, seed) = (Guard::TRACKER, Guard::USER, Guard::WEB_SEED);
        // Who named the URL, who sent us on, where to, whether user and password go there.
        let cases = [
            (tracker, None, "1.1.1.1", true),
            (tracker, None, "192.168.1.1", false),
            (tracker, None, "127.0.0.1", false),
            (tracker, None, "::ffff:127.0.0.1", false),
            (tracker, None, "100.64.0.1", false),
            (tracker, Some("192.168.1.1"), "192.168.1.1", false),
            (seed, None, "2a00::1", true),
            (seed, None, "fd00::1", false),
            (seed, None, "::1", false),
            (user, None, "127.0.0.1", true),
            (user, None, "192.168.1.1", true),
            (user, Some("192.168.1.1"), "192.168.1.1", true),
            (user, Some("192.168.1.1"), "192.168.1.2", false),
            (user, Some("192.168.1.1"), "1.1.1.1", true),
        ];
        for (guard, sent_by, to, allowed) in cases {
            let addr = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
            let may = guard.may_log_in(addr(to), sent_by.map(addr));
            assert_eq!(may, allowed, "{guard:?} {sent_by:?} {to}");
        }
    }
}
