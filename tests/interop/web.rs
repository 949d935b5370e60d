//! Torrents that come from plain web servers (BEP 19), and nobody else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::cases::side_by_side;
use support::clients::libtorrent::Libtorrent;
use support::clients::web::{Kind, Web};
use support::clients::{Client, Job, Running as _, finish, home};
use support::content::Content;
use support::ours::{self, Ours};
use support::payload::Payload;
use support::process::cpu_time;
use support::torrent::escape;
use support::{Lab, wait};

const DONE: Duration = Duration::from_secs(90);

fn file() -> Payload {
    Payload::single("web seed é.bin", 30_000_003, 21)
}

fn folder() -> Payload {
    Payload::nested("folder of web seeds", 200, 60_000, 22)
}

/// Puts the URLs of web seeds behind the info dictionary of a torrent.
fn name_web_seed(torrent: &Path, url: &str) {
    let mut bytes = fs::read(torrent).expect("the torrent");
    assert_eq!(bytes.pop(), Some(b'e'));
    bytes.extend(format!("8:url-list{}:{url}e", url.len()).bytes());
    fs::write(torrent, bytes).expect("written");
}

/// A content that a web server has, and whose torrent says so.
fn served(lab: &Lab, kind: Kind, payload: Payload) -> (Content, Web) {
    let content = Content::new(lab, payload);
    let at = lab.address();
    let own = lab.folder(&format!("web {}", at.port()));
    let web = Web::start(kind, at, &content.dir, &own);
    let name = &content.payload.name;
    let path = if content.payload.files.is_empty() {
        escape(name.as_bytes())
    } else {
        String::new()
    };
    name_web_seed(&content.torrent.path, &web.url(&path));
    (content, web)
}

/// Downloads a payload from a web server, and returns the requests that it took.
fn through(lab: &Lab, kind: Kind, client: Client, payload: Payload) -> Vec<String> {
    let (content, web) = served(lab, kind, payload);
    let begin = Instant::now();
    download(lab, client, &content, &content.source());
    let (took, requests) = (begin.elapsed(), web.requests());
    lab.report(&format!(
        "| web seed, {kind:?}, {} | {} | {:.1} s, {} requests |",
        content.payload.name,
        client.name(),
        took.as_secs_f64(),
        requests.len()
    ));
    requests
}

/// Has `client` get a torrent without peers, and compares the bytes.
fn download(lab: &Lab, client: Client, content: &Content, source: &str) {
    let (dir, listen) = home(lab, &format!("{} from the web", client.name()));
    let mut running = client.run(lab, &Job::download(source, &dir, listen, Vec::new()));
    finish(&mut *running, DONE, "the download");
    running.process().stop();
    content.assert_arrived(&dir);
}

/// What is got, and from what server.
#[derive(Clone, Copy, Debug)]
enum Case {
    FileWithRanges,
    FolderWithRanges,
    FileWithoutRanges,
    FolderWithoutRanges,
    NamedByOurs,
}

/// Has everyone get what they can from servers of both kinds. Transmission, which waits most, comes first.
pub(crate) fn every_exchange(lab: &Lab) {
    use Case::{
        FileWithRanges, FileWithoutRanges, FolderWithRanges, FolderWithoutRanges, NamedByOurs,
    };
    use Client::{Aria2, Ours, Qbittorrent, Transmission};
    let theirs = Client::Libtorrent("2.1.1");
    let with_ranges = [FileWithRanges, FolderWithRanges];
    // libtorrent and Transmission take nothing from a server that has no ranges.
    let without = [FileWithoutRanges, FolderWithoutRanges];
    let mut cases = Vec::new();
    for client in [Transmission, Ours, theirs, Qbittorrent, Aria2] {
        cases.extend(with_ranges.map(|case| (client, case)));
    }
    for client in [Ours, Aria2] {
        cases.extend(without.map(|case| (client, case)));
    }
    cases.extend([Ours, theirs, Qbittorrent].map(|client| (client, NamedByOurs)));
    side_by_side(4, &cases, |&(client, case)| exchange(lab, client, case));
}

/// Has `client` get something from a web server.
fn exchange(lab: &Lab, client: Client, case: Case) {
    match case {
        Case::FileWithRanges => file_with_ranges(lab, client),
        Case::FolderWithRanges => _ = through(lab, Kind::Nginx, client, folder()),
        Case::FileWithoutRanges => file_without_ranges(lab, client),
        Case::FolderWithoutRanges => _ = through(lab, Kind::Python, client, folder()),
        Case::NamedByOurs => named_by_ours(lab, client),
    }
}

