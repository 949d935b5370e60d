//! What strangers do to trackers: it is bounded, does not reach anybody else, and is told once.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use protocol::id::{InfoHash, PeerId};
use protocol::tracker::Announce;
use protocol::tracker::udp::{Family, Request, Response};
use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};
use tracker::settings::{HttpSettings, UdpSettings};
use tracker::swarms::{Announced, Picked, Report, Seconds};
use tracker::{Settings, Tracker};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Longer than anything that is waited for here takes.
const LONG: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    Settings {
        udp: vec![UdpSettings::new(LOOPBACK)],
        http: vec![HttpSettings::new(LOOPBACK)],
        ..Settings::in_memory()
    }
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(LOOPBACK).unwrap();
    socket.connect(server).unwrap();
    let soon = Duration::from_secs(1);
    socket.set_read_timeout(Some(soon)).unwrap();
    socket
}

/// Asks for a connection id until there is one: where too much waits already, the system drops what comes.
fn connection_id(socket: &UdpSocket) -> u64 {
    let request = Request::Connect { transaction: 7 }.encode();
    let end = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < end, "no connection id");
        socket.send(&request).unwrap();
        let mut room = [0; 64];
        while let Ok(len) = socket.recv(&mut room) {
            // Answers to others may be on their way.
            if let Ok(Response::Connect {
                transaction: 7,
                connection,
            }) = Response::decode(&room[..len], Family::V4)
            {
                return connection;
            }
        }
    }
}

#[actix_rt::test]
async fn who_has_not_shown_its_address_gets_no_more_bytes_than_it_sent() {
    let (_, tracker) = Tracker::launch(settings(), Path::new("")).unwrap();
    let server = tracker.listening().udp[0];
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    // Enough peers that a whole answer would be long.
    let other = client(server);
    for port in 1..=100 {
        announce(&tracker, 1, port);
    }
    let good = connection_id(&other);
    let stranger = client(server);
    let mut sent = 0;
    for round in 0..3_000_u32 {
        let forged = match round % 3 {
            0 => rng.next_u64(),
            // One that was given to somebody else may be good here: they have one address. One bit of it is not.
            1 => good ^ (1 << rng.random_range(0..64)),
            _ => 0,
        };
        let mut announce = Announce::new(InfoHash([1; 20]), PeerId([2; 20]), 1);
        announce.num_want = Some(u32::MAX);
        let mut bytes = match round % 5 {
            0 => Request::Announce {
                connection: forged,
                transaction: round,
                announce,
                url_data: b"/announce/".to_vec(),
            }
            .encode(),
            1 => Request::Scrape {
                connection: forged,
                transaction: round,
                torrents: vec![InfoHash([1; 20]); 74],
            }
            .encode(),
            2 => Request::Connect { transaction: round }.encode(),
            3 => vec![0xff; rng.random_range(0..2_000)],
            _ => {
                let mut bytes = vec![0; 65_000];
                rng.fill_bytes(&mut bytes);
                bytes
            }
        };
        if round % 7 == 0 {
            bytes.truncate(rng.random_range(0..40));
        }
        sent += bytes.len();
        stranger.send(&bytes).unwrap();
    }
    // What is asked last is answered last.
    connection_id(&stranger);
    // Each answer to a connect has as many bytes as it; those that have just left are counted in a moment.
    let end = Instant::now() + LONG;
    let figures = loop {
        let figures = tracker.statistics().await.unwrap().udp;
        if figures.sent == 16 * figures.connects {
            break figures;
        }
        assert!(Instant::now() < end, "{figures:?}");
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (figures.announces, figures.scrapes, figures.refusals),
        (0, 0, 0)
    );
    assert!(
        figures.connects > 0 && figures.unproven > 0 && figures.alien > 0,
        "{figures:?}"
    );
    assert!(
        figures.sent <= figures.received && figures.received <= sent as u64 + 16 * 200,
        "{figures:?}"
    );
}

