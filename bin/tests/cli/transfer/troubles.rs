//! What people hear of peers and nodes that give nothing.

use std::net::TcpListener;
use std::time::Instant;

use super::{PATIENCE, Running, Shared, alone, downloading};
use crate::support::text;

/// What a download says of how it stands, as soon as that has `words` in it.
fn told(more: &[&str], words: &str) {
    let shared = Shared::new("v1");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut args = alone(downloading(text(&shared.torrent), &down, &state));
    if more.contains(&"--dht-bootstrap") {
        args.retain(|arg| *arg != "--no-dht");
    }
    args.extend(more);
    let mut download = Running::start(&args);
    let began = Instant::now();
    loop {
        let progress = download.wait_for("progress");
        assert!(progress["size"].as_u64().unwrap() > 0, "{progress}");
        if progress["reason"]
            .as_str()
            .is_some_and(|why| why.contains(words))
        {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "not {words}: {progress}");
    }
}

#[test]
fn a_peer_that_refuses_is_named_with_the_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = gone.local_addr().unwrap().to_string();
    drop(gone);
    told(
        &["--peer", &addr, "--transport", "tcp"],
        &format!("{addr} refuses connections"),
    );
}

#[test]
fn a_peer_that_hangs_up_is_named_with_what_that_may_mean() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || other.incoming().for_each(drop));
    told(
        &["--peer", &addr, "--transport", "tcp"],
        &format!("{addr} closed the connection"),
    );
}

#[test]
fn a_dht_whose_only_node_is_silent_is_told_so() {
    told(&["--dht-bootstrap", "127.0.0.1:1"], "none answers");
}
