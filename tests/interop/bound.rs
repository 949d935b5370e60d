//! What is bound to an interface stays there when the interface goes, and goes on when it comes back.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::clients::opentracker::Opentracker;
use support::clients::{Client, Orders, Running, Transport, finish, home};
use support::content::Content;
use support::host::Host;
use support::names::NameServer;
use support::ours::Ours;
use support::payload::Payload;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(90);
const CONTENT: &str = "bound.bin";
const LEN: u64 = 24_000_001;

/// What our side is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    Interface,
    Address,
}

/// How long the interface is away.
fn away() -> Duration {
    let asked = std::env::var("TRIBLER_TESTS_AWAY").ok();
    let seconds = asked.map(|text| text.parse().expect("TRIBLER_TESTS_AWAY in seconds"));
    Duration::from_secs(seconds.unwrap_or(10))
}

/// Downloads while the cable is pulled out and laid again; another way out is open all the time.
pub(crate) fn survives(lab: &Lab, number: u8, transport: Transport, to: To) {
    let host = Host::new(number);
    host.plug_in_second();
    let elsewhere = host.capture("eth1", &lab.folder(&format!("capture {number}")));
    let bind = match to {
        To::Interface => "eth0".to_owned(),
        To::Address => host.ip().to_string(),
    };
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
    let stands = || {
        let progress = leech.event("progress");
        progress.filter(|event| event["peers"] == 0 && event["reason"].is_string())
    };
    assert!(wait::until(READY, stands).is_some(), "it sees no outage");
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
    swarm.content.assert_arrived(&swarm.ours.0);
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
        "| --bind {bind}, {} | interface away for {:.0} s: no frame elsewhere, complete {:.1} s after its return |",
        transport.word(),
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
    content: Content,
    seed_at: SocketAddr,
    ours: (PathBuf, SocketAddr),
    names: NameServer,
    names_at: SocketAddr,
    _seed: Box<dyn Running>,
    _tracker: Opentracker,
}

impl<'a> Swarm<'a> {
    fn new(lab: &'a Lab, transport: Transport) -> Self {
        let (tracker_at, names_at) = (lab.address(), lab.address());
        let urls = [format!(
            "http://tracker.test:{}/announce",
            tracker_at.port()
        )];
        let payload = Payload::single(CONTENT, LEN, 31);
        let content = Content::described(lab, payload, 64 * 1024, &urls);
        let hashes = [content.torrent.info_hash];
        let tracker = Opentracker::start(
            tracker_at,
            &hashes,
            &lab.folder(&format!("tracker {}", tracker_at.port())),
        );
        let IpAddr::V4(tracker_ip) = tracker_at.ip() else {
            unreachable!("the lab speaks IPv4");
        };
        let seed_at = lab.address();
        let job = content.seed(seed_at).with(Orders::by(transport));
        let mut seed = Client::Libtorrent("2.1.1").run(lab, &job);
        finish(&mut *seed, READY, "the seed");
        Self {
            lab,
            content,
            seed_at,
            ours: home(lab, "leech"),
            names: NameServer::start(names_at, tracker_ip),
            names_at,
            _seed: seed,
            _tracker: tracker,
        }
    }

    fn start_ours(&self, host: &Host, bind: &str, transport: Transport) -> Ours {
        let (names, node) = (self.names_at.to_string(), self.lab.address().to_string());
        let more = [
            ["--bind", bind],
            ["--dns", &names],
            ["--max-down", "2MiB/s"],
            ["--dht-bootstrap", &node],
        ];
        let anywhere = SocketAddr::new([0, 0, 0, 0].into(), self.ours.1.port());
        let job = self
            .content
            .download(&self.ours.0, anywhere, vec![self.seed_at]);
        Ours::start_on(
            host,
            &job.with(Orders::by(transport)),
            &self.lab.folder(&format!("home {}", self.ours.1)),
            &more.concat(),
        )
    }
}
