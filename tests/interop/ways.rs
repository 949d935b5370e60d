//! Torrents exchanged through real proxies; our side is a host of its own, whose every packet is counted.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::opentracker::Opentracker;
use support::clients::proxy::{Kind, Proxy};
use support::clients::{Client, Job, Orders, Running, Transport, finish, home};
use support::content::Content;
use support::host::Host;
use support::ours::Ours;
use support::payload::Payload;
use support::sandbox::must;

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(90);
const THEIRS: Client = Client::Libtorrent("2.1.1");

/// How the peers find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meet {
    /// One is told of the other.
    Told,
    /// By a tracker over `http` or `udp` that has a name, which only the proxy can look up.
    Tracker(&'static str),
    /// By the DHT, of which one node is known by its name.
    Dht,
}

/// One exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) proxy: Kind,
    pub(crate) transport: Transport,
    pub(crate) we_seed: bool,
    pub(crate) meet: Meet,
}

/// Exchanges a file with libtorrent through a proxy, compares the bytes, and sees to it that nothing went past the proxy.
pub(crate) fn exchange(lab: &Lab, number: u8, way: Way) {
    let host = Host::new(number);
    let watch = host.watch(host.router());
    let away = lab.address();
    let at = SocketAddr::new(host.router().into(), away.port());
    let proxy = Proxy::start(
        way.proxy,
        at,
        away.ip(),
        &lab.folder(&format!("proxy {number}")),
    );
    let swarm = Swarm::new(lab, way, host.ip().into());
    let begin = Instant::now();
    let log = if way.we_seed {
        swarm.we_seed(&host, &proxy)
    } else {
        swarm.we_leech(&host, &proxy)
    };
    let took = begin.elapsed();
    swarm.content.assert_arrived(&swarm.output);
    assert!(
        watch.allowed() > 0 && watch.leaked() == 0,
        "{} packets went past {way:?}",
        watch.leaked()
    );
    assert!(
        !log.contains(Proxy::secret()),
        "the password was told: {log}"
    );
    lab.report(&format!(
        "| {:?}, {}, {:?} | {} | {:.1} s, {} packets to the proxy, {} past it |",
        way.proxy,
        way.transport.word(),
        way.meet,
        if way.we_seed {
            "ours to libtorrent"
        } else {
            "libtorrent to ours"
        },
        took.as_secs_f64(),
        watch.allowed(),
        watch.leaked(),
    ));
}

/// Who takes part, and where.
struct Swarm<'a> {
    lab: &'a Lab,
    way: Way,
    content: Content,
    output: PathBuf,
    ours: SocketAddr,
    theirs: SocketAddr,
    hub: SocketAddr,
    _tracker: Option<Opentracker>,
}

impl<'a> Swarm<'a> {
    fn new(lab: &'a Lab, way: Way, our_ip: IpAddr) -> Self {
        let ours = SocketAddr::new(our_ip, lab.address().port());
        let (mut theirs, hub, tracker_at) = (lab.address(), lab.address(), lab.address());
        let names = lab.folder("names").join("hosts");
        let hosts = format!("{} tracker.test\n{} node.test\n", tracker_at.ip(), hub.ip());
        std::fs::write(&names, hosts).expect("hosts");
        let names = names.display().to_string();
        must(&["mount", "--bind", &names, "/etc/hosts"]);
        let mut urls = Vec::new();
        if let Meet::Tracker(scheme) = way.meet {
            let port = tracker_at.port();
            urls.push(format!("{scheme}://tracker.test:{port}/announce"));
            // A tracker that is known by name alone may name addresses of the Internet only.
            must(&["ip", "addr", "replace", "11.0.0.1/32", "dev", "lo"]);
            theirs.set_ip([11, 0, 0, 1].into());
        }
        let payload = Payload::single("ways.bin", 10_000_001, 21);
        let content = Content::described(lab, payload, 64 * 1024, &urls);
        let hashes = [content.torrent.info_hash];
        let tracker = matches!(way.meet, Meet::Tracker(_))
            .then(|| Opentracker::start(tracker_at, &hashes, &lab.folder("tracker")));
        Self {
            lab,
            way,
            content,
            output: home(lab, "downloads").0,
            ours,
            theirs,
            hub,
            _tracker: tracker,
        }
    }

    fn job(&self, listen: SocketAddr, peers: Vec<SocketAddr>, seed: bool) -> Job {
        let job = if seed {
            self.content.seed(listen)
        } else if self.way.meet == Meet::Dht {
            let link = self.content.torrent.magnet();
            Job::download(&link, &self.output, listen, Vec::new())
        } else {
            self.content.download(&self.output, listen, Vec::new())
        };
        Job {
            peers,
            ..job.with(Orders::by(self.way.transport))
        }
    }

    fn start_theirs(&self, seed: bool) -> Box<dyn Running> {
        let mut job = self.job(self.theirs, Vec::new(), seed);
        job.orders.dht = (self.way.meet == Meet::Dht).then_some(self.hub);
        THEIRS.run(self.lab, &job)
    }

    fn start_ours(&self, host: &Host, proxy: &Proxy, seed: bool) -> Ours {
        let node = format!("node.test:{}", self.hub.port());
        let mut more = vec!["--proxy", &proxy.url, "--log", "trace"];
        if self.way.meet == Meet::Dht {
            more.extend(["--dht-bootstrap", &node]);
        }
        let told = self.way.meet == Meet::Told;
        let peers = if told { vec![self.theirs] } else { Vec::new() };
        let job = self.job(self.ours, peers, seed);
        let home = self.lab.folder(&format!("home {}", job.listen));
        Ours::start_on(host, &job, &home, &more)
    }

    /// Gets the file; gives our log.
    fn we_leech(&self, host: &Host, proxy: &Proxy) -> String {
        let mut hub = self.start_hub();
        let mut seed = self.start_theirs(true);
        finish(&mut *seed, READY, "the seed");
        let mut leech = self.start_ours(host, proxy, false);
        finish(&mut leech, DONE, "the download");
        let log = leech.process().errors();
        seed.process().stop();
        if let Some(hub) = &mut hub {
            hub.process().stop();
        }
        log
    }

    /// Serves the file; gives our log.
    fn we_seed(&self, host: &Host, proxy: &Proxy) -> String {
        let mut leech = self.start_theirs(false);
        let mut seed = self.start_ours(host, proxy, true);
        finish(&mut seed, READY, "the seed");
        finish(&mut *leech, DONE, "the download");
        let log = seed.process().errors();
        leech.process().stop();
        seed.process().stop();
        log
    }

    /// A node of the DHT that knows nobody; it serves another torrent.
    fn start_hub(&self) -> Option<Box<dyn Running>> {
        (self.way.meet == Meet::Dht).then(|| {
            let other = Content::new(self.lab, Payload::single("hub.bin", 100_000, 22));
            let job = other.seed(self.hub).with(Orders::in_dht(self.hub));
            let mut hub = THEIRS.run(self.lab, &job);
            finish(&mut *hub, READY, "the node between");
            hub
        })
    }
}
