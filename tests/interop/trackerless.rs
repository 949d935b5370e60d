//! A magnet link that names nothing but a hash: the DHT brings its peers together (BEP 5).

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::libtorrent::Libtorrent;
use support::clients::{Client, Job, Running, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::torrent::Torrent;

const READY: Duration = Duration::from_secs(30);

/// How long the download may take, the look-up and the seed's announce before it included.
const FOUND: Duration = Duration::from_secs(60);

/// Lets `leecher` get from `seeder` by a bare hash; they know a node of `between` and nothing else.
pub(crate) fn through(lab: &Lab, between: Client, seeder: Client, leecher: Client) {
    let start = |client: Client, job: &Job, node: SocketAddr| -> Box<dyn Running> {
        let own = lab.folder(&format!("home {}", job.listen));
        let node = node.to_string();
        match client {
            Client::Libtorrent(version) => Box::new(Libtorrent::start_with(
                version,
                job,
                &own,
                &["--dht", &node],
            )),
            Client::Ours => Box::new(Ours::start_with(job, &own, &["--dht-bootstrap", &node])),
            Client::Aria2 | Client::Transmission => unreachable!("their DHT is not driven here"),
        }
    };
    // The node that both know serves another torrent, of which nobody hears.
    let (data, hub) = home(lab, "hub");
    let (source, _) = torrent(&data, "hub.bin", 11);
    let job = |source: &str, dir: &Path, listen, seed| Job {
        source: source.to_owned(),
        dir: dir.to_owned(),
        listen,
        peers: Vec::new(),
        seed,
    };
    let mut hub_node = start(between, &job(&source, &data, hub, true), hub);
    finish(&mut *hub_node, READY, "the node between");

    let (data, at) = home(lab, "seed");
    let (source, torrent) = torrent(&data, "trackerless.bin", 12);
    let mut seed = start(seeder, &job(&source, &data, at, true), hub);
    finish(&mut *seed, READY, "the seed");

    let (dir, at) = home(lab, "leech");
    let begin = Instant::now();
    let mut leech = start(leecher, &job(&torrent.magnet(), &dir, at, false), hub);
    finish(&mut *leech, FOUND, "the download by a bare hash");
    let took = begin.elapsed();
    let read = |dir: &Path| std::fs::read(dir.join("trackerless.bin")).expect("the content");
    assert!(read(&dir) == read(&data), "the bytes differ");
    lab.report(&format!(
        "| a bare hash | {} to {} through a node of {} | {:.1} s |",
        seeder.name(),
        leecher.name(),
        between.name(),
        took.as_secs_f64()
    ));
    for client in [&mut leech, &mut seed, &mut hub_node] {
        client.process().stop();
    }
}

/// Writes a payload and its torrent into `dir`; gives the path of the torrent, and what it says.
fn torrent(dir: &Path, name: &str, seed: u64) -> (String, Torrent) {
    let payload = Payload::single(name, 3_000_000, seed);
    payload.write(dir).expect("the payload");
    let file = dir.join("input.torrent");
    let torrent = Torrent::write(&file, &payload, dir, 64 * 1024, &[]).expect("a torrent");
    (file.display().to_string(), torrent)
}
