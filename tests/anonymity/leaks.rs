//! A download through circuits, on a host whose every packet is written down and whose firewall lets it speak to nodes of the
//! overlay alone.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::clients::opentracker::Opentracker;
use support::clients::web::{Kind, Web};
use support::clients::{Client, Job, Orders, Running, Transport, finish};
use support::content::Content;
use support::host::{Capture, Host};
use support::ours::Ours;
use support::overlay::{Nodes, circuits};
use support::payload::Payload;
use support::sandbox::must;
use support::torrent::escape;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(60);
const DONE: Duration = Duration::from_secs(120);
const NAME: &str = "leaks.bin";

/// How much is downloaded, and how often circuits die meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    len: u64,
    deaths: u64,
}

impl Extent {
    pub(crate) const SHORT: Self = Self {
        len: 8_000_001,
        deaths: 1,
    };
    pub(crate) const LONG: Self = Self {
        len: 30_000_001,
        deaths: 6,
    };
}

/// Downloads by a magnet link, and looks where packets went.
pub(crate) fn download(lab: &Lab, hops: u8, extent: Extent) {
    let world = World::new(lab, hops, extent);
    let mut nodes = Nodes::start(lab, 8, 4);
    let host = Host::new(hops);
    let mut fence = Fence::around(&host, &nodes);
    let capture = host.capture("eth0", &lab.folder(&format!("capture {hops}")));
    let begin = Instant::now();

    // Starts and stops: before there is a circuit, and with one.
    let mut early = world.start(&host, &nodes);
    early.expect("state of circuits", READY, |event| {
        event["event"] == "anonymity"
    });
    early.process().stop();
    let mut leech = world.start(&host, &nodes);
    leech.expect("circuit", READY, |event| {
        event["event"] == "anonymity" && event["state"] != "blocked"
    });
    leech.process().signal("INT");
    leech.process().wait(READY);

    let mut leech = world.start(&host, &nodes);
    for death in 1..=extent.deaths {
        let far = extent.len * death / (extent.deaths + 1);
        let come = wait::until(READY, || (done(&leech) > far).then_some(()));
        assert!(
            come.is_some(),
            "nothing comes\n{}",
            leech.process().last_words()
        );
        for at in through(&world.state, "data") {
            if let Some(role) = nodes.kill(at) {
                let at = lab.address();
                fence.allow(at.ip());
                nodes.add(at, role);
            }
        }
    }
    finish(&mut leech, DONE, "the download");
    world.content.assert_arrived(&world.dir);

    assert_eq!(fence.leaked(), 0, "stopped:\n{}", fence.stopped());
    let frames = Frames::of(&capture);
    frames.assert_between(&host, &fence.allowed);
    for (what, bytes) in [
        ("the info-hash", world.content.torrent.info_hash.as_slice()),
        ("a handshake", b"BitTorrent protocol"),
        ("a message of the DHT", b"d1:ad2:id20:"),
        ("a request by HTTP", b"HTTP/1.1"),
    ] {
        assert_eq!(capture.count(bytes), 0, "{what} can be read on the wire");
    }
    lab.report(&format!(
        "| {hops} hops | {} bytes by a magnet link with trackers, DHT, PEX and a web seed, {} circuits killed | {} frames, \
         none but to nodes | {:.0} s |",
        extent.len,
        extent.deaths,
        frames.ipv4,
        begin.elapsed().as_secs_f64()
    ));

    // Both would have seen something.
    let to = world.seeds[0];
    let send = format!("echo > /dev/udp/{}/{}", to.ip(), to.port());
    let sent = host.command(Path::new("bash")).args(["-c", &send]).status();
    assert!(sent.is_ok());
    assert!(fence.leaked() > 0, "the firewall sees nothing");
    host.must("nft flush ruleset");
    let sent = host.command(Path::new("bash")).args(["-c", &send]).status();
    assert!(sent.is_ok());
    let seen = wait::until(READY, || {
        (Frames::of(&capture).others(&fence.allowed) > 0).then_some(())
    });
    assert!(seen.is_some(), "the capture sees nothing");
    capture.stop();
}

/// Bytes of the content that our side says it has.
pub(crate) fn done(leech: &Ours) -> u64 {
    let progress = leech.event("progress");
    let done = progress.and_then(|event| event["done"].as_u64());
    done.unwrap_or(0)
}

