//! A network that can be cut off: whatever was opened on it is of no use at once, and its ports are free.
//!
//! Who changes the way into the network, say from the plain one to a proxy, cuts off the old one before the new one is opened:
//! nothing goes the old way any more, whoever still holds a stream or a socket of it. What the system has been given already may
//! still leave.

mod socket;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use self::socket::CutSocket;
use self::stream::CutStream;
use crate::port_map::Gateway;
use crate::{
    Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Network, Resolver, Subnet,
};

/// Cuts off a network; clones cut off the same. Dropping it does nothing.
#[derive(Clone, Debug, Default)]
pub struct Cut(Arc<State>);

#[derive(Default)]
struct State {
    done: AtomicBool,
    next: AtomicU64,
    /// Who waits on a stream: for reading, or for writing.
    waiting: Mutex<BTreeMap<(u64, bool), Waker>>,
    doors: Mutex<Vec<Weak<Door>>>,
    sockets: Mutex<Vec<Weak<CutSocket>>>,
}

/// A listener, until it is closed.
type Door = Mutex<Option<Box<dyn Listener>>>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "done: {:?}", self.done)
    }
}

impl Cut {
    /// Cuts the network off: listeners and sockets are closed when this returns, streams end, and nothing is opened any more.
    pub fn cut(&self) {
        self.0.done.store(true, Ordering::SeqCst);
        for door in std::mem::take(&mut *self.0.doors.lock()) {
            if let Some(door) = door.upgrade() {
                drop(door.lock().take());
            }
        }
        for socket in std::mem::take(&mut *self.0.sockets.lock()) {
            if let Some(socket) = socket.upgrade() {
                socket.close();
            }
        }
        let waiting = std::mem::take(&mut *self.0.waiting.lock());
        waiting.into_values().for_each(Waker::wake);
    }

    /// Whether the network is cut off.
    pub fn is_cut(&self) -> bool {
        self.0.done.load(Ordering::Relaxed)
    }

    fn check(&self) -> io::Result<()> {
        if self.0.done.load(Ordering::SeqCst) {
            return Err(cut_off());
        }
        Ok(())
    }

    /// Wakes a task once the network is cut off, which must be looked for after this.
    fn wait(&self, who: (u64, bool), cx: &Context<'_>) {
        self.0.waiting.lock().insert(who, cx.waker().clone());
    }

    fn forget(&self, id: u64) {
        let mut waiting = self.0.waiting.lock();
        waiting.remove(&(id, false));
        waiting.remove(&(id, true));
    }

    /// Gives out a stream that ends with the network.
    fn admit(&self, stream: BoxStream) -> io::Result<BoxStream> {
        self.check()?;
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CutStream::new(stream, self.clone(), id)))
    }

    fn keep(&self, socket: Arc<dyn DatagramSocket>) -> io::Result<Arc<dyn DatagramSocket>> {
        let socket = Arc::new(CutSocket::new(socket));
        let mut sockets = self.0.sockets.lock();
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(&socket));
        drop(sockets);
        // It may have been cut off since the socket was opened.
        self.check().inspect_err(|_| socket.close())?;
        Ok(socket)
    }
}

fn cut_off() -> io::Error {
    let why = "this way into the network was closed";
    io::Error::new(io::ErrorKind::NetworkDown, why)
}

impl Network {
    /// The same network, and what cuts it off. To be called before anything is built on it.
    #[must_use]
    pub fn with_cut(self) -> (Self, Cut) {
        let cut = Cut::default();
        let dialer = CutDialer {
            inner: Arc::clone(self.dialer()),
            cut: cut.clone(),
        };
        let binder = CutBinder {
            inner: Arc::clone(self.binder()),
            cut: cut.clone(),
        };
        let resolver = CutResolver {
            inner: Arc::clone(self.resolver()),
            cut: cut.clone(),
        };
        let network = self
            .with_dialer(Arc::new(dialer))
            .with_binder(Arc::new(binder))
            .with_resolver(Arc::new(resolver));
        (network, cut)
    }
}

struct CutDialer {
    inner: Arc<dyn Dialer>,
    cut: Cut,
}

impl Dialer for CutDialer {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            self.cut.check()?;
            self.cut.admit(self.inner.dial(to).await?)
        })
    }

    fn takes_names(&self) -> bool {
        self.inner.takes_names()
    }

    fn dial_name<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            self.cut.check()?;
            self.cut.admit(self.inner.dial_name(host, port).await?)
        })
    }
}

struct CutResolver {
    inner: Arc<dyn Resolver>,
    cut: Cut,
}

impl Resolver for CutResolver {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            self.cut.check()?;
            let found = self.inner.lookup(host, port).await?;
            self.cut.check()?;
            Ok(found)
        })
    }

    fn texts<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<Vec<u8>>>> {
        Box::pin(async move {
            self.cut.check()?;
            let found = self.inner.texts(host).await?;
            self.cut.check()?;
            Ok(found)
        })
    }
}

struct CutBinder {
    inner: Arc<dyn Binder>,
    cut: Cut,
}

impl Binder for CutBinder {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.cut.check()?;
        let listener = self.inner.listen(at)?;
        let local = listener.local_addr();
        let door = Arc::new(Mutex::new(Some(listener)));
        let mut doors = self.cut.0.doors.lock();
        doors.retain(|door| door.strong_count() > 0);
        doors.push(Arc::downgrade(&door));
        drop(doors);
        self.cut.check()?;
        Ok(Box::new(CutListener {
            door,
            local,
            cut: self.cut.clone(),
        }))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        self.cut.check()?;
        self.cut.keep(self.inner.datagram(at)?)
    }

    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        self.cut.check()?;
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
        self.cut.check()?;
        let sockets = self.inner.multicast(group, own)?.into_iter();
        sockets.map(|socket| self.cut.keep(socket)).collect()
    }
}

struct CutListener {
    door: Arc<Door>,
    local: SocketAddr,
    cut: Cut,
}

impl Listener for CutListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        let mut door = self.door.lock();
        // Nobody comes to a door that is closed.
        let Some(listener) = door.as_mut() else {
            return Poll::Pending;
        };
        let accepted = std::task::ready!(listener.poll_accept(cx));
        drop(door);
        Poll::Ready(accepted.and_then(|(stream, from)| Ok((self.cut.admit(stream)?, from))))
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

#[cfg(test)]
mod tests;
