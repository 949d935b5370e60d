//! Circuits that begin at a SOCKS5 proxy: nothing leaves but to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use support::clients::proxy::{Kind, Proxy};
use support::clients::{Client, Orders, Transport, finish};
use support::content::Content;
use support::host::Host;
use support::ours::Ours;
use support::overlay::Nodes;
use support::payload::Payload;
use support::sandbox::must;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(60);
const DONE: Duration = Duration::from_secs(90);
const LEN: u64 = 12_000_001;

/// Downloads on a host of which every packet is counted that is not for the proxy.
pub(crate) fn download(lab: &Lab) {
    must(&["ip", "addr", "add", "45.98.0.1/32", "dev", "lo"]);
    let route = "ip route add local 45.98.0.0/16 dev lo src 45.98.0.1";
    must(&route.split(' ').collect::<Vec<_>>());
    let seed_at = SocketAddr::from((Ipv4Addr::new(45, 98, 1, 1), lab.address().port()));
    let content = Content::new(lab, Payload::single("proxied.bin", LEN, 84));
    let job = content.seed(seed_at).with(Orders::by(Transport::Utp));
    let mut seed = Client::Libtorrent("2.1.1").run(lab, &job);
    finish(&mut *seed, READY, "the seed");
    let nodes = Nodes::start(lab, 6, 3);
    let (proxy_at, proxy_from) = (lab.address(), lab.address().ip());
    let proxy = Proxy::start(Kind::Dante, proxy_at, proxy_from, &lab.folder("proxy"));
    let IpAddr::V4(proxy_ip) = proxy_at.ip() else {
        unreachable!("the lab speaks IPv4");
    };

    let host = Host::new(11);
    let fence = host.watch(proxy_ip);
    let flags = nodes.flags();
    let mut more: Vec<&str> = flags.iter().map(String::as_str).collect();
    more.extend(["--hops", "2", "--proxy", &proxy.url, "--max-down", "4MiB/s"]);
    let dir = lab.folder("downloads");
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let job = content.download(&dir, anywhere, vec![seed_at]);
    let mut leech = Ours::start_on(&host, &job, &lab.folder("home"), &more);
    let begin = Instant::now();
    finish(&mut leech, DONE, "the download");
    content.assert_arrived(&dir);
    assert_eq!(fence.leaked(), 0, "something was to leave past the proxy");
    let packets = fence.allowed();
    // Mostly acknowledgements, of which a busy machine needs the fewer the more comes at once.
    assert!(packets > 100, "the counters miss something: {packets}");
    // It would have counted something.
    let sent = format!("echo > /dev/udp/{}/{}", seed_at.ip(), seed_at.port());
    let sent = host.command(Path::new("bash")).args(["-c", &sent]).status();
    assert!(sent.is_ok());
    let seen = wait::until(READY, || (fence.leaked() > 0).then_some(()));
    assert!(seen.is_some(), "the counters see nothing");
    lab.report(&format!(
        "| 2 hops, --proxy socks5 | {LEN} bytes, {packets} packets to the proxy and none elsewhere | {:.1} s |",
        begin.elapsed().as_secs_f64(),
    ));
}
