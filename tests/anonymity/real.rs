//! Torrents that come through nodes of pyipv8.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::{Client, Orders, Transport, finish, home};
use support::content::Content;
use support::ours::Ours;
use support::overlay::Nodes;
use support::payload::Payload;

const LEN: u64 = 3_000_001;
const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(60);

const RELAY: &[u16] = &[1];
const EXIT: &[u16] = &[1, 2, 4];

/// Gets a torrent of libtorrent's by each number of hops through their nodes alone, and beside that through relays of ours and
/// exits of theirs.
pub(crate) fn download(lab: &Lab, version: &str, community: &'static str, id: &str) {
    let content = Content::new(lab, Payload::single("real.bin", LEN, 73));
    let seed_at = lab.address();
    let job = content.seed(seed_at).with(Orders::by(Transport::Utp));
    let mut seed = Client::Libtorrent("2.1.1").run(lab, &job);
    finish(&mut *seed, READY, "the seed");

    let theirs_alone = [RELAY, RELAY, RELAY, RELAY, EXIT, EXIT];
    let networks = [
        ("theirs", 0, theirs_alone.as_slice(), 1..=3),
        ("relays of ours, exits of theirs", 4, &[EXIT, EXIT], 2..=3),
    ];
    thread::scope(|scope| {
        for (who, ours, theirs, hops) in networks {
            let content = &content;
            scope.spawn(move || {
                let mut nodes = Nodes::none(lab, community);
                nodes.add_theirs(version, theirs, id);
                for _ in 0..ours {
                    nodes.add(lab.address(), "relay");
                }
                for hops in hops {
                    let took = get(lab, content, seed_at, &nodes, hops);
                    lab.report(&format!(
                        "| {hops} hops | pyipv8 {version}, {who} | {:.1} s |",
                        took.as_secs_f64()
                    ));
                }
            });
        }
    });
}

/// Gets the torrent by so many hops of these nodes; how long that takes.
fn get(lab: &Lab, content: &Content, seed_at: SocketAddr, nodes: &Nodes, hops: u8) -> Duration {
    let (dir, at) = home(lab, "leech");
    let hops = hops.to_string();
    let flags = nodes.flags();
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let overlay = lab.address().to_string();
    flags.extend(["--hops", &hops, "--overlay-listen", &overlay]);
    let begin = Instant::now();
    let job = content.download(&dir, at, vec![seed_at]);
    let home = lab.folder(&format!("home {}", at.port()));
    let mut leech = Ours::start_with(&job, &home, &flags);
    finish(&mut leech, DONE, "the download");
    content.assert_arrived(&dir);
    begin.elapsed()
}