/// The nodes of the circuit for a purpose that is ready and has carried most.
pub(crate) fn through(state: &Path, purpose: &str) -> Vec<SocketAddr> {
    let report = circuits(state);
    let all = report["circuits"].as_array().expect("circuits").iter();
    let ready = all
        .filter(|circuit| circuit["purpose"] == purpose && circuit["state"] == "ready")
        .max_by_key(|circuit| circuit["bytes"].as_u64());
    let nodes = ready.and_then(|circuit| circuit["through"].as_array());
    let nodes = nodes.into_iter().flatten();
    let addrs = nodes.filter_map(|node| node["addr"].as_str()?.parse().ok());
    addrs.collect()
}

/// What is outside: seeds, trackers, a node of the DHT and a web seed, at addresses that exits reach.
struct World {
    content: Content,
    seeds: [SocketAddr; 2],
    hub: SocketAddr,
    link: String,
    dir: PathBuf,
    home: PathBuf,
    state: PathBuf,
    hops: u8,
    overlay_at: u16,
    _tracker: Opentracker,
    _web: Web,
    _seeds: Vec<Box<dyn Running>>,
}

impl World {
    fn new(lab: &Lab, hops: u8, extent: Extent) -> Self {
        let network = 90 + hops;
        must(&[
            "ip",
            "addr",
            "add",
            &format!("45.{network}.0.1/32"),
            "dev",
            "lo",
        ]);
        let route = format!("ip route add local 45.{network}.0.0/16 dev lo src 45.{network}.0.1");
        must(&route.split(' ').collect::<Vec<_>>());
        let at = |number: u8| {
            let port = lab.address().port();
            SocketAddr::from((Ipv4Addr::new(45, network, 1, number), port))
        };
        let tracker_at = at(1);
        let trackers = [
            format!("udp://{tracker_at}/announce"),
            format!("http://{tracker_at}/announce"),
            "udp://tracker.test:6969/announce".to_owned(),
            "http://tracker.test/announce".to_owned(),
        ];
        let payload = Payload::single(NAME, extent.len, 80 + u64::from(hops));
        let content = Content::described(lab, payload, 64 * 1024, &trackers);
        let hashes = [content.torrent.info_hash];
        let home = lab.folder(&format!("world {hops}"));
        let tracker = Opentracker::start(tracker_at, &hashes, &home);
        let web = Web::start(Kind::Python, at(2), &content.dir, &home);

        let hub = at(3);
        let other = Content::new(lab, Payload::single(&format!("hub{hops}.bin"), 100_000, 9));
        let orders = |dht| Orders {
            dht: Some(dht),
            ..Orders::by(Transport::Utp)
        };
        let client = Client::Libtorrent("2.1.1");
        let seeds = [at(4), at(5)];
        let mut running = vec![client.run(lab, &other.seed(hub).with(orders(hub)))];
        for seed in seeds {
            running.push(client.run(lab, &content.seed(seed).with(orders(hub))));
        }
        for seed in &mut running {
            finish(&mut **seed, READY, "a seed");
        }
        let web_seed = escape(web.url(NAME).as_bytes());
        let named = escape(b"http://web.test/leaks.bin");
        let link = format!("{}&ws={web_seed}&ws={named}", content.torrent.magnet());
        let dir = lab.folder(&format!("downloads {hops}"));
        Self {
            content,
            seeds,
            hub,
            link,
            dir,
            state: home.join("leech/state"),
            home: lab.folder(&format!("world {hops}/leech")),
            hops,
            overlay_at: lab.address().port(),
            _tracker: tracker,
            _web: web,
            _seeds: running,
        }
    }

    /// Starts the download on a host, as slow as is needed to kill something meanwhile.
    fn start(&self, host: &Host, nodes: &Nodes) -> Ours {
        let (hops, hub) = (self.hops.to_string(), self.hub.to_string());
        let overlay = format!("{}:{}", host.ip(), self.overlay_at);
        let flags = nodes.flags();
        let mut more: Vec<&str> = flags.iter().map(String::as_str).collect();
        more.extend([
            "--hops",
            &hops,
            "--dht-bootstrap",
            &hub,
            "--overlay-listen",
            &overlay,
        ]);
        more.extend(["--max-down", "1500KiB/s"]);
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let job = Job::download(&self.link, &self.dir, anywhere, Vec::new());
        Ours::start_on(host, &job, &self.home, &more)
    }
}

