//! Where a server is, for the policy to judge.

use std::net::{Ipv4Addr, SocketAddr};

use url::Url;

use super::exchange::{Connection, Message, host_and_port};
use super::{Request, header};

/// The address of the server of a URL at the other end of a connection; none where only the far end of a proxy knows it.
fn of(connection: &Connection, url: &Url) -> Option<SocketAddr> {
    let peer = connection.peer();
    if !peer.ip().is_unspecified() {
        return Some(peer);
    }
    let (host, port) = host_and_port(url).ok()?;
    of_name(host, port)
}

/// The address of a host that is reached by name, where that is the same for everyone: whoever looks up `localhost` finds
/// the loopback address (RFC 6761, section 6.3).
pub(super) fn of_name(host: &str, port: u16) -> Option<SocketAddr> {
    let lower = host.trim_end_matches('.').to_ascii_lowercase();
    let ours = lower == "localhost" || lower.ends_with(".localhost");
    ours.then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Whether the policy lets a connection that was kept be used for a URL, which the server at `sent_by` redirected to.
pub(super) fn may_reuse(
    connection: &Connection,
    (url, sent_by): (&Url, Option<SocketAddr>),
    request: &Request,
) -> bool {
    let Some(place) = of(connection, url) else {
        return true;
    };
    let mut addrs = vec![place];
    request.policy.admit(url, sent_by, &mut addrs);
    !addrs.is_empty()
}

/// Takes user and password out of a message if the policy does not let the server have them.
pub(super) fn keep_login(
    message: &mut Message,
    connection: &Connection,
    (url, sent_by): (&Url, Option<SocketAddr>),
    request: &Request,
) {
    let place = of(connection, url);
    if place.is_some_and(|place| !request.policy.may_log_in(place, sent_by)) {
        message.headers_mut().remove(header::AUTHORIZATION);
    }
}