fn announce(tracker: &tracker::TrackerHandle, torrent: u32, port: u16) {
    let mut info_hash = [0; 20];
    info_hash[..4].copy_from_slice(&torrent.to_be_bytes());
    let announced = Announced {
        info_hash: InfoHash(info_hash),
        peer_id: PeerId([1; 20]),
        addr: ([10, 0, 0, 1], port).into(),
        seeder: false,
        stopped: false,
        report: Report::default(),
        want: 0,
        mixed: false,
    };
    let mut rng = SmallRng::seed_from_u64(1);
    let swarms = &tracker.core().swarms;
    swarms.announce(
        &announced,
        Seconds::new(1),
        &mut rng,
        &mut Picked::default(),
    );
}

/// Counts warnings that have a word in them.
#[derive(Clone)]
struct Warnings(&'static str, Arc<AtomicU32>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" && format!("{value:?}").contains(self.0) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[actix_rt::test]
async fn a_million_torrents_of_a_stranger_are_bounded_and_told_once() {
    let counted = Arc::<AtomicU32>::default();
    let _guard = tracing::subscriber::set_default(Warnings("left out", Arc::clone(&counted)));
    let mut settings = settings();
    settings.swarms.most_torrents = 20_000;
    let (_, tracker) = Tracker::launch(settings, Path::new("")).unwrap();
    let before = tracker.core().swarms.heap();
    let flood = tracker.clone();
    let flooding = tokio::task::spawn_blocking(move || {
        for torrent in 0..1_000_000 {
            announce(&flood, torrent, 1);
        }
    });
    flooding.await.unwrap();
    let figures = tracker.statistics().await.unwrap();
    let torrents = figures.swarms.torrents;
    assert!((19_000..=20_000 + 256).contains(&torrents), "{torrents}");
    assert_eq!(figures.left_out, 1_000_000 - torrents);
    let heap = tracker.core().swarms.heap() - before;
    assert!(heap < 20_000 * 128, "{heap}");
    // It goes on, for some more looks at the figures.
    let end = Instant::now() + LONG;
    for round in 0..30 {
        announce(&tracker, 2_000_000 + round, 1);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(Instant::now() < end);
    }
    assert_eq!(counted.load(Ordering::Relaxed), 1, "once");
    // Who is known already is served.
    let http = tracker.listening().http[0];
    assert!(get(http, "/health_check").contains("Ok"));
}

fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[actix_rt::test]
async fn slow_heads_and_endless_queries_do_not_keep_others_waiting() {
    let mut settings = settings();
    settings.http[0].request_seconds = 1;
    settings.http[0].connections = 300;
    let (_, tracker) = Tracker::launch(settings, Path::new("")).unwrap();
    let http = tracker.listening().http[0];
    let mut slow: Vec<_> = (0..250)
        .map(|_| {
            let mut stream = TcpStream::connect(http).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream.write_all(b"GET /announce?").unwrap();
            stream
        })
        .collect();
    assert!(
        get(http, "/health_check").contains("Ok"),
        "who is not slow is served meanwhile"
    );
    // A query of ten megabytes.
    let mut endless = TcpStream::connect(http).unwrap();
    endless.set_read_timeout(Some(LONG)).unwrap();
    let part = vec![b'a'; 64 * 1024];
    let taken = (0..160)
        .take_while(|_| endless.write_all(&part).is_ok())
        .count();
    let mut answer = Vec::new();
    let _ = endless.read_to_end(&mut answer);
    assert!(taken < 160 || answer.starts_with(b"HTTP/1.1 4"), "{taken}");
    // A byte now and then does not help.
    let begun = Instant::now();
    for stream in &mut slow {
        let _ = stream.write_all(b"a");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    let figures = tracker.statistics().await.unwrap().http;
    assert!(figures.misfits >= 250, "{figures:?}");
    assert!(figures.connections >= 252, "{figures:?}");
    assert!(get(http, "/health_check").contains("Ok"));
}
