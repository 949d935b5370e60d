//! How fast whole torrents come through circuits.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::{Client, Orders, Transport, finish, home};
use support::content::Content;
use support::ours::Ours;
use support::overlay::Testnet;
use support::payload::Payload;
use support::wait;

use crate::programs::Servers;

const NODES: usize = 12;
const LEN: u64 = 512 * 1024 * 1024;
const PIECE: u64 = 1024 * 1024;
const READY: Duration = Duration::from_secs(60);
const DONE: Duration = Duration::from_secs(180);

/// What libtorrent 2.1 gets behind the SOCKS5 servers of Tribler 7.5.0 by one, two and three hops, in MB/s: all nodes in one
/// process on loopback, on two shared cores.
const TRIBLER: [f64; 3] = [9.2, 6.8, 5.3];

/// Gets a torrent by each number of hops, from ours and from libtorrent, and with libtorrent behind our SOCKS5 servers.
pub(crate) fn figures(lab: &Lab) {
    let net = Testnet::start(lab, NODES);
    let payload = Payload::single("speed.bin", LEN, 73);
    let content = Content::described(lab, payload, PIECE, &[]);
    let libtorrent = Client::Libtorrent("2.1.1");
    lab.report("| who | hops | MB/s | times libtorrent behind Tribler |");
    lab.report("|---|---|---|---|");
    for seeder in [Client::Ours, libtorrent] {
        let seed_at = lab.address();
        let job = content.seed(seed_at).with(Orders::by(Transport::Utp));
        let mut seed = seeder.run(lab, &job);
        finish(&mut *seed, READY, "the seed");
        for hops in 1..=3 {
            let (dir, at) = home(lab, "leech");
            let number = hops.to_string();
            let mut flags = net.flags();
            flags.extend(["--hops", &number]);
            let job = content.download(&dir, at, vec![seed_at]);
            let mut leech = Ours::start_with(&job, &lab.folder(&format!("home {at}")), &flags);
            let open = wait::until(READY, || {
                let told = leech.event("anonymity")?;
                (told["ready"].as_u64()? > 0).then_some(())
            });
            assert!(open.is_some(), "no circuit");
            let begin = Instant::now();
            finish(&mut leech, DONE, "the download");
            let who = format!("ours from {}", seeder.name());
            tell(lab, &who, hops, begin.elapsed());
            content.assert_arrived(&dir);
            std::fs::remove_dir_all(&dir).expect("room for the next");
        }
        seed.process().stop();
    }
    let server = Servers::start(lab, &net);
    let seed_at = lab.address();
    let job = content.seed(seed_at).with(Orders::by(Transport::Utp));
    let mut seed = Client::Ours.run(lab, &job);
    finish(&mut *seed, READY, "the seed");
    for hops in 1..=3 {
        let (dir, at) = home(lab, "leech");
        let orders = Orders {
            proxy: Some(server.at(hops)),
            ..Orders::by(Transport::Utp)
        };
        let job = content.download(&dir, at, vec![seed_at]).with(orders);
        let mut leech = libtorrent.run(lab, &job);
        // The first program of a server waits for its circuits.
        let file = dir.join("speed.bin");
        let begun = wait::until(READY, || {
            let there = file.metadata().is_ok_and(|file| file.blocks() > 0);
            there.then_some(())
        });
        assert!(begun.is_some(), "nothing came");
        let begin = Instant::now();
        finish(&mut *leech, DONE, "the download");
        let who = "libtorrent 2.1.1 behind our SOCKS5 servers";
        tell(lab, who, hops, begin.elapsed());
        leech.process().stop();
        content.assert_arrived(&dir);
        std::fs::remove_dir_all(&dir).expect("room for the next");
    }
    seed.process().stop();
}

fn tell(lab: &Lab, who: &str, hops: usize, took: Duration) {
    let rate = LEN as f64 / 1e6 / took.as_secs_f64();
    let theirs = TRIBLER.get(hops - 1).copied().unwrap_or(f64::NAN);
    lab.report(&format!(
        "| {who} | {hops} | {rate:.0} | {:.0} |",
        rate / theirs
    ));
}
