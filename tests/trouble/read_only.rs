//! Content on a disk that cannot be written, which is cut and comes back.

use std::fs;
use std::time::Duration;

use support::clients::{Job, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::sandbox::must;
use support::torrent::Torrent;
use support::{Need, isolated_test};

isolated_test! {
    fn a_seed_on_a_read_only_disk_goes_on_by_itself_when_its_file_is_whole_again(
        lab, limit = 120, needs = [Need::Ours]
    ) {
        let payload = Payload::single("read only.bin", 8 << 20, 3);
        let writable = lab.folder("writable");
        payload.write(&writable).expect("the payload");
        let disk = lab.folder("disk");
        let [from, to] = [&writable, &disk].map(|path| path.to_str().expect("lab folders have plain names"));
        must(&["mount", "--bind", from, to]);
        must(&["mount", "-o", "remount,bind,ro", to]);
        let path = lab.dir().join("read only.torrent");
        let torrent = Torrent::write(&path, &payload, &writable, 256 * 1024, &[]).expect("the torrent");
        let (seeder_home, at) = home(lab, "seeder");
        let job = Job::seed(&torrent.path.display().to_string(), &disk, at);
        let mut seeder = Ours::start(&job, &seeder_home);
        finish(&mut seeder, Duration::from_secs(30), "the seeder");

        let file = fs::OpenOptions::new().write(true).open(writable.join(&payload.name)).expect("the content");
        file.set_len(1 << 20).expect("the content is cut");
        let (downloader_home, listen) = home(lab, "downloader");
        let output = lab.folder("output");
        let job = Job { dir: output.clone(), listen, peers: vec![at], seed: false, ..job };
        let mut download = Ours::start(&job, &downloader_home);
        let limit = Duration::from_secs(30);
        let error = seeder.expect("error that names the file", limit, |event| {
            event["event"] == "error" && event.to_string().contains("read only.bin")
        });
        lab.report(&format!("cut: {error}"));
        payload.write(&writable).expect("the payload again");
        seeder.expect("recovery", limit, |event| event["event"] == "recovered");
        finish(&mut download, Duration::from_mins(1), "the download");
        payload.assert_equal(&writable, &output);
    }
}
