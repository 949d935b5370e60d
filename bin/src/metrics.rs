//! Figures for Prometheus and its like, as OpenMetrics, by HTTP: [`overlay`] those of the part in the overlay, [`engine`] those of
//! torrents.
//!
//! Who asks has to name the server by an address, as `localhost` or by the name of this machine: a page of the web that leads its name
//! here, so that a browser asks in its stead, gets nothing to read.

mod engine;
mod overlay;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::engine::metrics::Exposition;
use net::{Pool, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;

pub(crate) use self::engine::Engine;

/// The longest request, in bytes.
const MAX_REQUEST: usize = 8 << 10;

/// Who may ask at the same time.
const MAX_GUESTS: usize = 8;

/// How long a request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who has figures.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    /// Adds them to a page.
    fn write(&self, page: &mut Exposition) -> impl Future<Output = ()> + Send;
}

/// A server of figures; it ends with this value.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Where it is.
    pub(crate) at: SocketAddr,
    _serving: Task<()>,
}

impl Metrics {
    /// Opens the port.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) async fn serve(
        at: SocketAddr,
        source: impl Source,
        pool: &Pool,
    ) -> io::Result<Self> {
        let (told, opened) = tokio::sync::oneshot::channel();
        let serving = pool.spawn(async move {
            let listener = match TcpListener::bind(at).await {
                Ok(listener) => listener,
                Err(error) => return drop(told.send(Err(error))),
            };
            if told.send(listener.local_addr()).is_ok() {
                accept(listener, source).await;
            }
        });
        let at = opened.await.map_err(io::Error::other)??;
        Ok(Self {
            at,
            _serving: serving,
        })
    }
}

async fn accept(listener: TcpListener, source: impl Source) {
    let own = own_name();
    let seats = Arc::new(Semaphore::new(MAX_GUESTS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        let Ok((guest, _)) = listener.accept().await else {
            time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (source, own) = (source.clone(), own.clone());
        tokio::spawn(async move {
            let _ = time::timeout(PATIENCE, attend(guest, &source, own.as_deref())).await;
            drop(seat);
        });
    }
}

/// Answers one request, and closes.
async fn attend(mut guest: TcpStream, source: &impl Source, own: Option<&str>) -> io::Result<()> {
    let mut head = Vec::new();
    while !ends(&head) {
        if head.len() >= MAX_REQUEST || guest.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let plain = "text/plain; charset=utf-8";
    let (status, kind, body) = match asked(&head, own) {
        Asked::Figures => {
            let mut page = Exposition::new("tribler");
            source.write(&mut page).await;
            ("200 OK", Exposition::CONTENT_TYPE, page.finish())
        }
        Asked::Elsewhere => {
            let body = "ask by an address of this machine, or its name\n".to_owned();
            ("421 Misdirected Request", plain, body)
        }
        Asked::Other => {
            let body = "the figures are at /metrics\n".to_owned();
            ("404 Not Found", plain, body)
        }
        Asked::Wrong => (
            "405 Method Not Allowed\r\nAllow: GET, HEAD",
            plain,
            "ask with GET\n".to_owned(),
        ),
    };
    let is_head = head.starts_with(b"HEAD ");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    guest.write_all(head.as_bytes()).await?;
    if !is_head {
        guest.write_all(body.as_bytes()).await?;
    }
    guest.shutdown().await
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Figures,
    /// In a name that is not this machine's.
    Elsewhere,
    Other,
    Wrong,
}

/// Whether the head of a request is whole.
fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

fn asked(head: &[u8], own: Option<&str>) -> Asked {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let hosts = lines.filter_map(|line| line.split_once(':'));
    let mut hosts = hosts.filter(|(name, _)| name.trim().eq_ignore_ascii_case("host"));
    if !hosts.all(|(_, host)| is_ours(host.trim(), own)) {
        return Asked::Elsewhere;
    }
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("GET" | "HEAD"), Some(path)) => match path.split('?').next() {
            Some("/metrics") => Asked::Figures,
            _ => Asked::Other,
        },
        _ => Asked::Wrong,
    }
}

/// Whether a host that was asked for, perhaps with a port, can be nothing but this machine.
fn is_ours(host: &str, own: Option<&str>) -> bool {
    if host.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    bare.unwrap_or(name).parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || own.is_some_and(|own| name.eq_ignore_ascii_case(own))
}

/// What this machine calls itself.
fn own_name() -> Option<Arc<str>> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_here(head: &[u8]) -> Asked {
        asked(head, Some("box"))
    }

    #[test]
    fn only_who_names_this_machine_is_answered() {
        let with = |host: &str| {
            asked_here(format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())
        };
        for host in [
            "127.0.0.1:9464",
            "192.168.1.7",
            "[::1]:9464",
            "[::1]",
            "localhost",
            "LOCALHOST:9464",
            "box:9464",
        ] {
            assert_eq!(with(host), Asked::Figures, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
        ] {
            assert_eq!(with(host), Asked::Elsewhere, "{host}");
        }
        let two = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
        assert_eq!(asked_here(two), Asked::Elsewhere);
    }

    #[test]
    fn only_a_get_of_the_page_is_answered_with_figures() {
        assert_eq!(asked_here(b"GET /metrics HTTP/1.1\r\n\r\n"), Asked::Figures);
        assert_eq!(
            asked_here(b"GET /metrics?x=1 HTTP/1.0\r\n\r\n"),
            Asked::Figures
        );
        assert_eq!(
            asked_here(b"HEAD /metrics HTTP/1.1\r\n\r\n"),
            Asked::Figures
        );
        assert_eq!(asked_here(b"GET / HTTP/1.1\r\n\r\n"), Asked::Other);
        assert_eq!(asked_here(b"POST /metrics HTTP/1.1\r\n\r\n"), Asked::Wrong);
        assert_eq!(asked_here(b"\xff\xfe\r\n\r\n"), Asked::Wrong);
        assert!(ends(b"GET / HTTP/1.1\r\n\r\n") && !ends(b"GET / HTTP/1.1\r\n"));
    }
}
