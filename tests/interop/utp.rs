//! Torrents exchanged over uTP alone (BEP 29): nobody listens for TCP, and nobody dials it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::clients::libtorrent::Libtorrent;
use support::clients::{Client, Job, Running, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::torrent::Torrent;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(90);

/// Lets `leecher`, who dials, get a file from `seeder`, and compares the bytes.
pub(crate) fn exchange(lab: &Lab, seeder: Client, leecher: Client) {
    let name = "utp.bin";
    let payload = Payload::single(name, 20_000_001, 13);
    let (data, at_seeder) = home(lab, &format!("{} seeds", seeder.name()));
    let (dir, at_leecher) = home(lab, &format!("{} leeches", leecher.name()));
    payload.write(&data).expect("the payload");
    let file = data.join("input.torrent");
    Torrent::write(&file, &payload, &data, 64 * 1024, &[]).expect("a torrent");
    let job = |dir: &Path, listen, peers, seed| Job {
        source: file.display().to_string(),
        dir: dir.to_owned(),
        listen,
        peers,
        seed,
    };
    let mut seed = start(lab, seeder, &job(&data, at_seeder, Vec::new(), true));
    finish(&mut *seed, READY, "the seed");
    let begin = Instant::now();
    let mut leech = start(lab, leecher, &job(&dir, at_leecher, vec![at_seeder], false));
    finish(&mut *leech, DONE, "the download");
    let took = begin.elapsed();
    let read = |dir: &Path| std::fs::read(dir.join(name)).expect("the content");
    assert!(read(&dir) == read(&data), "the bytes differ");
    // libtorrent listens for TCP all the same, and closes what comes.
    for (client, at) in [(seeder, at_seeder), (leecher, at_leecher)] {
        if matches!(client, Client::Ours) {
            assert!(is_closed(at), "TCP is taken at {at}");
        }
    }
    lab.report(&format!(
        "| uTP only | {} to {} | {:.1} s |",
        seeder.name(),
        leecher.name(),
        took.as_secs_f64()
    ));
    for client in [&mut leech, &mut seed] {
        client.process().stop();
    }
}

/// Seeds to `leecher` while the path comes to take less than what is on its way.
pub(crate) fn over_a_path_that_narrows(lab: &Lab, leecher: Client) {
    let name = "narrow.bin";
    let payload = Payload::single(name, 20_000_001, 17);
    let (data, at_seeder) = home(lab, "the seed");
    let (dir, at_leecher) = home(lab, "the leech");
    payload.write(&data).expect("the payload");
    let file = data.join("input.torrent");
    Torrent::write(&file, &payload, &data, 64 * 1024, &[]).expect("a torrent");
    let job = |dir: &Path, listen, peers, seed| Job {
        source: file.display().to_string(),
        dir: dir.to_owned(),
        listen,
        peers,
        seed,
    };
    let seed = job(&data, at_seeder, Vec::new(), true);
    let slow = ["--transport", "utp", "--max-up", "4MiB/s"];
    let mut seed = Ours::start_with(&seed, &lab.folder("home of the seed"), &slow);
    finish(&mut seed, READY, "the seed");
    let mut leech = start(lab, leecher, &job(&dir, at_leecher, vec![at_seeder], false));
    wait::pause(Duration::from_secs(2));
    let narrowed = Command::new("ip")
        .args(["link", "set", "lo", "mtu", "1000"])
        .status();
    assert!(narrowed.expect("ip runs").success());
    finish(&mut *leech, DONE, "the download");
    let read = |dir: &Path| std::fs::read(dir.join(name)).expect("the content");
    assert!(read(&dir) == read(&data), "the bytes differ");
    leech.process().stop();
    seed.process().stop();
}

fn start(lab: &Lab, client: Client, job: &Job) -> Box<dyn Running> {
    let own = lab.folder(&format!("home {}", job.listen));
    match client {
        Client::Libtorrent(version) => {
            Box::new(Libtorrent::start_with(version, job, &own, &["--utp"]))
        }
        Client::Ours => Box::new(Ours::start_with(job, &own, &["--transport", "utp"])),
        Client::Aria2 | Client::Transmission => unreachable!("they cannot do without TCP"),
    }
}

/// Whether no TCP connection can be made there.
fn is_closed(at: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_err()
}
