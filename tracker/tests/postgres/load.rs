//! A tracker under full load whose lists are read again and whose database is killed all the time: no count may be wrong at the end.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::id::{InfoHash, PeerId};
use protocol::tracker::http::announce_url;
use protocol::tracker::udp::{Family, Request, Response};
use protocol::tracker::{Announce, AnnounceEvent};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tracker::access::Listing;
use tracker::settings::{HttpSettings, UdpSettings};
use tracker::{Tracker, TrackerHandle};

use crate::server::{LONG, Server};

/// Torrents, and ports of each client that peers have.
const TORRENTS: u8 = 200;
const PORTS: u16 = 400;

/// Clients by UDP, and all of them; the others go by HTTP.
const UDP: u8 = 3;
const CLIENTS: u8 = 4;

/// What is right of a torrent.
#[derive(Default)]
struct Right {
    completed: AtomicU32,
    seeders: AtomicI64,
    leechers: AtomicI64,
}

/// One client with many peers: each is at a torrent and a port.
struct Client<'a> {
    way: Way,
    rng: SmallRng,
    /// The peers that are there, and whether they have everything.
    peers: BTreeMap<(u8, u16), bool>,
    right: &'a [Right],
    announces: &'a AtomicU64,
}

enum Way {
    Udp(UdpSocket, u64, Instant),
    Http(SocketAddr, TcpStream),
}

impl Way {
    fn udp(from: u8, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, from), 0)).unwrap();
        socket.connect(to).unwrap();
        let soon = Duration::from_millis(500);
        socket.set_read_timeout(Some(soon)).unwrap();
        let long_ago = Instant::now()
            .checked_sub(LONG)
            .unwrap_or_else(Instant::now);
        Self::Udp(socket, 0, long_ago)
    }

    /// Announces until that is answered: a second time changes nothing.
    fn announce(&mut self, announce: &Announce) {
        match self {
            Self::Udp(socket, connection, since) => loop {
                if since.elapsed() > Duration::from_secs(60) {
                    let transaction = transaction();
                    let connect = Request::Connect { transaction };
                    if let Some(Response::Connect { connection: id, .. }) =
                        ask(socket, transaction, &connect)
                    {
                        (*connection, *since) = (id, Instant::now());
                    }
                    continue;
                }
                let transaction = transaction();
                let request = Request::Announce {
                    connection: *connection,
                    transaction,
                    announce: announce.clone(),
                    url_data: Vec::new(),
                };
                match ask(socket, transaction, &request) {
                    Some(Response::Announce { .. }) => return,
                    Some(other) => panic!("refused: {other:?}"),
                    None => {}
                }
            },
            Self::Http(at, stream) => {
                let url = announce_url(&format!("http://{at}/announce"), announce).unwrap();
                let host = format!("http://{at}");
                let target = url.strip_prefix(host.as_str()).unwrap();
                write!(stream, "GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
                let mut room = [0; 8192];
                let mut len = 0;
                // Answers are short, and end with the dictionary.
                while !is_whole(&room[..len]) {
                    let came = stream.read(&mut room[len..]).unwrap();
                    assert!(came > 0, "the tracker closes");
                    len += came;
                }
                let text = String::from_utf8_lossy(&room[..len]).into_owned();
                assert!(text.contains("8:intervali"), "refused: {text}");
            }
        }
    }
}

/// A number that no other request has.
fn transaction() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// What a request is answered; `None` where nothing comes for a while. Late answers to others are passed over.
fn ask(socket: &UdpSocket, transaction: u32, request: &Request) -> Option<Response> {
    socket.send(&request.encode()).unwrap();
    let mut room = [0; 2048];
    loop {
        let len = socket.recv(&mut room).ok()?;
        let response = Response::decode(&room[..len], Family::V4).ok()?;
        if response.transaction() == transaction {
            return Some(response);
        }
    }
}

/// Whether an answer by HTTP has all the bytes that its head tells of.
fn is_whole(text: &[u8]) -> bool {
    let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&text[..end]).to_lowercase();
    let len = head.split("content-length: ").nth(1).unwrap();
    let len: usize = len.split("\r\n").next().unwrap().parse().unwrap();
    text.len() >= end + 4 + len
}

impl Client<'_> {
    /// Has a peer at random come, complete, or go.
    fn step(&mut self) {
        let peer = (
            self.rng.random_range(0..TORRENTS),
            self.rng.random_range(1..=PORTS),
        );
        let right = &self.right[usize::from(peer.0)];
        let mut announce = Announce::new(hash(peer.0), PeerId([7; 20]), peer.1);
        announce.num_want = Some(5);
        let (change, left): (fn(&Right), _) = match self.peers.get(&peer) {
            None => {
                announce.event = AnnounceEvent::Started;
                let seeds = self.rng.random_ratio(1, 8);
                self.peers.insert(peer, seeds);
                if seeds {
                    (|right| add(&right.seeders, 1), 0)
                } else {
                    (|right| add(&right.leechers, 1), 5)
                }
            }
            Some(false) if self.rng.random_ratio(2, 3) => {
                announce.event = AnnounceEvent::Completed;
                self.peers.insert(peer, true);
                let change: fn(&Right) = |right| {
                    add(&right.leechers, -1);
                    add(&right.seeders, 1);
                    right.completed.fetch_add(1, Ordering::Relaxed);
                };
                (change, 0)
            }
            Some(seeds) => {
                announce.event = AnnounceEvent::Stopped;
                let seeds = *seeds;
                self.peers.remove(&peer);
                if seeds {
                    (|right| add(&right.seeders, -1), 0)
                } else {
                    (|right| add(&right.leechers, -1), 5)
                }
            }
        };
        announce.left = Some(left);
        self.way.announce(&announce);
        change(right);
        self.announces.fetch_add(1, Ordering::Relaxed);
    }
}

