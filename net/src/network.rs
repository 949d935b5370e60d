//! The bundle of doors that a part of the program is given.

mod reaching;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

pub use self::reaching::{FALLBACK_DELAY, Located};
use crate::filter::Held;
use crate::nowhere::Nowhere;
use crate::outlet::{Outage, Outlet};
use crate::port_map::Gateway;
use crate::real::{RealDialer, RealOptions, SourceBinder};
use crate::resolve::{Cached, Dns, NameServers, SystemResolver};
use crate::utp::{UtpDialer, UtpFigures};
use crate::{DatagramSocket, Dialer, Listener, Resolver, Subnet};

/// How often it is looked whether there are circuits.
const LOOK: Duration = Duration::from_millis(100);

/// Opens local ends: listeners and datagram sockets.
pub trait Binder: Send + Sync {
    /// Listens for streams at `at`; port 0 takes any free port.
    ///
    /// Listening at `[::]` takes IPv4 too where the system can, and at `0.0.0.0` takes only IPv4. Must be called
    /// inside the runtime on which the listener will be polled.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when the port is taken; else what the system says.
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>>;

    /// Binds a datagram socket at `at`; the same rules as for [`Self::listen`].
    ///
    /// # Errors
    ///
    /// As [`Self::listen`].
    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>>;

    /// The gateways to other networks, those that are used first before others; none where there is nobody to ask for ports.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        Ok(Vec::new())
    }

    /// The networks that this host is in: each of its addresses by itself, and what lies in the same network, as far as the system
    /// says so. A way into the network that begins elsewhere has none of its own.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn networks(&self) -> io::Result<Vec<Subnet>> {
        Ok(Vec::new())
    }

    /// Opens a socket for each local network that hears what is sent to a multicast group there, one's own datagrams
    /// included, and sends to it no further than that network. Several programs of a host may do so. With an address of
    /// this host, only the network of that address.
    ///
    /// A way into the network that has no local network gives none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `group` is no multicast address; else what the system says.
    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>>;
}

/// Ways to dial peers by uTP.
#[derive(Clone)]
struct Utp {
    alone: Arc<dyn Dialer>,
    first: Arc<dyn Dialer>,
}

/// One way into the network: how to dial, listen, send datagrams and look up names.
///
/// Cheap to clone. Made by [`Network::real`], by a host of the simulation, or from parts.
#[derive(Clone)]
pub struct Network {
    dialer: Arc<dyn Dialer>,
    peers: Arc<dyn Dialer>,
    utp: Option<Utp>,
    /// Dials by uTP, and knows what all streams of it do; there where nobody can come in by it, too.
    utp_socket: Option<UtpDialer>,
    binder: Arc<dyn Binder>,
    resolver: Arc<dyn Resolver>,
    filter: Option<Held>,
    outlet: Option<Arc<dyn Outlet>>,
    /// Where its port for peers is open.
    listening: Arc<[IpAddr]>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// The operating system's network.
    pub fn real(options: RealOptions) -> Self {
        let dialer: Arc<dyn Dialer> = Arc::new(RealDialer::new(options));
        let binder: Arc<dyn Binder> = Arc::new(SourceBinder::new(options));
        let servers = NameServers::of_system();
        let texts = Dns::new(Arc::clone(&dialer), Arc::clone(&binder), servers);
        Self::new(dialer, binder, Arc::new(SystemResolver::with_texts(texts)))
    }

    /// A network from its parts.
    pub fn new(
        dialer: Arc<dyn Dialer>,
        binder: Arc<dyn Binder>,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        Self {
            peers: Arc::clone(&dialer),
            utp: None,
            utp_socket: None,
            filter: None,
            outlet: None,
            listening: Arc::new([]),
            dialer,
            binder,
            resolver,
        }
    }

    /// The same network, with a port for peers that is open at these addresses.
    #[must_use]
    pub(crate) fn listening_at(mut self, ips: Vec<IpAddr>) -> Self {
        self.listening = ips.into();
        self
    }

    /// The addresses at which its [port for peers](crate::ports::open) is open.
    pub fn listening(&self) -> &[IpAddr] {
        &self.listening
    }

    /// No network: whatever is tried fails at once, because the network is down.
    pub fn none() -> Self {
        Self::new(Arc::new(Nowhere), Arc::new(Nowhere), Arc::new(Nowhere))
    }

