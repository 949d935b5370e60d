//! A network that does not talk to some addresses, whoever names them and whoever knocks.

mod doors;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
pub use protocol::ip_filter::{BadLines, FilterError, IpFilter};

use self::doors::{FilterBinder, FilterDialer, FilterSocket, Rule};
use crate::{DatagramSocket, Network};

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

#[cfg(test)]
mod tests;
