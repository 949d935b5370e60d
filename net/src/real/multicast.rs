//! Sockets of a multicast group, one for each network interface.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::platform::{self, Device, Interface};
use super::udp::UdpSocket;
use crate::DatagramSocket;

/// Networks that are joined at most: containers and virtual machines may add hundreds of interfaces to a host.
const MOST_NETWORKS: usize = 16;

/// Joins `group` on the interface that has the address `own`, or else on every one that carries multicast.
///
/// An interface that refuses is passed over, unless all do.
pub(super) fn join(
    group: SocketAddr,
    own: Option<IpAddr>,
) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
    if !group.ip().is_multicast() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut interfaces = platform::interfaces(group.is_ipv4())?;
    match own {
        Some(own) => interfaces.retain(|interface| interface.ip == own),
        None => interfaces.retain(|interface| interface.multicast && !interface.ip.is_loopback()),
    }
    // One address for each interface.
    interfaces.dedup_by_key(|interface| interface.index);
    interfaces.truncate(MOST_NETWORKS);
    let mut sockets: Vec<Arc<dyn DatagramSocket>> = Vec::new();
    let mut failure = None;
    for interface in interfaces {
        match open(group, &interface, None) {
            Ok(socket) => sockets.push(Arc::new(socket)),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

/// Joins `group` on one interface.
pub(super) fn open(
    group: SocketAddr,
    interface: &Interface,
    device: Option<&Device>,
) -> io::Result<UdpSocket> {
    UdpSocket::adopt(platform::multicast(group, interface, device)?)
}
