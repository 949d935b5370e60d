//! `seed`.

use std::net::TcpListener;

use super::{LOCAL, Running, Shared, alone, download, seeding};
use crate::support::{content, create, run, text, write};

#[test]
fn data_that_is_not_complete_is_not_seeded() {
    let shared = Shared::new("hybrid");
    let file = shared.path("seed/data/a.bin");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (data, state) = (shared.path("seed"), shared.path("state"));
    let ran = run(alone(seeding(&shared.torrent, &data, &state)));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(
        ran.json_lines().last().unwrap()["event"],
        "error",
        "{ran:?}"
    );
    assert!(ran.err.contains("1 of"), "{ran:?}");
}

#[test]
fn a_taken_port_is_passed_over_and_a_foreign_address_is_refused() {
    let shared = Shared::new("hybrid");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (data, state) = (shared.path("seed"), shared.path("state"));
    let listen = format!("127.0.0.1:{port}");
    let args = alone(seeding(&shared.torrent, &data, &state)).into_iter();
    let args = args.map(|arg| if arg == LOCAL[1] { &listen } else { arg });
    let args: Vec<&str> = args.chain(["--no-check"]).collect();
    let mut running = Running::start(&args);
    let addr = running.wait_for("listening");
    assert_ne!(addr["addr"], listen);
    for bind in ["0.0.0.0", "10.0.0.300"] {
        let ran = run([
            "download",
            &"0".repeat(40),
            "--bind",
            bind,
            "--state",
            text(&state),
        ]);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}

#[test]
fn what_is_not_there_is_neither_fetched_nor_made() {
    let shared = Shared::new("v1");
    let (_other, at) = shared.seed();
    let empty = shared.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let (inner, state) = (shared.path("seed/data"), shared.path("state"));
    for (data, trust, advice) in [
        (&inner, None, "did you mean --data"),
        (&empty, None, "data does not exist"),
        (&empty, Some("--no-check"), "data does not exist"),
    ] {
        let args = alone(seeding(&shared.torrent, data, &state)).into_iter();
        let args: Vec<&str> = args.chain(["--peer", &at]).chain(trust).collect();
        let ran = run(args);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.err.contains(advice), "{ran:?}");
        assert!(!data.join("data").exists());
    }
    // The folder alone is not enough, be it trusted or not.
    std::fs::create_dir(empty.join("data")).unwrap();
    for trust in [None, Some("--no-check")] {
        let args = alone(seeding(&shared.torrent, &empty, &state)).into_iter();
        let ran = run(args.chain(["--peer", &at]).chain(trust).collect::<Vec<_>>());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("a.bin"), "{ran:?}");
        assert!(
            std::fs::read_dir(empty.join("data"))
                .unwrap()
                .next()
                .is_none()
        );
    }
}

#[test]
fn a_folder_with_links_is_shared_as_it_lies_and_nothing_is_written_through_them() {
    use std::os::unix::fs::symlink;
    let mut shared = Shared::new("hybrid");
    let data = shared.path("seed/data");
    write(&shared.path("far/away.bin"), &content(3, 90_000));
    symlink(shared.path("far"), data.join("out")).unwrap();
    symlink("a.bin", data.join("again.bin")).unwrap();
    symlink("b", data.join("folder")).unwrap();
    shared.torrent = shared.path("links.torrent");
    create(&data, &shared.torrent, &["--follow-links"]).ok();
    run([
        "check",
        text(&shared.torrent),
        "--data",
        text(&shared.path("seed")),
    ])
    .ok();
    let (_seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    run(download(text(&shared.torrent), &addr, &down, &state)).ok();
    for (file, original) in [
        ("out/away.bin", "far/away.bin"),
        ("again.bin", "seed/data/a.bin"),
        ("folder/c.bin", "seed/data/b/c.bin"),
    ] {
        assert!(super::same(
            &down.join("data").join(file),
            &shared.path(original)
        ));
    }
    // Who downloads into a folder with such links gets nothing written behind them.
    let (linked, other) = (shared.path("linked"), shared.path("other"));
    std::fs::create_dir_all(linked.join("data")).unwrap();
    std::fs::create_dir_all(&other).unwrap();
    symlink(&other, linked.join("data/out")).unwrap();
    let ran = run(download(
        text(&shared.torrent),
        &addr,
        &linked,
        &shared.path("state-2"),
    ));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0);
}
