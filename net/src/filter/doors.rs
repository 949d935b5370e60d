//! Dialers, binders, listeners and sockets that refuse some addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::{Held, List, forbidden};
use crate::datagram::{Batch, let_others};
use crate::port_map::Gateway;
use crate::{Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Subnet};

/// Who is refused.
#[derive(Clone)]
pub(super) enum Rule {
    /// Those on a list, unless somebody has an open pass.
    Door(List),
    /// Those who are let through for somebody else.
    Held(Held),
    /// These.
    Shunned(fn(SocketAddr) -> bool),
}

impl Rule {
    fn blocks(&self, addr: SocketAddr) -> bool {
        match self {
            Self::Door(list) => !list.filter.has_open_pass() && list.blocks(addr),
            Self::Held(held) => held.refuses(addr),
            Self::Shunned(shunned) => shunned(addr),
        }
    }
}

pub(super) struct FilterDialer {
    pub(super) inner: Arc<dyn Dialer>,
    pub(super) rule: Rule,
}

impl Dialer for FilterDialer {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        if self.rule.blocks(to) {
            return Box::pin(std::future::ready(Err(forbidden())));
        }
        self.inner.dial(to)
    }

    fn takes_names(&self) -> bool {
        self.inner.takes_names()
    }

    fn dial_name<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        self.inner.dial_name(host, port)
    }
}

pub(super) struct FilterBinder {
    pub(super) inner: Arc<dyn Binder>,
    pub(super) rule: Rule,
}

impl FilterBinder {
    fn socket(&self, inner: Arc<dyn DatagramSocket>) -> Arc<dyn DatagramSocket> {
        Arc::new(FilterSocket {
            inner,
            rule: self.rule.clone(),
        })
    }
}

impl Binder for FilterBinder {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(FilterListener {
            inner: self.inner.listen(at)?,
            rule: self.rule.clone(),
        }))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        Ok(self.socket(self.inner.datagram(at)?))
    }

    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        self.inner.gateways()
    }

    fn networks(&self) -> io::Result<Vec<Subnet>> {
        self.inner.networks()
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        let sockets = self.inner.multicast(group, own)?;
        Ok(sockets
            .into_iter()
            .map(|inner| self.socket(inner))
            .collect())
    }
}

pub(super) struct FilterListener {
    pub(super) inner: Box<dyn Listener>,
    pub(super) rule: Rule,
}

impl Listener for FilterListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        loop {
            let (stream, from) = ready!(self.inner.poll_accept(cx))?;
            if !self.rule.blocks(from) {
                return Poll::Ready(Ok((stream, from)));
            }
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }
}

pub(super) struct FilterSocket {
    pub(super) inner: Arc<dyn DatagramSocket>,
    pub(super) rule: Rule,
}

impl FilterSocket {
    fn check(&self, to: SocketAddr) -> io::Result<()> {
        if self.rule.blocks(to) {
            return Err(forbidden());
        }
        Ok(())
    }
}

/// Datagrams that are dropped before others get their turn.
const DROPS: usize = 64;

impl DatagramSocket for FilterSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let begin = buf.filled().len();
        for _ in 0..DROPS {
            let from = ready!(self.inner.poll_recv_from(cx, buf))?;
            if !self.rule.blocks(from) {
                return Poll::Ready(Ok(from));
            }
            buf.set_filled(begin);
        }
        let_others(cx)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        self.check(to)?;
        self.inner.poll_send_to(cx, datagram, to)
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.check(to)?;
        self.inner.try_send_to(datagram, to)
    }

    fn poll_send_to_name(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: (&str, u16),
    ) -> Poll<io::Result<()>> {
        self.inner.poll_send_to_name(cx, datagram, to)
    }

    fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        ready!(self.inner.poll_recv_batch(cx, batch))?;
        batch.forget(|from| self.rule.blocks(from));
        Poll::Ready(Ok(()))
    }

    fn try_send_segments(
        &self,
        datagrams: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> io::Result<usize> {
        self.check(to)?;
        self.inner.try_send_segments(datagrams, segment, to)
    }

    fn try_send_in_fragments(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.check(to)?;
        self.inner.try_send_in_fragments(datagram, to)
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_send_ready(cx)
    }

    fn is_up(&self) -> bool {
        self.inner.is_up()
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    fn max_payload(&self) -> usize {
        self.inner.max_payload()
    }

    fn overhead(&self, to: SocketAddr) -> usize {
        self.inner.overhead(to)
    }

    fn keep_whole(&self) {
        self.inner.keep_whole();
    }

    fn take_moved(&self) -> Option<SocketAddr> {
        self.inner.take_moved()
    }

    fn allow_fragments(&self) {
        self.inner.allow_fragments();
    }

    fn answer_where_asked(&self) {
        self.inner.answer_where_asked();
    }
}
