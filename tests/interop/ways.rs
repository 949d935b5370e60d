//! Torrents exchanged through real proxies; our side is a host of its own, whose every packet is counted.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::libtorrent::Libtorrent;
use support::clients::opentracker::Opentracker;
use support::clients::proxy::{Kind, Proxy};
use support::clients::{Job, Running, finish, home};
use support::host::Host;
use support::ours::Ours;
use support::payload::Payload;
use support::sandbox::must;
use support::torrent::Torrent;

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(90);
const VERSION: &str = "2.1.1";
const CONTENT: &str = "ways.bin";

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
    pub(crate) transport: &'static str,
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
    let read = |dir: &Path| std::fs::read(dir.join(CONTENT)).expect("the content");
    assert!(
        read(&swarm.ours.0) == read(&swarm.theirs.0),
        "the bytes differ"
    );
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
        way.transport,
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
    file: PathBuf,
    ours: (PathBuf, SocketAddr),
    theirs: (PathBuf, SocketAddr),
    magnet: String,
    hub: SocketAddr,
    _tracker: Option<Opentracker>,
}

impl<'a> Swarm<'a> {
    fn new(lab: &'a Lab, way: Way, our_ip: IpAddr) -> Self {
        let (our_dir, at) = home(lab, "ours");
        let (their_dir, mut their_place) = home(lab, "theirs");
        let data = if way.we_seed { &our_dir } else { &their_dir };
        let payload = Payload::single(CONTENT, 10_000_001, 21);
        payload.write(data).expect("the payload");
        let file = data.join("input.torrent");
        let hub = lab.address();
        let names = lab.folder("names").join("hosts");
        let (tracker_ip, hub_ip) = (lab.address(), hub.ip());
        std::fs::write(
            &names,
            format!("{} tracker.test\n{hub_ip} node.test\n", tracker_ip.ip()),
        )
        .expect("hosts");
        must(&[
            "mount",
            "--bind",
            &names.display().to_string(),
            "/etc/hosts",
        ]);
        let mut urls = Vec::new();
        if let Meet::Tracker(scheme) = way.meet {
            urls.push(format!(
                "{scheme}://tracker.test:{}/announce",
                tracker_ip.port()
            ));
            // A tracker that is known by name alone may name addresses of the Internet only.
            must(&["ip", "addr", "replace", "11.0.0.1/32", "dev", "lo"]);
            their_place.set_ip([11, 0, 0, 1].into());
        }
        let torrent = Torrent::write(&file, &payload, data, 64 * 1024, &urls).expect("a torrent");
        let tracker = matches!(way.meet, Meet::Tracker(_))
            .then(|| Opentracker::start(tracker_ip, &[torrent.info_hash], &lab.folder("tracker")));
        Self {
            lab,
            way,
            file,
            ours: (our_dir, SocketAddr::new(our_ip, at.port())),
            theirs: (their_dir, their_place),
            magnet: torrent.magnet(),
            hub,
            _tracker: tracker,
        }
    }

    fn job(
        &self,
        (dir, listen): &(PathBuf, SocketAddr),
        peers: Vec<SocketAddr>,
        seed: bool,
    ) -> Job {
        let by_hash = self.way.meet == Meet::Dht && !seed;
        Job {
            source: if by_hash {
                self.magnet.clone()
            } else {
                self.file.display().to_string()
            },
            dir: dir.clone(),
            listen: *listen,
            peers,
            seed,
        }
    }

    fn start_theirs(&self, seed: bool) -> Libtorrent {
        let utp: &[&str] = if self.way.transport == "utp" {
            &["--utp"]
        } else {
            &[]
        };
        let hub = self.hub.to_string();
        let dht: &[&str] = if self.way.meet == Meet::Dht {
            &["--dht", &hub]
        } else {
            &[]
        };
        let job = self.job(&self.theirs, Vec::new(), seed);
        let home = self.lab.folder(&format!("home {}", job.listen));
        Libtorrent::start_with(VERSION, &job, &home, &[utp, dht].concat())
    }

    fn start_ours(&self, host: &Host, proxy: &Proxy, seed: bool) -> Ours {
        let node = format!("node.test:{}", self.hub.port());
        let mut more = vec![
            "--proxy",
            &proxy.url,
            "--transport",
            self.way.transport,
            "--log",
            "trace",
        ];
        if self.way.meet == Meet::Dht {
            more.extend(["--dht-bootstrap", &node]);
        }
        let told = self.way.meet == Meet::Told;
        let peers = if told {
            vec![self.theirs.1]
        } else {
            Vec::new()
        };
        let job = self.job(&self.ours, peers, seed);
        let home = self.lab.folder(&format!("home {}", job.listen));
        Ours::start_on(host, &job, &home, &more)
    }

    /// Gets the file; gives our log.
    fn we_leech(&self, host: &Host, proxy: &Proxy) -> String {
        let mut hub = self.start_hub();
        let mut seed = self.start_theirs(true);
        finish(&mut seed, READY, "the seed");
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
        finish(&mut leech, DONE, "the download");
        let log = seed.process().errors();
        leech.process().stop();
        seed.process().stop();
        log
    }

    /// A node of the DHT that knows nobody; it serves another torrent.
    fn start_hub(&self) -> Option<Libtorrent> {
        (self.way.meet == Meet::Dht).then(|| {
            let dir = self.lab.folder("hub");
            let payload = Payload::single("hub.bin", 100_000, 22);
            payload.write(&dir).expect("the payload");
            let file = dir.join("hub.torrent");
            Torrent::write(&file, &payload, &dir, 64 * 1024, &[]).expect("a torrent");
            let job = Job {
                source: file.display().to_string(),
                dir: dir.clone(),
                listen: self.hub,
                peers: Vec::new(),
                seed: true,
            };
            let mut hub =
                Libtorrent::start_with(VERSION, &job, &dir, &["--dht", &self.hub.to_string()]);
            finish(&mut hub, READY, "the node between");
            hub
        })
    }
}
