//! A tracker on a simulated host: HTTP and UDP on port 80, and a memory for what it was asked.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use net::sim::Host;
use net::{BoxStream, DatagramSocket, Pool, Task};
use parking_lot::Mutex;
use protocol::tracker::http::server::{parse_announce_query, parse_scrape_query};
use protocol::tracker::http::{PeerForm, encode_announce, encode_failure, encode_scrape};
use protocol::tracker::udp::{Request, Response};
use protocol::tracker::{
    Announce, AnnounceEvent, AnnounceReply, RetryIn, ScrapeEntry, TrackerPeer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// How long an answer takes.
const WORK: Duration = Duration::from_millis(5);

/// What a tracker does.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// Seeds and leechers of every torrent.
    pub(crate) counts: (u32, u32),
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) external: Option<IpAddr>,
    pub(crate) warning: Option<String>,
    pub(crate) tracker_id: Option<Vec<u8>>,
    /// Refuses, and says how many minutes later to come back.
    pub(crate) refuse: Option<(String, Option<u64>)>,
    /// Answers HTTP requests with this status and these headers, and nothing else.
    pub(crate) busy: Option<&'static str>,
    /// Sends HTTP requests elsewhere.
    pub(crate) redirect: Option<String>,
    /// Answers one torrent a scrape.
    pub(crate) single_scrape: bool,
    /// Never answers.
    pub(crate) silent: bool,
    /// Never answers who leaves.
    pub(crate) holds_leavers: bool,
    /// Takes note of who leaves so much later.
    pub(crate) ponders_leavers: Duration,
    /// Sends a body without end: so many KiB at a time, or with 0 a byte a second.
    pub(crate) endless: Option<usize>,
}

/// A running tracker.
pub(crate) struct Tracker {
    state: Arc<State>,
    _tasks: [Task<()>; 2],
}

/// An announce as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) from: SocketAddr,
    pub(crate) announce: Announce,
    /// The address that it says is the client's.
    pub(crate) told_ip: Option<IpAddr>,
    pub(crate) by_udp: bool,
}

#[derive(Default)]
struct State {
    behaviour: Behaviour,
    seen: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    announces: Vec<Seen>,
    scrapes: Vec<usize>,
    connections: usize,
    heard: usize,
    at_once: usize,
    most_at_once: usize,
}

impl Tracker {
    pub(crate) fn start(host: &Host, behaviour: Behaviour) -> Self {
        let state = Arc::new(State {
            behaviour,
            seen: Mutex::default(),
        });
        let any: SocketAddr = "[::]:80".parse().expect("an address");
        let mut listener = host.network().listen(any).expect("a listener");
        let socket = host.network().datagram(any).expect("a socket");
        let (http, udp) = (Arc::clone(&state), Arc::clone(&state));
        let accepting = Pool::current().spawn(async move {
            let mut serving = Vec::new();
            while let Ok((stream, from)) = listener.accept().await {
                http.seen.lock().connections += 1;
                let state = Arc::clone(&http);
                serving.push(Pool::current().spawn(async move {
                    let _ = state.serve(stream, from).await;
                }));
            }
        });
        let receiving = Pool::current().spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                let work = udp
                    .clone()
                    .answer(buffer[..len].to_vec(), from, Arc::clone(&socket));
                Pool::current().spawn(work).detach();
            }
        });
        Self {
            state,
            _tasks: [accepting, receiving],
        }
    }

    pub(crate) fn announces(&self) -> Vec<Seen> {
        self.state.seen.lock().announces.clone()
    }

    /// How many torrents each scrape asked for.
    pub(crate) fn scrapes(&self) -> Vec<usize> {
        self.state.seen.lock().scrapes.clone()
    }

    /// Connections over HTTP, and connection ids that were given over UDP.
    pub(crate) fn connections(&self) -> usize {
        self.state.seen.lock().connections
    }

    /// Requests of any kind.
    pub(crate) fn heard(&self) -> usize {
        self.state.seen.lock().heard
    }

    /// The most announces that were being answered at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.seen.lock().most_at_once
    }
}

