//! A magnet link that names nothing but a hash: the DHT brings its peers together (BEP 5).

use std::time::{Duration, Instant};

use support::Lab;
use support::clients::{Client, Job, Orders, finish, home};
use support::content::Content;
use support::payload::Payload;

const READY: Duration = Duration::from_secs(30);

/// How long the download may take, the look-up and the seed's announce before it included.
const FOUND: Duration = Duration::from_secs(60);

/// Lets `leecher` get from `seeder` by a bare hash; they know a node of `between` and nothing else.
pub(crate) fn through(lab: &Lab, between: Client, seeder: Client, leecher: Client) {
    let content = |name, seed| Content::new(lab, Payload::single(name, 3_000_000, seed));
    // The node that both know serves another torrent, of which nobody hears.
    let hub = lab.address();
    let job = content("hub.bin", 11).seed(hub).with(Orders::in_dht(hub));
    let mut node = between.run(lab, &job);
    finish(&mut *node, READY, "the node between");

    let content = content("trackerless.bin", 12);
    let job = content.seed(lab.address()).with(Orders::in_dht(hub));
    let mut seed = seeder.run(lab, &job);
    finish(&mut *seed, READY, "the seed");

    let (dir, at) = home(lab, "leech");
    let begin = Instant::now();
    let job = Job::download(&content.torrent.magnet(), &dir, at, Vec::new());
    let mut leech = leecher.run(lab, &job.with(Orders::in_dht(hub)));
    finish(&mut *leech, FOUND, "the download by a bare hash");
    content.assert_arrived(&dir);
    lab.report(&format!(
        "| a bare hash | {} to {} through a node of {} | {:.1} s |",
        seeder.name(),
        leecher.name(),
        between.name(),
        begin.elapsed().as_secs_f64()
    ));
    for client in [&mut leech, &mut seed, &mut node] {
        client.process().stop();
    }
}
