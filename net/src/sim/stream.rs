//! Streams of simulated hosts, as their owners know them.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Shared;
use super::conn::{ConnId, Side};
use super::world::HostId;
use crate::{BoxStream, ByteStream};

/// One end of a stream. Dropping it closes that end: in order, or with a reset when bytes remain unread.
pub(super) struct SimStream {
    shared: Arc<Shared>,
    id: ConnId,
    side: Side,
    local: SocketAddr,
    peer: SocketAddr,
}

impl SimStream {
    pub(super) fn new(
        shared: &Arc<Shared>,
        id: ConnId,
        side: Side,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            id,
            side,
            local,
            peer,
        }
    }
}

/// Connects a host to an address.
pub(super) async fn dial(
    shared: Arc<Shared>,
    host: HostId,
    to: SocketAddr,
) -> io::Result<BoxStream> {
    let (id, local) = shared.with(|world, now| world.dial(host, to, now))?;
    // From here on dropping the stream gives up the attempt too.
    let stream = SimStream::new(&shared, id, Side::Dialer, local, to);
    poll_fn(|cx| shared.with(|world, _| world.poll_dialled(id, cx))).await?;
    Ok(Box::new(stream))
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.shared
            .with(|world, now| world.let_go(self.id, self.side, now));
    }
}

impl ByteStream for SimStream {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.shared
            .with(|world, now| world.poll_read(self.id, self.side, cx, buf, now))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared
            .with(|world, now| world.poll_write(self.id, self.side, cx, bufs, now))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared
            .with(|world, now| world.shut_down(self.id, self.side, now));
        Poll::Ready(Ok(()))
    }
}