/// nginx: ranges over kept connections.
fn file_with_ranges(lab: &Lab, client: Client) {
    let requests = through(lab, Kind::Nginx, client, file());
    if client == Client::Ours {
        assert!(
            requests.iter().all(|line| line.contains(" 206 ")),
            "{requests:?}"
        );
        assert!(requests.len() < 60, "{} requests", requests.len());
        let connections: BTreeSet<_> = requests
            .iter()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert!(connections.len() <= 4, "{} connections", connections.len());
    }
}

/// Python's: whole files, and a connection for each.
fn file_without_ranges(lab: &Lab, client: Client) {
    let requests = through(lab, Kind::Python, client, file());
    if client == Client::Ours {
        assert_eq!(requests.len(), 1, "{requests:?}");
    }
}

/// A torrent that our command makes with a web seed leads others there too.
fn named_by_ours(lab: &Lab, client: Client) {
    let (content, web) = served(lab, Kind::Nginx, folder());
    let torrent = content.dir.join("ours.torrent");
    let made = Command::new(ours::binary())
        .arg("create")
        .arg(content.dir.join(&content.payload.name))
        .arg("-o")
        .arg(&torrent)
        .args(["--web-seed", &web.url("")])
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{made:?}");
    download(lab, client, &content, &torrent.display().to_string());
    let pads = web
        .requests()
        .iter()
        .filter(|line| line.contains(".pad"))
        .count();
    assert_eq!(pads, 0, "nobody asks for padding");
}

/// A server that lies is banned, one that is gone is left alone, and peers complete the torrent.
pub(crate) fn bad_servers(lab: &Lab) {
    let file = |seed| Payload::single("lies.bin", 10_000_000, seed);
    let content = Content::new(lab, file(23));
    let (lies, at_web) = home(lab, "liar");
    file(24).write(&lies).expect("other bytes");
    let web = Web::start(Kind::Nginx, at_web, &lies, &lab.folder("web of lies"));
    name_web_seed(&content.torrent.path, &web.url("lies.bin"));
    let at_peer = lab.address();
    let mut peer = Client::Ours.run(lab, &content.seed(at_peer));
    finish(&mut *peer, DONE, "the seed");
    let gone = format!("http://{}/lies.bin", lab.address());
    let (dir, listen) = home(lab, "victim");
    let job = content.download(&dir, listen, vec![at_peer]);
    let mut victim = Ours::start_with(&job, &lab.folder("home victim"), &["--web-seed", &gone]);
    finish(&mut victim, DONE, "the download");
    content.assert_arrived(&dir);
    let told = |url: &str| {
        let events = victim.events();
        events
            .iter()
            .any(|event| event["event"] == "web_seed" && event["url"] == url)
    };
    assert!(told(&web.url("lies.bin")), "nobody was told of the liar");
    assert!(told(&gone), "nobody was told of the one that is gone");
    peer.process().stop();
}

/// The processor time that it takes, beside libtorrent's.
pub(crate) fn cost(lab: &Lab) {
    let (content, _web) = served(
        lab,
        Kind::Nginx,
        Payload::single("cost.bin", 200_000_000, 25),
    );
    for client in [Client::Ours, Client::Libtorrent("2.1.1")] {
        let (dir, listen) = home(lab, &format!("{} cost", client.name()));
        let job = content.download(&dir, listen, Vec::new());
        let own = lab.folder(&format!("home {}", listen.port()));
        let begin = Instant::now();
        let used = if let Client::Libtorrent(version) = client {
            let mut running = Libtorrent::start(version, &job, &own);
            finish(&mut running, DONE, "the download");
            cpu_time(running.process().pid())
        } else {
            let mut running = Ours::start_with(&job, &own, &["--keep-seeding"]);
            let finished = || running.event("finished");
            wait::until(DONE, finished).expect("it completes");
            cpu_time(running.process().pid())
        };
        let took = begin.elapsed().as_secs_f64();
        content.assert_arrived(&dir);
        lab.report(&format!(
            "| web seed, 200 MB | {} | {took:.2} s, {:.2} CPU s |",
            client.name(),
            used.expect("it runs").as_secs_f64()
        ));
    }
}
