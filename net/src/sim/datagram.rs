//! Datagram sockets of simulated hosts.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::Shared;
use super::event::{Load, Packet};
use super::trace::{Happening, Lost};
use super::world::{HostId, Route, World};
use crate::DatagramSocket;
use crate::datagram::MAX_UDP_PAYLOAD;
use crate::resolve::canonical;

/// Bytes that may wait for a socket's reader: what Linux gives a socket (`net.core.rmem_default`).
const RECEIVE_BUFFER: usize = 212_992;

/// A bound socket, as the world knows it.
#[derive(Debug, Default)]
pub(super) struct Socket {
    queue: VecDeque<(SocketAddr, Bytes)>,
    queued: usize,
    pub(super) reader: Option<Waker>,
}

/// A bound socket, as its owner knows it.
struct Handle {
    shared: Arc<Shared>,
    host: HostId,
    at: SocketAddr,
}

/// Binds a socket.
pub(super) fn bind(
    shared: &Arc<Shared>,
    host: HostId,
    at: SocketAddr,
) -> io::Result<Arc<dyn DatagramSocket>> {
    shared.with(|world, _| world.check_own(host, at))?;
    bind_anywhere(shared, host, at)
}

/// Binds a socket at an address that need not be the host's: a multicast group.
pub(super) fn bind_anywhere(
    shared: &Arc<Shared>,
    host: HostId,
    at: SocketAddr,
) -> io::Result<Arc<dyn DatagramSocket>> {
    let at = shared.with(|world, _| world.host(host).sockets.bind(at, Socket::default()))?;
    Ok(Arc::new(Handle {
        shared: Arc::clone(shared),
        host,
        at,
    }))
}

impl Drop for Handle {
    fn drop(&mut self) {
        let gone = self
            .shared
            .with(|world, _| world.host(self.host).sockets.remove(self.at));
        drop(gone);
    }
}

impl DatagramSocket for Handle {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.shared.with(|world, _| {
            let Some(socket) = world.host(self.host).sockets.get(self.at) else {
                return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
            };
            let Some((from, data)) = socket.queue.pop_front() else {
                socket.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            socket.queued -= data.len();
            let fits = data.len().min(buf.remaining());
            buf.put_slice(&data[..fits]);
            Poll::Ready(Ok(from))
        })
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.try_send_to(datagram, to))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        if datagram.len() > MAX_UDP_PAYLOAD || to.port() == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let data = Bytes::copy_from_slice(datagram);
        self.shared
            .with(|world, now| world.send_datagram(self.host, self.at, canonical(to), data, now))
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl World {
    /// Sends a datagram from a bound socket. Like a real one it tells little of what becomes of it.
    fn send_datagram(
        &mut self,
        host: HostId,
        at: SocketAddr,
        to: SocketAddr,
        data: Bytes,
        now: Instant,
    ) -> io::Result<()> {
        if self.host(host).sockets.get(at).is_none() {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        let source = self
            .source_of(host, at, to.ip())
            .ok_or(io::ErrorKind::NetworkUnreachable)?;
        if to.ip().is_multicast() {
            for neighbour in self.local_network(host, to) {
                let packet = Packet {
                    from: host,
                    to: neighbour,
                    attempt: 0,
                    load: Load::Datagram {
                        from: source,
                        to,
                        data: data.clone(),
                    },
                };
                self.send(packet, now);
            }
            return Ok(());
        }
        let route = self.route(host, to.ip());
        let from = match self.leaves_through(host, route) {
            Some(nat) => self.nat(nat).outgoing(source, to, now),
            None => source,
        };
        let target = match route {
            Route::Host(target) => Ok(target),
            Route::Nat(nat) => self.nat(nat).owner(to.port()).ok_or(Lost::Nat),
            Route::Nowhere => Err(Lost::Nobody),
        };
        match target {
            Ok(target) => {
                let load = Load::Datagram { from, to, data };
                let packet = Packet {
                    from: host,
                    to: target,
                    attempt: 0,
                    load,
                };
                self.send(packet, now);
            }
            Err(why) => self.note(now, Happening::DatagramLost { from, to, why }),
        }
        Ok(())
    }

    /// Brings a datagram from the downlink of a host into a socket.
    pub(super) fn deliver_datagram(
        &mut self,
        host: HostId,
        from: SocketAddr,
        to: SocketAddr,
        data: Bytes,
        now: Instant,
    ) {
        let nat = self.host(host).nat;
        let inner = match nat {
            Some(nat) if self.nat(nat).public == to.ip() => {
                self.nat(nat).incoming(to.port(), from, now)
            }
            _ => Some(to),
        };
        let outcome = match inner {
            None => Err(Lost::Nat),
            Some(inner) => match self.host(host).sockets.find(inner) {
                None => Err(Lost::Nobody),
                Some(socket) if socket.queued + data.len() > RECEIVE_BUFFER => Err(Lost::Full),
                Some(socket) => {
                    socket.queued += data.len();
                    let bytes = data.len();
                    socket.queue.push_back((from, data));
                    Ok((inner, bytes, socket.reader.take()))
                }
            },
        };
        match outcome {
            Ok((to, bytes, reader)) => {
                self.wake(reader);
                self.note(now, Happening::Datagram { from, to, bytes });
            }
            Err(why) => self.note(now, Happening::DatagramLost { from, to, why }),
        }
    }
}
