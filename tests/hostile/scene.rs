//! What the hostile tests start from: an honest seeder, an honest download, and a watch on memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use support::clients::{Job, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::process::memory;
use support::torrent::Torrent;
use support::{Lab, wait};

/// A torrent whose data lies ready.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) payload: Payload,
    pub(crate) torrent: Torrent,
    pub(crate) data: PathBuf,
}

impl<'a> Scene<'a> {
    /// Writes a payload of `len` bytes and its torrent.
    pub(crate) fn new(lab: &'a Lab, len: u64) -> Self {
        let payload = Payload::single("honest.bin", len, 0xBAD);
        let data = lab.folder("data");
        payload.write(&data).expect("the payload");
        let path = lab.dir().join("honest.torrent");
        let torrent = Torrent::write(&path, &payload, &data, PIECE_LEN, &[]).expect("the torrent");
        Self {
            lab,
            payload,
            torrent,
            data,
        }
    }

    /// Starts our command as a seeder and waits until it serves.
    pub(crate) fn seed(&self, more: &[&str]) -> (Ours, SocketAddr) {
        let (home, listen) = home(self.lab, "seeder");
        let mut ours = Ours::start_with(&self.job(&self.data, listen, vec![], true), &home, more);
        finish(&mut ours, Duration::from_secs(30), "the seeder");
        (ours, listen)
    }

    /// Starts our command as a downloader from `peers`; what it writes goes to the returned folder.
    pub(crate) fn download(&self, peers: Vec<SocketAddr>, more: &[&str]) -> (Ours, PathBuf) {
        let (home, listen) = home(self.lab, "downloader");
        let output = home.join("output");
        std::fs::create_dir_all(&output).expect("a folder");
        let ours = Ours::start_with(&self.job(&output, listen, peers, false), &home, more);
        (ours, output)
    }

    /// Starts our command as a downloader that has a magnet link only.
    pub(crate) fn download_magnet(&self, peers: Vec<SocketAddr>) -> (Ours, PathBuf) {
        let (home, listen) = home(self.lab, "downloader");
        let output = home.join("output");
        std::fs::create_dir_all(&output).expect("a folder");
        let job = Job {
            source: self.torrent.magnet(),
            ..self.job(&output, listen, peers, false)
        };
        (Ours::start(&job, &home), output)
    }

    /// Waits for the end of a download and compares its bytes.
    pub(crate) fn complete(&self, mut download: Ours, output: &Path, limit: Duration) {
        finish(&mut download, limit, "the honest download");
        self.payload.assert_equal(&self.data, output);
    }

    fn job(&self, dir: &Path, listen: SocketAddr, peers: Vec<SocketAddr>, seed: bool) -> Job {
        let source = self.torrent.path.display().to_string();
        Job {
            seed,
            ..Job::download(&source, dir, listen, peers)
        }
    }
}

/// The `n`-th address of hostile peers; none of them is ever an honest one's.
pub(crate) fn bad_ip(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 99, 128 + high, low))
}

/// Does `work` while watching the anonymous memory of the process `pid`; returns what the work gave and the most that was seen.
pub(crate) fn watching<T>(pid: u32, work: impl FnOnce() -> T) -> (T, u64) {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let now = memory(pid).map_or(0, |memory| memory.anonymous);
                peak.fetch_max(now, Ordering::Relaxed);
                wait::pause(Duration::from_millis(20));
            }
        });
        let result = catch_unwind(AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        (result, peak.load(Ordering::Relaxed))
    })
}

/// Fails when a process under attack has held more memory of its own than an honest swarm would need.
pub(crate) fn assert_bounded(lab: &Lab, what: &str, peak: u64) {
    lab.report(&format!(
        "{what}: at most {:.1} MiB of anonymous memory",
        peak as f64 / MIB as f64
    ));
    assert!(peak < BOUND, "{what}: {peak} bytes of anonymous memory");
}

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const PIECE_LEN: u64 = 64 * 1024;
/// Anonymous memory that no attack may push the command over.
const BOUND: u64 = 64 * MIB;
