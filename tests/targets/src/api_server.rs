//! Connections to the REST API, whatever comes over them: each answer is one of HTTP with a status that the API has, what is refused is
//! so in JSON, who does not show the key learns nothing but the description, and the server goes on. The daemon behind it does nothing
//! that is asked of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::steps::Steps;
use api::{
    Access, Circuit, Daemon, Follow, Key, Made, Make, News, OverlayFigures, Part, Promise, parse,
};
use control::{Ask, Code, Refusal};
use engine::{EngineConfig, EngineHandle, Supervisor};
use net::{Network, OwnedPool};
use protocol::id::InfoHash;
use protocol::magnet::Magnet;
use protocol::metainfo::Metainfo;
use serde_json::{Map, Value};
use socket2::SockRef;

const KEY: &str = "a key of 20 letters!";

/// Paths, with a place for something else in some.
const PATHS: [&str; 24] = [
    "/state",
    "/settings",
    "/downloads",
    "/downloads/*",
    "/downloads/*/files",
    "/downloads/*/torrent",
    "/downloads/*/stream/*",
    "/downloads/*/playlist.m3u8",
    "/events",
    "/torrentinfo",
    "/createtorrent",
    "/metadata/torrents/*/health",
    "/debug/log",
    "/ipv8/dht/values/*",
    "/ipv8/dht/buckets/*/refresh",
    "/ipv8/tunnel/circuits/*/test",
    "/ipv8/tunnel/swarms/*/size",
    "/ipv8/isolation",
    "/ipv8/asyncio/debug",
    "/libtorrent/settings",
    "/docs/*",
    "/v7.0/torrents/*/health",
    "/upgrader",
    "/*",
];

/// A daemon that refuses what is asked of it.
struct Refusing(EngineHandle);

fn refused<T: Send + 'static>(code: Code) -> Promise<'static, Result<T, Refusal>> {
    Box::pin(std::future::ready(Err(Refusal::new(code, "not here"))))
}

impl Daemon for Refusing {
    fn engine(&self) -> &EngineHandle {
        &self.0
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all but two of a long list are refused alike"
    )]
    fn ask(&self, ask: Ask) -> Promise<'_, Result<Value, Refusal>> {
        refused(match ask {
            Ask::Add(_) => Code::Duplicate,
            Ask::Shutdown(_) => Code::Busy,
            _ => Code::Wrong,
        })
    }

    fn follow(&self) -> Box<dyn Follow> {
        struct Never;
        impl Follow for Never {
            fn next<'a>(&'a mut self, _: &'a [&'a str]) -> Promise<'a, News> {
                Box::pin(std::future::pending())
            }
        }
        Box::new(Never)
    }

    fn content_dir(&self) -> PathBuf {
        PathBuf::from("/nonexistent")
    }

    fn state_size(&self) -> u64 {
        0
    }

    fn overlay(&self) -> Option<OverlayFigures> {
        None
    }

    fn circuits(&self) -> Vec<Circuit> {
        Vec::new()
    }

    fn part(&self) -> Option<Box<dyn Part>> {
        None
    }

    fn fetch<'a>(&'a self, _: &'a str, _: Option<u8>) -> Promise<'a, Result<Vec<u8>, Refusal>> {
        refused(Code::Failed)
    }

    fn metadata(&self, _: Magnet, _: Option<u8>) -> Promise<'_, Result<Arc<Metainfo>, Refusal>> {
        refused(Code::Failed)
    }

    fn count_in_dht(&self, _: InfoHash) -> Promise<'_, Result<[u64; 2], String>> {
        Box::pin(std::future::ready(Ok([1, 2])))
    }

    fn make(&self, _: Make) -> Promise<'_, Result<Made, Refusal>> {
        refused(Code::NotFound)
    }

    fn log(&self, _: usize) -> String {
        "a line".to_owned()
    }

    fn is_profiling(&self) -> bool {
        false
    }

    fn start_profiling(&self) -> Result<(), Refusal> {
        Err(Refusal::new(Code::Duplicate, "not here"))
    }

    fn stop_profiling(&self) -> Promise<'_, Result<PathBuf, Refusal>> {
        refused(Code::NotFound)
    }

    fn figures(&self) -> Promise<'_, String> {
        Box::pin(std::future::ready("# EOF\n".to_owned()))
    }

    fn remembered(&self) -> Map<String, Value> {
        Map::new()
    }

    fn remember(&self, _: Map<String, Value>) -> Promise<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The server, which is there once.
