//! `relay`, `exit` and `circuits` on the loopback address.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::openmetrics;
use super::running::{COMMUNITY, Running, alone, until};
use super::support::{run, text};

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
    let (_, body) = page.split_once("\r\n\r\n").expect("a body");
    openmetrics::check(body, 14);

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
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("exit.policy");
    std::fs::write(&policy, "deny any 80\n").unwrap();
    let args = ["exit", "--print-unit", "--max-rate", "2MiB/s", "--policy"];
    let unit = run(args.iter().chain(&[text(&policy)])).ok().out;
    let line = unit
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .unwrap();
    assert!(
        line.ends_with(" exit --max-rate 2MiB/s --policy %d/policy --state %S/tribler-exit"),
        "{line}"
    );
    let lent = format!("LoadCredential=policy:{}", text(&policy));
    for part in ["[Unit]", "[Service]", "[Install]", "DynamicUser=yes", &lent] {
        assert!(unit.contains(part), "{part}");
    }
    let key = folder.path().join("x.key");
    let ran = run(["relay", "--print-unit", "--overlay-key", text(&key)]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(ran.err.contains("without --overlay-key"), "{ran:?}");
    let ran = run(["relay", "--print-unit", "--state", text(folder.path())]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    assert!(ran.err.contains("/var/lib/NAME"), "{ran:?}");
}

#[test]
fn systemd_understands_the_unit_files() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: there is no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("a policy");
    std::fs::write(&policy, "deny any 80\n").unwrap();
    for (name, args) in [
        (
            "tribler-relay.service",
            &["relay", "--metrics", "127.0.0.1:9464"][..],
        ),
        ("tribler-exit.service", &["exit", "--policy", text(&policy)]),
    ] {
        let unit = run(args.iter().chain(&["--print-unit"])).ok().out;
        let file = folder.path().join(name);
        std::fs::write(&file, unit).unwrap();
        let mut verify = Command::new("systemd-analyze");
        let ran = verify.arg("verify").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        // Of other units of this machine it may have something to say, too.
        let ours = said.lines().find(|line| line.contains(name));
        assert_eq!(ours, None, "{said}");
    }
}

#[test]
fn two_processes_never_share_an_identity() {
    let folder = tempfile::tempdir().unwrap();
    let state = text(folder.path());
    let mut first = Running::start(&alone(state, &["relay"]));
    first.event("listening");
    let ran = run(alone(state, &["exit"]));
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
    let pid = format!("the process with id {} has this identity", first.child.id());
    assert!(ran.err.contains(&pid), "{ran:?}");
    drop(first);
    Running::start(&alone(state, &["exit"])).event("listening");
}

#[test]
fn ports_that_are_taken_are_said_before_anything_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    for flag in ["--socks", "--metrics"] {
        let ran = run(alone(text(folder.path()), &["relay", flag, &at]));
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.contains(flag) && ran.err.contains(&at), "{ran:?}");
    }
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
}

#[test]
fn other_hosts_come_to_a_socks5_server_by_a_login_only() {
    let folder = tempfile::tempdir().unwrap();
    let state = text(folder.path());
    let open = ["relay", "--socks", "0.0.0.0:0"];
    let ran = run(alone(state, &open));
    assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{ran:?}");
    assert!(ran.err.contains("--socks-login"), "{ran:?}");
    let ran = run(alone(state, &["relay", "--socks", "127.0.0.1:65534"]));
    assert_eq!(ran.code, 2, "{ran:?}");

    let login = folder.path().join("login");
    std::fs::write(&login, "me:secret\n").unwrap();
    let with_login = [&open[..], &["--socks-login", text(&login)]].concat();
    std::fs::set_permissions(&login, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = run(alone(state, &with_login));
    assert!(ran.code == 1 && ran.err.contains("chmod 600"), "{ran:?}");

    std::fs::set_permissions(&login, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut relay = Running::start(&alone(state, &with_login));
    let at = relay.event("socks")["addr"].as_str().unwrap().to_owned();
    let port: u16 = at.strip_prefix("0.0.0.0:").unwrap().parse().unwrap();
    // What a server answers to somebody who offers these ways of coming in, and then says this.
    let answers = |ways: &[u8], then: &[u8]| {
        let mut program = TcpStream::connect(("127.0.0.1", port)).unwrap();
        program.write_all(ways).unwrap();
        let mut answer = [0; 2];
        program.read_exact(&mut answer).unwrap();
        if then.is_empty() {
            return answer;
        }
        assert_eq!(answer, [5, 2]);
        program.write_all(then).unwrap();
        program.read_exact(&mut answer).unwrap();
        answer
    };
    assert_eq!(answers(&[5, 1, 0], &[]), [5, 0xff]);
    assert_ne!(answers(&[5, 1, 2], b"\x01\x02me\x05wrong"), [1, 0]);
    assert_eq!(answers(&[5, 1, 2], b"\x01\x02me\x06secret"), [1, 0]);
}

#[test]
fn a_circuit_is_not_waited_for_any_longer_where_what_it_is_to_begin_at_never_comes() {
    let folder = tempfile::tempdir().unwrap();
    let state = text(folder.path());
    let begun = Instant::now();
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
        "--bind",
        "nosuch0",
    ]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let why =
        "no circuit of 2 hops within 1.00s: --bind nosuch0: there is no such network interface";
    assert!(ran.err.contains(why), "{ran:?}");
    assert!(ran.err.contains("; nothing was sent"), "{ran:?}");
}

#[test]
fn a_bootstrap_server_that_has_no_address_is_told() {
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
        "1",
        "--hops-within",
        "3s",
        "--overlay-listen",
        "127.0.0.1:0",
        "--overlay-bootstrap",
        "nosuch.invalid:7",
        "--overlay-community",
        COMMUNITY,
    ]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(
        ran.err.contains("--overlay-bootstrap nosuch.invalid:7: "),
        "{ran:?}"
    );
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
    let route = lines.iter().find(|line| line["event"] == "route").unwrap();
    assert_eq!(
        (&route["hops"], &route["info_hash"]),
        (&2.into(), &COMMUNITY.into())
    );
    assert!(route["blocked"].is_string(), "{route}");
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "error");
    let message = last["message"].as_str().unwrap();
    assert!(message.contains("nothing was sent"), "{last}");
    let server = "--overlay-bootstrap 127.0.0.1:9: no answer";
    assert!(message.contains(server), "{last}");
}

#[test]
fn a_torrent_that_waits_for_circuits_is_seen_by_who_asks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let state = text(folder.path());
    let mut download = Running::start(&[
        "download",
        COMMUNITY,
        "-o",
        state,
        "--state",
        state,
        "--hops",
        "2",
        "--overlay-listen",
        "127.0.0.1:0",
        "--overlay-bootstrap",
        "127.0.0.1:9",
        "--overlay-community",
        COMMUNITY,
    ]);
    download.event("anonymity");
    let ran = run(["circuits", "--state", state, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lanes = ran.json_lines()[0]["hops"].clone();
    assert_eq!(lanes.as_array().map(Vec::len), Some(1), "{lanes}");
    assert_eq!(
        (&lanes[0]["hops"], &lanes[0]["state"]),
        (&2.into(), &"blocked".into())
    );
    assert!(lanes[0]["reason"].is_string(), "{lanes}");
}

#[test]
fn what_contradicts_hops_is_refused() {
    for (flags, told) in [
        (&["--proxy", "http://127.0.0.1:9"][..], "--proxy"),
        (&["--transport", "tcp"], "--transport tcp"),
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
