//! Seeders, trackers and routes on a simulated network, and a session on a folder, which ends and begins again.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, Categories, EngineHandle, Events, Memory, Route, RouteError, RoutePolicy, Routes,
    Source, Supervisor,
};
use net::sim::{Happening, Host, HostOptions, Sim};
use protocol::metainfo::Version;
use state::{Folder as StateFolder, Keeper, KeeperOptions};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::common::folder::Folder;
use crate::common::sim;
use crate::tracker::{Behaviour, Tracker};

/// Lengths of the files: borders lie within pieces, and one file has no bytes.
pub(crate) const LENS: [usize; 5] = [70_000, 130_000, 0, 33_000, 90_000];

pub(crate) const PIECE: usize = 32 * 1024;

/// Numbers of hops that there are routes of, 0 counted.
pub(crate) const ROUTES: u8 = 4;

/// Folders that content may lie in; the last is on another file system, where there is one.
pub(crate) const PLACES: usize = 3;

/// Trackers of each torrent.
pub(crate) const TRACKERS: usize = 2;

/// Happenings that are remembered of a step.
const TRACE: usize = 400_000;

/// Somewhere in the Internet.
fn ip(number: u32) -> IpAddr {
    Ipv4Addr::from(0x3c01_0000 + number).into()
}

/// Where a route ends, in the life of a session with this number.
fn exit(life: u32, hops: u8) -> IpAddr {
    // Far from each other, so that nobody takes them for one host.
    ip(0x1_0000 * (1 + life * u32::from(ROUTES) + u32::from(hops)))
}

/// A torrent that somebody has.
pub(crate) struct Content {
    pub(crate) folder: Folder,
    pub(crate) seeder: SocketAddr,
    pub(crate) trackers: Vec<IpAddr>,
    _alive: (EngineHandle, TempDir, Vec<Tracker>),
}

impl Content {
    async fn new(sim: &Sim, number: u32, version: Version, seed: u64, rate: u64) -> Self {
        let folder = Folder::new(version, seed << 8 | u64::from(number), &LENS, PIECE);
        let host = sim.host(HostOptions::at(ip(16 + number)));
        let seeder = SocketAddr::new(host.ip(), 6881);
        let (_, handle) =
            Supervisor::launch(sim::config(&host, seed ^ 1 << 32)).expect("an engine");
        let dir = TempDir::new_in(memory()).expect("a folder");
        folder.put(dir.path());
        let source = Source::Metainfo(Arc::clone(&folder.metainfo));
        let mut add = AddTorrent::new(source, dir.path().into());
        add.trust_data = true;
        add.limits.up = Some(rate);
        handle.add(add).await.expect("added");
        let hosts =
            (0..TRACKERS as u32).map(|at| sim.host(HostOptions::at(ip(64 + 8 * number + at))));
        let hosts: Vec<Host> = hosts.collect();
        let behaviour = Behaviour {
            peers: vec![seeder],
            ..Behaviour::default()
        };
        let trackers = hosts
            .iter()
            .map(|host| Tracker::start(host, behaviour.clone()));
        let alive = trackers.collect();
        Self {
            folder,
            seeder,
            trackers: hosts.iter().map(Host::ip).collect(),
            _alive: (handle, dir, alive),
        }
    }

    /// The number of each file in the metadata, where pads are counted.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        let files = self.folder.metainfo.files().iter().enumerate();
        let stored = files.filter(|(_, file)| file.is_stored());
        stored.map(|(number, _)| number).collect()
    }

    pub(crate) fn tracker(&self, at: usize) -> String {
        let scheme = ["http", "udp"][at % 2];
        format!("{scheme}://{}:80/announce", self.trackers[at])
    }

    /// The bytes of a piece.
    pub(crate) fn piece(&self, index: u32) -> Vec<u8> {
        let metainfo = &self.folder.metainfo;
        let geometry = metainfo.geometry();
        let piece = geometry.piece(index).expect("a piece");
        let begin = geometry.offset_of(piece);
        let end = begin + u64::from(geometry.len_of(piece));
        let mut bytes = vec![0; (end - begin) as usize];
        for (file, number) in self.folder.files.iter().zip(self.numbers()) {
            let at = metainfo.files()[number].offset;
            let (from, to) = (begin.max(at), end.min(at + file.len() as u64));
            if from < to {
                let inside = &file[(from - at) as usize..(to - at) as usize];
                bytes[(from - begin) as usize..(to - begin) as usize].copy_from_slice(inside);
            }
        }
        bytes
    }
}