static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let pool = Box::leak(Box::new(OwnedPool::start("peers", 1).expect("a pool")));
    let mut config = EngineConfig::new(Network::none(), pool.pool().clone());
    (config.torrent_threads, config.seed) = (0, Some(7));
    let (told, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let system = actix_rt::System::new();
        let launched = system.block_on(async { Supervisor::launch(config).expect("an engine") });
        told.send(launched.1).expect("somebody who waits");
        system.run()
    });
    let engine = started.recv().expect("an engine");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
    let access = Access {
        key: Key::new(KEY),
        names: Vec::new(),
    };
    let server = parse::server(Arc::new(Refusing(engine)), access);
    runtime.block_on(server).expect("a port")
});

fn bytes<'a>(steps: &mut Steps<'a>) -> &'a [u8] {
    let len = usize::from(steps.byte()) << (steps.byte() % 4);
    steps.take(len)
}

/// What stands at a place of a path: letters, digits and what is escaped.
fn place(steps: &mut Steps<'_>) -> String {
    if steps.byte() & 1 > 0 {
        return format!("{:02x}", steps.byte()).repeat(20);
    }
    let letter = |byte: &u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes(steps).iter().map(letter).collect()
}

/// Adds a request; whether it shows the key.
fn request(steps: &mut Steps<'_>, out: &mut Vec<u8>) -> bool {
    let method = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"][usize::from(steps.byte() % 6)];
    let path = PATHS[usize::from(steps.byte()) % PATHS.len()].replace('*', &place(steps));
    // Events do not end.
    let method = if path == "/events" { "HEAD" } else { method };
    let query = place(steps).replace("%3D", "=").replace("%26", "&");
    let shows = !steps.byte().is_multiple_of(8);
    let kind = ["application/json", "application/x-bittorrent"][usize::from(steps.byte() & 1)];
    let more = bytes(steps);
    let body = bytes(steps);
    let head =
        format!("{method} {path}?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n");
    out.extend_from_slice(head.as_bytes());
    if shows {
        out.extend_from_slice(format!("X-Api-Key: {KEY}\r\n").as_bytes());
    }
    if steps.byte() & 1 > 0 {
        out.extend_from_slice(more);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    shows
}

/// All that is answered, until the server closes the connection.
fn told(sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(*SERVER).expect("a server that goes on");
    let patience = Some(Duration::from_secs(5));
    stream.set_read_timeout(patience).expect("a socket");
    // It is let go at once, so that its port is free.
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("a socket");
    let _ = stream.write_all(sent);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut told = Vec::new();
    let _ = stream.read_to_end(&mut told);
    told
}

/// The head and body of the only answer of a connection.
fn parted(told: &[u8]) -> (u16, String, Vec<u8>) {
    let end = told
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let head = std::str::from_utf8(&told[..end])
        .expect("text")
        .to_ascii_lowercase();
    // Who speaks the older version is answered in it.
    let rest = head
        .strip_prefix("http/1.1 ")
        .or_else(|| head.strip_prefix("http/1.0 "));
    let status = rest.expect("HTTP")[..3].parse().expect("a number");
    (status, head, told[end..].to_vec())
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let mut sent = Vec::new();
    let plain = steps.byte().is_multiple_of(4);
    let shows = if plain {
        sent.extend_from_slice(steps.rest());
        sent.windows(KEY.len()).any(|part| part == KEY.as_bytes())
    } else {
        request(&mut steps, &mut sent)
    };
    let told = told(&sent);
    if told.is_empty() {
        // Who hangs up with half a request is not answered.
        return;
    }
    let (status, head, body) = parted(&told);
    assert!(
        [
            100, 200, 206, 304, 308, 400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 416, 421,
            431, 500, 501, 502, 503,
        ]
        .contains(&status),
        "{head}"
    );
    if plain || status == 100 {
        return;
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let is_json = head.contains("\r\ncontent-type: application/json\r\n");
    let is_free = sent.windows(5).any(|part| part == b"/docs")
        || sent.starts_with(b"GET /?")
        || sent.starts_with(b"HEAD /?");
    assert!(shows || is_free || status >= 400, "{head}");
    if let Some(length) = length.filter(|_| status >= 400 && !sent.starts_with(b"HEAD")) {
        let length: usize = length.parse().expect("a number");
        let words = body.get(..length).expect("a whole body");
        assert!(is_json, "{head}");
        let words: Value = serde_json::from_slice(words).expect("JSON");
        assert!(
            words["error"].is_string() || words["error"].is_object(),
            "{words}"
        );
    }
}
