//! Engines and trackers on the simulated network, in virtual time.

#[path = "trackers/again.rs"]
mod again;
#[path = "trackers/answers.rs"]
mod answers;
#[path = "trackers/choice.rs"]
mod choice;
#[path = "trackers/home.rs"]
mod home;
#[path = "trackers/partial.rs"]
mod partial;
#[path = "trackers/preferences.rs"]
mod preferences;
#[path = "trackers/scale.rs"]
mod scale;
#[path = "trackers/scrapes.rs"]
mod scrapes;
#[path = "trackers/settings.rs"]
mod settings;
#[path = "trackers/socket.rs"]
mod socket;
#[path = "trackers/tracker.rs"]
mod tracker;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::{AddTorrent, EngineConfig, EngineHandle, Event, Source, Supervisor, TorrentId};
use net::Pool;
use net::sim::{HostOptions, Sim};
use protocol::id::{InfoHash, InfoHashes};
use protocol::magnet::Magnet;
use tempfile::TempDir;
use tokio::task::LocalSet;

use tracker::{Behaviour, Tracker};

const PORT: u16 = 6881;

/// An engine on a host of its own.
struct Scene {
    sim: Sim,
    engine: EngineHandle,
    events: engine::Events,
    _dir: TempDir,
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Scene {
    fn new(adjust: impl FnOnce(&mut EngineConfig)) -> Self {
        let sim = Sim::new(1);
        Self::on(sim, adjust)
    }

    fn on(sim: Sim, adjust: impl FnOnce(&mut EngineConfig)) -> Self {
        let host = sim.host(HostOptions {
            ips: vec![ip("50.0.0.1"), ip("2a00::1")],
            ..HostOptions::at(ip("50.0.0.1"))
        });
        let dir = TempDir::new().expect("a folder");
        let mut config = EngineConfig::new(host.network(), Pool::current());
        config.listen = Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
        config.disk_threads = 0;
        config.torrent_threads = 0;
        config.seed = Some(7);
        adjust(&mut config);
        let (_, engine) = Supervisor::launch(config).expect("an engine");
        Self {
            events: engine.events(engine::Categories::USUAL, 1024),
            sim,
            engine,
            _dir: dir,
        }
    }

    /// A tracker at an address, on port 80.
    fn tracker(&self, at: &str, behaviour: Behaviour) -> Tracker {
        let host = self.sim.host(HostOptions::at(ip(at)));
        Tracker::start(&host, behaviour)
    }

    async fn add(&self, number: u64, trackers: &[&str]) -> TorrentId {
        self.add_as(number, trackers, false).await
    }

    /// One that stands still.
    async fn add_paused(&self, number: u64, trackers: &[&str]) -> TorrentId {
        self.add_as(number, trackers, true).await
    }

    async fn add_as(&self, number: u64, trackers: &[&str], paused: bool) -> TorrentId {
        let mut magnet = Magnet::new(InfoHashes::v1(hash(number)));
        magnet.trackers = trackers.iter().map(ToString::to_string).collect();
        let source = Source::Magnet(Box::new(magnet));
        let mut add = AddTorrent::new(source, "/nowhere".into());
        add.paused = paused;
        self.engine.add(add).await.expect("added")
    }

    /// What a tracker said next: the number of peers, or the reason.
    async fn said(&mut self) -> Result<usize, String> {
        let wait = async {
            loop {
                match self.events.recv().await {
                    Ok(Event::TrackerReply { peers, .. }) => return Ok(peers),
                    Ok(Event::TrackerError { reason, .. }) => return Err(reason),
                    Ok(_) | Err(engine::NoEvent::Missed(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(300), wait)
            .await
            .expect("something is said")
    }
}

fn hash(number: u64) -> InfoHash {
    let mut bytes = [7; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    InfoHash(bytes)
}

/// Runs a simulation.
fn simulate<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, test)
}

fn sleep(seconds: u64) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_secs(seconds))
}
