//! Byte streams and the two doors they come through.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::BoxFuture;

/// A connected, ordered, reliable stream of bytes: TCP, and whatever is dressed up as it.
///
/// Implementations forward vectored writes and say so, and a read fills as much of the caller's buffer as one system
/// call gives: throughput is decided by the buffer that the caller brings.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The address of the other end, canonical (never IPv4 mapped into IPv6).
    fn peer_addr(&self) -> SocketAddr;

    /// The address of this end, canonical.
    fn local_addr(&self) -> SocketAddr;

    /// Whether it is carried by datagrams that others can be answered at from the same port (uTP): whoever is at the other
    /// end is reached by datagrams at [`Self::peer_addr`].
    fn is_utp(&self) -> bool {
        false
    }

    /// Whether writing reads the caller's bytes in this process, to copy or to encrypt them, and not in the kernel: a page of
    /// a map that cannot be read is then no error of the write.
    fn reads_in_process(&self) -> bool {
        false
    }

    /// Asks to be woken for reading only when `bytes` or more have come; 1 is how every stream begins.
    ///
    /// A reader at full speed that is woken for each segment spends most of its time on being woken. What came already
    /// counts at once, so a reader that lowers the mark is woken for what it would have missed. It must have a timer of
    /// its own, because fewer bytes may be all that ever comes. Streams that cannot wait take no notice.
    fn set_read_low_water(&self, bytes: usize) {
        let _ = bytes;
    }

    /// Has the other end asked for a sign of life whenever nothing was heard of it for 30 s, so that one that vanishes
    /// without a word ends the stream within a minute. Streams that cannot ask take no notice.
    fn keep_alive(&self) {}
}

/// Any byte stream.
pub type BoxStream = Box<dyn ByteStream>;

impl fmt::Debug for dyn ByteStream + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ByteStream({} -> {})",
            self.local_addr(),
            self.peer_addr()
        )
    }
}

/// Opens streams to others.
pub trait Dialer: Send + Sync {
    /// Connects to `to`.
    ///
    /// There is no deadline in here but the operating system's own, which is minutes: the caller sets one with
    /// [`tokio::time::timeout`]. The stream belongs to the runtime on which the future was polled.
    ///
    /// # Errors
    ///
    /// What the operating system, the proxy or the simulation says; `AddrNotAvailable` when the address family is one
    /// that this dialer must not use.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the attempt and closes its socket.
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>>;

    /// Whether hosts are dialled by name, because their addresses are found at the far end of this way.
    fn takes_names(&self) -> bool {
        false
    }

    /// Connects to a host by its name, where [that is how](Self::takes_names); the address of such a stream's other end
    /// is unspecified, with the port that was asked for.
    ///
    /// # Errors
    ///
    /// `Unsupported` where names are looked up first; else as [`Self::dial`].
    ///
    /// # Cancel safety
    ///
    /// As of [`Self::dial`].
    fn dial_name<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        let _ = (host, port);
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
}

/// Takes streams that others open.
pub trait Listener: Send {
    /// Takes the next incoming stream.
    ///
    /// A connection that died in the queue is skipped and not reported. Only the task that polled last is woken.
    ///
    /// # Errors
    ///
    /// What remains is about this host, mostly a lack of file descriptors or memory: the listener is still good, and
    /// the caller should wait a moment before it polls again.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>>;

    /// The address that is listened on, with the port that was really given.
    fn local_addr(&self) -> SocketAddr;
}

impl fmt::Debug for dyn Listener + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.local_addr())
    }
}

impl dyn Listener + '_ {
    /// Takes the next incoming stream: [`Listener::poll_accept`] as a future.
    ///
    /// # Errors
    ///
    /// As [`Listener::poll_accept`].
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when the future is dropped.
    pub async fn accept(&mut self) -> io::Result<(BoxStream, SocketAddr)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}

/// Lets a type read and write by its field `stream`.
macro_rules! carried {
    ($type:ty) => {
        impl tokio::io::AsyncRead for $type {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.stream), cx, buf)
            }
        }

        impl tokio::io::AsyncWrite for $type {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                tokio::io::AsyncWrite::poll_write(std::pin::Pin::new(&mut self.stream), cx, buf)
            }

            fn poll_write_vectored(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                tokio::io::AsyncWrite::poll_write_vectored(
                    std::pin::Pin::new(&mut self.stream),
                    cx,
                    bufs,
                )
            }

            fn is_write_vectored(&self) -> bool {
                tokio::io::AsyncWrite::is_write_vectored(&self.stream)
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                tokio::io::AsyncWrite::poll_flush(std::pin::Pin::new(&mut self.stream), cx)
            }

            fn poll_shutdown(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(&mut self.stream), cx)
            }
        }
    };
}

pub(crate) use carried;
