//! Networks that have no other way out than circuits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use net::resolve::LiteralsOnly;
use net::{
    Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Network, Outage, Outlet,
};

use overlay::wire::Address;

use super::http::Requester;
use super::lanes::{Kept, Lane, Lanes};
use crate::{Protection, Tunnels};

/// See [`Anonymity::network`](super::Anonymity::network).
pub(super) fn network(lanes: &Arc<Lanes>, requester: Requester, hops: u8) -> Network {
    let held = Some(lanes.lane(hops, Kept::Used));
    open(lanes, requester, (hops, held))
}

/// See [`Anonymity::network_of_programs`](super::Anonymity::network_of_programs).
pub(super) fn network_of_programs(lanes: &Arc<Lanes>, requester: Requester, hops: u8) -> Network {
    open(lanes, requester, (hops, None))
}

fn open(
    lanes: &Arc<Lanes>,
    requester: Requester,
    (hops, held): (u8, Option<Arc<Lane>>),
) -> Network {
    let route = Arc::new(Route {
        requester,
        hops,
        held,
        lanes: Arc::clone(lanes),
    });
    let dialer = Arc::clone(&route);
    let binder = Arc::clone(&route);
    Network::new(dialer, binder, Arc::new(LiteralsOnly)).with_outlet(route)
}

/// Circuits of one number of hops as the only way out.
struct Route {
    requester: Requester,
    hops: u8,
    /// What keeps circuits ready as long as the route is there. Without, the route is one of programs: its sockets and streams keep
    /// them, sockets hear nobody to whom they have not written, and streams tell by HTTP what is wrong.
    held: Option<Arc<Lane>>,
    lanes: Arc<Lanes>,
}

impl Binder for Route {
    fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Err(unsupported("nobody is listened to through circuits"))
    }

    fn datagram(&self, _: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        let nodes = self.lanes.nodes();
        let listens = self.held.is_some();
        Ok(Tunnels::span(nodes, self.hops, Some(self.lane()), listens))
    }

    fn multicast(
        &self,
        _: SocketAddr,
        _: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        Ok(Vec::new())
    }
}

impl Dialer for Route {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        self.open(to.into())
    }

    fn takes_names(&self) -> bool {
        true
    }

    fn dial_name<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        self.open(Address::Host(host.to_owned(), port))
    }
}

impl Route {
    fn lane(&self) -> Arc<Lane> {
        let held = self.held.as_ref().map(Arc::clone);
        held.unwrap_or_else(|| self.lanes.lane(self.hops, Kept::Lingering))
    }

    fn open(&self, to: Address) -> BoxFuture<'_, io::Result<BoxStream>> {
        let tells = self.held.is_none();
        let stream = self.requester.open(self.lane(), to, tells);
        let stream = stream.map(|stream| Box::new(stream) as BoxStream);
        Box::pin(std::future::ready(stream))
    }
}

impl Outlet for Route {
    fn outage(&self) -> Option<Outage> {
        let hops = self.hops;
        match self.lanes.status(hops).protection {
            Protection::Blocked(why) => Some(Outage::Circuits {
                hops,
                why: why.to_string().into(),
            }),
            Protection::Degraded(_) | Protection::Protected => None,
        }
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        self.lanes.tend();
        Box::pin(std::future::ready(()))
    }

    fn datagrams(&self) -> Option<Result<(), Arc<str>>> {
        Some(Ok(()))
    }

    fn is_of_circuits(&self) -> bool {
        true
    }
}

fn unsupported(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}
