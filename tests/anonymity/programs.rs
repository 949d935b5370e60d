//! Other programs that go through circuits by our SOCKS5 servers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::opentracker::Opentracker;
use support::clients::{Client, Orders, Transport, finish, home};
use support::content::Content;
use support::ours::binary;
use support::overlay::Testnet;
use support::payload::Payload;
use support::process::Process;
use support::wait;

const NODES: usize = 8;
const LEN: u64 = 12_000_001;
const READY: Duration = Duration::from_secs(60);
const DONE: Duration = Duration::from_secs(90);
/// What is said while nobody who may be asked is known.
const NO_EXIT: &str = "no circuit to an exit";

/// A relay with a SOCKS5 server for each number of hops.
pub(crate) struct Servers {
    first: SocketAddr,
    _process: Process,
}

impl Servers {
    pub(crate) fn start(lab: &Lab, net: &Testnet) -> Self {
        let dir = lab.folder("socks");
        // Two more ports follow, which nobody else is given here: this address is of the loopback alone.
        let first = SocketAddr::from(([127, 0, 0, 1], 1080));
        let mut command = Command::new(binary());
        command
            .args(["relay", "--json", "--socks", &first.to_string()])
            .args(["--overlay-listen", &lab.address().to_string()])
            .args(net.flags())
            .arg("--state")
            .arg(dir.join("state"));
        let process = Process::start(command, &dir, "socks");
        let listens = |port: u16| support::clients::listens(port).then_some(());
        let up = wait::until(READY, || listens(first.port() + 2));
        assert!(up.is_some(), "no server\n{}", process.last_words());
        Self {
            first,
            _process: process,
        }
    }

    pub(crate) fn at(&self, hops: usize) -> SocketAddr {
        let mut at = self.first;
        at.set_port(at.port() + hops as u16 - 1);
        at
    }
}

/// Two libtorrents behind one server, which know the UDP tracker alone, get a torrent each by uTP from one that is behind nothing.
pub(crate) fn download(lab: &Lab) {
    let net = Testnet::start(lab, NODES);
    let servers = Servers::start(lab, &net);
    let libtorrent = Client::Libtorrent("2.1.1");
    let tracker = lab.address();
    let url = Opentracker::url(tracker, "udp");
    let contents = [("one.bin", 74), ("two.bin", 75)].map(|(name, seed)| {
        let payload = Payload::single(name, LEN, seed);
        Content::described(lab, payload, 64 * 1024, std::slice::from_ref(&url))
    });
    let hashes = contents.each_ref().map(|it| it.torrent.info_hash);
    let tracker = Opentracker::start(tracker, &hashes, &home(lab, "tracker").0);
    let mut seeds = contents.each_ref().map(|content| {
        let job = content.seed(lab.address());
        let mut seed = libtorrent.run(lab, &job.with(Orders::by(Transport::Utp)));
        finish(&mut *seed, READY, "a seed");
        seed
    });
    let known = wait::until(READY, || {
        let all = hashes.iter().all(|hash| tracker.seeds(hash) > 0);
        all.then_some(())
    });
    assert!(known.is_some(), "the seeds are not known");
    for hops in 1..=2 {
        let begin = Instant::now();
        let mut leeches = contents.each_ref().map(|content| {
            let (dir, at) = home(lab, "leech");
            let orders = Orders {
                proxy: Some(servers.at(hops)),
                ..Orders::by(Transport::Utp)
            };
            let job = content.download(&dir, at, Vec::new()).with(orders);
            (libtorrent.run(lab, &job), dir)
        });
        for ((leech, dir), content) in leeches.iter_mut().zip(&contents) {
            finish(&mut **leech, DONE, "a download");
            content.assert_arrived(dir);
            leech.process().stop();
        }
        lab.report(&format!(
            "| {hops} hops | two libtorrents behind one server | {:.1} s |",
            begin.elapsed().as_secs_f64()
        ));
    }
    for seed in &mut seeds {
        seed.process().stop();
    }
}

/// What curl is told, soon, about what circuits carry and what they do not; nothing is asked twice.
pub(crate) fn curl(lab: &Lab) {
    let net = Testnet::start(lab, NODES);
    let servers = Servers::start(lab, &net);
    let (page, asked_page) = serve(lab.address(), "<html></html>");
    let (tracker, asked_tracker) = serve(lab.address(), "d8:intervali60e5:peers0:e");
    let nobody = lab.address();
    for hops in 1..=3 {
        let proxy = format!("socks5h://{}", servers.at(hops));
        for (url, said) in [
            (format!("http://{tracker}/announce"), "8:intervali60e"),
            (
                format!("http://{page}/"),
                "the server answered something else than trackers do",
            ),
            (format!("http://{nobody}/"), "could not connect"),
            ("http://nobody.invalid/".to_owned(), "no host of that name"),
            (format!("https://{page}/"), "alert access denied"),
        ] {
            let ask = || ask(&proxy, &url);
            // It may not have met an exit yet, which is said, and then nobody was asked.
            let met = wait::until(READY, || {
                Some(ask()).filter(|(words, _)| !words.contains(NO_EXIT))
            });
            let (words, took) = met.unwrap_or_else(ask);
            lab.report(&format!(
                "| {hops} hops | {url} | {words} | {:.2} s |",
                took.as_secs_f64()
            ));
            assert!(words.contains(said), "{url}: {words}");
        }
    }
    for (what, asked) in [("page", asked_page), ("tracker", asked_tracker)] {
        assert_eq!(asked.load(Ordering::SeqCst), 3, "requests for the {what}");
    }
}

/// What curl prints of a request through a server, and how long it takes.
fn ask(proxy: &str, url: &str) -> (String, Duration) {
    let begin = Instant::now();
    let mut command = Command::new("curl");
    // What is never said ends there, with other words.
    command.args(["-sS", "--max-time", "20", "-w", " [%{http_code}]"]);
    let got = command.args(["-x", proxy, url]).output().expect("curl");
    let words = [got.stdout, got.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (words, begin.elapsed())
}

/// A web server with one answer, and how often it was asked.
fn serve(at: SocketAddr, body: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let door = TcpListener::bind(at).expect("a listener");
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in door.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            count.fetch_add(1, Ordering::SeqCst);
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(body.as_bytes());
        }
    });
    (at, asked)
}
