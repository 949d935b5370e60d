//! Trackers, and what people hear of them.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use super::http::tracker;
use super::{PATIENCE, Running, Shared, alone, downloading, seeding, signal};
use crate::support::{command, create, text};

/// A UDP tracker that refuses everybody (BEP 15).
fn refusing() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut asked = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut asked) {
            if let Some(transaction) = asked[..len].get(12..16) {
                let error = [&[0, 0, 0, 3], transaction, b"go away"].concat();
                let _ = socket.send_to(&error, from);
            }
        }
    });
    at
}

#[test]
fn passkeys_of_trackers_stay_out_of_the_log_and_their_warnings_are_passed_on() {
    const KEY: &str = "5ec4e75ec4e75ec4e7";
    let (good, asked) = tracker(b"d8:intervali1800e5:peers0:15:warning message12:mind the gape");
    let (bad, _) = tracker(b"this is not bencode");
    let refusing = refusing();
    let shared = Shared::new("v1");
    let (data, torrent) = (shared.path("seed/data"), shared.path("private.torrent"));
    let trackers = [
        format!("http://{bad}/announce?passkey={KEY}"),
        format!("http://user:{KEY}@{bad}/announce"),
        format!("udp://{refusing}/{KEY}"),
        format!("wss://127.0.0.1:9/{KEY}"),
        format!("http://{good}/announce/{KEY}"),
    ];
    let more: Vec<&str> = trackers.iter().flat_map(|url| ["--tracker", url]).collect();
    create(
        &data,
        &torrent,
        &[&more[..], &["--piece-length", "32KiB", "--format", "v1"]].concat(),
    )
    .ok();
    let (data, state) = (shared.path("seed"), shared.path("state"));
    let mut args = alone(seeding(&torrent, &data, &state));
    args.retain(|arg| *arg != "--json");
    let mut child = command()
        .args(&args)
        .env("RUST_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    while !said.contains("mind the gap") {
        said += &lines.next().expect("the warning").unwrap();
    }
    assert!(asked.recv_timeout(PATIENCE).unwrap().contains(KEY));
    signal(&child, "INT");
    said.extend(lines.map_while(Result::ok));
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(!said.contains(KEY), "{said}");
}

#[test]
fn passwords_of_proxies_and_web_seeds_stay_out_of_the_log() {
    const KEY: &str = "5ec4e75ec4e75ec4e7";
    let shared = Shared::new("v1");
    let magnet = format!(
        "{}&tr=http%3A%2F%2F127.0.0.1%3A9%2Fannounce%2F{KEY}&ws=http%3A%2F%2Fme%3A{KEY}%40127.0.0.1%3A9%2Fx%3Ftoken%3D{KEY}",
        shared.magnet()
    );
    for more in [
        vec![],
        vec!["--proxy", "socks5://me:5ec4e75ec4e75ec4e7@127.0.0.1:9"],
    ] {
        let (output, state) = (shared.path("down"), shared.path("state"));
        let mut child = command()
            .args(alone(downloading(&magnet, &output, &state)))
            .args(&more)
            .env("RUST_LOG", "trace")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        // Whoever is to be asked is asked, and what came of it is told.
        let told = if more.is_empty() { "tracker" } else { "proxy" };
        while !said.contains(told) {
            said += &lines.next().expect("a line").unwrap();
        }
        signal(&child, "INT");
        said.extend(lines.map_while(Result::ok));
        let _ = child.wait().unwrap();
        assert!(!said.contains(KEY), "{said}");
    }
}

#[test]
fn people_hear_once_why_a_tracker_gives_no_peers() {
    let (tracker, _asked) = tracker(b"d14:failure reason13:go away: \x1b[1me");
    let shared = Shared::new("v1");
    let torrent = shared.path("tracked.torrent");
    let url = format!("http://{tracker}/announce/5ec4e7");
    create(&shared.path("seed/data"), &torrent, &["--tracker", &url]).ok();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut command = command();
    let mut child = command
        .args(["download", text(&torrent), "-o", text(&down)])
        .args(["--listen", "127.0.0.1:0", "--no-lsd", "--no-dht"])
        .args(["--state", text(&state)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.map_while(Result::ok) {
        let last = line.contains("no tracker names peers");
        said.push(line);
        if last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let warning =
        format!("warning: data: no peers from tracker {tracker}: the tracker says: go away: [1m");
    assert_eq!(
        said.iter().filter(|line| **line == warning).count(),
        1,
        "{said:?}"
    );
    assert!(said.last().unwrap().starts_with("data: 0% of "), "{said:?}");
}

#[test]
fn all_trackers_are_told_of_another_port_where_that_is_asked_for() {
    let answer = b"d8:intervali1800e5:peers0:e";
    let trackers = [0, 1, 2].map(|_| tracker(answer));
    let url = |at: usize| format!("http://{}/announce", trackers[at].0);
    let shared = Shared::new("v1");
    let torrent = shared.path("tracked.torrent");
    // Two tiers, the first of two trackers.
    let first = format!("{},{}", url(0), url(1));
    let tiers = ["--tracker", &first, "--tracker", &url(2), "--format", "v1"];
    create(&shared.path("seed/data"), &torrent, &tiers).ok();
    let (data, state) = (shared.path("seed"), shared.path("state"));
    let told = |more: &[&str], count: usize| {
        let args = [alone(seeding(&torrent, &data, &state)), more.to_vec()].concat();
        let running = Running::start(&args);
        let mut told = [0; 3];
        while told.iter().sum::<usize>() < count {
            for (at, (_, asked)) in trackers.iter().enumerate() {
                if let Ok(request) = asked.recv_timeout(Duration::from_millis(10)) {
                    assert!(request.contains("port=4321&"), "{request}");
                    told[at] += usize::from(request.contains("event=started"));
                }
            }
        }
        running.signal("TERM");
        assert_eq!(running.end(), 0);
        for (_, asked) in &trackers {
            while let Ok(request) = asked.try_recv() {
                assert!(request.contains("event=stopped"), "{request}");
            }
        }
        told
    };
    let port = ["--announce-port", "4321"];
    let all = [&port[..], &["--announce-to-all", "trackers"]].concat();
    assert_eq!(told(&all, 3), [1, 1, 1]);
    let tiers = [&port[..], &["--announce-to-all", "tiers"]].concat();
    let told = told(&tiers, 2);
    assert_eq!((told[0] + told[1], told[2]), (1, 1));
}
