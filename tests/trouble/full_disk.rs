//! A disk that is full: at the write, as tmpfs has it, or later, as ext4 may.

use std::fs;
use std::path::Path;
use std::time::Duration;

use support::cases::side_by_side;
use support::clients::tracker::OurTracker;
use support::clients::{Job, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::sandbox::must;
use support::torrent::Torrent;
use support::{Lab, Need, isolated_test};

isolated_test! {
    fn a_full_tmpfs_stops_one_torrent_until_there_is_room_whether_room_is_written_or_reserved(
        lab, limit = 150, needs = [Need::Ours]
    ) {
        let mount = |at: &Path| must(&["mount", "-t", "tmpfs", "-o", "size=6m", "none", text(at)]);
        let room = |at: &Path| must(&["mount", "-o", "remount,size=40m", text(at)]);
        let reserved = ["--storage", "map", "--preallocate", "full"];
        let cases: [&[&str]; 2] = [&[], &reserved];
        side_by_side(cases.len(), &cases, |more| {
            one_torrent_waits_while_another_goes_on(lab, mount, room, more);
        });
    }
}

isolated_test! {
    fn a_full_ext4_stops_one_torrent_until_there_is_room(
        lab, limit = 150, needs = [Need::Ours, Need::Root, Need::Program("mkfs.ext4")]
    ) {
        let image = lab.dir().join("disk");
        let mount = |at: &Path| {
            fs::File::create(&image).and_then(|file| file.set_len(48 << 20)).expect("an image");
            must(&["mkfs.ext4", "-q", "-m", "0", text(&image)]);
            must(&["mount", "-o", "loop", text(&image), text(at)]);
            fs::write(at.join("ballast"), vec![1; 34 << 20]).expect("room for the ballast");
            must(&["sync"]);
        };
        let room = |at: &Path| fs::remove_file(at.join("ballast")).expect("the ballast is there");
        one_torrent_waits_while_another_goes_on(lab, mount, room, &[]);
    }
}

/// That it tries again sooner than by itself: waiting is most of a test.
const SOON: [&str; 2] = ["--set", "disk.retry_after=1s"];

/// Downloads two torrents with one command, one of them onto a disk that is too small until `room` is called.
fn one_torrent_waits_while_another_goes_on(
    lab: &Lab,
    mount: impl Fn(&Path),
    room: impl Fn(&Path),
    more: &[&str],
) {
    let small = Payload::folder(
        "on the small disk",
        vec![("large file.bin".to_owned(), 16 << 20)],
        1,
    );
    let other = Payload::single("on the large disk.bin", 12 << 20, 2);
    let (data, _) = home(lab, "data");
    let tracker_at = lab.address();
    let mut torrents = Vec::new();
    for payload in [&small, &other] {
        payload.write(&data).expect("the payload");
        let path = data.join(format!("{}.torrent", payload.name));
        let url = OurTracker::url(tracker_at, "http", false);
        torrents
            .push(Torrent::write(&path, payload, &data, 256 * 1024, &[url]).expect("a torrent"));
    }
    let tracker = OurTracker::start(
        tracker_at,
        lab.address(),
        false,
        &lab.folder(&format!("tracker {}", tracker_at.port())),
    );
    let mut seeders = Vec::new();
    for torrent in &torrents {
        let (home, listen) = home(lab, "seeder");
        let source = torrent.path.display().to_string();
        let mut ours = Ours::start(&Job::seed(&source, &data, listen), &home);
        finish(&mut ours, Duration::from_secs(30), "a seeder");
        let known = || (tracker.seeds(&torrent.info_hash) > 0).then_some(());
        support::wait::until(Duration::from_secs(20), known).expect("the seeder announces itself");
        seeders.push(ours);
    }

    let (downloader_home, listen) = home(lab, "downloader");
    let output = downloader_home.join("output");
    let disk = output.join(&small.name);
    fs::create_dir_all(&disk).expect("a folder to mount on");
    mount(&disk);
    let [first, second] = [0, 1].map(|n: usize| torrents[n].path.display().to_string());
    let job = Job::download(&first, &output, listen, Vec::new());
    let mut download = Ours::start_with(
        &job,
        &downloader_home,
        &[&[second.as_str()][..], &SOON, more].concat(),
    );
    let error = download.expect(
        "error that names the file",
        Duration::from_secs(30),
        |event| event.to_string().contains("error") && event.to_string().contains("large file.bin"),
    );
    lab.report(&format!("full disk: {error}"));
    let other_whole = || {
        let equal = other.digest(&output).ok()? == other.digest(&data).ok()?;
        equal.then_some(())
    };
    support::wait::until(Duration::from_secs(30), other_whole)
        .expect("the other torrent goes on and completes");
    // Long enough for several tries.
    let waited = || {
        let events = download.events();
        let of = |name: &str| events.iter().filter(|it| it["event"] == name).count();
        assert_eq!((of("error"), of("recovered")), (1, 0), "{events:?}");
        (of("progress") >= 12).then_some(())
    };
    support::wait::until(Duration::from_mins(1), waited).expect("it is waited for room");
    room(&disk);
    finish(
        &mut download,
        Duration::from_mins(1),
        "the download, after there was room",
    );
    let recovered = |event: &serde_json::Value| event["event"] == "recovered";
    download.expect("recovery", Duration::from_secs(1), recovered);
    small.assert_equal(&data, &output);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("lab folders have plain names")
}
