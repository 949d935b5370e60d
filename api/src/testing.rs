//! A server over an engine that meets nobody, for tests.

mod part;
mod plain;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::IntoResponse as _;
use engine::EngineHandle;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;

pub(crate) use self::part::Show;
use self::part::Shown;
use self::plain::{Gate, Plain};
use crate::server::House;
use crate::{Access, Circuit, Limits, News, bind, serve};

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, its engine and the folder of both.
pub(crate) struct Scene {
    pub(crate) at: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
    daemon: Arc<Plain>,
    stopping: watch::Sender<bool>,
    pub(crate) serving: tokio::task::JoinHandle<()>,
    table: House,
}

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) json: Value,
}

impl Reply {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut lines = lines.filter(|(known, _)| *known == name);
        lines.next().map(|(_, value)| value)
    }
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::with(Access::default(), Limits::default()).await
    }

    pub(crate) async fn with(access: Access, limits: Limits) -> Self {
        Self::on((access, limits), Handle::current()).await
    }

    /// Has what is long sent in a runtime of its own.
    pub(crate) async fn on((access, limits): (Access, Limits), long: Handle) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let daemon = Arc::new(Plain::start(dir.path()));
        let (stopping, stops) = watch::channel(false);
        let bound = bind("127.0.0.1:0".parse().unwrap(), 0).await.unwrap();
        let at = bound.at;
        let of = (at.port(), &limits);
        let table = House::new(daemon.clone(), access.clone(), of, stops.clone());
        let serving = tokio::spawn(serve(bound, daemon.clone(), access, limits, (long, stops)));
        Self {
            at,
            dir,
            daemon,
            stopping,
            serving,
            table,
        }
    }

    pub(crate) const fn table(&self) -> &crate::routes::Table {
        &self.table.table
    }

    /// What requests share, of a server that nobody else asks.
    pub(crate) const fn shared(&self) -> &crate::shared::Shared {
        &self.table.shared
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.daemon.engine
    }

    /// What the daemon makes next, where a torrent is asked for.
    pub(crate) fn made(&self) -> &Mutex<Option<Vec<u8>>> {
        &self.daemon.made
    }

    /// Has what is made next wait.
    pub(crate) fn hold_making(&self, gate: Gate) {
        *self.daemon.gate_of_made.lock() = Some(gate);
    }

    /// Has the next change of settings wait.
    pub(crate) fn hold_settings(&self, gate: Gate) {
        *self.daemon.gate.lock() = Some(gate);
    }

    /// The daemon's circuits; while it has none, there is no part in the overlay.
    pub(crate) fn circuits(&self) -> &Mutex<Vec<Circuit>> {
        &self.daemon.circuits
    }

    /// Lets the daemon take part in the overlay, and says what is shown of that.
    pub(crate) fn part(&self) -> Arc<Mutex<Show>> {
        let mut part = self.daemon.part.lock();
        Arc::clone(&part.get_or_insert_with(Shown::default).0)
    }

    /// Has the server end.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Why a request is refused before its handler is asked: the status and the JSON.
    pub(crate) async fn refused(&self, method: &str, path: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("Host", self.at.to_string());
        let problem = self.table.admit(request.body(Body::empty()).unwrap());
        let response = problem.expect_err("a refusal").into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        let json = serde_json::from_slice(&body.unwrap()).unwrap();
        (status, json)
    }

    /// Tells an event of the daemon's.
    pub(crate) fn tell(&self, word: &'static str, fields: Value) {
        let Value::Object(fields) = fields else {
            panic!("an object");
        };
        self.daemon
            .guests
            .lock()
            .retain(|guest| guest.try_send(News::Told(word, fields.clone())).is_ok());
    }

    /// A client that listens to events, and what it was told so far.
    pub(crate) async fn listen(&self) -> (TcpStream, Vec<u8>) {
        self.listen_at("/events").await
    }

    /// The same, of the version that the path is of.
    pub(crate) async fn listen_at(&self, path: &str) -> (TcpStream, Vec<u8>) {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.at);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        until(&mut stream, &mut told, "\"events_start\"").await;
        (stream, told)
    }

    /// Asks, with a body where there is one.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        self.ask_with(method, path, "", body).await
    }

    /// Asks with further lines of the head.
    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        more: &str,
        body: &[u8],
    ) -> Reply {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n",
            self.at,
            body.len()
        );
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // It may have been refused already.
        let _ = stream.write_all(body).await;
        let mut reply = Vec::new();
        let read = stream.read_to_end(&mut reply);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.expect("an answer in time").unwrap();
        let reply = parsed(&reply);
        self.is_as_described(method, path, &reply);
        reply
    }

    /// Has the test fail where an answer is not as the description of the API says.
    fn is_as_described(&self, method: &str, path: &str, reply: &Reply) {
        let path = path.split('?').next().unwrap_or_default();
        if let Some(pattern) = self.table().pattern(method, path) {
            let told = (reply.status, reply.header("content-type"), &reply.json);
            let document = crate::routes::document();
            let faults = crate::describe::tests::answer_faults(&document, (method, pattern), told);
            assert!(faults.is_empty(), "{faults:#?}");
        }
    }

    /// Adds a torrent of so many files whose content is there, and waits until it is seeded. Its info-hash.
    pub(crate) async fn seed(&self, files: &[(&str, usize)]) -> String {
        let (torrent, hash) = torrent_of(self.dir.path(), "content", files);
        let path = self.dir.path().join("content.torrent");
        std::fs::write(&path, torrent).unwrap();
        let body = json!({"uri": format!("file:{}", path.display())}).to_string();
        let reply = self.ask("PUT", "/downloads", body.as_bytes()).await;
        assert_eq!(reply.json, json!({"started": true, "infohash": hash}));
        self.until(&hash, "DLSTATUS_SEEDING").await;
        hash
    }

    /// Waits until a download does something. Says what it looks like then.
    pub(crate) async fn until(&self, hash: &str, status: &str) -> Value {
        let looks = async {
            loop {
                let all = self.ask("GET", "/downloads", b"").await.json;
                let all = all["downloads"].as_array().unwrap().clone();
                let found = all.into_iter().find(|one| one["infohash"] == hash);
                if let Some(found) = found.filter(|one| one["status"] == status) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let looked = tokio::time::timeout(PATIENCE, looks).await;
        looked.unwrap_or_else(|_| panic!("{hash} is never {status}"))
    }
}

/// What requests share, without a server, and what ends it.
pub(crate) fn shared(dir: &Path) -> (watch::Sender<bool>, crate::shared::Shared) {
    let daemon = Arc::new(Plain::start(dir));
    let (stopping, stops) = watch::channel(false);
    let limits = Limits {
        metadata: PATIENCE,
        ..Limits::default()
    };
    let shared = crate::shared::Shared::new(daemon, 1, &limits, stops);
    (stopping, shared)
}

/// Reads until something was told.
pub(crate) async fn until(stream: &mut TcpStream, told: &mut Vec<u8>, word: &str) {
    let read = async {
        while !String::from_utf8_lossy(told).contains(word) {
            let read = stream.read_buf(told).await.unwrap();
            assert_ne!(read, 0, "it ends before {word}");
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .unwrap_or_else(|_| panic!("{word} is never told"));
}

/// Reads a whole answer.
pub(crate) fn parsed(reply: &[u8]) -> Reply {
    let end = reply.windows(4).position(|end| end == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(reply)));
    let head = String::from_utf8_lossy(&reply[..end]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = reply[end + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Reply {
        status,
        json: serde_json::from_slice(&body).unwrap_or_default(),
        head,
        body,
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|end| end == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + len]);
        rest = &rest[end + 4 + len..];
    }
    body
}

/// Writes content of so many files below a folder, and makes the torrent of it. The torrent and its info-hash.
pub(crate) fn torrent_of(dir: &Path, name: &str, files: &[(&str, usize)]) -> (Vec<u8>, String) {
    let bytes = |len: usize| (0..len).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
    let files: Vec<_> = files
        .iter()
        .map(|(path, len)| (*path, bytes(*len)))
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (*path, &bytes[..]))
        .collect();
    torrent_with(dir, name, &files)
}

/// Writes these files below a folder, and makes the torrent of them. The torrent and its info-hash.
pub(crate) fn torrent_with(dir: &Path, name: &str, files: &[(&str, &[u8])]) -> (Vec<u8>, String) {
    let (mut content, mut list) = (Vec::new(), String::new());
    for (path, bytes) in files {
        let file = dir.join(name).join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
        content.extend_from_slice(bytes);
        let (len, named) = (bytes.len(), path.len());
        let _ = write!(list, "d6:lengthi{len}e4:pathl{named}:{path}ee");
    }
    let pieces: Vec<u8> = content.chunks(16384).flat_map(hash::sha1).collect();
    let mut info = format!(
        "d5:filesl{list}e4:name{}:{name}12:piece lengthi16384e6:pieces{}:",
        name.len(),
        pieces.len()
    )
    .into_bytes();
    info.extend_from_slice(&pieces);
    info.push(b'e');
    let infohash = data_encoding::HEXLOWER.encode(&hash::sha1(&info));
    ([b"d4:info".as_slice(), &info, b"e"].concat(), infohash)
}
