//! Files that are read while they come.

use serde_json::{Value, json};

use super::rest::Api;
use super::{Daemon, folder};
use crate::running::{Running, until};
use crate::support::{content, create, text, write};

#[test]
fn what_players_need_first_of_a_file_comes_first_where_it_is_said_that_it_will_be_read() {
    let dir = folder();
    let (data, torrent) = (dir.path().join("film.mp4"), dir.path().join("film.torrent"));
    write(&data, &content(7, 48 << 20));
    create(&data, &torrent, &["--piece-length", "64KiB"]).ok();
    let seed = [
        "seed",
        text(&torrent),
        "--data",
        text(dir.path()),
        "--max-up",
        "6MiB/s",
    ];
    let alone = [
        "--listen",
        "127.0.0.1:0",
        "--no-dht",
        "--no-lsd",
        "--no-portmap",
    ];
    let mut seed = Running::start(&[&seed[..], &alone].concat());
    let peer = seed.event("listening")["addr"].as_str().unwrap().to_owned();
    let mut daemon = Daemon::with(dir.path(), &["--api", "127.0.0.1:0"]);
    let api = Api::of(&mut daemon);
    let seeding = seed.event("seeding");
    let hash = seeding["info_hash"].as_str().unwrap();
    let link = json!({"uri": format!("magnet:?xt=urn:btih:{hash}&x.pe={peer}")});
    assert_eq!(api.ask("PUT", "/downloads", &link.to_string()).0, 200);
    let path = format!("/downloads/{hash}");
    let (status, said) = api.ask("PATCH", &path, r#"{"vod_mode":true,"fileindex":0}"#);
    assert_eq!((status, &said["vod_mode"]), (200, &json!(true)), "{said}");
    let mut one = Value::Null;
    until(|| {
        let (_, list) = api.ask("GET", "/downloads", "");
        one = list["downloads"][0].clone();
        let there = |part: &str| one[part] == 1.0;
        [
            "vod_header_progress",
            "vod_footer_progress",
            "vod_prebuffering_progress_consec",
        ]
        .into_iter()
        .all(there)
    });
    let (_, list) = api.ask("GET", "/downloads?get_peers=1", "");
    let other = &list["downloads"][0]["peers"][0];
    let name = other["extended_version"].as_str().unwrap();
    assert!(name.starts_with("tribler-rs "), "{other}");
    assert_eq!(
        (&other["direction"], &other["seed"]),
        (&json!("L"), &json!(true)),
        "{other}"
    );
    // All of it comes in no order: what is needed first would be there with the rest.
    assert!(one["progress"].as_f64().unwrap() < 0.7, "{one}");
    assert_eq!(
        (&one["vod_mode"], &one["vod_prebuffering_progress"]),
        (&json!(true), &json!(1.0))
    );
}
