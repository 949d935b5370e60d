//! How a daemon begins and ends: signals and the service manager.

use std::os::unix::net::UnixDatagram;

use super::{Daemon, flags, folder};
use crate::running::Running;
use crate::support::{command, run, text, write};

#[test]
fn a_signal_ends_it_cleanly_and_the_service_manager_hears_of_both_ends() {
    let dir = folder();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let state = dir.path().join("state");
    let mut command = command();
    command
        .args(flags(text(&state)))
        .env("NOTIFY_SOCKET", &path);
    let mut running = Running::of(command.env("XDG_RUNTIME_DIR", dir.path()));
    running.event("serving");
    let mut heard = [0; 200];
    let mut hear = || {
        let len = manager.recv(&mut heard).unwrap();
        String::from_utf8_lossy(&heard[..len]).into_owned()
    };
    assert!(hear().starts_with("STATUS=Opens"));
    assert!(hear().starts_with("READY=1\n"));
    running.signal("TERM");
    running.event("stopping");
    // Before the end it may have told how it stands.
    while !hear().starts_with("STOPPING=1\n") {}
    let ended = running.child.wait().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", running.errors());
    assert!(!state.join("control.sock").exists());
}

#[test]
fn ctl_ends_it_and_waits_for_that() {
    let dir = folder();
    let mut daemon = Daemon::start(dir.path());
    daemon.ctl(&["shutdown"]).ok();
    assert_eq!(daemon.ctl(&["list"]).code, 4);
    assert_eq!(daemon.running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_file_of_settings_holds_under_what_was_kept_and_under_flags() {
    let dir = folder();
    let file = dir.path().join("x.toml");
    write(
        &file,
        b"[limits]\ndown = \"1MiB/s\"\nup = \"1MiB/s\"\n[connections]\nmax = 77\n",
    );
    let value =
        |daemon: &Daemon, key: &str| daemon.told(&["settings", "get", key])[0]["value"].clone();
    let config = ["--config", text(&file)];
    let daemon = Daemon::with(dir.path(), &config);
    assert_eq!(value(&daemon, "connections.max"), 77);
    daemon
        .ctl(&["limits", "--down", "2MiB/s", "--up", "2MiB/s"])
        .ok();
    assert_eq!(value(&daemon, "limits.down"), "2MiB/s");
    daemon.ctl(&["shutdown"]).ok();
    let more = [&config[..], &["--set", "limits.up=3MiB/s"]].concat();
    let daemon = Daemon::with(dir.path(), &more);
    assert_eq!(value(&daemon, "limits.down"), "2MiB/s");
    assert_eq!(value(&daemon, "limits.up"), "3MiB/s");
    daemon.ctl(&["settings", "reset", "limits.down"]).ok();
    assert_eq!(value(&daemon, "limits.down"), "1MiB/s");
}

#[test]
fn its_unit_says_when_it_is_ready() {
    let unit = run(["daemon", "--print-unit", "--max-up", "1MiB/s"])
        .ok()
        .out;
    for line in [
        "Type=notify",
        "StateDirectory=tribler-daemon",
        "WantedBy=multi-user.target",
    ] {
        assert!(unit.lines().any(|it| it == line), "{line}: {unit}");
    }
    assert!(
        unit.contains(" daemon --max-up 1MiB/s --state %S/tribler-daemon\n"),
        "{unit}"
    );
    let unit = run(["daemon", "-o", "/srv/torrents", "--print-unit"])
        .ok()
        .out;
    assert!(unit.contains("\nReadWritePaths=/srv/torrents\n"), "{unit}");
}

#[test]
fn who_asks_a_daemon_that_still_opens_what_it_needs_is_answered_when_it_has() {
    let dir = folder();
    let (state, filter) = (dir.path().join("state"), dir.path().join("filter"));
    let made = std::process::Command::new("mkfifo").arg(&filter).status();
    assert!(made.unwrap().success());
    // Nobody writes to it yet: it is read as long as that takes.
    let more = ["--ip-filter", text(&filter)];
    let mut daemon = command();
    daemon
        .args(flags(text(&state)))
        .args(more)
        .env("XDG_RUNTIME_DIR", dir.path());
    let mut daemon = Running::of(&mut daemon);
    crate::running::until(|| state.join("control.sock").exists());
    let ask = ["ctl", "--state", text(&state), "list", "--count", "--json"];
    let mut asks = Running::of(command().args(ask));
    assert!(asks.child.try_wait().unwrap().is_none());
    write(&filter, b"192.0.2.0/24\n");
    daemon.event("serving");
    assert_eq!(asks.line().unwrap()["all"], 0);
    assert_eq!(asks.child.wait().unwrap().code(), Some(0));
}
