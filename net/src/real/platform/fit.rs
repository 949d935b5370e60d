//! What sockets are given before they are used: an interface, a mark, and buffers.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

use crate::real::SocketTuning;

/// What a socket is given before it is used.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::real) struct Fit<'a> {
    /// The interface that all has to pass, if there is one.
    pub(in crate::real) device: Option<&'a Device>,
    /// Its mark and its buffers.
    pub(in crate::real) tuning: SocketTuning,
}

impl Fit<'_> {
    /// Gives it to a socket that stands, or will, in the family of an address.
    pub(in crate::real) fn give(self, socket: &Socket, at: SocketAddr) -> io::Result<()> {
        tie(socket, at, self.device)?;
        if let Some(bytes) = self.tuning.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.tuning.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if self.tuning.dscp > 0 {
            mark(socket, at, u32::from(self.tuning.dscp) << 2)?;
        }
        Ok(())
    }
}

/// Marks all that a socket sends.
#[cfg(unix)]
fn mark(socket: &Socket, at: SocketAddr, class: u32) -> io::Result<()> {
    if at.is_ipv6() {
        socket.set_tclass_v6(class)?;
        // What goes to IPv4 by it is marked as that is, where it can.
        let _ = socket.set_tos_v4(class);
        return Ok(());
    }
    socket.set_tos_v4(class)
}

/// Other systems do not let programs mark packets.
#[cfg(not(unix))]
fn mark(_: &Socket, _: SocketAddr, _: u32) -> io::Result<()> {
    Ok(())
}

/// A network interface that nothing may pass by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its name.
    pub(crate) name: String,
    /// The system's number for it: another one, when it went and came back.
    pub(crate) index: u32,
}

/// Has all that a socket sends and receives pass one interface. Once that is gone, the socket is good for nothing.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn tie(socket: &Socket, _: SocketAddr, device: Option<&Device>) -> io::Result<()> {
    device.map_or(Ok(()), |device| {
        socket.bind_device(Some(device.name.as_bytes()))
    })
}

/// Has all that a socket sends and receives pass one interface.
#[cfg(target_vendor = "apple")]
fn tie(socket: &Socket, at: SocketAddr, device: Option<&Device>) -> io::Result<()> {
    let Some(device) = device else { return Ok(()) };
    let index = std::num::NonZeroU32::new(device.index);
    match at {
        SocketAddr::V4(_) => socket.bind_device_by_index_v4(index),
        SocketAddr::V6(_) => socket.bind_device_by_index_v6(index),
    }
}

/// Other systems cannot promise it.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn tie(_: &Socket, _: SocketAddr, device: Option<&Device>) -> io::Result<()> {
    match device {
        None => Ok(()),
        Some(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
