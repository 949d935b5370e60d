//! Torrents exchanged by IPv6 alone: nobody has or knows another address.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::libtorrent::Libtorrent;
use support::clients::{Client, Job, Running, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::sandbox::must;
use support::torrent::Torrent;

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(60);
const CONTENT: &str = "six.bin";

/// Lets `leecher`, who dials, get a file from `seeder`, and compares the bytes.
pub(crate) fn exchange(lab: &Lab, seeder: Client, leecher: Client, transport: &str) {
    let (theirs, ours) = (place(lab), place(lab));
    let payload = Payload::single(CONTENT, 10_000_001, 51);
    payload.write(&theirs.0).expect("the payload");
    let file = theirs.0.join("input.torrent");
    Torrent::write(&file, &payload, &theirs.0, 64 * 1024, &[]).expect("a torrent");
    let job = |(dir, listen): &(PathBuf, SocketAddr), peers, seed| Job {
        source: file.display().to_string(),
        dir: dir.clone(),
        listen: *listen,
        peers,
        seed,
    };
    let mut seed = start(lab, seeder, &job(&theirs, Vec::new(), true), transport);
    finish(&mut *seed, READY, "the seed");
    let begin = Instant::now();
    let mut leech = start(lab, leecher, &job(&ours, vec![theirs.1], false), transport);
    finish(&mut *leech, DONE, "the download");
    let took = begin.elapsed();
    let read = |dir: &Path| std::fs::read(dir.join(CONTENT)).expect("the content");
    assert!(read(&ours.0) == read(&theirs.0), "the bytes differ");
    lab.report(&format!(
        "| IPv6 only, {transport} | {} to {} | {:.1} s |",
        seeder.name(),
        leecher.name(),
        took.as_secs_f64()
    ));
    leech.process().stop();
    seed.process().stop();
}

/// A folder and an address of IPv6 that nobody has had before.
fn place(lab: &Lab) -> (PathBuf, SocketAddr) {
    let (dir, v4) = home(lab, "six");
    let ip = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, v4.port());
    must(&["ip", "-6", "addr", "add", &format!("{ip}/128"), "dev", "lo"]);
    (dir, SocketAddr::new(ip.into(), v4.port()))
}

fn start(lab: &Lab, client: Client, job: &Job, transport: &str) -> Box<dyn Running> {
    let own = lab.folder(&format!("home {}", job.listen.port()));
    match client {
        Client::Libtorrent(version) => {
            let utp: &[&str] = if transport == "utp" { &["--utp"] } else { &[] };
            Box::new(Libtorrent::start_with(version, job, &own, utp))
        }
        Client::Ours => Box::new(Ours::start_with(job, &own, &["--transport", transport])),
        Client::Aria2 | Client::Transmission => unreachable!("they are not driven here"),
    }
}
