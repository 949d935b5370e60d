//! What differs between operating systems. Linux is proven; the others follow their manuals.

use std::io;
use std::net::{IpAddr, SocketAddr};

#[cfg(target_os = "linux")]
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, Socket, Type};

mod fit;

pub(crate) use self::fit::Device;
pub(super) use self::fit::Fit;
use super::SocketTuning;
use crate::Subnet;

/// Makes a non-blocking socket of the address's family and binds it there, and to a device, if there is one.
///
/// At `[::]` the socket takes IPv4 as well; at any other IPv6 address it takes IPv6 only.
pub(super) fn bound(
    at: SocketAddr,
    fit: Fit<'_>,
    kind: Type,
    protocol: Protocol,
) -> io::Result<Socket> {
    let socket = open(at, kind, protocol)?;
    only_own_family(&socket, at)?;
    fit.give(&socket, at)?;
    socket.bind(&at.into())?;
    if let SocketAddr::V4(v4) = at
        && kind == Type::DGRAM
        && !v4.ip().is_unspecified()
    {
        // What is sent to a group leaves by the interface that has the address. A device decides that by itself.
        let _ = socket.set_multicast_if_v4(v4.ip());
    }
    Ok(socket)
}

/// Makes a non-blocking TCP socket that listens at an address; the same rules for `[::]` and devices.
pub(super) fn listening(at: SocketAddr, fit: Fit<'_>, backlog: i32) -> io::Result<Socket> {
    let socket = open(at, Type::STREAM, Protocol::TCP)?;
    only_own_family(&socket, at)?;
    fit.give(&socket, at)?;
    allow_rebind(&socket)?;
    socket.bind(&at.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn only_own_family(socket: &Socket, at: SocketAddr) -> io::Result<()> {
    match at {
        SocketAddr::V4(_) => Ok(()),
        SocketAddr::V6(v6) => socket.set_only_v6(!v6.ip().is_unspecified()),
    }
}

/// Makes a non-blocking socket of the address's family.
pub(super) fn open(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// An address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Its name.
    pub(crate) name: String,
    /// The system's number for it.
    pub(crate) index: u32,
    /// Its address.
    pub(crate) ip: IpAddr,
    /// Whether datagrams to groups cross it.
    pub(crate) multicast: bool,
}

/// The addresses of one family of all interfaces that are up, ordered by interface.
#[cfg(unix)]
pub(crate) fn interfaces(v4: bool) -> io::Result<Vec<Interface>> {
    use nix::net::if_::{InterfaceFlags, if_nametoindex};

    let mut found = Vec::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let address = entry.address.as_ref();
        let ip = if v4 {
            address.and_then(|address| Some(IpAddr::V4(address.as_sockaddr_in()?.ip())))
        } else {
            address.and_then(|address| Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())))
        };
        if let Some(ip) = ip
            && entry.flags.contains(InterfaceFlags::IFF_UP)
            && let Ok(index) = if_nametoindex(entry.interface_name.as_str())
        {
            let multicast = entry.flags.contains(InterfaceFlags::IFF_MULTICAST);
            found.push(Interface {
                name: entry.interface_name.clone(),
                index,
                ip,
                multicast,
            });
        }
    }
    found.sort_by_key(|interface| (interface.index, interface.ip));
    Ok(found)
}

/// Interfaces are not enumerated on this system: the one of the default route is taken.
#[cfg(not(unix))]
pub(crate) fn interfaces(v4: bool) -> io::Result<Vec<Interface>> {
    use std::net::{Ipv4Addr, Ipv6Addr};

    let ip = if v4 {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    Ok(vec![Interface {
        name: String::new(),
        index: 0,
        ip,
        multicast: true,
    }])
}

/// Each address of the interfaces, whether they are up or not, and what lies in the same network as it.
#[cfg(unix)]
pub(crate) fn networks() -> io::Result<Vec<Subnet>> {
    use nix::sys::socket::SockaddrStorage;

    let ip = |address: &SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())))
    };
    let mut found = Vec::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let Some(own) = entry.address.as_ref().and_then(ip) else {
            continue;
        };
        found.push(Subnet::only(own));
        let mask = entry.netmask.as_ref().and_then(ip);
        found.extend(mask.map(|mask| Subnet::around(own, leading_ones(mask))));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// How many bits of a mask are set before the first that is not.