fn add(count: &AtomicI64, change: i64) {
    count.fetch_add(change, Ordering::Relaxed);
}

fn hash(torrent: u8) -> InfoHash {
    let mut hash = [0x5a; 20];
    hash[0] = torrent;
    InfoHash(hash)
}

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// From so many seconds on it is asked whether memory stays: before, threads and buffers grow to what they need, sooner or later as other
/// programs let them.
const SETTLES: u64 = 60;

fn seconds() -> u64 {
    let asked = std::env::var("TRIBLER_SOAK_SECONDS").ok();
    asked.map_or(4, |seconds| seconds.parse().unwrap())
}

#[actix_rt::test]
async fn under_load_with_reloads_and_database_restarts_no_count_is_wrong_and_memory_stays_flat() {
    let Some(mut server) = Server::new() else {
        return;
    };
    let seed: u64 = rand::random();
    println!("seed {seed}");
    server.start();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    let torrents: Vec<String> = (0..TORRENTS).map(|at| hash(at).to_string()).collect();
    let text = torrents.join("\n") + "\n";
    std::fs::write(&list, &text).unwrap();
    let mut settings = server.settings();
    settings.workers = 1;
    settings.access.listing = Listing::Allow;
    settings.access.list_file = Some(list.clone());
    settings.udp = vec![UdpSettings::new((Ipv4Addr::LOCALHOST, 0).into())];
    settings.http = vec![HttpSettings::new((Ipv4Addr::LOCALHOST, 0).into())];
    let (_, tracker) = Tracker::launch(settings.clone(), Path::new("")).unwrap();
    let (udp, http) = (tracker.listening().udp[0], tracker.listening().http[0]);

    let right: Vec<Right> = (0..TORRENTS).map(|_| Right::default()).collect();
    let right: &'static [Right] = Box::leak(right.into_boxed_slice());
    let (ends, announces) = (
        Box::leak(Box::<AtomicBool>::default()),
        Box::leak(Box::<AtomicU64>::default()),
    );
    let (ends, announces): (&'static AtomicBool, &'static AtomicU64) = (ends, announces);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            std::thread::spawn(move || {
                let way = if number < UDP {
                    Way::udp(number + 2, udp)
                } else {
                    Way::Http(http, TcpStream::connect(http).unwrap())
                };
                let mut client = Client {
                    way,
                    rng: SmallRng::seed_from_u64(seed ^ u64::from(number)),
                    peers: BTreeMap::new(),
                    right,
                    announces,
                };
                while !ends.load(Ordering::Relaxed) {
                    client.step();
                }
            })
        })
        .collect();

    let begun = Instant::now();
    let lasts = Duration::from_secs(seconds());
    let mut early = None;
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut round = 0_u32;
    while begun.elapsed() < lasts {
        round += 1;
        // Other torrents come and go on the list.
        let filler = (0..round % 50).map(|at| format!("{:040x}", at + round));
        let filler: Vec<String> = filler.collect();
        let next = folder.path().join("next");
        std::fs::write(&next, format!("{text}{}\n", filler.join("\n"))).unwrap();
        // It is read by the clock too: whoever reads finds one or the other.
        std::fs::rename(&next, &list).unwrap();
        settings.announce.interval = 1800 + round % 10;
        let _ = tracker.reload(settings.clone()).await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..900))).await;
        if round.is_multiple_of(3) {
            let signal = if rng.random() { "QUIT" } else { "INT" };
            server = tokio::task::spawn_blocking(move || {
                server.stop(signal);
                server.start();
                server
            })
            .await
            .unwrap();
        }
        if early.is_none() && begun.elapsed() > lasts / 5 {
            early = Some(resident());
        }
    }
    let late = resident();
    ends.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    check(&tracker, &server, right).await;
    let (early, count) = (early.unwrap_or(late), announces.load(Ordering::Relaxed));
    println!(
        "{count} announces in {} s, {round} reloads, {} restarts; memory {} KiB, then {} KiB",
        begun.elapsed().as_secs(),
        round / 3,
        early / 1024,
        late / 1024
    );
    let stays = late < early + early / 8 + (4 << 20);
    assert!(stays || seconds() < SETTLES, "{early} {late}");
}

/// Holds all counts to what is right, those of the database too.
async fn check(tracker: &TrackerHandle, server: &Server, right: &[Right]) {
    let end = Instant::now() + LONG;
    while let Err(error) = tracker.store().write().await {
        assert!(Instant::now() < end, "{error}");
        tokio::task::yield_now().await;
    }
    let written = server.completed();
    for (torrent, right) in (0..TORRENTS).zip(right) {
        let shown = tracker.core().swarms.scrape(&hash(torrent));
        let completed = right.completed.load(Ordering::Relaxed);
        let peers = [&right.seeders, &right.leechers].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(
            [shown.complete, shown.incomplete].map(i64::from),
            peers,
            "{torrent}"
        );
        assert_eq!(shown.downloaded, completed, "{torrent}");
        assert_eq!(
            written.get(&hash(torrent)).copied().unwrap_or(0),
            completed,
            "{torrent}"
        );
    }
}
