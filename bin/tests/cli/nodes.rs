//! `relay`, `exit`, `circuits` and `testnet` on the loopback address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{command, run, text};

const COMMUNITY: &str = "00112233445566778899aabbccddeeff00112233";

/// A running command whose lines are read. It is ended with this.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = command()
            .args(args)
            .arg("--json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            out: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let read = serde_json::from_str(&line);
        (!line.is_empty()).then(|| read.unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The next line of this event.
    fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.line();
            let line = line.unwrap_or_else(|| panic!("no {name}: {}", self.errors()));
            if line["event"] == name {
                return line;
            }
        }
    }

    fn errors(&mut self) -> String {
        let mut errors = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            let _ = err.read_to_string(&mut errors);
        }
        errors
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_there(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // What has ended and nobody has asked about is no longer there.
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until something is so.
fn until(mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "in vain");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The flags of a node that meets nobody.
fn alone<'a>(state: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "--overlay-listen",
        "127.0.0.1:0",
        "--overlay-bootstrap",
        "127.0.0.1:9",
        "--overlay-community",
        COMMUNITY,
        "--state",
        state,
    ];
    [&more[..1], &common, &more[1..]].concat()
}

#[test]
fn a_node_says_where_it_is_and_who_and_answers_those_who_look_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let args = ["exit", "--max-circuits", "7", "--metrics", "127.0.0.1:0"];
    let mut exit = Running::start(&alone(text(&state), &args));
    let listening = exit.event("listening");
    assert_eq!(listening["role"], "exit");
    assert_eq!(listening["communities"][0], COMMUNITY);
    let key = listening["public_key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("4c69624e61434c504b3a"), "{key}");
    let figures = exit.event("metrics")["addr"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(&figures).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(
        page.contains("\ntribler_known_exits{wire=\"today\"} 0\n"),
        "{page}"
    );

    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state.join("overlay.key")), 0o600);
    assert_eq!(mode(&state.join("control")), 0o700);
    let socket = state.join(format!("control/{}.sock", exit.child.id()));
    until(|| socket.exists());
    assert_eq!(mode(&socket), 0o600);
    let report = run(["circuits", "--json", "--state", text(&state)])
        .ok()
        .json();
    assert_eq!(report["command"], "exit");
    assert_eq!(
        (&report["addr"], &report["public_key"]),
        (&listening["addr"], &listening["public_key"])
    );
    assert_eq!(report["circuits"], Value::Array(Vec::new()));
    let shown = run(["circuits", "--state", text(&state)]).ok().out;
    assert!(
        shown.contains("exit") && shown.contains("0 nodes known"),
        "{shown}"
    );

    exit.signal("TERM");
    assert_eq!(exit.event("status")["joined"], 0);
    assert!(exit.child.wait().unwrap().success());
    assert!(!socket.exists());
    let again = run(["circuits", "--state", text(&state)]);
    assert_eq!((again.code, again.err.lines().count()), (4, 1), "{again:?}");

    let mut relay = Running::start(&alone(text(&state), &["relay"]));
    let listening = relay.event("listening");
    assert_eq!(
        (&listening["role"], &listening["public_key"]),
        (&"relay".into(), &key.into())
    );
}

#[test]
fn whoever_runs_an_exit_reads_that_http_requests_leave_and_how_to_forbid_it() {
    let help = |command: &str| {
        let words = run([command, "--help"]).out;
        let words: Vec<&str> = words.split_whitespace().collect();
        words.join(" ")
    };
    let exit = help("exit");
    for told in [
        "GET requests to HTTP trackers",
        "`deny http` sends no requests at all",
        "--circuit-rate",
        "--circuit-http",
    ] {
        assert!(exit.contains(told), "{told}: {exit}");
    }
    let relay = help("relay");
    assert!(relay.contains("no HTTPS, no web pages"), "{relay}");
}

