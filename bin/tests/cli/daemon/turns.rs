//! What `ctl` tells torrents to do, and the queue.

use super::{Daemon, folder, many};
use crate::support::text;

#[test]
fn switches_the_queue_and_web_seeds_are_changed_and_shown() {
    let dir = folder();
    let (torrents, data) = (dir.path().join("t"), dir.path().join("data"));
    many(&torrents, 3);
    let daemon = Daemon::with(dir.path(), &["--set", "queue.downloads=1"]);
    daemon.told(&["add", "--data", text(&data), text(&torrents)]);
    let names = || {
        let rows = daemon.told(&["queue"]);
        let names = rows
            .iter()
            .map(|row| row["name"].as_str().map(str::to_owned));
        names.collect::<Option<Vec<String>>>().unwrap()
    };
    let before = names();
    assert_eq!(before.len(), 3);
    daemon.ctl(&["queue", "top", &before[2]]).ok();
    assert_eq!(names(), [&*before[2], &*before[0], &*before[1]]);
    daemon.ctl(&["queue", "to", "1", &before[2]]).ok();
    daemon.ctl(&["queue", "bottom", &before[0]]).ok();
    assert_eq!(names(), [&*before[2], &*before[1], &*before[0]]);
    let first = &daemon.told(&["show", &before[2]])[0]["info_hash"];
    let first = first.as_str().unwrap().to_owned();
    daemon.until(&first, |row| row["state"] == "downloading");
    let queued = daemon.told(&["list", "--only", "queued"]);
    assert_eq!(queued.len(), 2, "{queued:?}");

    let set = [
        "set",
        &first,
        "--on",
        "sequential,upload_only",
        "--off",
        "dht",
        "--seed-ratio",
        "1.5",
        "--seed-time",
        "2h",
    ];
    daemon.ctl(&set).ok();
    let shown = &daemon.told(&["show", &first])[0];
    let modes: Vec<&str> = shown["modes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it.as_str())
        .collect();
    assert!(
        modes.contains(&"sequential") && modes.contains(&"upload_only"),
        "{modes:?}"
    );
    assert!(!modes.contains(&"dht"));
    assert_eq!(shown["seeding"]["ratio_per_mille"], 1500);
    assert_eq!(shown["seeding"]["seconds"], 7200);
    assert_eq!(shown["position"], 0);
    let wrong = daemon.ctl(&["set", &first, "--on", "nonsense"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let nothing = daemon.ctl(&["set", &first]);
    assert_eq!(nothing.code, 2, "{nothing:?}");

    let seed = "http://127.0.0.1:9/f";
    daemon.ctl(&["web-seeds", &first, "--add", seed]).ok();
    assert_eq!(daemon.told(&["web-seeds", &first]), [seed]);
    daemon.ctl(&["web-seeds", &first, "--remove", seed]).ok();
    assert!(daemon.told(&["web-seeds", &first]).is_empty());
    let gone = daemon.ctl(&["web-seeds", &first, "--remove", seed]);
    assert_eq!(gone.code, 2, "{gone:?}");
    daemon
        .ctl(&["trackers", &first, "--add", "udp://127.0.0.1:9/a"])
        .ok();
    let tracker = &daemon.told(&["trackers", &first])[0];
    assert!(tracker["state"].is_string(), "{tracker}");
}
