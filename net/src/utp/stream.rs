//! Streams, as their owners know them.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use protocol::utp::CloseReason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Handle;
use super::conn::{self, Conn};
use crate::{BoxStream, ByteStream};

/// One end of a stream. Dropping it ends the stream after what was written.
#[derive(Debug)]
pub(super) struct UtpStream {
    handle: Arc<Handle>,
    conn: Arc<Conn>,
    local: SocketAddr,
}

/// Bytes that a reader at most waits for: what is in the receive window must not exceed it.
const MOST_LOW_WATER: usize = 64 * 1024;

impl UtpStream {
    pub(super) fn new(handle: Arc<Handle>, conn: Arc<Conn>) -> Self {
        let local = crate::resolve::canonical(handle.shared.socket.local_addr());
        Self {
            handle,
            conn,
            local,
        }
    }

    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.conn.state.lock();
        if state.machine.is_connected() {
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = state.machine.closed() {
            return Poll::Ready(Err(conn::error(reason)));
        }
        state.opener = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Opens a stream to an address.
pub(super) async fn dial(handle: Arc<Handle>, to: SocketAddr) -> io::Result<BoxStream> {
    let conn = handle.shared.open(to)?;
    // From here on dropping the stream gives up the attempt too.
    let stream = UtpStream::new(handle, conn);
    let shared = &stream.handle.shared;
    shared.queue(&stream.conn, &mut stream.conn.state.lock());
    poll_fn(|cx| stream.poll_opened(cx)).await?;
    Ok(Box::new(stream))
}

impl Drop for UtpStream {
    fn drop(&mut self) {
        let mut state = self.conn.state.lock();
        state.machine.detach(Instant::now().into_std());
        self.handle.shared.queue(&self.conn, &mut state);
    }
}

impl ByteStream for UtpStream {
    fn peer_addr(&self) -> SocketAddr {
        self.conn.key.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn is_utp(&self) -> bool {
        true
    }

    fn reads_in_process(&self) -> bool {
        true
    }

    fn set_read_low_water(&self, bytes: usize) {
        let mut state = self.conn.state.lock();
        state.low_water = bytes.clamp(1, MOST_LOW_WATER);
        if state.is_readable(state.low_water)
            && let Some(reader) = state.reader.take()
        {
            reader.wake();
        }
    }
}

impl AsyncRead for UtpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.conn.state.lock();
        if state.machine.readable() > 0 {
            let now = Instant::now().into_std();
            let len = state.read(now, buf.initialize_unfilled());
            buf.advance(len);
            if state.machine.has_news() {
                self.handle.shared.queue(&self.conn, &mut state);
            }
            return Poll::Ready(Ok(()));
        }
        if buf.remaining() == 0 || state.machine.is_at_end() {
            return Poll::Ready(Ok(()));
        }
        match state.machine.closed() {
            Some(CloseReason::Finished) => Poll::Ready(Ok(())),
            Some(reason) => Poll::Ready(Err(conn::error(reason))),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for UtpStream {
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
        let mut state = self.conn.state.lock();
        let mut written = 0;
        for buf in bufs {
            let taken = state.machine.write(buf);
            written += taken;
            if taken < buf.len() {
                break;
            }
        }
        if written > 0 {
            self.handle.shared.queue(&self.conn, &mut state);
            return Poll::Ready(Ok(written));
        }
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if let Some(reason) = state.machine.closed() {
            return Poll::Ready(Err(conn::error(reason)));
        }
        if state.machine.is_closing() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.conn.state.lock();
        state.machine.close();
        self.handle.shared.queue(&self.conn, &mut state);
        Poll::Ready(Ok(()))
    }
}
