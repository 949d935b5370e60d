//! Whether all servers answer: each is asked as its clients ask it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use protocol::tracker::udp::{Family, Request, Response};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::web::{Answers, Asked, Reply};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer holds: whoever asks more often hears the same.
const HOLDS: Duration = Duration::from_secs(1);

/// A server that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// A UDP tracker: has to give a connection id.
    Udp(SocketAddr),
    /// An HTTP server: has to answer 200 at this path.
    Http(SocketAddr, &'static str),
    /// One under TLS: has to take a connection.
    Https(SocketAddr),
}

/// Tells whether all servers answer.
#[derive(Debug)]
pub(crate) struct Health {
    services: Vec<Service>,
    /// What was found, and when.
    last: Mutex<Option<(Instant, String)>>,
}

#[derive(Debug, Serialize)]
struct Report {
    status: &'static str,
    message: &'static str,
    details: Vec<Detail>,
}

#[derive(Debug, Serialize)]
struct Detail {
    binding: String,
    info: String,
    result: Outcome,
}

#[derive(Debug, Serialize)]
enum Outcome {
    Ok(String),
    Err(String),
}

impl Health {
    pub(crate) fn new(services: Vec<Service>) -> Self {
        Self {
            services,
            last: Mutex::default(),
        }
    }

    pub(super) async fn report(&self) -> String {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < HOLDS
        {
            return text.clone();
        }
        let asked = self.services.iter().map(Service::check);
        let details = futures_util::future::join_all(asked).await;
        let failed = details
            .iter()
            .any(|detail| matches!(detail.result, Outcome::Err(_)));
        let (status, message) = match (details.is_empty(), failed) {
            (true, _) => ("None", ""),
            (_, true) => ("Error", "health check failed"),
            (_, false) => ("Ok", ""),
        };
        let report = Report {
            status,
            message,
            details,
        };
        let text = serde_json::to_string(&report).unwrap_or_default();
        *last = Some((Instant::now(), text.clone()));
        text
    }
}

impl Answers for Health {
    fn answer(&self, asked: Asked) -> Pin<Box<dyn Future<Output = Reply> + '_>> {
        Box::pin(async move {
            match (asked.method.as_str(), asked.path.as_str()) {
                ("GET", "/") => Reply::json("{}"),
                ("GET", "/health_check") => Reply::json(self.report().await),
                (_, "/" | "/health_check") => Reply::text(405, "not by this method"),
                _ => Reply::text(404, "there is no such thing"),
            }
        })
    }
}

impl Service {
    async fn check(&self) -> Detail {
        let (at, what) = match self {
            Self::Udp(at) => (at, "a connection id of the UDP tracker".to_owned()),
            Self::Http(at, path) => (at, format!("GET http://{at}{path}")),
            Self::Https(at) => (at, "a connection to the HTTPS server".to_owned()),
        };
        let to = reachable(*at);
        let asked = async {
            match self {
                Self::Udp(_) => connect(to).await,
                Self::Http(_, path) => get(to, path).await,
                Self::Https(_) => TcpStream::connect(to).await.map(|_| "connected".to_owned()),
            }
        };
        let result = match timeout(PATIENCE, asked).await {
            Ok(Ok(words)) => Outcome::Ok(words),
            Ok(Err(error)) => Outcome::Err(error.to_string()),
            Err(_) => Outcome::Err("no answer".to_owned()),
        };
        Detail {
            binding: at.to_string(),
            info: what,
            result,
        }
    }
}

/// Where a server is reached that listens at all addresses.
fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, at.port())
}

async fn connect(to: SocketAddr) -> io::Result<String> {
    let any: IpAddr = if to.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    let transaction = rand::random();
    socket
        .send(&Request::Connect { transaction }.encode())
        .await?;
    let mut room = [0; 64];
    let len = socket.recv(&mut room).await?;
    let came = room.get(..len).unwrap_or_default();
    match Response::decode(came, Family::of(&to)) {
        Ok(Response::Connect {
            transaction: of, ..
        }) if of == transaction => Ok("connected".to_owned()),
        _ => Err(io::Error::other("something else than a connection id came")),
    }
}

async fn get(to: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    stream.take(1024).read_to_end(&mut text).await?;
    let line = text.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    match line.split_once(' ') {
        Some((_, status)) if status.starts_with("200") => Ok(status.to_owned()),
        _ => Err(io::Error::other(format!("it answers: {line}"))),
    }
}
