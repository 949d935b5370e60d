//! Streams of a network that can be cut off.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Cut, cut_off};
use crate::{BoxStream, ByteStream};

/// A stream that ends when its network is cut off. A task that has waited on it once is woken then, without anything being
/// locked each time that it waits.
pub(super) struct CutStream {
    stream: BoxStream,
    cut: Cut,
    id: u64,
    /// Who is known to wait: for reading, and for writing.
    known: [Option<Waker>; 2],
}

impl CutStream {
    pub(super) const fn new(stream: BoxStream, cut: Cut, id: u64) -> Self {
        Self {
            stream,
            cut,
            id,
            known: [None, None],
        }
    }

    /// Does something with the stream, unless the network is cut off.
    fn unless_cut<T>(
        &mut self,
        cx: &mut Context<'_>,
        writes: bool,
        act: impl FnOnce(Pin<&mut BoxStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.cut.is_cut() {
            return Poll::Ready(Err(cut_off()));
        }
        let outcome = act(Pin::new(&mut self.stream), cx);
        let known = &mut self.known[usize::from(writes)];
        if outcome.is_pending()
            && !known
                .as_ref()
                .is_some_and(|known| known.will_wake(cx.waker()))
        {
            self.cut.wait((self.id, writes), cx);
            *known = Some(cx.waker().clone());
            if self.cut.check().is_err() {
                return Poll::Ready(Err(cut_off()));
            }
        }
        outcome
    }
}

impl AsyncRead for CutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_cut(cx, false, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut(cx, true, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut(cx, true, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, true, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, true, AsyncWrite::poll_shutdown)
    }
}

impl ByteStream for CutStream {
    fn peer_addr(&self) -> SocketAddr {
        self.stream.peer_addr()
    }

    fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    fn is_utp(&self) -> bool {
        self.stream.is_utp()
    }

    fn reads_in_process(&self) -> bool {
        self.stream.reads_in_process()
    }

    fn set_read_low_water(&self, bytes: usize) {
        self.stream.set_read_low_water(bytes);
    }

    fn keep_alive(&self) {
        self.stream.keep_alive();
    }
}

impl Drop for CutStream {
    fn drop(&mut self) {
        if self.known.iter().any(Option::is_some) {
            self.cut.forget(self.id);
        }
    }
}
