//! One run: a seeder, a downloader, perhaps a tracker, and the comparison of what arrived.

use std::net::{Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use support::cases::{attempt, outcomes};
use support::clients::opentracker::Opentracker;
use support::clients::{Client, Job, Transport, finish, home, libtorrent, listens};
use support::content::Content;
use support::ours::wires;
use support::sandbox::{must, refuse};
use support::torrent::{magnet_v1, magnet_v2};
use support::{Lab, ours, wait};

use crate::cases::{Case, Hash, Kind};

/// A case with its two sides.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    seeder: Client,
    leecher: Client,
    case: Case,
}

impl Run {
    /// How often it is tried when the other program fails by itself.
    ///
    /// qBittorrent 4.5.2 (libtorrent 2.0.8) now and then stops a hybrid that it gets by a link, with an error whose reason it does
    /// not tell, whoever the seeder is: libtorrent 2.0.11 in 5 of 80 runs, libtorrent 2.1.1 in 2 of 80, ours in 2 of 100. Newer
    /// versions of libtorrent do not. But on a busy machine libtorrent 2.0.11 dies in a thread of its own where it has no more
    /// than the v2 hash of a hybrid: on two cores in 7 of 100 runs from ours, and from libtorrent 2.0.11 and 2.1.1 as often. By
    /// the v1 hash, by the .torrent file or without a v1 part it never did.
    fn tries(&self) -> usize {
        let case = &self.case;
        let fails_at_times = match (self.leecher, case.link) {
            (Client::Qbittorrent, Some(_)) | (Client::Libtorrent("2.0.11"), Some(Hash::V2)) => {
                case.kind == Kind::Hybrid
            }
            _ => false,
        };
        if fails_at_times { 4 } else { 1 }
    }

    /// Tries it until it succeeds, or fails otherwise than by the error that is expected now and then.
    fn exchange_in_the_end(&self, lab: &Lab) -> Result<(), String> {
        let mut last = Ok(());
        for _ in 0..self.tries() {
            last = attempt(|| self.exchange(lab));
            if !matches!(&last, Err(words) if THEIR_OWN.iter().any(|own| words.contains(own))) {
                break;
            }
        }
        last
    }

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
        let at_seeder = place(lab, case.six);
        let at_leecher = place(lab, case.six);
        // The downloader dials if it can be told to, else the seeder; if neither can, they meet at a tracker.
        let told = case.tracker.is_none() && self.leecher.dials();
        let dialled = case.tracker.is_none() && !told && self.seeder.dials();
        let scheme = case
            .tracker
            .or_else(|| (!told && !dialled).then_some("http"));
        let tracker_at = lab.address();
        let trackers: Vec<String> = scheme
            .iter()
            .map(|scheme| Opentracker::url(tracker_at, scheme))
            .collect();
        let content = Content::described(lab, case.payload.clone(), case.piece_len, &trackers);
        if case.kind != Kind::V1 {
            self.describe(&content);
        }
        let tracker_home = lab.folder(&format!("tracker {}", tracker_at.port()));
        let hashes = [content.torrent.info_hash];
        let tracker = scheme.map(|_| Opentracker::start(tracker_at, &hashes, &tracker_home));
        if let Some(transport) = case.transport {
            hold_to(transport, at_seeder);
            hold_to(transport, at_leecher);
        }

        let (output, _) = home(lab, "downloads");
        let source = self.link_to(&content).unwrap_or_else(|| content.source());
        let peers = if told { vec![at_seeder] } else { Vec::new() };
        let download = Job::download(&source, &output, at_leecher, peers);
        let download = download.with(case.orders(self.leecher));
        let mut seed = content.seed(at_seeder).with(case.orders(self.seeder));
        if dialled {
            seed.peers.push(at_leecher);
        }