#[test]
fn a_policy_that_cannot_be_read_is_told_with_its_line_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exit.policy");
    std::fs::write(&file, "# mine\nallow any\ndeny 10.0.0.1/8 25\n").unwrap();
    let ran = run(["exit", "--policy", text(&file)]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("exit.policy: line 3: `10.0.0.1/8`"),
        "{}",
        ran.err
    );
    let ran = run(["exit", "--policy", "/nonexistent/exit.policy"]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn an_exit_to_this_machine_is_for_communities_of_ones_own_at_loopback_addresses() {
    let of = |listen: &str, community: &str| {
        let args = [
            "exit",
            "--only-local",
            "--overlay-listen",
            listen,
            "--overlay-community",
            community,
        ];
        let ran = run(args);
        assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{ran:?}");
        ran.err
    };
    assert!(of("127.0.0.1:0", "today").contains("strangers"));
    assert!(of("0.0.0.0:0", COMMUNITY).contains("loopback"));
}

#[test]
fn the_unit_file_runs_the_command_that_it_was_asked_with() {
    let unit = run(["relay", "--print-unit", "--max-rate", "2MiB/s"])
        .ok()
        .out;
    let line = unit
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .unwrap();
    assert!(
        line.ends_with(" relay --max-rate 2MiB/s --state %S/tribler-rs"),
        "{line}"
    );
    for part in ["[Unit]", "[Service]", "[Install]", "DynamicUser=yes"] {
        assert!(unit.contains(part), "{part}");
    }
}

#[test]
fn a_test_network_says_how_to_join_it_and_ends_with_all_its_processes() {
    let mut net = Running::start(&["testnet", "4", "--exits", "1"]);
    let mut pids = Vec::new();
    let ready = loop {
        let line = net.line();
        let line = line.unwrap_or_else(|| panic!("{}", net.errors()));
        match line["event"].as_str().unwrap() {
            "node" => pids.push(line["pid"].to_string()),
            "ready" => break line,
            other => panic!("{other}"),
        }
    };
    assert_eq!(pids.len(), 4);
    assert_eq!((&ready["relays"], &ready["exits"]), (&2.into(), &1.into()));
    let flags: Vec<&str> = ready["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    assert_eq!(flags[..2], ["--hops", "3"]);
    assert!(pids.iter().all(|pid| is_there(pid)));
    // A node that dies is told of, and the others stay.
    Command::new("kill")
        .args(["-s", "KILL", &pids[1]])
        .status()
        .unwrap();
    assert_eq!(net.event("ended")["pid"].to_string(), pids[1]);
    assert!(is_there(&pids[2]));
    net.signal("INT");
    assert!(net.child.wait().unwrap().success());
    assert!(!pids.iter().any(|pid| is_there(pid)));
}

#[test]
fn a_test_network_does_not_outlive_who_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut net = Running::start(&["testnet", "3", "--state", text(folder.path())]);
    let mut pids = Vec::new();
    loop {
        let line = net.line().unwrap();
        match line["event"].as_str().unwrap() {
            "node" => pids.push(line["pid"].to_string()),
            _ => break,
        }
    }
    net.signal("KILL");
    net.child.wait().unwrap();
    until(|| !pids.iter().any(|pid| is_there(pid)));
}

#[test]
fn a_node_ends_with_its_input_only_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Running::start(&alone(
        text(folder.path()),
        &["relay", "--until-stdin-ends"],
    ));
    relay.event("listening");
    drop(relay.stdin.take());
    relay.event("status");
    assert!(relay.child.wait().unwrap().success());
}

#[test]
fn other_programs_find_a_socks5_server_for_each_number_of_hops() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["relay", "--socks", "127.0.0.1:0"];
    let mut relay = Running::start(&alone(text(folder.path()), &args));
    for hops in 1..=3 {
        let server = relay.event("socks");
        assert_eq!(server["hops"], hops);
        let mut program = TcpStream::connect(server["addr"].as_str().unwrap()).unwrap();
        program.write_all(&[5, 1, 0]).unwrap();
        let mut answer = [0; 2];
        program.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [5, 0]);
    }
    let ran = run(alone(
        text(folder.path()),
        &["relay", "--socks", "0.0.0.0:0"],
    ));
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
    assert!(ran.err.contains("--socks"), "{ran:?}");
}

#[test]
fn without_a_circuit_in_time_nothing_is_sent_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = text(folder.path());
    let ran = run([
        "download",
        COMMUNITY,
        "-o",
        state,
        "--state",
        state,
        "--hops",
        "2",
        "--hops-within",
        "1s",
        "--overlay-listen",
        "127.0.0.1:0",
        "--overlay-bootstrap",
        "127.0.0.1:9",
        "--overlay-community",
        COMMUNITY,
        "--json",
    ]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let lines = ran.json_lines();
    let told = lines
        .iter()
        .find(|line| line["event"] == "anonymity")
        .unwrap();
    assert_eq!(
        (&told["state"], &told["hops"]),
        (&"blocked".into(), &2.into())
    );
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "error");
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .contains("nothing was sent"),
        "{last}"
    );
}

#[test]
fn what_contradicts_hops_is_refused() {
    for (flags, told) in [
        (&["--proxy", "socks5://127.0.0.1:9"][..], "--proxy"),
        (&["--transport", "tcp"], "--transport tcp"),
        (&["--announce-port", "6881"], "--announce-port"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let state = text(folder.path());
        let fixed = [
            "download", COMMUNITY, "-o", state, "--state", state, "--hops", "1",
        ];
        let ran = run(fixed.iter().chain(flags));
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.err.contains(told) && ran.err.lines().count() == 1,
            "{ran:?}"
        );
    }
}
