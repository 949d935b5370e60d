//! Listeners of simulated hosts.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Shared;
use super::conn::{ConnId, Side};
use super::stream::SimStream;
use super::world::HostId;
use crate::{BoxStream, Listener};

/// Streams that may wait to be accepted; a dialler beyond that is not answered, and tries again.
pub(super) const BACKLOG: usize = 1024;

/// A listener, as the world knows it.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub(super) waiting: VecDeque<ConnId>,
    pub(super) waker: Option<Waker>,
}

/// A listener, as its owner knows it.
struct Handle {
    shared: Arc<Shared>,
    host: HostId,
    at: SocketAddr,
}

/// Listens for streams.
pub(super) fn listen(
    shared: &Arc<Shared>,
    host: HostId,
    at: SocketAddr,
) -> io::Result<Box<dyn Listener>> {
    let at = shared.with(|world, _| {
        world.check_own(host, at)?;
        world.host(host).listeners.bind(at, Backlog::default())
    })?;
    Ok(Box::new(Handle {
        shared: Arc::clone(shared),
        host,
        at,
    }))
}

impl Listener for Handle {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        let accepted = self.shared.with(|world, _| {
            loop {
                let Some(backlog) = world.host(self.host).listeners.get(self.at) else {
                    return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
                };
                let Some(id) = backlog.waiting.pop_front() else {
                    backlog.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                };
                // One that was reset while it waited is not worth telling.
                if let Some(addrs) = world.take_up(id) {
                    return Poll::Ready(Ok((id, addrs)));
                }
            }
        });
        accepted.map_ok(|(id, (local, peer))| {
            let stream = SimStream::new(&self.shared, id, Side::Acceptor, local, peer);
            (Box::new(stream) as BoxStream, peer)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.with(|world, now| {
            let backlog = world.host(self.host).listeners.remove(self.at);
            for id in backlog.into_iter().flat_map(|backlog| backlog.waiting) {
                world.abort(id, Side::Acceptor, now);
            }
        });
    }
}
