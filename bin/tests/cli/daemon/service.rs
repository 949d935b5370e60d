//! What a service manager has to do with a daemon: signs of life, a socket that it hands over, settings that are read again.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Daemon, flags, folder};
use crate::running::Running;
use crate::support::{Ran, run, text, write};

/// A daemon whose standard input is a socket, which it is handed as a service manager does: as its fourth file.
fn handed(dir: &Path, socket: OwnedFd, more: &[&str]) -> Command {
    let state = dir.join("state");
    let mut command = Command::new("sh");
    let hand = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_FDNAMES=api LISTEN_PID=$$ exec \"$@\"";
    command
        .env_clear()
        .env("XDG_RUNTIME_DIR", dir)
        .args(["-c", hand, "sh", env!("CARGO_BIN_EXE_tribler-rs")])
        .args(flags(text(&state)))
        .args(more)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The code by which it ends, and what it says.
fn refused(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_api_is_served_on_the_socket_that_is_handed_over() {
    let dir = folder();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap().to_string();
    // Whoever comes before the daemon does is answered when it is there.
    let mut early = std::net::TcpStream::connect(&at).unwrap();
    std::io::Write::write_all(
        &mut early,
        b"GET /docs/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    )
    .unwrap();
    let mut command = handed(
        dir.path(),
        socket.into(),
        &["--api-name", "tribler.example"],
    );
    let mut running = Running::spawned(&mut command);
    assert_eq!(running.event("api")["addr"], at.as_str());
    let mut answer = [0; 9];
    std::io::Read::read_exact(&mut early, &mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 ");
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_http_cannot_be_served_on_is_refused_by_name() {
    let dir = folder();
    let datagrams: OwnedFd = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into();
    let ran = refused(handed(dir.path(), datagrams, &[]));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("LISTEN_FDS") && ran.err.contains("ListenStream=ADDR:PORT"),
        "{ran:?}"
    );
    // An address that others reach needs a key.
    let open: OwnedFd = TcpListener::bind("0.0.0.0:0").unwrap().into();
    let ran = refused(handed(dir.path(), open, &["--api-key", ""]));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("without a key"), "{ran:?}");
    // Where there is no API, nothing can be said of it.
    let state = dir.path().join("state");
    let args = [&flags(text(&state))[..], &["--api-name", "x"]].concat();
    let ran = run(args);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("no API without --api"), "{ran:?}");
}

#[test]
fn the_service_manager_hears_that_it_lives_and_how_it_stands() {
    let dir = folder();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let state = dir.path().join("state");
    let mut command = crate::support::command();
    command
        .args(flags(text(&state)))
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000");
    let mut running = Running::of(&mut command);
    let mut heard = [0; 300];
    let mut hear = |word: &str| loop {
        let len = manager.recv(&mut heard).unwrap();
        let said = String::from_utf8_lossy(&heard[..len]).into_owned();
        if said.contains(word) {
            return said;
        }
    };
    hear("STATUS=Opens");
    hear("READY=1");
    hear("STATUS=0 torrents, 0 peers");
    for _ in 0..5 {
        assert_eq!(hear("WATCHDOG"), "WATCHDOG=1\n");
    }
    running.signal("HUP");
    assert!(hear("RELOADING=1\n").contains("MONOTONIC_USEC="));
    hear("READY=1\n");
    // Without a file there is nothing to read again, and it goes on.
    let told = running.event("not_reloaded");
    assert!(
        told["reason"].as_str().unwrap().contains("--config"),
        "{told}"
    );
    running.signal("TERM");
    hear("STOPPING=1");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

fn value(daemon: &Daemon, key: &str) -> Value {
    daemon.told(&["settings", "get", key])[0]["value"].clone()
}

#[test]
fn settings_are_read_again_and_what_ctl_and_flags_have_said_stays() {
    let dir = folder();
    let file = dir.path().join("d.toml");
    let content = dir.path().join("content");
    let begin = "[limits]\ndown = 1000\nup = 1000\n[connections]\nmax = 50\n[choking]\nslots = 3\n[daemon]\nno_webseeds = true\n";
    write(&file, begin.as_bytes());
    let more = [
        "--config",
        text(&file),
        "-o",
        text(&content),
        "--max-up",
        "7000",
    ];
    let mut daemon = Daemon::with(dir.path(), &more);
    daemon.ctl(&["settings", "set", "connections.max=60"]).ok();
    let port = daemon.serving["listen"].clone();
    write(
        &file,
        b"[limits]\ndown = 2000\nup = 2000\n[connections]\nmax = 70\n[network]\nlisten = \"127.0.0.1:1\"\n[daemon]\nmetrics = true\n",
    );
    daemon.running.signal("HUP");
    let told = daemon.running.event("reloaded");
    // The default of slots is another change.
    assert_eq!(told["changed"], json!(["limits.down", "choking.slots"]));
    assert_eq!(
        told["at_next_start"],
        json!(["daemon.metrics", "daemon.no_webseeds"])
    );
    assert_eq!(value(&daemon, "limits.down"), 2000);
    assert_eq!(value(&daemon, "limits.up"), 7000);
    assert_eq!(value(&daemon, "connections.max"), 60);
    assert_eq!(value(&daemon, "choking.slots"), 8);
    // What was kept gives way to what the file says now.
    daemon.ctl(&["settings", "reset", "connections.max"]).ok();
    assert_eq!(value(&daemon, "connections.max"), 70);
    // Who asks for that event alone is told of it, too.
    let only = [
        "events", "--only", "reloaded", "--since", "0", "--count", "1",
    ];
    assert_eq!(daemon.told(&only)[0]["event"], "reloaded");
    // The port of the command line is open as it was.
    assert!(std::net::TcpStream::connect(port.as_str().unwrap()).is_ok());
    for wrong in [
        "[limits]\n\ndwon = 5\n",
        "[daemon]\n\nmetrics = \"here\"\n",
        "[limits\n",
    ] {
        write(&file, format!("{wrong}[connections]\nmax = 5\n").as_bytes());
        daemon.running.signal("HUP");
        let told = daemon.running.event("not_reloaded");
        let reason = told["reason"].as_str().unwrap();
        assert!(reason.contains("d.toml:"), "{reason}");
        assert_eq!(value(&daemon, "connections.max"), 70);
    }
    // The same again changes nothing.
    write(&file, begin.as_bytes());
    daemon.running.signal("HUP");
    daemon.running.event("reloaded");
    daemon.running.signal("HUP");
    let told = daemon.running.event("reloaded");
    assert_eq!(
        (&told["changed"], &told["at_next_start"]),
        (&json!([]), &json!([]))
    );
}

#[test]
fn flags_in_the_file_hold_and_are_refused_with_their_line() {
    let dir = folder();
    let file = dir.path().join("d.toml");
    let content = dir.path().join("content");
    let own = format!(
        "[daemon]\noutput = \"{}\"\napi = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n",
        content.display()
    );
    write(&file, own.as_bytes());
    let state = dir.path().join("state");
    let mut command = crate::support::command();
    command
        .args(flags(text(&state)))
        .args(["--config", text(&file)])
        .env("XDG_RUNTIME_DIR", dir.path());
    let mut running = Running::of(&mut command);
    running.event("metrics");
    running.event("api");
    drop(running);
    run(["config", "check", text(&file)]).ok();
    // Other commands pass over the table.
    run(["config", "show", "--config", text(&file)]).ok();
    for (wrong, told) in [
        (
            "[daemon]\n\napi = \"here\"\n",
            "d.toml:3: daemon.api: invalid value",
        ),
        (
            "[daemon]\napo = true\n",
            "d.toml:2: daemon.apo: there is no such key; did you mean daemon.api?",
        ),
    ] {
        write(&file, wrong.as_bytes());
        let args = [&flags(text(&state))[..], &["--config", text(&file)]].concat();
        for (args, code) in [(&args[..], 2), (&["config", "check", text(&file)], 1)] {
            let ran = run(args);
            assert_eq!(ran.code, code, "{ran:?}");
            assert!(ran.err.contains(told), "{ran:?}");
        }
    }
}

#[test]
fn folders_in_which_nothing_can_be_written_are_refused_at_the_start() {
    let dir = folder();
    let state = dir.path().join("state");
    let args = [&flags(text(&state))[..], &["-o", "/proc/nowhere"]].concat();
    let ran = run(&args);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains("/proc/nowhere: nothing can be written in /proc (")
            && ran.err.contains("name another folder"),
        "{ran:?}"
    );
    let ran = run(flags("/proc/nowhere"));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains("/proc/nowhere: the folder of the state cannot be made")
            && ran.err.contains("--state"),
        "{ran:?}"
    );
}

#[test]
fn who_finds_the_port_of_the_api_taken_is_told_what_to_do() {
    let dir = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let state = dir.path().join("state");
    let args = [&flags(text(&state))[..], &["--api", &at]].concat();
    let ran = run(args);
    assert_eq!(ran.code, 1, "{ran:?}");
    let said = format!("--api {at}: Address already in use: another program has it; ");
    assert!(
        ran.err.contains(&said) && ran.err.contains("--api-port-tries"),
        "{ran:?}"
    );
}

#[test]
fn its_units_are_made_for_each_other() {
    let unit = run(["daemon", "--print-unit"]).ok().out;
    for line in [
        "Type=notify",
        "WatchdogSec=2min",
        "RestartPreventExitStatus=2",
        "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'",
    ] {
        assert!(unit.lines().any(|it| it == line), "{line}: {unit}");
    }
    let socket = run(["daemon", "--print-socket", "--api", "[::1]:9000"])
        .ok()
        .out;
    assert!(socket.contains("\nListenStream=[::1]:9000\n"), "{socket}");
    let usual = run(["daemon", "--print-socket"]).ok().out;
    assert!(usual.contains("\nListenStream=127.0.0.1:8085\n"), "{usual}");
}
