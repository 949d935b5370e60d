//! Datagram sockets of a network that can be cut off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwapOption;
use tokio::io::ReadBuf;

use super::cut_off;
use crate::DatagramSocket;
use crate::datagram::Batch;

/// A socket that is closed when its network is cut off: nothing comes any more then, and nothing leaves.
pub(super) struct CutSocket {
    inner: ArcSwapOption<Held>,
    local: SocketAddr,
    max_payload: usize,
}

struct Held(Arc<dyn DatagramSocket>);

impl CutSocket {
    pub(super) fn new(inner: Arc<dyn DatagramSocket>) -> Self {
        Self {
            local: inner.local_addr(),
            max_payload: inner.max_payload(),
            inner: ArcSwapOption::from_pointee(Held(inner)),
        }
    }

    pub(super) fn close(&self) {
        self.inner.store(None);
    }

    fn with<T>(&self, act: impl FnOnce(&dyn DatagramSocket) -> T) -> Option<T> {
        let held = self.inner.load();
        held.as_ref().map(|held| act(&*held.0))
    }
}

impl DatagramSocket for CutSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let got = self.with(|socket| socket.poll_recv_from(cx, buf));
        got.unwrap_or(Poll::Pending)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        let sent = self.with(|socket| socket.poll_send_to(cx, datagram, to));
        sent.unwrap_or_else(|| Poll::Ready(Err(cut_off())))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let sent = self.with(|socket| socket.try_send_to(datagram, to));
        sent.unwrap_or_else(|| Err(cut_off()))
    }

    fn poll_send_to_name(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: (&str, u16),
    ) -> Poll<io::Result<()>> {
        let sent = self.with(|socket| socket.poll_send_to_name(cx, datagram, to));
        sent.unwrap_or_else(|| Poll::Ready(Err(cut_off())))
    }

    fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        let got = self.with(|socket| socket.poll_recv_batch(cx, batch));
        got.unwrap_or(Poll::Pending)
    }

    fn try_send_segments(
        &self,
        datagrams: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> io::Result<usize> {
        let sent = self.with(|socket| socket.try_send_segments(datagrams, segment, to));
        sent.unwrap_or_else(|| Err(cut_off()))
    }

    fn try_send_in_fragments(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let sent = self.with(|socket| socket.try_send_in_fragments(datagram, to));
        sent.unwrap_or_else(|| Err(cut_off()))
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.with(|socket| socket.poll_send_ready(cx));
        ready.unwrap_or_else(|| Poll::Ready(Err(cut_off())))
    }

    fn is_up(&self) -> bool {
        self.with(|socket| socket.is_up()).unwrap_or(false)
    }

    fn local_addr(&self) -> SocketAddr {
        self.with(|socket| socket.local_addr())
            .unwrap_or(self.local)
    }

    fn max_payload(&self) -> usize {
        self.with(|socket| socket.max_payload())
            .unwrap_or(self.max_payload)
    }

    fn overhead(&self, to: SocketAddr) -> usize {
        self.with(|socket| socket.overhead(to)).unwrap_or(0)
    }

    fn keep_whole(&self) {
        let _ = self.with(|socket| socket.keep_whole());
    }

    fn take_moved(&self) -> Option<SocketAddr> {
        self.with(|socket| socket.take_moved()).flatten()
    }

    fn allow_fragments(&self) {
        let _ = self.with(|socket| socket.allow_fragments());
    }

    fn answer_where_asked(&self) {
        let _ = self.with(|socket| socket.answer_where_asked());
    }
}
