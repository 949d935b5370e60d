//! The command channel itself: lines that are no requests, guests that do not read, and those that there is no room for.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Daemon, folder, many};
use crate::support::text;

fn say(stream: &mut UnixStream, line: &Value) {
    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn lines(stream: &UnixStream) -> impl Iterator<Item = Value> + use<> {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

#[test]
fn the_socket_is_its_users_alone_and_what_is_no_request_is_refused_while_the_connection_goes_on() {
    let dir = folder();
    let daemon = Daemon::start(dir.path());
    let mode = std::fs::metadata(daemon.socket()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = daemon.connect();
    let mut answers = lines(&stream);
    stream.write_all(b"hello\n{\"id\":4}\n").unwrap();
    say(&mut stream, &json!({"id": 5, "do": "explode"}));
    say(&mut stream, &json!({"id": 6, "do": "list", "offst": 1}));
    say(&mut stream, &json!({"id": 7, "do": "list"}));
    let told: Vec<Value> = answers.by_ref().take(5).collect();
    let codes: Vec<_> = told
        .iter()
        .map(|line| (&line["id"], &line["error"]["code"]))
        .collect();
    assert_eq!(
        codes,
        [
            (&Value::Null, &json!("wrong")),
            (&json!(4), &json!("wrong")),
            (&json!(5), &json!("unknown")),
            (&json!(6), &json!("wrong")),
            (&json!(7), &Value::Null),
        ]
    );
    assert_eq!(
        told[4]["ok"],
        json!({"all": 0, "listed": 0, "torrents": []})
    );
    // Who says no more is answered what is under way, and let go.
    say(&mut stream, &json!({"id": 8, "do": "stats"}));
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(answers.next().unwrap()["id"], 8);
    assert!(answers.next().is_none());
}

#[test]
fn a_line_that_is_too_long_is_refused_before_it_ends() {
    let dir = folder();
    let daemon = Daemon::start(dir.path());
    let mut stream = daemon.connect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        let chunk = vec![b'x'; 1 << 20];
        // The daemon stops to read at some time.
        (0..200)
            .take_while(|_| writer.write_all(&chunk).is_ok())
            .count()
    });
    let mut told = String::new();
    let _ = stream.read_to_string(&mut told);
    assert!(told.contains("longer than"), "{told}");
    drop(stream);
    let written = writing.join().unwrap();
    assert!((48..200).contains(&written), "{written}");
    assert_eq!(daemon.count(), 0, "it goes on");
}

#[test]
fn there_is_room_for_so_many_guests_and_others_are_told() {
    let dir = folder();
    let daemon = Daemon::start(dir.path());
    let mut guests = Vec::new();
    for _ in 0..32 {
        let mut guest = daemon.connect();
        say(&mut guest, &json!({"id": 1, "do": "stats"}));
        assert_eq!(lines(&guest).next().unwrap()["id"], 1);
        guests.push(guest);
    }
    let refused = lines(&daemon.connect()).next().unwrap();
    assert_eq!(refused["error"]["code"], "busy");
    assert_eq!(daemon.ctl(&["list"]).code, 4);
    guests.pop();
    crate::running::until(|| daemon.ctl(&["list"]).code == 0);
}

#[test]
fn a_guest_that_does_not_read_holds_nobody_up_and_hears_how_much_it_missed() {
    let dir = folder();
    let torrents = dir.path().join("t");
    many(&torrents, 1500);
    let daemon = Daemon::start(dir.path());
    let mut slow = daemon.connect();
    say(&mut slow, &json!({"id": 1, "do": "events"}));
    let mut told = lines(&slow);
    let since = told.next().unwrap()["ok"]["last"].as_u64().unwrap();
    let mut last = since;
    // Far more than is kept, and than a socket holds.
    while last < since + 20_000 {
        daemon.ctl(&["add", "--paused", text(&torrents)]).ok();
        crate::running::until(|| daemon.count() == 1500);
        daemon.ctl(&["remove", "--all"]).ok();
        crate::running::until(|| daemon.count() == 0);
        last = daemon.told(&["stats"])[0]["events"].as_u64().unwrap();
    }
    let (mut heard, mut missed, mut at) = (0, 0, since);
    while at < last {
        let line = told.next().unwrap();
        if line["event"] == "missed" {
            missed += line["count"].as_u64().unwrap();
            at += line["count"].as_u64().unwrap();
        } else {
            heard += 1;
            at += 1;
            assert_eq!(line["seq"], at, "{line}");
        }
    }
    assert!(missed > 0 && heard > 0, "{missed} {heard}");
    let replayed = daemon.told(&["events", "--since", &(last - 3).to_string(), "--count", "3"]);
    assert_eq!(replayed[2]["seq"], last);
    let only = daemon.told(&[
        "events",
        "--only",
        "removed",
        "--since",
        &(last - 3).to_string(),
        "--count",
        "1",
    ]);
    assert_eq!(only[0]["event"], "removed");
    assert!(only[0]["info_hash"].is_string(), "{only:?}");
}
