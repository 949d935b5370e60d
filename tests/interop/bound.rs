//! What is bound to an interface stays there when the interface goes, and goes on when it comes back.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::clients::libtorrent::Libtorrent;
use support::clients::opentracker::Opentracker;
use support::clients::{Job, Running as _, finish, home};
use support::host::Host;
use support::names::NameServer;
use support::ours::Ours;
use support::payload::Payload;
use support::torrent::Torrent;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(90);
const CONTENT: &str = "bound.bin";
const LEN: u64 = 40_000_001;

/// How long the interface is away.
fn away() -> Duration {
    let asked = std::env::var("TRIBLER_TESTS_AWAY").ok();
    let seconds = asked.map(|text| text.parse().expect("TRIBLER_TESTS_AWAY in seconds"));
    Duration::from_secs(seconds.unwrap_or(10))
}

/// Downloads while the cable is pulled out and laid again; another way out is open all the time.
pub(crate) fn survives(lab: &Lab, number: u8, transport: &str, bind: impl Fn(&Host) -> String) {
    let host = Host::new(number);
    host.plug_in_second();
    let elsewhere = host.capture("eth1", &lab.folder(&format!("capture {number}")));
    let bind = bind(&host);
    let swarm = Swarm::new(lab, transport);
    let mut leech = swarm.start_ours(&host, &bind, transport);
    let begun = wait::until(READY, || (done(&leech) > 4_000_000).then_some(()));
    assert!(
        begun.is_some(),
        "nothing comes\n{}",
        leech.process().last_words()
    );
    let answered =
        |event: &serde_json::Value| event["event"] == "tracker" && event["peers"].is_u64();
    leech.expect("tracker's answer", READY, answered);

    host.pull_out();
    let pulled = Instant::now();
    // What was said last is written once a second.
    wait::pause(Duration::from_secs(2));
    let before = done(&leech);
    wait::pause(away());
    assert!(
        before < LEN && done(&leech) == before,
        "it goes on without its interface"
    );
    assert_eq!(elsewhere.frames(), 0, "frames left by the other interface");
    let gone = pulled.elapsed();
    host.plug_in();
    let back = Instant::now();
    finish(&mut leech, DONE, "the download");
    let resumed = back.elapsed();
    swarm.compare();
    assert_eq!(elsewhere.frames(), 0, "frames left by the other interface");
    let (asked, own): (_, IpAddr) = (swarm.names.asked(), host.ip().into());
    assert!(
        !asked.is_empty() && asked.iter().all(|from| from.ip() == own),
        "{asked:?}"
    );

    // The capture sees what anyone else sends there.
    let send = format!("echo > /dev/udp/10.98.{}.1/9", number + 100);
    let mut sender = host.command(Path::new("bash"));
    assert!(
        sender
            .args(["-c", &send])
            .status()
            .expect("bash runs")
            .success()
    );
    let seen = wait::until(READY, || (elsewhere.frames() > 0).then_some(()));
    assert!(seen.is_some(), "the capture sees nothing at all");
    lab.report(&format!(
        "| --bind {bind}, {transport} | interface away for {:.0} s: no frame elsewhere, complete {:.1} s after its return |",
        gone.as_secs_f64(),
        resumed.as_secs_f64(),
    ));
    elsewhere.stop();
}

/// Bytes of the content that our side says it has.
fn done(leech: &Ours) -> u64 {
    let progress = leech.event("progress");
    progress
        .and_then(|event| event["done"].as_u64())
        .unwrap_or(0)
}

/// A seed, a tracker that has a name, and who knows the name.
struct Swarm<'a> {
    lab: &'a Lab,
    file: PathBuf,
    theirs: (PathBuf, SocketAddr),
    ours: (PathBuf, SocketAddr),
    names: NameServer,
    names_at: SocketAddr,
    _seed: Libtorrent,
    _tracker: Opentracker,
}

impl<'a> Swarm<'a> {
    fn new(lab: &'a Lab, transport: &str) -> Self {
        let (theirs, ours) = (home(lab, "seed"), home(lab, "leech"));
        let payload = Payload::single(CONTENT, LEN, 31);
        payload.write(&theirs.0).expect("the payload");
        let file = theirs.0.join("input.torrent");
        let (tracker_at, names_at) = (lab.address(), lab.address());
        let urls = [format!(
            "http://tracker.test:{}/announce",
            tracker_at.port()
        )];
        let torrent =
            Torrent::write(&file, &payload, &theirs.0, 64 * 1024, &urls).expect("a torrent");
        let tracker = Opentracker::start(tracker_at, &[torrent.info_hash], &lab.folder("tracker"));
        let IpAddr::V4(tracker_ip) = tracker_at.ip() else {
            unreachable!("the lab speaks IPv4");
        };
        let utp: &[&str] = if transport == "utp" { &["--utp"] } else { &[] };
        let job = job(&file, &theirs, Vec::new(), true);
        let mut seed = Libtorrent::start_with("2.1.1", &job, &theirs.0, utp);
        finish(&mut seed, READY, "the seed");
        Self {
            lab,
            file,
            theirs,
            ours,
            names: NameServer::start(names_at, tracker_ip),
            names_at,
            _seed: seed,
            _tracker: tracker,
        }
    }

    fn start_ours(&self, host: &Host, bind: &str, transport: &str) -> Ours {
        let (names, node) = (self.names_at.to_string(), self.lab.address().to_string());
        let more = [
            ["--bind", bind],
            ["--dns", &names],
            ["--max-down", "2MiB/s"],
            ["--transport", transport],
            ["--dht-bootstrap", &node],
        ];
        let anywhere = SocketAddr::new([0, 0, 0, 0].into(), self.ours.1.port());
        let place = (self.ours.0.clone(), anywhere);
        let job = job(&self.file, &place, vec![self.theirs.1], false);
        Ours::start_on(
            host,
            &job,
            &self.lab.folder(&format!("home {}", self.ours.1)),
            &more.concat(),
        )
    }

    fn compare(&self) {
        let read = |dir: &Path| std::fs::read(dir.join(CONTENT)).expect("the content");
        assert!(
            read(&self.ours.0) == read(&self.theirs.0),
            "the bytes differ"
        );
    }
}

fn job(
    file: &Path,
    (dir, listen): &(PathBuf, SocketAddr),
    peers: Vec<SocketAddr>,
    seed: bool,
) -> Job {
    Job {
        source: file.display().to_string(),
        dir: dir.clone(),
        listen: *listen,
        peers,
        seed,
    }
}
