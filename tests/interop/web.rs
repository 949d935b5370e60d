//! Torrents that come from plain web servers (BEP 19), and nobody else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::clients::libtorrent::Libtorrent;
use support::clients::web::{Kind, Web};
use support::clients::{Client, Job, Running, finish, home};
use support::ours::{self, Ours};
use support::payload::Payload;
use support::process::cpu_time;
use support::torrent::Torrent;
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

/// Downloads a payload from a web server, and returns the requests that it took.
fn through(lab: &Lab, kind: Kind, client: Client, payload: &Payload) -> Vec<String> {
    let (data, at_web) = home(lab, &format!("{kind:?}"));
    let (dir, listen) = home(lab, &format!("{} from {kind:?}", client.name()));
    payload.write(&data).expect("the payload");
    let web = Web::start(
        kind,
        at_web,
        &data,
        &lab.folder(&format!("web {}", at_web.port())),
    );
    let torrent = dir.join("input.torrent");
    Torrent::write(&torrent, payload, &data, 64 * 1024, &[]).expect("a torrent");
    let path = if payload.files.is_empty() {
        support::torrent::escape(payload.name.as_bytes())
    } else {
        String::new()
    };
    name_web_seed(&torrent, &web.url(&path));
    let job = Job {
        source: torrent.display().to_string(),
        dir: dir.clone(),
        listen,
        peers: Vec::new(),
        seed: false,
    };
    let own = lab.folder(&format!("home {listen}"));
    let begin = Instant::now();
    let mut running = client.start(&job, &own);
    finish(&mut *running, DONE, "the download");
    let took = begin.elapsed();
    payload.assert_equal(&data, &dir);
    running.process().stop();
    let requests = web.requests();
    lab.report(&format!(
        "| web seed, {kind:?}, {} | {} | {:.1} s, {} requests |",
        payload.name,
        client.name(),
        took.as_secs_f64(),
        requests.len()
    ));
    requests
}

/// nginx: ranges over kept connections.
pub(crate) fn with_ranges(lab: &Lab, client: Client) {
    let requests = through(lab, Kind::Nginx, client, &file());
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
    through(lab, Kind::Nginx, client, &folder());
}

/// Python's: whole files, and a connection for each.
pub(crate) fn without_ranges(lab: &Lab) {
    let requests = through(lab, Kind::Python, Client::Ours, &file());
    assert_eq!(requests.len(), 1, "{requests:?}");
    through(lab, Kind::Python, Client::Ours, &folder());
}

/// A torrent that our command makes with a web seed leads others there too.
pub(crate) fn named_by_ours(lab: &Lab, client: Client) {
    let payload = folder();
    let (data, at_web) = home(lab, "named by ours");
    let (dir, listen) = home(lab, &format!("{} by ours", client.name()));
    payload.write(&data).expect("the payload");
    let web = Web::start(Kind::Nginx, at_web, &data, &lab.folder("web by ours"));
    let torrent = dir.join("input.torrent");
    let made = Command::new(ours::binary())
        .arg("create")
        .arg(data.join(&payload.name))
        .arg("-o")
        .arg(&torrent)
        .args(["--web-seed", &web.url("")])
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{made:?}");
    let job = Job {
        source: torrent.display().to_string(),
        dir: dir.clone(),
        listen,
        peers: Vec::new(),
        seed: false,
    };
    let mut running = client.start(&job, &lab.folder(&format!("home {listen}")));
    finish(&mut *running, DONE, "the download");
    payload.assert_equal(&data, &dir);
    running.process().stop();
    let pads = web
        .requests()
        .iter()
        .filter(|line| line.contains(".pad"))
        .count();
    assert_eq!(pads, 0, "nobody asks for padding");
}

/// A server that lies is banned, one that is gone is left alone, and peers complete the torrent.
pub(crate) fn bad_servers(lab: &Lab) {
    let payload = Payload::single("lies.bin", 10_000_000, 23);
    let (data, at_peer) = home(lab, "honest peer");
    let (lies, at_web) = home(lab, "liar");
    let (dir, listen) = home(lab, "victim");
    payload.write(&data).expect("the payload");
    Payload::single("lies.bin", 10_000_000, 24)
        .write(&lies)
        .expect("other bytes");
    let web = Web::start(Kind::Nginx, at_web, &lies, &lab.folder("web of lies"));
    let torrent = dir.join("input.torrent");
    Torrent::write(&torrent, &payload, &data, 64 * 1024, &[]).expect("a torrent");
    name_web_seed(&torrent, &web.url("lies.bin"));
    let job = |dir: &Path, listen, peers, seed| Job {
        source: torrent.display().to_string(),
        dir: dir.to_owned(),
        listen,
        peers,
        seed,
    };
    let mut peer = Ours::start(
        &job(&data, at_peer, Vec::new(), true),
        &lab.folder("home peer"),
    );
    finish(&mut peer, DONE, "the seed");
    let gone = format!("http://{}/lies.bin", lab.address());
    let job = job(&dir, listen, vec![at_peer], false);
    let mut victim = Ours::start_with(&job, &lab.folder("home victim"), &["--web-seed", &gone]);
    finish(&mut victim, DONE, "the download");
    payload.assert_equal(&data, &dir);
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
    let payload = Payload::single("cost.bin", 200_000_000, 25);
    let (data, at_web) = home(lab, "cost");
    payload.write(&data).expect("the payload");
    let web = Web::start(Kind::Nginx, at_web, &data, &lab.folder("web cost"));
    let torrent = data.join("input.torrent");
    Torrent::write(&torrent, &payload, &data, 1 << 20, &[]).expect("a torrent");
    name_web_seed(&torrent, &web.url("cost.bin"));
    for client in [Client::Ours, Client::Libtorrent("2.1.1")] {
        let (dir, listen) = home(lab, &format!("{} cost", client.name()));
        let job = Job {
            source: torrent.display().to_string(),
            dir: dir.clone(),
            listen,
            peers: Vec::new(),
            seed: false,
        };
        let own = lab.folder(&format!("home {listen}"));
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
        payload.assert_equal(&data, &dir);
        lab.report(&format!(
            "| web seed, 200 MB | {} | {took:.2} s, {:.2} CPU s |",
            client.name(),
            used.expect("it runs").as_secs_f64()
        ));
    }
}
