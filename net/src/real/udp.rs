//! UDP sockets.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use arc_swap::ArcSwapOption;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Protocol, SockRef, Socket, Type};
use tokio::io::{Interest, ReadBuf};

use super::SocketTuning;
use super::asked::Asked;
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
    batched: ArcSwapOption<UdpSocketState>,
    /// Where others wrote to, if that may be one of several addresses; noted from when on they are to be answered from there.
    asked: Option<Asked>,
    notes: AtomicBool,
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
        if fit.device.is_some() {
            // What is tied to a network says nothing of addresses that the host has in others, though it may be asked at them.
            socket.asked = None;
        }
        Ok(socket)
    }

    /// Takes over a socket that is bound and does not block.
    pub(super) fn adopt(socket: Socket) -> io::Result<Self> {
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            batched: ArcSwapOption::empty(),
            asked: local.ip().is_unspecified().then(Asked::default),
            notes: AtomicBool::new(false),
            fragments: AtomicBool::new(false),
            tuning: SocketTuning::default(),
        })
    }

    fn batched(&self) -> io::Result<Arc<UdpSocketState>> {
        if let Some(state) = self.batched.load_full() {
            return Ok(state);
        }
        let socket = || (&self.socket).into();
        let state = Arc::new(UdpSocketState::new(socket())?);
        // The system gives as much of it as its administrator allows.
        if self.tuning.receive_buffer.is_none() {
            let _ = state.set_recv_buffer_size(socket(), BUFFER);
        }
        if self.tuning.send_buffer.is_none() {
            let _ = state.set_send_buffer_size(socket(), BUFFER);
        }
        self.batched.store(Some(Arc::clone(&state)));
        Ok(state)
    }

    /// Sends datagrams from where their target wrote to last, or as the system has it.
    fn transmit(
        &self,
        state: &UdpSocketState,
        contents: &[u8],
        segment: Option<usize>,
        to: SocketAddr,
    ) -> io::Result<()> {
        let transmit = |state: &UdpSocketState, src_ip: Option<IpAddr>| {
            let transmit = Transmit {
                destination: self.target(to),
                ecn: None,
                contents,
                segment_size: segment,
                src_ip,
            };
            state.try_send((&self.socket).into(), &transmit)
        };
        let from = self.asked.as_ref().and_then(|asked| asked.at(to));
        match (transmit(state, from), from, &self.asked) {
            (Err(error), Some(from), Some(asked)) if may_be_for_its_source(&error) => {
                if platform::is_local(from) {
                    // One that nobody can send from, or something else is wrong with these datagrams.
                    asked.forget(to);
                    return transmit(state, None);
                }
                asked.gone(from);
                // What failed is taken for a system that cannot send in segments: the next one is asked anew.
                self.batched.store(None);
                let state = self.batched()?;
                platform::set_fragments(&self.socket, self.fragments.load(Ordering::Relaxed));
                transmit(&state, None)
            }
            (outcome, ..) => outcome,
        }
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

/// Whether a datagram may have been refused because it was to be sent from where nobody can, or not any more: with ENETUNREACH by IPv4,
/// with EINVAL by IPv6.
fn may_be_for_its_source(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, InvalidInput, NetworkUnreachable};
    matches!(
        error.kind(),
        InvalidInput | NetworkUnreachable | AddrNotAvailable
    )
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
        if let Some(asked) = &self.asked
            && asked.at(to).is_some()
            && let Some(state) = self.batched.load_full()
        {
            return self.transmit(&state, datagram, None, to);
        }
        SockRef::from(&self.socket).send_to(datagram, &self.target(to).into())?;
        Ok(())
    }

    fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        let state = self.batched()?;
        batch.clear();
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let notes = self.notes.load(Ordering::Relaxed);
            let asked = self.asked.as_ref().filter(|_| notes);
            let mut meta = [RecvMeta::default(); BATCH_SIZE];
            let received = self.socket.try_io(Interest::READABLE, || {
                let mut slots: Vec<IoSliceMut<'_>> =
                    batch.free_slots().map(IoSliceMut::new).collect();
                state.recv((&self.socket).into(), &mut slots, &mut meta)
            });
            match received {
                Ok(count) => {
                    for meta in meta.iter().take(count) {
                        let from = canonical(meta.addr);
                        if let (Some(asked), Some(at)) = (asked, meta.dst_ip) {
                            asked.note(from, at);
                        }
                        batch.filled(from, meta.len, meta.stride);
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
            let size = (run.len() > segment).then_some(segment);
            let outcome = self
                .socket
                .try_io(Interest::WRITABLE, || self.transmit(&state, run, size, to));
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

    fn answer_where_asked(&self) {
        self.notes.store(true, Ordering::Relaxed);
    }

    fn allow_fragments(&self) {
        // What sends in segments is set up first, for it forbids fragments.
        let _ = self.batched();
        self.fragments.store(true, Ordering::Relaxed);
        platform::set_fragments(&self.socket, true);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_wrote_to_an_address_that_is_gone_is_answered_all_the_same() {
        for (everywhere, gone, here) in [
            ("0.0.0.0:0", "192.0.2.77", "127.0.0.1:0"),
            ("[::]:0", "192.0.2.77", "127.0.0.1:0"),
            ("[::]:0", "2001:db8::77", "[::1]:0"),
        ] {
            let Ok(asker) = std::net::UdpSocket::bind(here) else {
                continue; // This host has no IPv6.
            };
            let patience = Some(Duration::from_secs(10));
            asker.set_read_timeout(patience).unwrap();
            let socket = UdpSocket::bind(everywhere.parse().unwrap(), Fit::default()).unwrap();
            let segments = socket.batched().unwrap().max_gso_segments();
            let asked = socket.asked.as_ref().unwrap();
            let [who, other] = [
                asker.local_addr().unwrap(),
                "203.0.113.5:1".parse().unwrap(),
            ];
            let gone: IpAddr = gone.parse().unwrap();
            asked.note(other, gone);
            asked.note(who, gone);
            socket.try_send_to(b"pong", who).unwrap();
            let mut buf = [0; 9];
            let (len, from) = asker.recv_from(&mut buf).unwrap();
            assert_eq!(&buf[..len], b"pong");
            assert_eq!(from.port(), socket.local_addr().port());
            assert_eq!((asked.at(who), asked.at(other)), (None, None));
            // The socket sends as many with one call as before.
            assert_eq!(socket.batched().unwrap().max_gso_segments(), segments);
        }
    }
}
