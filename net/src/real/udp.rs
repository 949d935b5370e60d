//! UDP sockets.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Protocol, SockRef, Socket, Type};
use tokio::io::{Interest, ReadBuf};

use super::SocketTuning;
use super::platform::{self, Fit};
use super::tcp::UNSPECIFIED_V6;
use crate::DatagramSocket;
use crate::datagram::Batch;
use crate::resolve::canonical;

/// A UDP socket.
pub(super) struct UdpSocket {
    socket: tokio::net::UdpSocket,
    local: SocketAddr,
    /// How to send and receive many datagrams with one call; set up by the first use.
    batched: OnceLock<UdpSocketState>,
    /// Large datagrams may be taken apart.
    fragments: AtomicBool,
    tuning: SocketTuning,
}

/// Bytes that the system is asked to keep for a socket that receives in batches: what comes at 1 Gbit/s within 30 ms.
const BUFFER: usize = 4 * 1024 * 1024;

impl UdpSocket {
    /// Binds at `at`; at `[::]` on a host without IPv6, at `0.0.0.0` instead.
    pub(super) fn bind(at: SocketAddr, fit: Fit<'_>) -> io::Result<Self> {
        let opened = platform::bound(at, fit, Type::DGRAM, Protocol::UDP);
        let socket = match opened {
            Err(error) if at.ip() == UNSPECIFIED_V6 && platform::is_family_missing(&error) => {
                let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, at.port()));
                platform::bound(at, fit, Type::DGRAM, Protocol::UDP)?
            }
            other => other?,
        };
        let mut socket = Self::adopt(socket)?;
        socket.tuning = fit.tuning;
        Ok(socket)
    }

    /// Takes over a socket that is bound and does not block.
    pub(super) fn adopt(socket: Socket) -> io::Result<Self> {
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            batched: OnceLock::new(),
            fragments: AtomicBool::new(false),
            tuning: SocketTuning::default(),
        })
    }

    fn batched(&self) -> io::Result<&UdpSocketState> {
        if let Some(state) = self.batched.get() {
            return Ok(state);
        }
        let socket = || (&self.socket).into();
        let state = UdpSocketState::new(socket())?;
        // The system gives as much of it as its administrator allows.
        if self.tuning.receive_buffer.is_none() {
            let _ = state.set_recv_buffer_size(socket(), BUFFER);
        }
        if self.tuning.send_buffer.is_none() {
            let _ = state.set_send_buffer_size(socket(), BUFFER);
        }
        Ok(self.batched.get_or_init(|| state))
    }

    /// The target in the family of this socket.
    fn target(&self, to: SocketAddr) -> SocketAddr {
        match (self.local, to) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port()))
            }
            _ => to,
        }
    }
}

/// Whether a datagram was refused for its size: with EMSGSIZE, and segments with EINVAL, too.
fn is_too_large(error: &io::Error) -> bool {
    platform::is_too_large(error) || error.kind() == io::ErrorKind::InvalidInput
}

impl DatagramSocket for UdpSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.socket.poll_recv_from(cx, buf).map_ok(canonical)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        ready!(self.socket.poll_send_to(cx, datagram, self.target(to)))?;
        Poll::Ready(Ok(()))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        // Past the runtime, which takes a socket to be busy until it has waited for it once: the first datagram would be
        // lost.
        SockRef::from(&self.socket).send_to(datagram, &self.target(to).into())?;
        Ok(())
    }

    fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        let state = self.batched()?;
        batch.clear();
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let mut meta = [RecvMeta::default(); BATCH_SIZE];
            let received = self.socket.try_io(Interest::READABLE, || {
                let mut slots: Vec<IoSliceMut<'_>> =
                    batch.free_slots().map(IoSliceMut::new).collect();
                state.recv((&self.socket).into(), &mut slots, &mut meta)
            });
            match received {
                Ok(count) => {
                    for meta in meta.iter().take(count) {
                        batch.filled(canonical(meta.addr), meta.len, meta.stride);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn try_send_segments(
        &self,
        datagrams: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> io::Result<usize> {
        let state = self.batched()?;
        let segment = segment.max(1);
        let run = segment.saturating_mul(state.max_gso_segments());
        let mut sent = 0;
        for run in datagrams.chunks(run) {
            let transmit = Transmit {
                destination: self.target(to),
                ecn: None,
                contents: run,
                segment_size: (run.len() > segment).then_some(segment),
                src_ip: None,
            };
            let outcome = self.socket.try_io(Interest::WRITABLE, || {
                state.try_send((&self.socket).into(), &transmit)
            });
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if sent == 0 {
                        return Err(error);
                    }
                    break;
                }
                // Segments that are too large for the path are not taken apart; datagrams by themselves are.
                Err(error) if self.fragments.load(Ordering::Relaxed) && is_too_large(&error) => {
                    for datagram in run.chunks(segment) {
                        // As below.
                        let _ = self.try_send_to(datagram, to);
                    }
                    sent += run.len();
                }
                // Whatever the system has against these datagrams, it may have nothing against others.
                Ok(()) | Err(_) => sent += run.len(),
            }
        }
        Ok(sent)
    }

    fn try_send_in_fragments(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        // What was set for segments is set back.
        self.batched()?;
        platform::set_fragments(&self.socket, true);
        let outcome = self.try_send_to(datagram, to);
        let whole = !self.fragments.load(Ordering::Relaxed);
        if whole {
            platform::set_fragments(&self.socket, false);
        }
        outcome
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(cx)
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn keep_whole(&self) {
        platform::set_fragments(&self.socket, false);
    }

    fn allow_fragments(&self) {
        // What sends in segments is set up first, for it forbids fragments.
        let _ = self.batched();
        self.fragments.store(true, Ordering::Relaxed);
        platform::set_fragments(&self.socket, true);
    }
}
