//! The piece layers of a hybrid that was joined by its v1 hash (BEP 52).

use std::process::Command;
use std::time::Duration;

use support::clients::{Client, Orders, Running as _, finish, home, libtorrent};
use support::content::Content;
use support::ours::{self, Ours};
use support::payload::Payload;
use support::torrent::magnet_v1;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(60);

/// Ours gets a hybrid by its v1 link from one libtorrent, and from that same peer the hashes that only the v2 swarm gives.
pub(crate) fn come_from_the_only_peer(lab: &Lab, version: &'static str) {
    let payload = Payload::nested("layers", 30, 300_000, 3);
    let piece_len = 16 * 1024;
    let content = Content::described(lab, payload, piece_len, &[]);
    let file = &content.torrent.path;
    std::fs::remove_file(file).expect("the v1 description");
    let path = content.dir.join(&content.payload.name);
    libtorrent::create(version, &path, file, piece_len, "hybrid");
    let (_, at_seeder) = home(lab, "the seed");
    let mut seed = Client::Libtorrent(version).run(lab, &content.seed(at_seeder));
    finish(&mut *seed, READY, "the seed");

    let link = magnet_v1(file).expect("a torrent");
    let (dir, at_leecher) = home(lab, "the leech");
    let own = lab.folder(&format!("the state of the leech of {version}"));
    let stays = Orders {
        stays: true,
        ..Orders::default()
    };
    let mut job = content
        .download(&dir, at_leecher, vec![at_seeder])
        .with(stays);
    job.source.clone_from(&link);
    let mut leech = Ours::start_with(&job, &own, &["--log", "engine=debug"]);
    let finished = wait::until(DONE, || leech.event("finished"));
    assert!(finished.is_some(), "{}", leech.process().last_words());
    content.assert_arrived(&dir);

    // It is written only once nothing is missing.
    let hash = link.rsplit(':').next().expect("a hash");
    let kept = own.join("state").join(format!("{hash}.torrent"));
    let there = wait::until(DONE, || kept.exists().then_some(()));
    assert!(there.is_some(), "{}", leech.process().last_words());
    let mut check = Command::new(ours::binary());
    check.arg("check").arg(&kept).arg("--data").arg(&dir);
    let output = check.output().expect("our command runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
