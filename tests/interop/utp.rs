//! A uTP stream (BEP 29) whose path changes while it is used.

use std::time::Duration;

use support::clients::{Client, Orders, Transport, finish, home};
use support::content::Content;
use support::ours::Ours;
use support::payload::Payload;
use support::sandbox::must;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(90);

/// Seeds to `leecher` while the path comes to take less than what is on its way.
pub(crate) fn over_a_path_that_narrows(lab: &Lab, leecher: Client) {
    let content = Content::new(lab, Payload::single("narrow.bin", 20_000_001, 17));
    let (own, at_seeder) = home(lab, "the seed");
    let (dir, at_leecher) = home(lab, "the leech");
    let seed = content.seed(at_seeder).with(Orders::by(Transport::Utp));
    let mut seed = Ours::start_with(&seed, &own, &["--max-up", "4MiB/s"]);
    finish(&mut seed, READY, "the seed");
    let download = content.download(&dir, at_leecher, vec![at_seeder]);
    let mut leech = leecher.run(lab, &download.with(Orders::by(Transport::Utp)));
    wait::pause(Duration::from_secs(2));
    must(&["ip", "link", "set", "lo", "mtu", "1000"]);
    finish(&mut *leech, DONE, "the download");
    content.assert_arrived(&dir);
}
