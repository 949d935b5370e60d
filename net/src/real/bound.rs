//! A network all of whose sockets are bound to one address or one interface.
//!
//! ```text
//!            Gate: is the place there, and is it still the same?
//!       ┌──────────┬──┴──────────┬───────────────┐
//!   BoundDialer  BoundListener  BoundSocket    streams
//!   refuses      opens anew     opens anew     are ended
//! ```
//!
//! The kernel keeps each socket on the interface. When the interface or the address is gone, nothing can be opened,
//! streams end, and datagrams wait; when it is back, listeners and sockets are opened again at the ports they had.
//! Names are looked up over the same sockets ([`crate::resolve::Dns`]).
//!
//! `docs/adr/0006-bound-to-one-place.md` has the reasons.

mod gate;
mod listener;
mod socket;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use self::gate::{Gate, Place};
use self::listener::BoundListener;
use self::socket::BoundSocket;
use super::{multicast, platform, tcp, udp};
use crate::port_map::Gateway;
use crate::resolve::{Dns, NameServers, canonical, ip_literal};
use crate::{Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Network, Pool};

/// What everything is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// An address of this host, and the interface that has it, unless that is the loopback one.
    Address(IpAddr),
    /// An interface, by its name: whatever addresses it has.
    Interface(String),
}

impl FromStr for Bind {
    type Err = Infallible;

    /// An IP address, or else the name of an interface.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match ip_literal(text) {
            Some(ip) => Self::Address(ip),
            None => Self::Interface(text.to_owned()),
        })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

impl Network {
    /// The operating system's network, but with every socket bound to one address or interface, those that ask the
    /// `servers` for names included. A task on `pool` looks twice a second whether it is still there.
    ///
    /// While it is gone, dialling and opening sockets fail with `NetworkDown`.
    ///
    /// # Errors
    ///
    /// `AddrNotAvailable` when this host has no such address or interface, or the interface has no address; what the system
    /// says when it does not let sockets be bound to an interface.
    pub fn bound(bind: &Bind, servers: NameServers, pool: &Pool) -> io::Result<Self> {
        let gate = Gate::open(bind.clone(), pool)?;
        let dialer: Arc<dyn Dialer> = Arc::new(BoundDialer(Arc::clone(&gate)));
        let binder: Arc<dyn Binder> = Arc::new(BoundBinder(Arc::clone(&gate)));
        let servers = servers.beyond_loopback(!gate.is_loopback());
        let names = Dns::new(Arc::clone(&dialer), Arc::clone(&binder), servers);
        Ok(Self::new(dialer, binder, Arc::new(names)))
    }
}

/// Dials TCP from the place.
#[derive(Debug)]
struct BoundDialer(Arc<Gate>);

impl Dialer for BoundDialer {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        let to = canonical(to);
        Box::pin(async move {
            let place = self.0.place()?;
            let source = place.source_for(to)?;
            let stream = tcp::dial_by(to, source, place.device.as_ref()).await?;
            self.0.admit(stream)
        })
    }
}

/// Opens sockets at the place.
#[derive(Debug)]
struct BoundBinder(Arc<Gate>);

impl Binder for BoundBinder {
    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        let place = self.0.place()?;
        let mut gateways = super::gateways()?;
        gateways.retain(|gateway| place.ips.contains(&gateway.own));
        Ok(gateways)
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(BoundListener::open(&self.0, canonical(at))?))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        let at = canonical(at);
        let socket = BoundSocket::open(&self.0, at.port(), move |place, port| {
            let at = place.stand(SocketAddr::new(at.ip(), port))?;
            udp::UdpSocket::bind(at, place.device.as_ref())
        })?;
        Ok(Arc::new(socket))
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        if !group.ip().is_multicast() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let fits = move |place: &Place| {
            let mut found = platform::interfaces(group.is_ipv4())?.into_iter();
            let interface =
                found.find(|found| place.has(found) && own.is_none_or(|own| own == found.ip));
            interface.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
        };
        if fits(&self.0.place()?).is_err() {
            return Ok(Vec::new());
        }
        let socket = BoundSocket::open(&self.0, group.port(), move |place, _| {
            multicast::open(group, &fits(place)?, place.device.as_ref())
        })?;
        Ok(vec![Arc::new(socket)])
    }
}

#[cfg(test)]
mod tests;
