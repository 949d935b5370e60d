//! Torrents that come through the circuits of a test network.

use std::time::{Duration, Instant};

use support::Lab;
use support::clients::{Client, Orders, Running as _, Transport, finish, home};
use support::content::Content;
use support::ours::Ours;
use support::overlay::Testnet;
use support::payload::Payload;
use support::wait;

use crate::leaks::{self, done};

const NODES: usize = 20;
const LEN: u64 = 24_000_001;
const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(60);

/// Gets a torrent of another client's by each number of hops.
pub(crate) fn download(lab: &Lab, seeder: Client) {
    let mut net = Testnet::start(lab, NODES);
    assert_eq!(net.pids().len(), NODES);
    let content = Content::new(lab, Payload::single("through.bin", LEN, 71));
    let seed_at = lab.address();
    let job = content.seed(seed_at).with(Orders::by(Transport::Utp));
    let mut seed = seeder.run(lab, &job);
    finish(&mut *seed, READY, "the seed");
    for hops in 1..=3 {
        let (dir, at) = home(lab, "leech");
        let hops = hops.to_string();
        let mut flags = net.flags();
        flags.extend(["--hops", &hops]);
        let begin = Instant::now();
        let job = content.download(&dir, at, vec![seed_at]);
        let mut leech = Ours::start_with(&job, &lab.folder(&format!("home {hops}")), &flags);
        finish(&mut leech, DONE, "the download");
        content.assert_arrived(&dir);
        let ready = leech.event("anonymity").expect("circuits were told of");
        assert_eq!(ready["hops"].to_string(), hops);
        lab.report(&format!(
            "| {hops} hops | {} to ours in a network of {NODES} processes | {:.1} s |",
            seeder.name(),
            begin.elapsed().as_secs_f64()
        ));
    }
    seed.process().stop();
    let pids = net.pids();
    net.stop();
    let there = |pid: &u64| std::path::Path::new(&format!("/proc/{pid}")).exists();
    let gone = wait::until(READY, || (!pids.iter().any(there)).then_some(()));
    assert!(gone.is_some(), "processes of the network are left");
}

/// Seeds in hiding, and downloads in hiding, with neither knowing where the other is.
pub(crate) fn hidden(lab: &Lab, seed_hops: u8, leech_hops: u8) {
    let net = Testnet::start(lab, NODES);
    let content = Content::new(lab, Payload::single("hidden.bin", LEN, 72));
    let (seed_hops, leech_hops) = (seed_hops.to_string(), leech_hops.to_string());
    let mut flags = net.flags();
    flags.extend(["--hops", &seed_hops]);
    let mut seed = Ours::start_with(&content.seed(lab.address()), &lab.folder("seed"), &flags);
    finish(&mut seed, READY, "the seed");
    let (dir, at) = home(lab, "leech");
    let mut flags = net.flags();
    flags.extend(["--hops", &leech_hops]);
    let begin = Instant::now();
    let job = content.download(&dir, at, Vec::new());
    let mut leech = Ours::start_with(&job, &lab.folder("leech home"), &flags);
    finish(&mut leech, DONE, "the download");
    content.assert_arrived(&dir);
    lab.report(&format!(
        "| hidden | seed behind {seed_hops} hops, downloader behind {leech_hops} | {:.1} s |",
        begin.elapsed().as_secs_f64()
    ));
    seed.process().stop();
}

/// Downloads in hiding from who seeds in hiding, while nodes die that both go through.
pub(crate) fn hidden_with_deaths(lab: &Lab) {
    const DEATHS: u64 = 2;
    const LEN: u64 = 12_000_001;
    // By then there is again what stands by for a link that dies.
    const APART: Duration = Duration::from_secs(15);
    // Seconds on a quiet machine; one try more, where a node does not answer in time on a busy one.
    const STANDSTILL: Duration = Duration::from_secs(30);
    let net = Testnet::start(lab, NODES);
    let content = Content::new(lab, Payload::single("deaths.bin", LEN, 73));
    let mut flags = net.flags();
    flags.extend(["--hops", "1"]);
    let mut seed = Ours::start_with(&content.seed(lab.address()), &lab.folder("seed"), &flags);
    finish(&mut seed, READY, "the seed");
    let (dir, at) = home(lab, "leech");
    let state = lab.folder("leech home");
    flags.extend(["--max-down", "400KiB/s"]);
    let job = content.download(&dir, at, Vec::new());
    let mut leech = Ours::start_with(&job, &state, &flags);
    let mut flow = None;
    for death in 1..=DEATHS {
        let far = LEN * death / (3 * DEATHS);
        let come = wait::until(DONE, || (done(&leech) > far).then_some(()));
        assert!(come.is_some(), "{}", leech.process().last_words());
        let ways = leaks::through(&state.join("state"), "rendezvous");
        let dead = ways.iter().find(|at| net.kill(**at));
        let dead = *dead.unwrap_or_else(|| panic!("{ways:?}"));
        let killed = Instant::now();
        let flow = flow.get_or_insert_with(|| Flow::new(&leech));
        // What was on its way comes all the same: bytes count from when the link through the dead node is left.
        let mut left = false;
        let again = wait::until(STANDSTILL, || {
            let come = flow.look(&leech);
            if come && left {
                return Some(());
            }
            left |= come && !leaks::through(&state.join("state"), "rendezvous").contains(&dead);
            None
        });
        assert!(again.is_some(), "{}", leech.process().last_words());
        if death < DEATHS {
            wait::at_most(APART.saturating_sub(killed.elapsed()), || {
                flow.look(&leech);
                None::<()>
            });
        }
    }
    let mut flow = flow.expect("deaths");
    let whole = wait::until(DONE, || {
        let whole = leech.event("finished").is_some();
        flow.look(&leech);
        whole.then_some(())
    });
    assert!(whole.is_some(), "{}", leech.process().last_words());
    finish(&mut leech, DONE, "the download");
    content.assert_arrived(&dir);
    assert!(flow.worst < STANDSTILL, "{:?}", flow.worst);
    lab.report(&format!(
        "| hidden | {DEATHS} nodes died on the way | nothing came for {:.1} s at most |",
        flow.worst.as_secs_f64()
    ));
    seed.process().stop();
}

/// How far a download is, and how long it has stood still at most.
struct Flow {
    done: u64,
    since: Instant,
    worst: Duration,
}

impl Flow {
    fn new(leech: &Ours) -> Self {
        Self {
            done: done(leech),
            since: Instant::now(),
            worst: Duration::ZERO,
        }
    }

    /// Looks at it, and says whether bytes have come since it was looked at before.
    fn look(&mut self, leech: &Ours) -> bool {
        let done = done(leech);
        let come = done > self.done;
        self.worst = self.worst.max(self.since.elapsed());
        if come {
            (self.done, self.since) = (done, Instant::now());
        }
        come
    }
}
