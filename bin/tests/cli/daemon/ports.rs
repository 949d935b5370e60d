//! Where a daemon listens when its port is taken.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use serde_json::Value;

use super::folder;
use crate::running::Running;
use crate::support::{command, text};

/// Two ports next to each other that others have, outside of those that the system gives away by itself.
fn taken() -> (u16, [TcpListener; 2]) {
    for port in (20_000..30_000).step_by(40) {
        let both = [port, port + 1].map(|port| TcpListener::bind(("127.0.0.1", port)));
        if let [Ok(first), Ok(second)] = both {
            return (port, [first, second]);
        }
    }
    panic!("no two ports next to each other");
}

fn start(dir: &std::path::Path, port: u16, more: [&str; 2]) -> std::process::Command {
    let state = dir.join(more.join("-"));
    let mut command = command();
    command
        .args(["daemon", "--json", "--state", text(&state), "--listen"])
        .arg(format!("127.0.0.1:{port}"))
        .args(["--no-dht", "--no-lsd", "--no-portmap"])
        .args(more.map(|set| format!("--set=network.{set}")))
        .env("XDG_RUNTIME_DIR", dir);
    command
}

fn port_of(serving: &Value) -> u16 {
    let at: SocketAddr = serving["listen"].as_str().unwrap().parse().unwrap();
    at.port()
}

#[test]
fn a_port_that_is_taken_is_made_up_for_as_is_set() {
    let dir = folder();
    let (port, _others) = taken();
    let mut none = start(dir.path(), port, ["port_tries=0", "any_port=false"]);
    let none = none.output().unwrap();
    assert!(!none.status.success(), "{none:?}");
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    let due = format!("cannot listen on 127.0.0.1:{port}");
    assert!(said.contains(&due), "{said}");

    let mut next = start(dir.path(), port, ["port_tries=20", "any_port=false"]);
    let mut next = Running::of(&mut next);
    let got = port_of(&next.event("serving"));
    assert!((port + 2..=port + 20).contains(&got), "{port} {got}");

    let mut any = start(dir.path(), port, ["port_tries=0", "any_port=true"]);
    let mut any = Running::of(&mut any);
    let got = port_of(&any.event("serving"));
    assert_ne!(got, port);
    let there = UdpSocket::bind(("127.0.0.1", got));
    assert!(there.is_err(), "uTP is there, too");
}
