//! Figures for Prometheus and its like, as OpenMetrics, by HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::metrics::{Exposition, Kind};
use net::{Pool, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;

use crate::report::{Circuit, Community, Report, Reporter};

/// The longest request, in bytes.
const MAX_REQUEST: usize = 8 << 10;

/// Who may ask at the same time.
const MAX_GUESTS: usize = 8;

/// Most hops of a circuit: one to a hidden peer has one more than those for torrents.
const MOST_HOPS: u8 = 4;

/// How long a request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

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
    pub(crate) async fn serve(at: SocketAddr, reporter: Reporter, pool: &Pool) -> io::Result<Self> {
        let (told, opened) = tokio::sync::oneshot::channel();
        let serving = pool.spawn(async move {
            let listener = match TcpListener::bind(at).await {
                Ok(listener) => listener,
                Err(error) => return drop(told.send(Err(error))),
            };
            if told.send(listener.local_addr()).is_ok() {
                accept(listener, reporter).await;
            }
        });
        let at = opened.await.map_err(io::Error::other)??;
        Ok(Self {
            at,
            _serving: serving,
        })
    }
}

async fn accept(listener: TcpListener, reporter: Reporter) {
    let seats = Arc::new(Semaphore::new(MAX_GUESTS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        let Ok((guest, _)) = listener.accept().await else {
            time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let reporter = reporter.clone();
        tokio::spawn(async move {
            let _ = time::timeout(PATIENCE, attend(guest, &reporter)).await;
            drop(seat);
        });
    }
}

/// Answers one request, and closes.
async fn attend(mut guest: TcpStream, reporter: &Reporter) -> io::Result<()> {
    let mut head = Vec::new();
    while !ends(&head) {
        if head.len() >= MAX_REQUEST || guest.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let plain = "text/plain; charset=utf-8";
    let (status, kind, body) = match asked(&head) {
        Asked::Figures => ("200 OK", Exposition::CONTENT_TYPE, text(&reporter.report())),
        Asked::Other => {
            let body = "the figures are at /metrics\n".to_owned();
            ("404 Not Found", plain, body)
        }
        Asked::Wrong => ("405 Method Not Allowed", plain, "ask with GET\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    guest.write_all(head.as_bytes()).await?;
    guest.write_all(body.as_bytes()).await?;
    guest.shutdown().await
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Figures,
    Other,
    Wrong,
}

/// Whether the head of a request is whole.
fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

fn asked(head: &[u8]) -> Asked {
    let line = head.split(|byte| *byte == b'\n').next();
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("GET"), Some(path)) => match path.split('?').next() {
            Some("/metrics") => Asked::Figures,
            _ => Asked::Other,
        },
        _ => Asked::Wrong,
    }
}

/// A figure of a community: its name, its kind, what it is, and where it is found.
type Figure = (&'static str, Kind, &'static str, fn(&Community) -> u64);

/// What is told of each community.
const FIGURES: [Figure; 9] = [
    ("known_nodes", Kind::Gauge, "Nodes that are known.", |it| {
        it.known as u64
    }),
    (
        "known_relays",
        Kind::Gauge,
        "Nodes that are known to relay.",
        |it| it.known_relays as u64,
    ),
    (
        "known_exits",
        Kind::Gauge,
        "Nodes that are known to let traffic out.",
        |it| it.known_exits as u64,
    ),
    (
        "relayed_circuits",
        Kind::Gauge,
        "Circuits of others that are relayed.",
        |it| it.relays as u64,
    ),
    (
        "ended_circuits",
        Kind::Gauge,
        "Circuits of others that end here.",
        |it| it.ends as u64,
    ),
    (
        "joined_circuits",
        Kind::Counter,
        "Circuits of others that were joined.",
        |it| it.joined,
    ),
    (
        "relayed_cells",
        Kind::Counter,
        "Cells of others that were passed on.",
        |it| it.relayed_cells,
    ),
    (
        "carried_bytes",
        Kind::Counter,
        "Bytes of others that were passed on, sent out and sent back.",
        |it| it.carried,
    ),
    (
        "destroyed_circuits",
        Kind::Counter,
        "Circuits that a neighbour ended.",
        |it| it.destroyed,
    ),
];

/// The figures as OpenMetrics.
pub(crate) fn text(report: &Report) -> String {
    let mut page = Exposition::new("tribler");
    page.family("circuits", Kind::Gauge, "", "Circuits of our own.");
    for hops in 1..=MOST_HOPS {
        for state in ["building", "ready", "silent"] {
            let of = |it: &&Circuit| it.hops == hops && it.state == state;
            let number = report.circuits.iter().filter(of).count();
            let hops = hops.to_string();
            page.sample(&[("hops", &hops), ("state", state)], number);
        }
    }
    let help = "Whether nothing goes out by so many hops that are in use.";
    page.family("lane_blocked", Kind::Gauge, "", help);
    for lane in &report.hops {
        let blocked = u8::from(lane.state == "blocked");
        page.sample(&[("hops", &lane.hops.to_string())], blocked);
    }
    for (name, kind, help, of) in FIGURES {
        page.family(name, kind, "", help);
        for community in &report.communities {
            page.sample(&[("wire", &community.wire)], of(community));
        }
    }
    let help = "What was refused, by the reason.";
    page.family("refused", Kind::Counter, "", help);
    for community in &report.communities {
        for (why, times) in &community.refused {
            page.sample(&[("wire", &community.wire), ("reason", why)], times);
        }
    }
    let help = "Whether all was carried for others that may be: nothing more is.";
    page.family("max_bytes_reached", Kind::Gauge, "", help);
    page.sample(&[], u8::from(report.used_up));
    let help = "Datagrams of the overlay.";
    page.family("datagrams", Kind::Counter, "", help);
    for (way, count) in [("sent", report.sent), ("received", report.received)] {
        page.sample(&[("direction", way)], count);
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Lane;

    fn report() -> Report {
        Report {
            pid: 1,
            command: "exit".to_owned(),
            addr: "127.0.0.1:1".to_owned(),
            public_key: "ab".to_owned(),
            hops: vec![Lane {
                hops: 2,
                state: "blocked".to_owned(),
                reason: None,
                ready: 0,
                building: 1,
                exits: 0,
            }],
            circuits: Vec::new(),
            communities: vec![Community {
                wire: "today".to_owned(),
                known: 7,
                known_relays: 5,
                known_exits: 2,
                relays: 1,
                ends: 3,
                joined: 12,
                relayed_cells: 1000,
                carried: 5000,
                destroyed: 2,
                refused: [("a \"reason\"".to_owned(), 4)].into(),
            }],
            used_up: true,
            sent: 10,
            received: 20,
        }
    }

    #[test]
    fn figures_are_lines_with_a_name_labels_and_a_number() {
        let text = text(&report());
        for line in [
            "# TYPE tribler_known_exits gauge",
            "tribler_known_exits{wire=\"today\"} 2",
            "tribler_relayed_cells_total{wire=\"today\"} 1000",
            "tribler_circuits{hops=\"2\",state=\"silent\"} 0",
            "tribler_lane_blocked{hops=\"2\"} 1",
            "tribler_refused_total{wire=\"today\",reason=\"a \\\"reason\\\"\"} 4",
            "tribler_datagrams_total{direction=\"received\"} 20",
            "tribler_max_bytes_reached 1",
        ] {
            assert!(text.lines().any(|of| of == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(
                name.starts_with("tribler_") && value.parse::<u64>().is_ok(),
                "{line}"
            );
        }
    }

    #[test]
    fn only_a_get_of_the_page_is_answered_with_figures() {
        assert_eq!(asked(b"GET /metrics HTTP/1.1\r\n\r\n"), Asked::Figures);
        assert_eq!(asked(b"GET /metrics?x=1 HTTP/1.0\r\n\r\n"), Asked::Figures);
        assert_eq!(asked(b"GET / HTTP/1.1\r\n\r\n"), Asked::Other);
        assert_eq!(asked(b"POST /metrics HTTP/1.1\r\n\r\n"), Asked::Wrong);
        assert_eq!(asked(b"\xff\xfe\r\n\r\n"), Asked::Wrong);
        assert!(ends(b"GET / HTTP/1.1\r\n\r\n") && !ends(b"GET / HTTP/1.1\r\n"));
    }
}
