//! What differs between operating systems. Linux is proven; the others follow their manuals.

use std::io;
use std::net::SocketAddr;

#[cfg(target_os = "linux")]
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, Socket, Type};

/// Makes a non-blocking socket of the address's family and binds it there.
///
/// At `[::]` the socket takes IPv4 as well; at any other IPv6 address it takes IPv6 only.
pub(super) fn bound(at: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = open(at, kind, protocol)?;
    only_own_family(&socket, at)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// Makes a non-blocking TCP socket that listens at an address; the same rule for `[::]`.
pub(super) fn listening(at: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = open(at, Type::STREAM, Protocol::TCP)?;
    only_own_family(&socket, at)?;
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

#[cfg(target_os = "linux")]
sockopt_impl!(
    /// `SO_RCVLOWAT`, socket(7): TCP heeds it in poll and epoll since Linux 2.6.28.
    ReadLowWater,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize
);
