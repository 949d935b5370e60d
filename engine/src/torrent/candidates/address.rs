//! What kind of address it is.

use std::net::{IpAddr, SocketAddr};

/// One form for each address: IPv4 in IPv6 form is IPv4, and flow labels do not count.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() && v6.scope_id() != 0 => addr,
        SocketAddr::V6(_) => SocketAddr::new(addr.ip().to_canonical(), addr.port()),
    }
}

/// Whether a peer can be there at all.
pub(super) fn is_dialable(addr: SocketAddr) -> bool {
    let ip = addr.ip();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// Whether the address is of the wide network, and not of our own or of this machine.
pub(in crate::torrent) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}
