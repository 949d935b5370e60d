//! The task that receives an endpoint's datagrams.

use std::future::poll_fn;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actors::ExitGuard;
use net::datagram::Batch;
use tokio::task::yield_now;

use super::{Datagram, Route, Routes, Shared};
use crate::packet::Prefix;

/// Datagrams that are given out before what was put off is sent, and others get their turn: those who answer begin while
/// the rest is handled, and nobody waits for all of it.
const TURN: usize = 64;

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, exit: ExitGuard<()>) {
    let _exit = exit;
    let mut batch = Batch::default();
    let mut given = 0;
    loop {
        match poll_fn(|cx| shared.socket.poll_recv_batch(cx, &mut batch)).await {
            Ok(()) => given = take(&shared, &mut batch, given).await,
            Err(error) => {
                // About one remote host: the socket is still good.
                shared.recv_failed(&error);
                yield_now().await;
                given = 0;
            }
        }
    }
}

/// Gives out a batch; so many have been given out in this turn before, and so many have after it.
async fn take(shared: &Shared, batch: &mut Batch, mut given: usize) -> usize {
    let mut datagrams = batch.iter_mut().peekable();
    while datagrams.peek().is_some() {
        if given >= TURN {
            yield_now().await;
            given = 0;
        }
        let routes = shared.routes.load();
        let mut hooked = false;
        for (datagram, from) in datagrams.by_ref().take(TURN - given) {
            given += 1;
            hooked |= take_one(shared, &routes, datagram, from);
        }
        if hooked {
            let routes = routes.by_prefix.iter().map(|(_, route)| route);
            routes
                .filter_map(|route| route.hook.as_ref())
                .for_each(|hook| hook.flush());
        }
    }
    given
}

/// Gives a datagram to whom it is for; says whether a hook has seen it.
fn take_one(shared: &Shared, routes: &Routes, datagram: &mut [u8], from: SocketAddr) -> bool {
    shared.received.fetch_add(1, Ordering::Relaxed);
    let length = datagram.len() as u64;
    shared.received_bytes.fetch_add(length, Ordering::Relaxed);
    shared.measures.received(datagram);
    let SocketAddr::V4(from) = from else {
        shared.alien.fetch_add(1, Ordering::Relaxed);
        return false;
    };
    let Some(route) = routes.of(datagram) else {
        shared.alien.fetch_add(1, Ordering::Relaxed);
        return false;
    };
    give(shared, route, from, datagram);
    route.hook.is_some()
}

fn give(shared: &Shared, route: &Route, from: SocketAddrV4, datagram: &mut [u8]) {
    if let Some(hook) = &route.hook
        && hook.receive(from, datagram)
    {
        return;
    }
    let bytes = datagram.to_vec();
    if route.inbox.try_send(Datagram { from, bytes }).is_err() {
        shared.overrun.fetch_add(1, Ordering::Relaxed);
    }
}

impl Routes {
    fn of(&self, datagram: &[u8]) -> Option<&Route> {
        let prefix = Prefix::of(datagram)?;
        let mut routes = self.by_prefix.iter();
        let found = routes.find(|(own, _)| *own == prefix);
        found.map(|(_, route)| route).or(self.rest.as_ref())
    }
}
