//! One run: a seeder, a downloader, perhaps a tracker, and the comparison of what arrived.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::clients::opentracker::Opentracker;
use support::clients::{Client, Job, finish, home, libtorrent};
use support::payload::Payload;
use support::torrent::{Torrent, magnet_v1, magnet_v2};
use support::{Lab, ours, wait};

/// A kind of torrent, and how its peers find each other.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    name: &'static str,
    payload: Payload,
    piece_len: u64,
    kind: Kind,
    /// The downloader has no more than a link that names this hash.
    link: Option<Hash>,
    /// `http` or `udp`; without one the peers are told of each other, if they can be.
    tracker: Option<&'static str>,
}

/// Which versions a torrent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    V1,
    /// Made by the seeder's own side, as all that are not v1.
    V2,
    /// Both in one torrent.
    Hybrid,
}

/// By which hash a link names a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    V1,
    V2,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
        }
    }
}

impl Case {
    /// Everything that the house promises about interop.
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::plain(
                "single file",
                Payload::single("single.bin", 5_000_001, 1),
                256 * KIB,
            ),
            Self::nested(),
            Self::plain("1-byte file", Payload::single("one.bin", 1, 3), 16 * KIB),
            Self::plain(
                "16 KiB pieces",
                Payload::single("small pieces.bin", 3_000_000, 4),
                16 * KIB,
            ),
            Self::plain(
                "4 MiB pieces",
                Payload::single("large pieces.bin", 13_000_000, 5),
                4096 * KIB,
            ),
            Self::magnet(),
            Self::tracker("http"),
            Self::tracker("udp"),
        ]
    }

    /// 300 files in nested folders, some of them empty.
    pub(crate) fn nested() -> Self {
        Self::plain(
            "300 files",
            Payload::nested("nested folders", 300, 40_000, 2),
            64 * KIB,
        )
    }

    /// Torrents with a v2 part, for clients that can be told of each other and know of v2: a hybrid, with padding between
    /// its files, by its .torrent file and by each of its hashes alone; one that is v2 alone, and by its link, for which
    /// the hashes of a thousand pieces must come from the peer.
    pub(crate) fn of_v2() -> Vec<Self> {
        let folders = |name, kind, link| Self {
            kind,
            link,
            ..Self::plain(
                name,
                Payload::nested("v2 folders", 40, 200_000, 8),
                64 * KIB,
            )
        };
        let many_pieces = Self {
            kind: Kind::V2,
            link: Some(Hash::V2),
            ..Self::plain(
                "v2 link, 16 MB",
                Payload::single("v2.bin", 16_000_000, 9),
                16 * KIB,
            )
        };
        vec![
            folders("hybrid", Kind::Hybrid, None),
            folders("hybrid, v1 link", Kind::Hybrid, Some(Hash::V1)),
            folders("hybrid, v2 link", Kind::Hybrid, Some(Hash::V2)),
            folders("v2", Kind::V2, None),
            folders("v2 link", Kind::V2, Some(Hash::V2)),
            many_pieces,
        ]
    }

    /// A magnet link; its metadata takes more than one message.
    pub(crate) fn magnet() -> Self {
        let payload = Payload::single("magnet.bin", 16_000_000, 6);
        Self {
            link: Some(Hash::V1),
            ..Self::plain("magnet link", payload, 16 * KIB)
        }
    }

    /// Peers that know each other from opentracker alone.
    pub(crate) fn tracker(scheme: &'static str) -> Self {
        let name = if scheme == "udp" {
            "UDP tracker"
        } else {
            "HTTP tracker"
        };
        let payload = Payload::single("tracked.bin", 4_000_000, 7);
        Self {
            tracker: Some(scheme),
            ..Self::plain(name, payload, 256 * KIB)
        }
    }

    fn plain(name: &'static str, payload: Payload, piece_len: u64) -> Self {
        Self {
            name,
            payload,
            piece_len,
            kind: Kind::V1,
            link: None,
            tracker: None,
        }
    }
}

/// A case with its two sides.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    seeder: Client,
    leecher: Client,
    case: Case,
}

impl Run {
    /// `seeder` has the payload of `case`, `leecher` wants it.
    pub(crate) fn new(seeder: Client, leecher: Client, case: Case) -> Self {
        Self {
            seeder,
            leecher,
            case,
        }
    }

