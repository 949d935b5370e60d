//! Ways out that are not there, and what is told of them.

use std::net::TcpListener;

use super::*;

/// The arguments of a download of something that nobody has, from `peer`.
fn nobody<'a>(hash: &'a str, peer: &'a str, dir: &'a Path) -> Vec<&'a str> {
    let args = ["download", hash, "--peer", peer, "--json", "--no-lsd"];
    let paths = ["--output", text(dir), "--state", text(dir)];
    [&args[..], &paths, &["--no-dht"]].concat()
}

#[test]
fn a_proxy_that_is_away_is_told_of_up_front_and_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let (hash, proxy) = ("1".repeat(40), format!("http://me:secret@{at}"));
    let args = nobody(&hash, "127.0.0.2:9", dir.path());
    let mut running = Running::start(&[&args[..], &["--proxy", &proxy]].concat());
    let news = running.wait_for("network");
    let expected = format!("proxy {at}: connection refused; nothing leaves until it is back");
    assert_eq!(
        (&news["up"], &news["reason"]),
        (&false.into(), &expected.as_str().into())
    );
    let told = running.wait_for("proxy");
    assert_eq!(told["proxy"], format!("http://{at}"));
    assert_eq!(told["udp"], false);
    // What a torrent waits for is the same.
    while running.wait_for("progress")["reason"] != expected.as_str() {}
    let _back = TcpListener::bind(at).unwrap();
    let news = running.wait_for("network");
    assert_eq!(news["up"], true, "{news}");
}

#[test]
fn an_interface_or_address_that_is_not_there_yet_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let hash = "2".repeat(40);
    let args = nobody(&hash, "127.0.0.2:9", dir.path());
    for bind in ["nosuch0", "192.0.2.1"] {
        let mut running = Running::start(&[&args[..], &["--bind", bind]].concat());
        let news = running.wait_for("network");
        let reason = news["reason"].as_str().unwrap();
        assert_eq!(news["up"], false);
        assert!(reason.starts_with(&format!("--bind {bind}: ")), "{reason}");
        assert!(reason.contains("; waiting for it; there are: "), "{reason}");
        assert!(reason.contains("(127.0.0.1"), "{reason}");
    }
}

#[test]
fn what_a_list_of_addresses_holds_is_told_and_told_again_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    let (hash, path) = ("3".repeat(40), text(&list).to_owned());
    let args = nobody(&hash, "127.0.0.2:9", dir.path());
    let args = [&args[..], &["--ip-filter", &path]].concat();
    std::fs::write(&list, "127.0.0.2\nnobody\n1.2.3.0/24\n").unwrap();
    let ran = run(&args);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("line 2: neither"), "{ran:?}");
    assert!(ran.err.contains("`nobody`; --skip-bad-lines"), "{ran:?}");
    let args = [&args[..], &["--skip-bad-lines"]].concat();
    let mut running = Running::start(&args);
    let told = running.wait_for("ip_filter");
    assert_eq!(
        (&told["ranges"], &told["bad_lines"]),
        (&2.into(), &1.into())
    );
    std::fs::write(&list, "9.9.9.9\n").unwrap();
    let told = running.wait_for("ip_filter");
    assert_eq!(
        (&told["ranges"], &told["bad_lines"]),
        (&1.into(), &0.into())
    );
}
