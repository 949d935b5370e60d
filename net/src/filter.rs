//! A network that does not talk to some addresses, whoever names them and whoever knocks.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use arc_swap::ArcSwap;
pub use protocol::ip_filter::{BadLines, FilterError, IpFilter};
use tokio::io::ReadBuf;

use crate::datagram::{Batch, let_others};
use crate::port_map::Gateway;
use crate::{Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Network, Subnet};

/// Whom a network does not talk to. Clones are the same list, which may be replaced at any time.
#[derive(Clone, Default)]
pub struct Filter(Arc<Inner>);

#[derive(Default)]
struct Inner {
    list: ArcSwap<IpFilter>,
    /// Passes that are open.
    open: AtomicUsize,
}

impl Filter {
    /// Does not talk to those on the list.
    pub fn new(list: IpFilter) -> Self {
        let filter = Self::default();
        filter.set(list);
        filter
    }

    /// Replaces the list. Streams that are open go on; whoever owns them ends those that are now forbidden.
    pub fn set(&self, list: IpFilter) {
        self.0.list.store(Arc::new(list));
    }

    /// Whether nobody is to talk to this address.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        self.0.list.load().blocks(ip)
    }

    /// Whether the list does not hold for somebody.
    fn has_open_pass(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.list.load().fmt(f)
    }
}

/// Whether the filter of a network holds for who has this and [the network that came with it](Network::with_pass). Clones are the
/// same pass, and it is closed at first.
///
/// While any pass of a filter is open, peers come in from everywhere, because it is not known before their handshake for whom they
/// are: whoever takes them in looks at [`Network::blocks`].
#[derive(Clone)]
pub struct Pass(Arc<PassInner>);

struct PassInner {
    filter: Filter,
    open: AtomicBool,
}