    fn exchange(&self, lab: &Lab) {
        let case = &self.case;
        let (data, at_seeder) = home(lab, &format!("{} seeds {}", self.seeder.name(), case.name));
        let (output, at_leecher) = home(
            lab,
            &format!("{} downloads {}", self.leecher.name(), case.name),
        );
        let tracker_at = lab.address();
        case.payload.write(&data).expect("the payload");
        let original = case.payload.digest(&data).expect("the payload");

        // Clients that cannot be told of a peer meet it at a tracker in every case.
        let scheme = case
            .tracker
            .or_else(|| (!self.leecher.dials()).then_some("http"));
        let trackers: Vec<String> = scheme
            .iter()
            .map(|scheme| Opentracker::url(tracker_at, scheme))
            .collect();
        let file = output.join("input.torrent");
        let torrent = Torrent::write(&file, &case.payload, &data, case.piece_len, &trackers)
            .expect("a torrent");
        if case.kind != Kind::V1 {
            std::fs::remove_file(&file).expect("the v1 description");
            let content = data.join(&case.payload.name);
            describe(self.seeder, &content, &file, case);
        }
        let tracker_home = lab.folder(&format!("tracker {}", tracker_at.port()));
        let tracker =
            scheme.map(|_| Opentracker::start(tracker_at, &[torrent.info_hash], &tracker_home));

        let path = file.display().to_string();
        let job = Job {
            source: path.clone(),
            dir: data,
            listen: at_seeder,
            peers: vec![],
            seed: true,
        };
        let mut seeder = self
            .seeder
            .start(&job, &lab.folder(&format!("home {}", at_seeder.port())));
        finish(&mut *seeder, READY, "the seeder");
        if let Some(tracker) = &tracker {
            let known = wait::until(READY, || {
                (tracker.seeds(&torrent.info_hash) > 0).then_some(())
            });
            assert!(
                known.is_some(),
                "the seeder does not announce\n{}",
                seeder.process().last_words()
            );
        }

        let peers = if tracker.is_none() {
            vec![at_seeder]
        } else {
            vec![]
        };
        let source = match (case.link, case.kind) {
            (None, _) => path,
            (Some(_), Kind::V1) => torrent.magnet(),
            (Some(Hash::V1), Kind::V2 | Kind::Hybrid) => magnet_v1(&file).expect("a torrent"),
            (Some(Hash::V2), Kind::V2 | Kind::Hybrid) => magnet_v2(&file).expect("a torrent"),
        };
        let job = Job {
            source,
            dir: output.clone(),
            listen: at_leecher,
            peers,
            seed: false,
        };
        let mut leecher = self
            .leecher
            .start(&job, &lab.folder(&format!("home {}", at_leecher.port())));
        finish(&mut *leecher, COMPLETE, "the downloader");
        leecher.process().stop();
        seeder.process().stop();
        let arrived = case.payload.digest(&output).expect("what arrived");
        assert_eq!(
            arrived, original,
            "the bytes that arrived are not those that were seeded"
        );
    }
}

/// Describes `path` in `out` as the case wants it, as `client` does it.
fn describe(client: Client, path: &Path, out: &Path, case: &Case) {
    let (kind, piece_len) = (case.kind.name(), case.piece_len);
    if let Client::Libtorrent(version) = client {
        libtorrent::create(version, path, out, piece_len, kind);
        return;
    }
    let mut command = Command::new(ours::binary());
    command.arg("create").arg(path).arg("-o").arg(out);
    command.args(["--format", kind, "--piece-length", &piece_len.to_string()]);
    let output = command.output().expect("our command runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Does all runs, several at a time, reports them as a table, and fails if one of them did.
pub(crate) fn run_all(lab: &Lab, runs: Vec<Run>) {
    let queue = Mutex::new(VecDeque::from(runs));
    let rows = Mutex::new(Vec::new());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(run) = queue.lock().expect("no panic inside").pop_front() else {
                        break;
                    };
                    let begin = Instant::now();
                    let result = catch_unwind(AssertUnwindSafe(|| run.exchange(lab)));
                    let outcome = if result.is_ok() { "equal" } else { "FAILED" };
                    let row = format!(
                        "| {:<18} | {:<18} | {:<15} | {outcome} | {:5.1} s |",
                        run.seeder.name(),
                        run.leecher.name(),
                        run.case.name,
                        begin.elapsed().as_secs_f64()
                    );
                    if let Err(panic) = result {
                        failures
                            .lock()
                            .expect("no panic inside")
                            .push(format!("{row}\n{}", words(&*panic)));
                    }
                    rows.lock().expect("no panic inside").push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("no panic inside");
    rows.sort();
    lab.report("| seeder             | downloader         | torrent         | bytes |    time |");
    for row in &rows {
        lab.report(row);
    }
    let failures = failures.into_inner().expect("no panic inside");
    assert!(
        failures.is_empty(),
        "{} of {} runs failed\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n\n")
    );
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_default()
}

const KIB: u64 = 1024;
/// Checks are instant with these payloads; Transmission looks at its queue every ten seconds.
const READY: Duration = Duration::from_secs(45);
const COMPLETE: Duration = Duration::from_secs(75);
/// Most of a run is waiting for the clocks of other programs.
const AT_ONCE: usize = 6;
