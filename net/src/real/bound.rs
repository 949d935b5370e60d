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

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use self::gate::{Gate, Place};
use self::listener::BoundListener;
use self::socket::BoundSocket;
use super::platform::Fit;
use super::{SocketTuning, multicast, platform, tcp, udp};
use crate::port_map::Gateway;
use crate::resolve::{Dns, NameServers, canonical, ip_literal};
use crate::{
    Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Network, Pool, Subnet,
};

/// What everything is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// An address of this host, and the interface that has it, unless that is the loopback one.
    Address(IpAddr),
    /// An interface, by its name: whatever addresses it has.
    Interface(String),
}

/// What nothing can ever be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// An address that no host has: an unspecified one, a group's, or the broadcast one.
    #[error("no host has this address")]
    NoHost,
    /// Neither an address nor what an interface may be called.
    #[error("neither an IP address nor the name of a network interface")]
    NoName,
}

/// Bytes of the longest name of an interface, on Linux and the BSDs (`IFNAMSIZ` less the zero behind it).
const LONGEST_NAME: usize = 15;

impl FromStr for Bind {
    type Err = BindError;

    /// An IP address, or else the name of an interface, whether there is such a one now or not.
    fn from_str(text: &str) -> Result<Self, BindError> {
        if let Some(ip) = ip_literal(text) {
            let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            if ip.is_unspecified() || ip.is_multicast() || broadcast {
                return Err(BindError::NoHost);
            }
            return Ok(Self::Address(ip));
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/:[]".contains(c);
        // Digits and dots are a mistyped address.
        let number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let long = cfg!(unix) && text.len() > LONGEST_NAME;
        if number || long || text.contains(odd) {
            return Err(BindError::NoName);
        }
        Ok(Self::Interface(text.to_owned()))
    }
}

impl Bind {
    /// The interfaces that can be bound to now, with their addresses.
    pub fn choices() -> Vec<(String, Vec<IpAddr>)> {
        let mut choices: Vec<(String, Vec<IpAddr>)> = Vec::new();
        for v4 in [true, false] {
            for found in platform::interfaces(v4).unwrap_or_default() {
                match choices.iter_mut().find(|(name, _)| *name == found.name) {
                    Some((_, ips)) => ips.push(found.ip),
                    None => choices.push((found.name, vec![found.ip])),
                }
            }
        }
        choices
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
        Self::bound_with(bind, servers, SocketTuning::default(), pool)
    }

    /// As [`Self::bound`], with what sockets are given.
    ///
    /// # Errors
    ///
    /// As [`Self::bound`].
    pub fn bound_with(
        bind: &Bind,
        servers: NameServers,
        tuning: SocketTuning,
        pool: &Pool,
    ) -> io::Result<Self> {
        let gate = Gate::open_with(bind.clone(), tuning, pool)?;
        let dialer: Arc<dyn Dialer> = Arc::new(BoundDialer(Arc::clone(&gate)));
        let binder: Arc<dyn Binder> = Arc::new(BoundBinder(Arc::clone(&gate)));
        let device = gate.place()?.device;
        let servers = servers
            .beyond_loopback(!gate.is_loopback())
            .by_interface(device.map(|device| (device.name, device.index)));
        let names = Dns::new(Arc::clone(&dialer), Arc::clone(&binder), servers);
        Ok(Self::new(dialer, binder, Arc::new(names)).with_outlet(gate))
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
            let stream = tcp::dial_by(to, source, self.0.fit(&place)).await?;
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

    /// Those of all interfaces, the others too: what is sent to them by the one that all is bound to may get there.
    fn networks(&self) -> io::Result<Vec<Subnet>> {
        platform::networks()
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(BoundListener::open(&self.0, canonical(at))?))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        let at = canonical(at);
        let tuning = self.0.tuning();
        let socket = BoundSocket::open(&self.0, at.port(), move |place, port| {
            let at = place.stand(SocketAddr::new(at.ip(), port))?;
            let device = place.device.as_ref();
            udp::UdpSocket::bind(at, Fit { device, tuning })
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