/// A firewall on a host that lets it speak to nodes alone, and counts what it stops.
struct Fence<'a> {
    host: &'a Host,
    allowed: BTreeSet<IpAddr>,
}

impl<'a> Fence<'a> {
    fn around(host: &'a Host, nodes: &Nodes) -> Self {
        host.must("nft add table inet fence");
        host.must("nft add counter inet fence leaked");
        host.must(
            "nft add chain inet fence out { type filter hook output priority 0 ; policy drop ; }",
        );
        host.must(
            "nft add set inet fence stopped { type ipv4_addr . inet_proto ; flags dynamic ; }",
        );
        host.must("nft add rule inet fence out counter name leaked");
        host.must("nft add rule inet fence out add @stopped { ip daddr . ip protocol }");
        let mut fence = Self {
            host,
            allowed: BTreeSet::new(),
        };
        nodes.ips().into_iter().for_each(|ip| fence.allow(ip));
        // Who was here before under another key is introduced to who is here now: that stays here.
        let own = host.ip();
        host.must(&format!(
            "nft insert rule inet fence out ip daddr {own} accept"
        ));
        fence
    }

    /// Lets it speak to one more.
    fn allow(&mut self, ip: IpAddr) {
        self.allowed.insert(ip);
        let rule = "ip protocol { udp, icmp } accept";
        let rule = format!("nft insert rule inet fence out ip daddr {ip} {rule}");
        self.host.must(&rule);
    }

    /// Who was not spoken to, and by which protocol.
    fn stopped(&self) -> String {
        let command = ["list", "set", "inet", "fence", "stopped"];
        let output = self.host.command(Path::new("nft")).args(command).output();
        String::from_utf8_lossy(&output.expect("nft runs").stdout).into_owned()
    }

    fn leaked(&self) -> u64 {
        let output = self
            .host
            .command(Path::new("nft"))
            .args(["list", "counter", "inet", "fence", "leaked"])
            .output();
        let text = String::from_utf8_lossy(&output.expect("nft runs").stdout).into_owned();
        let count = text.split("packets ").nth(1);
        let count = count.and_then(|rest| rest.split(' ').next()?.parse().ok());
        count.unwrap_or_else(|| panic!("no counter in {text:?}"))
    }
}

/// Who speaks to whom in a capture.
struct Frames {
    /// Packets of IPv4.
    ipv4: usize,
    /// From, to.
    pairs: BTreeSet<(Ipv4Addr, Ipv4Addr)>,
    /// Kinds of frames that are neither IPv4 nor ARP.
    strange: BTreeSet<u16>,
}

impl Frames {
    fn of(capture: &Capture) -> Self {
        let mut frames = Self {
            ipv4: 0,
            pairs: BTreeSet::new(),
            strange: BTreeSet::new(),
        };
        for frame in capture.all() {
            let kind = u16::from_be_bytes([frame[12], frame[13]]);
            let ip = |at: usize| {
                let octets: [u8; 4] = frame[at..at + 4].try_into().expect("four bytes");
                Ipv4Addr::from(octets)
            };
            match kind {
                0x0800 => {
                    frames.ipv4 += 1;
                    frames.pairs.insert((ip(26), ip(30)));
                }
                0x0806 => {}
                other => _ = frames.strange.insert(other),
            }
        }
        frames
    }

    /// Pairs with somebody who is not allowed.
    fn others(&self, allowed: &BTreeSet<IpAddr>) -> usize {
        let is_node = |ip: &Ipv4Addr| allowed.contains(&IpAddr::V4(*ip));
        self.pairs
            .iter()
            .filter(|(from, to)| !is_node(from) && !is_node(to))
            .count()
    }

    /// All of it goes between the host and nodes.
    fn assert_between(&self, host: &Host, allowed: &BTreeSet<IpAddr>) {
        assert!(
            self.ipv4 > 1000,
            "the capture misses something: {}",
            self.ipv4
        );
        assert!(self.strange.is_empty(), "{:?}", self.strange);
        for (from, to) in &self.pairs {
            let other = if *from == host.ip() { to } else { from };
            assert!(*from == host.ip() || *to == host.ip(), "{from} to {to}");
            assert!(allowed.contains(&IpAddr::V4(*other)), "{from} to {to}");
        }
    }
}