    /// The same network with another way to dial, peers included.
    #[must_use]
    pub fn with_dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.peers = Arc::clone(&dialer);
        self.dialer = dialer;
        self
    }

    /// The same network with another way to dial peers: they may be reached by other transports than servers.
    #[must_use]
    pub fn with_peer_dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.peers = dialer;
        self
    }

    /// The same network with a way to dial peers by uTP `alone`, and one that tries it `first`.
    #[must_use]
    pub fn with_utp(mut self, alone: Arc<dyn Dialer>, first: Arc<dyn Dialer>) -> Self {
        self.utp = Some(Utp { alone, first });
        self
    }

    /// The same network, with the socket that [its figures](Self::utp_figures) are of.
    #[must_use]
    pub fn with_utp_socket(mut self, socket: UtpDialer) -> Self {
        self.utp_socket = Some(socket);
        self
    }

    /// What all streams of uTP have done and met, where there is uTP.
    pub fn utp_figures(&self) -> Option<UtpFigures> {
        self.utp_socket.as_ref().map(UtpDialer::figures)
    }

    /// The same network with another way to open local ends.
    #[must_use]
    pub fn with_binder(mut self, binder: Arc<dyn Binder>) -> Self {
        self.binder = binder;
        self
    }

    /// The same network with another way to find addresses.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The same network, held to a filter.
    pub(crate) fn with_filter(mut self, filter: Held) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Whether this network does not talk to an address.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        self.filter.as_ref().is_some_and(|held| held.blocks(ip))
    }

    /// What this network is held to, where it has a filter.
    pub(crate) const fn held(&self) -> Option<&Held> {
        self.filter.as_ref()
    }

    fn admit(&self, to: SocketAddr) -> io::Result<()> {
        self.filter.as_ref().map_or(Ok(()), |held| held.admit(to))
    }

    /// Whether there is a list of addresses that this network does not talk to, if perhaps an empty one.
    pub const fn is_filtered(&self) -> bool {
        self.filter.is_some()
    }

    /// The same network, with what knows whether its only way out is there.
    #[must_use]
    pub fn with_outlet(mut self, outlet: Arc<dyn Outlet>) -> Self {
        self.outlet = Some(outlet);
        self
    }

    /// Why nothing leaves now, where there is only one way out: a proxy, or what all is bound to. None while there is a way
    /// out, as far as is known.
    pub fn outage(&self) -> Option<Outage> {
        self.outlet.as_ref()?.outage()
    }

    /// Whether there is no way out but circuits and none of them is ready. Nothing that is sent now gets anywhere, and whoever has
    /// time waits: that there is one is seen without trying.
    pub fn lacks_circuits(&self) -> bool {
        self.is_of_circuits() && self.outage().is_some()
    }

    fn is_of_circuits(&self) -> bool {
        let outlet = self.outlet.as_ref();
        outlet.is_some_and(|outlet| outlet.is_of_circuits())
    }

    /// Whether all goes through a proxy.
    pub fn is_proxied(&self) -> bool {
        self.outlet.as_ref().is_some_and(|outlet| outlet.is_proxy())
    }

    /// Waits until the network [lacks circuits](Self::lacks_circuits), or lacks them no more; for ever where it never does.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn circuits_come_to(&self, lacking: bool) {
        if lacking && !self.is_of_circuits() {
            return std::future::pending().await;
        }
        while self.lacks_circuits() != lacking {
            sleep(LOOK).await;
        }
    }

    /// Whether there is only one way out, so that there may be an [outage](Self::outage).
    pub const fn has_one_way_out(&self) -> bool {
        self.outlet.is_some()
    }

    /// Finds out whether there is a way out, where there is only one: a proxy is connected to. What comes of it,
    /// [`Self::outage`] tells.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the attempt.
    pub async fn look_for_outage(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.look().await;
        }
    }

    /// Whether the only way out carries datagrams, or why not; none while it has not said.
    pub fn datagrams_pass(&self) -> Option<Result<(), Arc<str>>> {
        self.outlet.as_ref()?.datagrams()
    }

    /// The same network, remembering for a minute where hosts are.
    #[must_use]
    pub fn with_cached_names(self) -> Self {
        self.with_cached_names_for(|| Cached::LIFE)
    }

    /// The same network, remembering where hosts are for as long as is said when it is asked.
    #[must_use]
    pub fn with_cached_names_for(
        self,
        life: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        let resolver = Arc::new(Cached::new(Arc::clone(&self.resolver), life));
        self.with_resolver(resolver)
    }

    /// The dialer itself.
    pub fn dialer(&self) -> &Arc<dyn Dialer> {
        &self.dialer
    }

    /// The resolver itself.
    pub(crate) fn resolver(&self) -> &Arc<dyn Resolver> {
        &self.resolver
    }

    /// The binder itself.
    pub fn binder(&self) -> &Arc<dyn Binder> {
        &self.binder
    }

    /// Listens at `at`; see [`Binder::listen`].
    ///
    /// # Errors
    ///
    /// As [`Binder::listen`].
    pub fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.binder.listen(at)
    }

    /// Listens at `at`, or, when its port is taken, at the next free one of the `more` ports after it.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when all of them are taken; any other failure at once.
    pub fn listen_near(&self, at: SocketAddr, more: u16) -> io::Result<Box<dyn Listener>> {
        near(at, more, |at| self.listen(at))
    }

    /// Binds a datagram socket at `at`; see [`Binder::datagram`].
    ///
    /// # Errors
    ///
    /// As [`Binder::datagram`].
    pub fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        let socket = self.binder.datagram(at)?;
        Ok(match &self.filter {
            Some(held) => held.hold(socket),
            None => socket,
        })
    }

    /// Binds a datagram socket at `at`, or, when its port is taken, at the next free one of the `more` ports after it.
    ///
    /// # Errors
    ///
    /// As [`Self::listen_near`].
    pub fn datagram_near(&self, at: SocketAddr, more: u16) -> io::Result<Arc<dyn DatagramSocket>> {
        near(at, more, |at| self.datagram(at))
    }

    /// The networks that this host is in; see [`Binder::networks`].
    ///
    /// # Errors
    ///
    /// As [`Binder::networks`].
    pub fn networks(&self) -> io::Result<Vec<Subnet>> {
        self.binder.networks()
    }

    /// Joins a multicast group; see [`Binder::multicast`].
    ///
    /// # Errors
    ///
    /// As [`Binder::multicast`].
    pub fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        self.binder.multicast(group, own)
    }
}

/// Tries `open` at the port of `at` and then at up to `more` ports after it while they are taken.
pub(crate) fn near<T>(
    at: SocketAddr,
    more: u16,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let first = at.port();
    let last = if first == 0 {
        0
    } else {
        first.saturating_add(more)
    };
    let mut outcome = open(at);
    for port in first.saturating_add(1)..=last {
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                outcome = open(SocketAddr::new(at.ip(), port));
            }
            _ => break,
        }
    }
    outcome
}

#[cfg(test)]
mod tests;
