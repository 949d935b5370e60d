//! Content that lies on this machine already.

use super::{Running, Shared, alone, downloading, events};
use crate::support::{create, run, text, write};

#[test]
fn what_lies_in_a_folder_is_copied_under_whatever_name_it_has() {
    for format in ["v1", "v2", "hybrid"] {
        let shared = Shared::new(format);
        let old = shared.path("old");
        for (name, from) in [("x", "a.bin"), ("deep/y", "b/c.bin"), ("d.txt", "d.txt")] {
            let bytes = std::fs::read(shared.path("seed/data").join(from)).unwrap();
            write(&old.join(name), &bytes);
        }
        let (down, state) = (shared.path("down"), shared.path("state"));
        let args = alone(downloading(text(&shared.torrent), &down, &state));
        let lines = run([args, vec!["--reuse", text(&old)]].concat())
            .ok()
            .json_lines();
        let reused = lines.iter().find(|line| line["event"] == "reused").unwrap();
        assert_eq!(reused["bytes"], 750_001, "{lines:?}");
        assert!(events(&lines).contains(&"finished"), "{lines:?}");
        shared.assert_fetched(&down, &["a.bin", "b/c.bin", "d.txt"]);
    }
}

#[test]
fn a_folder_to_look_through_must_be_there() {
    let shared = Shared::new("v1");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let args = alone(downloading(text(&shared.torrent), &down, &state));
    let ran = run([args, vec!["--reuse", text(&shared.path("none"))]].concat());
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("none"), "{ran:?}");
}

#[test]
fn what_another_torrent_has_is_named_and_copied_when_asked_for() {
    let shared = Shared::new("hybrid");
    let (other, state) = (shared.path("other.torrent"), shared.path("state"));
    let more = ["--name", "other", "--format", "v2"];
    create(&shared.path("seed/data"), &other, &more).ok();
    let seed = shared.path("seed");
    let both = [
        alone(downloading(text(&shared.torrent), &seed, &state)),
        vec![text(&other)],
    ];
    let both = both.concat();
    let mut offering = Running::start(&both);
    let offer = offering.wait_for("local_data");
    let got = [&offer["files"], &offer["bytes"], &offer["places"][0]];
    let place = seed.join("data");
    assert_eq!(
        got,
        [&3.into(), &750_001.into(), &text(&place).into()] as [&serde_json::Value; 3]
    );
    drop(offering);
    assert!(!seed.join("other/a.bin").exists());

    let lines = run([both, vec!["--reuse-local-data"]].concat())
        .ok()
        .json_lines();
    assert!(events(&lines).contains(&"reused"), "{lines:?}");
    let bytes = |path: &str| std::fs::read(seed.join(path)).unwrap();
    assert!(bytes("other/a.bin") == bytes("data/a.bin"));
}