/// A host for each number of hops.
#[derive(Debug)]
struct Exits(BTreeMap<u8, Host>);

impl Routes for Exits {
    fn open(&self, hops: u8, _: bool) -> Result<Route, RouteError> {
        let exit = self.0.get(&hops).ok_or(RouteError::Unsupported(hops))?;
        Ok(Route {
            network: exit.network(),
            listen: Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7000))),
            dht: None,
            tracker_socket: None,
            hidden: None,
            web_seeds: true,
            policy: RoutePolicy::Anonymous,
        })
    }
}

/// An engine with a store.
pub(crate) struct Session {
    pub(crate) handle: EngineHandle,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) events: Events,
    hosts: Vec<Host>,
}

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) contents: Vec<Content>,
    pub(crate) session: Session,
    life: u32,
    seed: u64,
    /// The store and most of the content, and the content on another file system.
    roots: [TempDir; 2],
}

/// Where syncing costs no time.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.into()
    } else {
        std::env::temp_dir()
    }
}

impl World {
    pub(crate) async fn new(seed: u64, torrents: u32, rate: u64) -> Self {
        let sim = Sim::new(seed);
        let mut contents = Vec::new();
        for number in 0..torrents {
            let version = [Version::V1, Version::V2, Version::Hybrid];
            let version = version[(seed as usize + number as usize) % 3];
            contents.push(Content::new(&sim, number, version, seed, rate).await);
        }
        let roots = [memory(), std::env::temp_dir()];
        let roots = roots.map(|below| TempDir::new_in(below).expect("a folder"));
        fs::create_dir(roots[0].path().join("state")).expect("made");
        let session = Session::start(&sim, (roots[0].path(), seed), 0);
        let world = Self {
            sim,
            contents,
            session,
            life: 0,
            seed,
            roots,
        };
        for torrent in 0..torrents as usize {
            for place in 0..PLACES {
                world.tidy(torrent, place);
            }
        }
        world.sim.record(TRACE);
        world
    }

    /// A folder for the content of a torrent.
    pub(crate) fn dir(&self, torrent: usize, place: usize) -> PathBuf {
        let root = &self.roots[usize::from(place + 1 == PLACES)];
        root.path().join(format!("place {place}/{torrent}"))
    }

    /// Has nothing in a folder but what is none of the torrent's.
    pub(crate) fn tidy(&self, torrent: usize, place: usize) {
        let dir = self.dir(torrent, place);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("t")).expect("made");
        fs::write(dir.join("t/mine"), b"not of the torrent").expect("written");
    }

    /// The session ends in good order, and another goes on.
    pub(crate) async fn restart(&mut self) {
        self.session.end(Duration::from_secs(10)).await;
        self.begin();
    }

    /// The process is killed, and another goes on with what is on the disk at this moment.
    pub(crate) async fn kill(&mut self) {
        let copies = self.roots.each_ref().map(|root| {
            let copy = TempDir::new_in(memory()).expect("a folder");
            copy_all(root.path(), copy.path(), &mut BTreeMap::new());
            copy
        });
        for host in &self.session.hosts {
            host.crash();
            host.set_online(false);
        }
        self.session.end(Duration::ZERO).await;
        for (root, copy) in self.roots.iter().zip(&copies) {
            for entry in fs::read_dir(root.path()).expect("a folder") {
                fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
            }
            copy_all(copy.path(), root.path(), &mut BTreeMap::new());
        }
        self.begin();
    }

    fn begin(&mut self) {
        self.life += 1;
        let of = (self.roots[0].path(), self.seed);
        self.session = Session::start(&self.sim, of, self.life);
        self.sim.record(TRACE);
    }

    pub(crate) async fn end(&self) {
        self.session.end(Duration::from_secs(10)).await;
    }

    /// What left since this was asked last, but for closing words.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest does not begin anything, and the list is open"
    )]
    pub(crate) fn sought(&self) -> Vec<Sought> {
        let trace = self.sim.trace();
        assert!(trace.log.len() < TRACE, "not all is remembered");
        self.sim.record(TRACE);
        let hops = |from: SocketAddr| (0..ROUTES).find(|hops| exit(self.life, *hops) == from.ip());
        let (now, elapsed) = (Instant::now(), self.sim.elapsed());
        let log = trace.log.into_iter();
        log.filter_map(|(at, happening)| {
            let (from, to, dialled) = match happening {
                Happening::Dialled { from, to } => (from, to, true),
                Happening::Datagram { from, to, .. } | Happening::DatagramLost { from, to, .. } => {
                    (from, to, false)
                }
                _ => return None,
            };
            Some(Sought {
                at: now - elapsed.saturating_sub(at),
                by: hops(from)?,
                whom: to.ip(),
                dialled,
            })
        })
        .collect()
    }
}