impl Pass {
    /// Opens it, so that the filter does not hold any more, or closes it.
    pub fn open(&self, open: bool) {
        if self.0.open.swap(open, Ordering::AcqRel) != open {
            let passes = &self.0.filter.0.open;
            if open {
                passes.fetch_add(1, Ordering::AcqRel);
            } else {
                passes.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    fn is_open(&self) -> bool {
        self.0.open.load(Ordering::Acquire)
    }
}

impl Drop for PassInner {
    fn drop(&mut self) {
        if *self.open.get_mut() {
            self.filter.0.open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl Network {
    /// The same network, but streams to and from the addresses of a filter, and datagrams, are refused or dropped; also where
    /// they are servers'. What is reached by name through a proxy has no address that could be judged.
    #[must_use]
    pub fn filtered(self, filter: &Filter) -> Self {
        self.filtered_but(filter, |_| false)
    }

    /// As [`Self::filtered`], but with addresses that are `spared`, because they are no hosts' on this network and what is on a
    /// list is not meant for them.
    #[must_use]
    pub fn filtered_but(self, filter: &Filter, spared: fn(SocketAddr) -> bool) -> Self {
        let list = List {
            filter: filter.clone(),
            spared,
        };
        let rule = Rule::Door(list.clone());
        let dialer = FilterDialer {
            inner: Arc::clone(self.dialer()),
            rule: rule.clone(),
        };
        let binder = FilterBinder {
            inner: Arc::clone(self.binder()),
            rule,
        };
        self.with_dialer(Arc::new(dialer))
            .with_binder(Arc::new(binder))
            .with_filter(Held { list, pass: None })
    }

    /// The same network with a pass of its own, if it has a filter: others are held to the filter whether it is open or not.
    #[must_use]
    pub fn with_pass(self) -> (Self, Option<Pass>) {
        let Some(held) = self.held() else {
            return (self, None);
        };
        let list = held.list.clone();
        let pass = Pass(Arc::new(PassInner {
            filter: list.filter.clone(),
            open: AtomicBool::new(false),
        }));
        let held = Held {
            list,
            pass: Some(pass.clone()),
        };
        (self.with_filter(held), Some(pass))
    }

    /// The same network, but each of its datagram sockets is [`shunning`] some addresses.
    #[must_use]
    pub fn with_shunned(self, shunned: fn(SocketAddr) -> bool) -> Self {
        let binder = FilterBinder {
            inner: Arc::clone(self.binder()),
            rule: Rule::Shunned(shunned),
        };
        self.with_binder(Arc::new(binder))
    }
}

/// The same socket, but nothing is sent to addresses that are `shunned`, and nothing heard of what comes from there.
pub fn shunning(
    inner: Arc<dyn DatagramSocket>,
    shunned: fn(SocketAddr) -> bool,
) -> Arc<dyn DatagramSocket> {
    let rule = Rule::Shunned(shunned);
    Arc::new(FilterSocket { inner, rule })
}

fn forbidden() -> io::Error {
    let why = "the address is on the list of those that are not talked to";
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// Those on a list, but for some.
#[derive(Clone)]
struct List {
    filter: Filter,
    spared: fn(SocketAddr) -> bool,
}

impl List {
    fn blocks(&self, addr: SocketAddr) -> bool {
        self.filter.blocks(addr.ip()) && !(self.spared)(addr)
    }
}

/// What a network is held to by its filter, beyond what its doors refuse to everyone.
#[derive(Clone)]
pub(crate) struct Held {
    list: List,
    pass: Option<Pass>,
}

impl Held {
    fn is_exempt(&self) -> bool {
        self.pass.as_ref().is_some_and(Pass::is_open)
    }

    /// Whether this address is not to be talked to.
    pub(crate) fn blocks(&self, ip: IpAddr) -> bool {
        self.list.filter.blocks(ip) && !self.is_exempt()
    }

    /// Whether there is somebody at this address who is not to be talked to.
    ///
    /// # Errors
    /// `PermissionDenied` where that is so.
    pub(crate) fn admit(&self, to: SocketAddr) -> io::Result<()> {
        if !self.is_exempt() && self.list.blocks(to) {
            return Err(forbidden());
        }
        Ok(())
    }

    /// The same of a datagram that a door has let through.
    fn refuses(&self, addr: SocketAddr) -> bool {
        self.list.filter.has_open_pass() && !self.is_exempt() && self.list.blocks(addr)
    }

    /// The same socket, but held to the filter.
    pub(crate) fn hold(&self, inner: Arc<dyn DatagramSocket>) -> Arc<dyn DatagramSocket> {
        let rule = Rule::Held(self.clone());
        Arc::new(FilterSocket { inner, rule })
    }
}

/// Who is refused.
#[derive(Clone)]
enum Rule {
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

struct FilterDialer {
    inner: Arc<dyn Dialer>,
    rule: Rule,
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

struct FilterBinder {
    inner: Arc<dyn Binder>,
    rule: Rule,
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

struct FilterListener {
    inner: Box<dyn Listener>,
    rule: Rule,
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

struct FilterSocket {
    inner: Arc<dyn DatagramSocket>,
    rule: Rule,
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
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::{Duration, sleep};

    use super::*;
    use crate::sim::{HostOptions, Sim};

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_on_the_list_is_neither_dialled_nor_let_in_nor_heard_until_it_changes() {
        let sim = Sim::new(4);
        let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
        let filter = Filter::new(IpFilter::parse(b"1.0.0.2-1.0.0.9").unwrap());
        let ours = host("1.0.0.1").filtered(&filter);
        let (bad, good) = (host("1.0.0.2"), host("1.0.0.10"));
        let mut door = ours.listen(addr("0.0.0.0:80")).unwrap();
        let _theirs = [&bad, &good].map(|theirs| theirs.listen(addr("0.0.0.0:80")).unwrap());
        let socket = ours.datagram(addr("0.0.0.0:9")).unwrap();
        let theirs = [&bad, &good].map(|theirs| theirs.datagram(addr("0.0.0.0:9")).unwrap());
        let mut buf = [0; 9];
        for open in [false, true] {
            if open {
                filter.set(IpFilter::default());
            }
            let dialled = ours.dial(addr("1.0.0.2:80")).await;
            assert_eq!(dialled.is_ok(), open);
            assert!(ours.dial(addr("1.0.0.10:80")).await.is_ok());
            let _knock = bad.dial(addr("1.0.0.1:80")).await;
            let _other = good.dial(addr("1.0.0.1:80")).await;
            let (_, first) = door.accept().await.unwrap();
            assert_eq!(first.ip() == addr("1.0.0.2:0").ip(), open);
            if open {
                door.accept().await.unwrap();
            }
            assert_eq!(socket.send_to(b"x", addr("1.0.0.2:9")).await.is_ok(), open);
            assert_eq!(
                socket
                    .try_send_segments(b"xx", 1, addr("1.0.0.2:9"))
                    .is_ok(),
                open
            );
            for sender in &theirs {
                sender.send_to(b"hello", addr("1.0.0.1:9")).await.unwrap();
            }
            sleep(Duration::from_secs(1)).await;
            let mut heard = Vec::new();
            while let Some(received) = socket.recv_from(&mut buf).now_or_never() {
                heard.push(received.unwrap().1);
            }
            let expected = [addr("1.0.0.2:9"), addr("1.0.0.10:9")];
            assert_eq!(heard, expected[usize::from(!open)..]);
            let mut batch = Batch::default();
            for sender in &theirs {
                sender.send_to(b"again", addr("1.0.0.1:9")).await.unwrap();
            }
            sleep(Duration::from_secs(1)).await;
            std::future::poll_fn(|cx| socket.poll_recv_batch(cx, &mut batch))
                .await
                .unwrap();
            let heard: Vec<SocketAddr> = batch.iter().map(|(_, from)| from).collect();
            assert_eq!(heard, expected[usize::from(!open)..]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_spared_is_talked_to_though_the_address_is_on_the_list() {
        let sim = Sim::new(5);
        let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
        let filter = Filter::new(IpFilter::parse(b"1.0.0.2-1.0.0.9").unwrap());
        let ours = host("1.0.0.1").filtered_but(&filter, |addr| addr.port() == 1024);
        let theirs = host("1.0.0.2");
        let _doors = [80, 1024].map(|port| theirs.listen(SocketAddr::new([0; 4].into(), port)));
        assert!(ours.dial(addr("1.0.0.2:80")).await.is_err());
        assert!(ours.dial(addr("1.0.0.2:1024")).await.is_ok());
        let socket = ours.datagram(addr("0.0.0.0:9")).unwrap();
        for port in [9, 1024] {
            let theirs = theirs
                .datagram(SocketAddr::new([0; 4].into(), port))
                .unwrap();
            theirs.send_to(b"hello", addr("1.0.0.1:9")).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        let (_, from) = socket.recv_from(&mut [0; 9]).await.unwrap();
        assert_eq!(from, addr("1.0.0.2:1024"));
        assert!(socket.recv_from(&mut [0; 9]).now_or_never().is_none());
        assert!(
            ours.blocks(addr("1.0.0.2:0").ip()),
            "hosts there are still blocked"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_is_its_owners_alone_and_ends_with_it() {
        let sim = Sim::new(7);
        let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
        let filter = Filter::new(IpFilter::parse(b"1.0.0.2").unwrap());
        let (none, no_pass) = host("1.0.0.9").with_pass();
        assert!(no_pass.is_none() && !none.blocks(addr("1.0.0.2:0").ip()));
        let ours = host("1.0.0.1").filtered(&filter);
        let theirs = host("1.0.0.2");
        let _door = theirs.listen(addr("0.0.0.0:80")).unwrap();
        let heard = theirs.datagram(addr("0.0.0.0:9")).unwrap();
        let bad = addr("1.0.0.2:80");
        let (exempt, pass) = ours.clone().with_pass();
        let pass = pass.unwrap();
        let socket = exempt.datagram(addr("0.0.0.0:9")).unwrap();
        let held = ours.datagram(addr("0.0.0.0:8")).unwrap();
        let mut knocks = ours.listen(addr("0.0.0.0:80")).unwrap();
        for open in [true, false, true] {
            pass.open(open);
            pass.open(open);
            assert_eq!(exempt.dial(bad).await.is_ok(), open);
            assert_eq!(exempt.dial_peer(bad).await.is_ok(), open);
            assert_eq!(exempt.blocks(bad.ip()), !open);
            assert!(ours.dial(bad).await.is_err() && ours.dial_utp_first(bad).await.is_err());
            assert!(ours.blocks(bad.ip()));
            let to = SocketAddr::new(bad.ip(), 9);
            assert_eq!(socket.send_to(b"x", to).await.is_ok(), open);
            assert!(held.send_to(b"x", to).await.is_err());
            for port in [8, 9] {
                let us = SocketAddr::new(addr("1.0.0.1:0").ip(), port);
                heard.send_to(b"y", us).await.unwrap();
            }
            let _knock = theirs.dial(addr("1.0.0.1:80")).await;
            sleep(Duration::from_secs(1)).await;
            assert_eq!(socket.recv_from(&mut [0; 9]).now_or_never().is_some(), open);
            assert!(held.recv_from(&mut [0; 9]).now_or_never().is_none());
            assert_eq!(knocks.accept().now_or_never().is_some(), open);
        }
        drop((exempt, pass, socket));
        assert!(!filter.has_open_pass());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_shunned_gets_nothing_and_is_not_heard() {
        let sim = Sim::new(6);
        let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
        let (ours, theirs) = (host("1.0.0.1"), host("1.0.0.2"));
        let at_1024 = |addr: SocketAddr| addr.port() == 1024;
        let one = shunning(ours.datagram(addr("0.0.0.0:8")).unwrap(), at_1024);
        let of_network = ours.with_shunned(at_1024).datagram(addr("0.0.0.0:9"));
        let sockets = [(8, one), (9, of_network.unwrap())];
        for (port, open) in [(1024, false), (1025, true)] {
            let at = SocketAddr::new(addr("1.0.0.2:0").ip(), port);
            let door = theirs.datagram(SocketAddr::new([0; 4].into(), port));
            let door = door.unwrap();
            for (own_port, socket) in &sockets {
                let own = SocketAddr::new(addr("1.0.0.1:0").ip(), *own_port);
                assert_eq!(socket.send_to(b"x", at).await.is_ok(), open);
                assert_eq!(socket.try_send_segments(b"xx", 1, at).is_ok(), open);
                door.send_to(b"hello", own).await.unwrap();
                sleep(Duration::from_secs(1)).await;
                let heard = socket.recv_from(&mut [0; 9]).now_or_never();
                assert_eq!(heard.is_some(), open);
                assert_eq!(door.recv_from(&mut [0; 9]).now_or_never().is_some(), open);
            }
        }
    }
}
