//! TCP streams and listeners.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};

use super::platform::{self, Fit};
use crate::resolve::canonical;
use crate::stream::carried;
use crate::{BoxStream, ByteStream, Listener};

/// Connections that may wait to be accepted; the system's own limit (`somaxconn`) holds as well.
const BACKLOG: i32 = 1024;

/// How long nothing is heard before the other end of a stream that is kept alive is asked for a sign of life.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(30);

/// How long one question waits for its answer.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// How many questions in a row go without an answer before the stream is over.
#[cfg(unix)]
const KEEP_ALIVE_TRIES: u32 = 3;

/// Connects to `to`, from `source` if there is one.
pub(super) async fn dial(
    to: SocketAddr,
    source: Option<IpAddr>,
    fit: Fit<'_>,
) -> io::Result<BoxStream> {
    Ok(Box::new(dial_by(to, source, fit).await?))
}

/// Connects to `to`, from `source`, if there is one, by a socket that is given what is due.
pub(super) async fn dial_by(
    to: SocketAddr,
    source: Option<IpAddr>,
    fit: Fit<'_>,
) -> io::Result<Tcp> {
    let socket = if let Some(ip) = source {
        let from = SocketAddr::new(ip, 0);
        platform::bound(from, fit, Type::STREAM, Protocol::TCP)?
    } else {
        let socket = platform::open(to, Type::STREAM, Protocol::TCP)?;
        fit.give(&socket, to)?;
        socket
    };
    let stream = TcpSocket::from_std_stream(socket.into())
        .connect(to)
        .await?;
    Tcp::new(stream, to)
}

/// A TCP stream that remembers its addresses.
pub(super) struct Tcp {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

impl Tcp {
    /// A second handle to the connection, by which it can be ended from elsewhere.
    pub(super) fn handle(&self) -> io::Result<Socket> {
        SockRef::from(&self.stream).try_clone()
    }

    fn new(stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        // Requests are small and waiting for more of them only costs: writers gather frames themselves.
        stream.set_nodelay(true)?;
        let local = canonical(stream.local_addr()?);
        Ok(Self {
            stream,
            peer: canonical(peer),
            local,
        })
    }
}

impl ByteStream for Tcp {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn set_read_low_water(&self, bytes: usize) {
        platform::set_read_low_water(&self.stream, bytes);
    }

    fn keep_alive(&self) {
        let often = TcpKeepalive::new()
            .with_time(KEEP_ALIVE_AFTER)
            .with_interval(KEEP_ALIVE_EVERY);
        #[cfg(unix)]
        let often = often.with_retries(KEEP_ALIVE_TRIES);
        // Without it, the stream is as it was.
        let _ = SockRef::from(&self.stream).set_tcp_keepalive(&often);
    }
}

carried!(Tcp);

/// A TCP listener.
pub(super) struct TcpListener {
    listener: tokio::net::TcpListener,
    local: SocketAddr,
}

impl TcpListener {
    /// Listens at `at`; at `[::]` on a host without IPv6, at `0.0.0.0` instead.
    pub(super) fn bind(at: SocketAddr, fit: Fit<'_>) -> io::Result<Self> {
        let opened = platform::listening(at, fit, BACKLOG);
        let socket = match opened {
            Err(error) if at.ip() == UNSPECIFIED_V6 && platform::is_family_missing(&error) => {
                let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, at.port()));
                platform::listening(at, fit, BACKLOG)?
            }
            other => other?,
        };
        let listener = tokio::net::TcpListener::from_std(socket.into())?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }
}

/// Every IPv6 address of this host, and with it every IPv4 one.
pub(super) const UNSPECIFIED_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

impl TcpListener {
    /// Takes the next connection, as [`Listener::poll_accept`] does.
    pub(super) fn poll_tcp(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Tcp>> {
        loop {
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, peer)) => {
                    // Options can fail to be set on a connection that was reset while it waited.
                    if let Ok(stream) = Tcp::new(stream, peer) {
                        return Poll::Ready(Ok(stream));
                    }
                }
                Err(error) if platform::is_lost_connection(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Listener for TcpListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        let stream = ready!(self.poll_tcp(cx))?;
        let peer = stream.peer;
        Poll::Ready(Ok((Box::new(stream), peer)))
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_that_is_kept_alive_asks_for_signs_of_life() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any, Fit::default()).unwrap();
        let stream = dial_by(listener.local, None, Fit::default()).await.unwrap();
        let socket = SockRef::from(&stream.stream);
        assert!(!socket.keepalive().unwrap());
        stream.keep_alive();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEP_ALIVE_EVERY);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEP_ALIVE_TRIES);
    }

    #[tokio::test]
    async fn streams_and_those_that_are_accepted_are_marked_and_have_buffers_as_is_said() {
        let tuning = crate::SocketTuning {
            dscp: 8,
            receive_buffer: Some(20_000),
            send_buffer: Some(30_000),
        };
        let fit = Fit {
            device: None,
            tuning,
        };
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(mut listener) = TcpListener::bind(at.parse().unwrap(), fit) else {
                // There may be no IPv6.
                assert!(at.starts_with('['), "{at}");
                continue;
            };
            let dialled = dial_by(listener.local, None, fit).await.unwrap();
            let accepted = std::future::poll_fn(|cx| listener.poll_tcp(cx));
            let accepted = accepted.await.unwrap();
            for stream in [&dialled, &accepted] {
                let socket = SockRef::from(&stream.stream);
                let class = if at.starts_with('[') {
                    socket.tclass_v6()
                } else {
                    socket.tos_v4()
                };
                assert_eq!(class.unwrap(), 8 << 2, "{at}");
                // The system keeps as much for its own books.
                assert_eq!(socket.recv_buffer_size().unwrap(), 40_000, "{at}");
                assert_eq!(socket.send_buffer_size().unwrap(), 60_000, "{at}");
            }
        }
    }
}
