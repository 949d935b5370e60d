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

/// Batches that are taken before others get their turn.
const TURN: usize = 16;

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, exit: ExitGuard<()>) {
    let _exit = exit;
    let mut batch = Batch::default();
    loop {
        for _ in 0..TURN {
            match poll_fn(|cx| shared.socket.poll_recv_batch(cx, &mut batch)).await {
                Ok(()) => take(&shared, &mut batch),
                Err(error) => {
                    // About one remote host: the socket is still good.
                    shared.recv_failed(&error);
                    break;
                }
            }
        }
        yield_now().await;
    }
}

fn take(shared: &Shared, batch: &mut Batch) {
    let routes = shared.routes.load();
    let mut hooked = false;
    for (datagram, from) in batch.iter_mut() {
        shared.received.fetch_add(1, Ordering::Relaxed);
        let SocketAddr::V4(from) = from else {
            shared.alien.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        match routes.of(datagram) {
            Some(route) => {
                hooked |= route.hook.is_some();
                give(shared, route, from, datagram);
            }
            None => {
                shared.alien.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    if hooked {
        let routes = routes.by_prefix.iter().map(|(_, route)| route);
        routes
            .filter_map(|route| route.hook.as_ref())
            .for_each(|hook| hook.flush());
    }
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
