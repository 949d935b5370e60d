//! The overlay's socket is bound to an interface as all others are: it stays there when the interface goes, and goes on when it
//! is back.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use support::clients::{Client, Orders, Running as _, Transport, finish};
use support::content::Content;
use support::host::Host;
use support::ours::Ours;
use support::overlay::Nodes;
use support::payload::Payload;
use support::sandbox::must;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(60);
const DONE: Duration = Duration::from_secs(90);
const LEN: u64 = 6_000_001;

/// How long the interface is away.
const AWAY: Duration = Duration::from_secs(8);

/// Downloads while the cable is pulled out and laid again; another way out is open all the time.
pub(crate) fn survives(lab: &Lab) {
    must(&["ip", "addr", "add", "45.99.0.1/32", "dev", "lo"]);
    let route = "ip route add local 45.99.0.0/16 dev lo src 45.99.0.1";
    must(&route.split(' ').collect::<Vec<_>>());
    let seed_at = SocketAddr::from((Ipv4Addr::new(45, 99, 1, 1), lab.address().port()));
    let content = Content::new(lab, Payload::single("bound.bin", LEN, 83));
    let job = content.seed(seed_at).with(Orders::by(Transport::Utp));
    let mut seed = Client::Libtorrent("2.1.1").run(lab, &job);
    finish(&mut *seed, READY, "the seed");
    let nodes = Nodes::start(lab, 6, 3);

    let host = Host::new(9);
    host.plug_in_second();
    let elsewhere = host.capture("eth1", &lab.folder("capture"));
    let flags = nodes.flags();
    let mut more: Vec<&str> = flags.iter().map(String::as_str).collect();
    more.extend(["--hops", "2", "--bind", "eth0", "--max-down", "1MiB/s"]);
    let dir = lab.folder("downloads");
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let job = content.download(&dir, anywhere, vec![seed_at]);
    let mut leech = Ours::start_on(&host, &job, &lab.folder("home"), &more);
    let begun = wait::until(READY, || (done(&leech) > 1_000_000).then_some(()));
    assert!(
        begun.is_some(),
        "nothing comes\n{}",
        leech.process().last_words()
    );

    host.pull_out();
    let pulled = Instant::now();
    leech.expect("the outage", READY, |event| {
        event["event"] == "network" && event["up"] == false
    });
    // What had come before it was pulled out may be written still.
    wait::pause(AWAY / 2);
    let before = done(&leech);
    wait::pause(AWAY / 2);
    assert!(
        before < LEN && done(&leech) == before,
        "it goes on without its interface"
    );
    assert_eq!(elsewhere.frames(), 0, "frames left by the other interface");
    let gone = pulled.elapsed();
    host.plug_in();
    let back = Instant::now();
    let again = wait::until(READY, || (done(&leech) > before).then(|| back.elapsed()));
    let again =
        again.unwrap_or_else(|| panic!("nothing comes any more\n{}", leech.process().last_words()));
    finish(&mut leech, DONE, "the download");
    content.assert_arrived(&dir);
    assert_eq!(elsewhere.frames(), 0, "frames left by the other interface");

    // The capture sees what anyone else sends there.
    let send = "echo > /dev/udp/10.98.109.1/9";
    let sent = host.command(Path::new("bash")).args(["-c", send]).status();
    assert!(sent.is_ok());
    let seen = wait::until(READY, || (elsewhere.frames() > 0).then_some(()));
    assert!(seen.is_some(), "the capture sees nothing at all");
    lab.report(&format!(
        "| 2 hops, --bind eth0 | interface away for {:.0} s: no frame elsewhere, bytes {:.1} s after its return |",
        gone.as_secs_f64(),
        again.as_secs_f64(),
    ));
    elsewhere.stop();
}

/// Bytes of the content that our side says it has.
fn done(leech: &Ours) -> u64 {
    let progress = leech.event("progress");
    let done = progress.and_then(|event| event["done"].as_u64());
    done.unwrap_or(0)
}