impl State {
    async fn serve(&self, mut stream: BoxStream, from: SocketAddr) -> io::Result<()> {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            self.seen.lock().heard += 1;
            if self.behaviour.silent {
                continue;
            }
            if let Some(kib) = self.behaviour.endless {
                return endless(&mut stream, kib).await;
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let target = head.split(' ').nth(1).unwrap_or_default();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            if let Some(busy) = self.behaviour.busy {
                let head = format!("HTTP/1.1 {busy}\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.flush().await?;
                continue;
            }
            let (status, body) = match &self.behaviour.redirect {
                Some(to) => (format!("302 Found\r\nLocation: {to}?{query}"), Vec::new()),
                None if path.starts_with("/scrape") => {
                    let hashes = parse_scrape_query(Some(query)).unwrap_or_default();
                    self.seen.lock().scrapes.push(hashes.len());
                    let most = if self.behaviour.single_scrape {
                        1
                    } else {
                        hashes.len()
                    };
                    let known = hashes.into_iter().take(most);
                    let files: BTreeMap<_, _> = known.map(|hash| (hash, self.entry())).collect();
                    ("200 OK".to_owned(), encode_scrape(&files))
                }
                None => {
                    let told = query.split('&').find_map(|part| part.strip_prefix("ip="));
                    let told = told.and_then(|ip| ip.parse().ok());
                    let query = parse_announce_query(Some(query)).map_err(io::Error::other)?;
                    self.announced((from, false), query.announce, told).await;
                    ("200 OK".to_owned(), self.reply())
                }
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.flush().await?;
        }
    }

    async fn answer(
        self: Arc<Self>,
        datagram: Vec<u8>,
        from: SocketAddr,
        socket: Arc<dyn DatagramSocket>,
    ) {
        self.seen.lock().heard += 1;
        let Ok(request) = Request::decode(&datagram) else {
            return;
        };
        if self.behaviour.silent {
            return;
        }
        let id_of = |from: SocketAddr| u64::from(from.port()) << 8 | 1;
        let response = match request {
            Request::Connect { transaction } => {
                self.seen.lock().connections += 1;
                Response::Connect {
                    transaction,
                    connection: id_of(from),
                }
            }
            Request::Announce {
                connection,
                transaction,
                announce,
                ..
            } => {
                assert_eq!(connection, id_of(from), "an id of another");
                let told = announce.ipv4.map(IpAddr::from);
                self.announced((from, true), announce, told).await;
                Response::Announce {
                    transaction,
                    interval: 1800,
                    leechers: self.behaviour.counts.1,
                    seeders: self.behaviour.counts.0,
                    peers: self.behaviour.peers.clone(),
                }
            }
            Request::Scrape {
                transaction,
                torrents,
                ..
            } => {
                self.seen.lock().scrapes.push(torrents.len());
                Response::Scrape {
                    transaction,
                    entries: vec![self.entry(); torrents.len()],
                }
            }
        };
        let _ = socket.send_to(&response.encode(), from).await;
    }

    async fn announced(
        &self,
        (from, by_udp): (SocketAddr, bool),
        announce: Announce,
        told_ip: Option<IpAddr>,
    ) {
        let leaves = announce.event == AnnounceEvent::Stopped;
        if leaves && !self.behaviour.ponders_leavers.is_zero() {
            tokio::time::sleep(self.behaviour.ponders_leavers).await;
        }
        {
            let mut seen = self.seen.lock();
            seen.announces.push(Seen {
                at: Instant::now(),
                from,
                announce,
                told_ip,
                by_udp,
            });
            seen.at_once += 1;
            seen.most_at_once = seen.most_at_once.max(seen.at_once);
        }
        tokio::time::sleep(WORK).await;
        self.seen.lock().at_once -= 1;
        if leaves && self.behaviour.holds_leavers {
            std::future::pending::<()>().await;
        }
    }

    fn entry(&self) -> ScrapeEntry {
        ScrapeEntry {
            complete: self.behaviour.counts.0,
            downloaded: 9,
            incomplete: self.behaviour.counts.1,
        }
    }

    fn reply(&self) -> Vec<u8> {
        if let Some((reason, minutes)) = &self.behaviour.refuse {
            let retry = minutes.map(|minutes| RetryIn::After(Duration::from_secs(60 * minutes)));
            return encode_failure(reason, retry);
        }
        let reply = AnnounceReply {
            interval: Some(Duration::from_secs(1800)),
            complete: Some(self.behaviour.counts.0),
            incomplete: Some(self.behaviour.counts.1),
            peers: self
                .behaviour
                .peers
                .iter()
                .copied()
                .map(TrackerPeer::new)
                .collect(),
            external_ip: self.behaviour.external,
            warning: self.behaviour.warning.clone(),
            tracker_id: self.behaviour.tracker_id.clone(),
            ..AnnounceReply::default()
        };
        encode_announce(&reply, PeerForm::Compact)
    }
}

async fn endless(stream: &mut BoxStream, kib: usize) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nd5:peers").await?;
    loop {
        stream.write_all(&vec![b'1'; (kib << 10).max(1)]).await?;
        stream.flush().await?;
        if kib == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