#[cfg(unix)]
fn leading_ones(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    u8::try_from(ones).unwrap_or(u8::MAX)
}

/// Interfaces are not enumerated on this system: what is known are the addresses that it would send from, those of the default
/// routes.
#[cfg(not(unix))]
pub(crate) fn networks() -> io::Result<Vec<Subnet>> {
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

    // Connecting a socket of datagrams sends nothing. The targets are the first addresses of their families that are anybody's.
    let ways: [(IpAddr, IpAddr); 2] = [
        (
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(1, 0, 0, 1).into(),
        ),
        (
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, 1).into(),
        ),
    ];
    let found = ways.into_iter().filter_map(|(any, target)| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((target, 9)).ok()?;
        Some(Subnet::only(socket.local_addr().ok()?.ip()))
    });
    Ok(found.collect())
}

/// A route to everywhere, by IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The name of its interface.
    pub(super) device: String,
    /// The gateway.
    pub(super) via: IpAddr,
}

/// The default routes that lead through a gateway, the preferred ones first.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn default_routes() -> io::Result<Vec<Route>> {
    Ok(read_routes(&std::fs::read_to_string("/proc/net/route")?))
}

/// Routes are not read on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn default_routes() -> io::Result<Vec<Route>> {
    Ok(Vec::new())
}

/// Reads the table of routes as Linux writes it (proc(5)): name, destination, gateway, flags, two counters, metric, mask;
/// addresses as hexadecimal numbers in the machine's order of bytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn read_routes(table: &str) -> Vec<Route> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
        let (to, via, mask) = (number(1)?, number(2)?, number(7)?);
        let metric: u32 = words.get(6)?.parse().ok()?;
        let via = std::net::Ipv4Addr::from(via.to_ne_bytes());
        let leads = to == 0 && mask == 0 && !via.is_unspecified();
        leads.then(|| {
            let device = (*words.first().unwrap_or(&"")).to_owned();
            let via = IpAddr::V4(via);
            (metric, Route { device, via })
        })
    });
    let mut rows: Vec<(u32, Route)> = rows.collect();
    rows.sort_by_key(|(metric, _)| *metric);
    rows.into_iter().map(|(_, route)| route).collect()
}