/// Something that left from us.
pub(crate) struct Sought {
    pub(crate) at: Instant,
    /// By how many hops.
    pub(crate) by: u8,
    pub(crate) whom: IpAddr,
    /// It is the beginning of a stream.
    pub(crate) dialled: bool,
}

impl Session {
    fn start(sim: &Sim, (root, seed): (&Path, u64), life: u32) -> Self {
        let options = KeeperOptions {
            inline: true,
            clock: || 1_700_000_000,
            ..KeeperOptions::default()
        };
        let folder = StateFolder::new(root.join("state"));
        let (keeper, _) = Keeper::open(Arc::new(folder), options).expect("a store");
        let keeper = Arc::new(keeper);
        let hosts = (0..ROUTES).map(|hops| sim.host(HostOptions::at(exit(life, hops))));
        let hosts: Vec<Host> = hosts.collect();
        let mut config = sim::config(&hosts[0], seed << 8 | u64::from(life));
        config.memory = Memory::Store(Arc::clone(&keeper));
        let exits = (0..).zip(hosts.iter().cloned()).skip(1);
        config.routes = Some(Arc::new(Exits(exits.collect())));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let events = handle.events(Categories::ALL, 1 << 17);
        Self {
            handle,
            keeper,
            events,
            hosts,
        }
    }

    async fn end(&self, within: Duration) {
        self.handle.shutdown(within).await;
        self.keeper.close(Duration::from_secs(60)).expect("closed");
    }
}

/// Copies a folder, with the times of files; names of one file are names of one file there, too.
fn copy_all(from: &Path, to: &Path, seen: &mut BTreeMap<u64, PathBuf>) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            fs::create_dir(&to).expect("made");
            copy_all(&entry.path(), &to, seen);
            continue;
        }
        let meta = entry.metadata().expect("known");
        if let Some(other) = seen.get(&meta.ino()) {
            fs::hard_link(other, &to).expect("linked");
            continue;
        }
        fs::copy(entry.path(), &to).expect("copied");
        let file = fs::File::options().write(true).open(&to).expect("opened");
        file.set_modified(meta.modified().expect("a time"))
            .expect("set");
        seen.insert(meta.ino(), to);
    }
}

/// The files below a folder, and folders that are empty, by path below it.
pub(crate) fn listing(root: &Path) -> Vec<String> {
    fn gather(root: &Path, below: &Path, all: &mut Vec<String>) {
        let entries: Vec<_> = fs::read_dir(root.join(below))
            .into_iter()
            .flatten()
            .collect();
        if entries.is_empty() && below != Path::new("") {
            all.push(format!("{}/", below.display()));
        }
        for entry in entries.into_iter().flatten() {
            let path = below.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                gather(root, &path, all);
            } else {
                all.push(path.display().to_string());
            }
        }
    }
    let mut all = Vec::new();
    gather(root, Path::new(""), &mut all);
    all.sort_unstable();
    all
}