        let early = dialled.then(|| {
            let mut leecher = self.leecher.run(lab, &download);
            let up = wait::until(READY, || listens(at_leecher.port()).then_some(()));
            assert!(up.is_some(), "{}", leecher.process().last_words());
            leecher
        });
        let mut seeder = self.seeder.run(lab, &seed);
        finish(&mut *seeder, READY, "the seeder");
        if let Some(tracker) = &tracker {
            let known = || (tracker.seeds(&hashes[0]) > 0).then_some(());
            let known = wait::until(READY, known);
            assert!(
                known.is_some(),
                "the seeder does not announce\n{}",
                seeder.process().last_words()
            );
        }
        let mut leecher = early.unwrap_or_else(|| self.leecher.run(lab, &download));
        finish(&mut *leecher, COMPLETE, "the downloader");
        leecher.process().stop();
        seeder.process().stop();
        content.assert_arrived(&output);
        for (client, running) in [(self.seeder, &mut seeder), (self.leecher, &mut leecher)] {
            if let (Client::Ours, Some(cover)) = (client, case.cover) {
                let wires = wires(&running.process().errors());
                let as_said = |wire: &String| cover.wire.is_none_or(|said| wire == said);
                assert!(!wires.is_empty() && wires.iter().all(as_said), "{wires:?}");
            }
        }
    }

    /// Describes the content as the case wants it, as the seeder does it; ours for those that do not.
    fn describe(&self, content: &Content) {
        let (out, path) = (
            &content.torrent.path,
            content.dir.join(&content.payload.name),
        );
        std::fs::remove_file(out).expect("the v1 description");
        let (kind, piece_len) = (self.case.kind.name(), self.case.piece_len);
        if let Client::Libtorrent(version) = self.seeder {
            libtorrent::create(version, &path, out, piece_len, kind);
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

    /// The link that the downloader is given instead of the description.
    fn link_to(&self, content: &Content) -> Option<String> {
        let file = &content.torrent.path;
        Some(match (self.case.link?, self.case.kind) {
            (_, Kind::V1) => content.torrent.magnet(),
            (Hash::V1, Kind::V2 | Kind::Hybrid) => magnet_v1(file).expect("a torrent"),
            (Hash::V2, Kind::V2 | Kind::Hybrid) => magnet_v2(file).expect("a torrent"),
        })
    }
}

/// Where a client listens that nobody has listened at before.
pub(crate) fn place(lab: &Lab, six: bool) -> SocketAddr {
    let v4 = lab.address();
    if !six {
        return v4;
    }
    let ip = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, v4.port());
    // The kernel looks for nobody else at it first: while it does, nothing can be bound to it.
    let address = format!("{ip}/128");
    must(&["ip", "-6", "addr", "add", &address, "dev", "lo", "nodad"]);
    SocketAddr::new(ip.into(), v4.port())
}

/// Has the kernel turn away all that comes to a client by another transport.
fn hold_to(transport: Transport, at: SocketAddr) {
    let other = if transport == Transport::Tcp {
        "udp"
    } else {
        "tcp"
    };
    refuse(&format!("{other} dport {}", at.port()));
}

/// Does all runs, several at a time, reports them as a table, and fails if one of them did.
pub(crate) fn run_all(lab: &Lab, runs: &[Run]) {
    let timed = |run: &Run| {
        let begin = Instant::now();
        (run.exchange_in_the_end(lab), begin.elapsed())
    };
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (run, ended) in runs.iter().zip(outcomes(at_once(runs), runs, timed)) {
        let (result, took) = ended.unwrap_or_else(|words| (Err(words), Duration::ZERO));
        let outcome = if result.is_ok() { "equal" } else { "FAILED" };
        let row = format!(
            "| {:<18} | {:<18} | {:<35} | {outcome} | {:5.1} s |",
            run.seeder.name(),
            run.leecher.name(),
            run.case.name,
            took.as_secs_f64()
        );
        if let Err(words) = result {
            failures.push(format!("{row}\n{words}"));
        }
        rows.push(row);
    }
    rows.sort();
    lab.report("| seeder             | downloader         | exchange                            | bytes |    time |");
    for row in &rows {
        lab.report(row);
    }
    assert!(
        failures.is_empty(),
        "{} of {} runs failed\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n\n")
    );
}

/// How many runs bear each other: most of a run is waiting for the clocks of other programs, and with Transmission, which
/// looks every ten seconds whom to serve and whom to ask, nearly all of it.
fn at_once(runs: &[Run]) -> usize {
    let with = |run: &Run| [run.seeder, run.leecher].contains(&Client::Transmission);
    if runs.iter().all(with) { 16 } else { 10 }
}

/// How it reads that qBittorrent has stopped a torrent, and that libtorrent died.
const THEIR_OWN: [&str; 2] = ["qbittorrent: error", "libtorrent: ended by signal"];
/// Checks are instant with these payloads; Transmission looks at its queue every ten seconds.
const READY: Duration = Duration::from_secs(45);
const COMPLETE: Duration = Duration::from_secs(75);