/// Makes a non-blocking socket that hears a group on one interface only, sends to it there, and shares the port.
///
/// Where the system allows it, the socket is bound to the group's address, so that datagrams sent to the host itself
/// do not come in by it.
pub(super) fn multicast(
    group: SocketAddr,
    interface: &Interface,
    device: Option<&Device>,
) -> io::Result<Socket> {
    let socket = open(group, Type::DGRAM, Protocol::UDP)?;
    let tuning = SocketTuning::default();
    Fit { device, tuning }.give(&socket, group)?;
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(true)?;
    let mut at = group;
    if cfg!(windows) {
        at.set_ip(match group.ip() {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        });
    }
    match (group.ip(), interface.ip) {
        (IpAddr::V4(ip), IpAddr::V4(own)) => {
            socket.bind(&at.into())?;
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v4(false)?;
            socket.set_multicast_if_v4(&own)?;
            socket.set_multicast_loop_v4(true)?;
            socket.set_multicast_ttl_v4(1)?;
            socket.join_multicast_v4(&ip, &own)?;
        }
        (IpAddr::V6(ip), _) => {
            socket.set_only_v6(true)?;
            socket.bind(&at.into())?;
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v6(false)?;
            socket.set_multicast_if_v6(interface.index)?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_hops_v6(1)?;
            socket.join_multicast_v6(&ip, interface.index)?;
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(socket)
}

/// Lets a listener take a port whose former connections still linger in TIME_WAIT.
///
/// On Windows the same option would let two listeners share one port, and lingering connections do not block it.
fn allow_rebind(socket: &Socket) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    socket.set_reuse_address(true)
}

/// Whether the system has no such address family at all, so that another one may be tried.
pub(super) fn is_family_missing(error: &io::Error) -> bool {
    #[cfg(unix)]
    let codes = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
    // WSAEAFNOSUPPORT and WSAEADDRNOTAVAIL.
    #[cfg(windows)]
    let codes = [10047, 10049];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

/// Whether `accept` failed because of the one connection that it was about to return.
///
/// Linux passes network errors that are already pending on the new socket through `accept` (accept(2), "Error
/// handling").
pub(super) fn is_lost_connection(error: &io::Error) -> bool {
    #[cfg(unix)]
    let also = error.raw_os_error().is_some_and(|code| {
        [
            libc::EPROTO,
            libc::ENOPROTOOPT,
            libc::EOPNOTSUPP,
            libc::ENETDOWN,
            libc::EHOSTDOWN,
            libc::EPERM,
        ]
        .contains(&code)
    });
    #[cfg(not(unix))]
    let also = false;
    also || matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
    )
}

/// Has a TCP stream report itself readable only from `bytes` on. What is refused does no harm: the stream is woken more
/// often then.
#[cfg(target_os = "linux")]
pub(super) fn set_read_low_water(stream: &tokio::net::TcpStream, bytes: usize) {
    let _ = nix::sys::socket::setsockopt(stream, ReadLowWater, &bytes);
}

/// Systems whose event queues do not look at the mark do without.
#[cfg(not(target_os = "linux"))]
pub(super) fn set_read_low_water(_: &tokio::net::TcpStream, _: usize) {}

/// Whether a datagram was refused because it is larger than the path takes.
#[cfg(unix)]
pub(super) fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

/// Without a name for it, nothing is known to be too large.
#[cfg(not(unix))]
pub(super) fn is_too_large(_: &io::Error) -> bool {
    false
}

/// Whether an address may be bound: all of 127.0.0.0/8, and whatever else the routes call local, may be without standing
/// on an interface.
pub(super) fn is_local(ip: IpAddr) -> bool {
    !ip.is_unspecified() && std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// Lets the network take apart what a socket sends, or not.
#[cfg(target_os = "linux")]
pub(super) fn set_fragments(socket: &tokio::net::UdpSocket, may: bool) {
    use nix::sys::socket::setsockopt;
    let [v4, v6] = if may {
        [libc::IP_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DONT]
    } else {
        [libc::IP_PMTUDISC_PROBE, libc::IPV6_PMTUDISC_PROBE]
    };
    // A socket of IPv6 may send by IPv4, too; one of IPv4 has no such options of IPv6.
    let _ = setsockopt(socket, PathMtuV4, &v4);
    let _ = setsockopt(socket, PathMtuV6, &v6);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn set_fragments(_: &tokio::net::UdpSocket, _: bool) {}

#[cfg(target_os = "linux")]
sockopt_impl!(
    /// `IP_MTU_DISCOVER`, ip(7).
    PathMtuV4,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    libc::c_int
);

#[cfg(target_os = "linux")]
sockopt_impl!(
    /// `IPV6_MTU_DISCOVER`, ipv6(7).
    PathMtuV6,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU_DISCOVER,
    libc::c_int
);

#[cfg(target_os = "linux")]
sockopt_impl!(
    /// `SO_RCVLOWAT`, socket(7): TCP heeds it in poll and epoll since Linux 2.6.28.
    ReadLowWater,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize
);

#[cfg(all(test, target_os = "linux", target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn default_routes_are_read_in_the_order_in_which_they_are_used() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth1\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     tun0\t00000000\t00000000\t0001\t0\t0\t5\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t01006E0A\t0003\t0\t0\t50\t00000000\t0\t0\t0\n\
                     eth0\t00006E0A\t00000000\t0001\t0\t0\t50\t00FFFFFF\t0\t0\t0\n\
                     bad\tline\n";
        let route = |device: &str, via: &str| Route {
            device: device.to_owned(),
            via: via.parse().unwrap(),
        };
        let expected = [route("eth0", "10.110.0.1"), route("eth1", "192.168.1.1")];
        assert_eq!(read_routes(table), expected);
        assert!(default_routes().is_ok());
    }
}
