//! Wrong usage, missing things, and commands for packagers.

use crate::support::{run, text};

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn help_and_version_are_asked_for_and_so_go_well() {
    let help = run(["--help"]).ok();
    for command in [
        "download",
        "seed",
        "create",
        "info",
        "check",
        "relay",
        "exit",
        "bootstrap-server",
        "circuits",
        "config",
        "ctl",
        "daemon",
        "testnet",
        "demo",
        "completions",
        "man",
    ] {
        assert!(help.out.contains(command), "{}", help.out);
    }
    assert!(run(["--version"]).ok().out.starts_with("tribler-rs "));
    run(["download", "--help"]).ok();
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        &[][..],
        &["frobnicate"],
        &["download"],
        &["download", "--frobnicate", HASH],
        &["download", "--max-down", "fast", HASH],
        &["download", "--seed-time", "soon", HASH],
        &["download", "--seed-ratio", "-1", HASH],
        &["download", "--listen", "nowhere", HASH],
        &["download", "--encryption", "maybe", HASH],
        &["download", "--mixed-mode", "fair", HASH],
        &["download", "--peer", "nowhere", HASH],
        &["download", "--peer", "host:0", HASH],
        &["download", "--dht-bootstrap", "nowhere", HASH],
        &["download", "--files", "3-", HASH],
        &["seed", "x.torrent"],
        &["create", "x"],
        &["create", "x", "-o", "y", "--threads", "0"],
        &["info"],
        &["check", "x.torrent"],
        &["completions", "tcsh2"],
        &["bootstrap-server", "--listen", "[::1]:1"],
        &["bootstrap-server", "--overlay-listen", "[::1]:1"],
        &["exit", "--listen", "[::1]:1"],
        &["relay", "--socks", "0.0.0.0:4000"],
        &["relay", "--socks-login", "x"],
        &["bootstrap-server", "--every", "soon"],
        &["--log", "a=b=c", "man"],
        &["--log", "bogus", "man"],
        &["download", "--max-up", "-1", HASH],
        &["download", "--hops", "4", HASH],
        &["download", "--overlay-listen", "[::1]:1", HASH],
        &["download", "--overlay-bootstrap", "x", HASH],
        &["download", "--overlay-community", "x", HASH],
        &["exit", "--only-local"],
        &["relay", "--max-circuits", "0"],
        &["relay", "--metrics", "9464"],
        &["testnet"],
        &["testnet", "1"],
        &["testnet", "5", "--exits", "5"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(
            ran.out.is_empty() && !ran.err.is_empty(),
            "{args:?}: {ran:?}"
        );
    }
}

#[test]
fn flags_that_mean_off_are_taken() {
    // The torrent is not there: the flags were accepted if that is what is complained of.
    let ran = run([
        "download",
        "/nonexistent/x.torrent",
        "--no-dht",
        "--no-pex",
        "--no-lsd",
        "--no-webseeds",
        "--no-portmap",
        "--transport",
        "utp",
        "--encryption",
        "prefer",
        "--mixed-mode",
        "prefer-tcp",
        "--hops",
        "0",
        "--max-up",
        "1000",
        "--max-down",
        "4MiB/s",
        "--storage",
        "map",
        "--preallocate",
        "full",
    ]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn what_does_not_exist_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("x");
    std::fs::write(&there, "x").unwrap();
    for args in [
        &["download", "/nonexistent/x.torrent"][..],
        &["seed", "/nonexistent/x.torrent", "--data", "/"],
        &["info", "/nonexistent/x.torrent"],
        &["check", "/nonexistent/x.torrent", "--data", "/"],
        &["create", "/nonexistent/x", "-o", "/dev/null"],
        &["create", text(&there), "-o", "/nonexistent/y/z.torrent"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, 3, "{args:?}: {ran:?}");
        assert!(ran.err.contains("/nonexistent"), "{args:?}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{args:?}: {ran:?}");
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(["completions", shell]).ok().out;
        assert!(
            script.contains("tribler-rs") && script.contains("max-down"),
            "{shell}"
        );
        assert!(script.contains("testnet") && script.contains("hops"));
        assert!(!script.contains("until-stdin-ends"), "{shell}");
    }
}

/// What bash offers where these words stand, with the cursor behind the last.
fn offered_by_bash(script: &str, words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tribler-rs.bash");
    std::fs::write(&file, script).unwrap();
    // As bash does it: the function that `complete` names is called with the command, the word and the one before it.
    let drive = r#"
        source "$1"; shift
        spec=$(complete -p tribler-rs) || exit 9
        [[ $spec =~ -F\ ([^\ ]+) ]] || exit 8
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        "${BASH_REMATCH[1]}" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let ran = std::process::Command::new("bash")
        .args(["--norc", "-c", drive, "bash", text(&file)])
        .args(words)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{words:?}: {ran:?}");
    let out = String::from_utf8(ran.stdout).unwrap();
    out.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_flags_at_every_level() {
    let script = run(["completions", "bash"]).ok().out;
    for (words, wanted) in [
        (&["tribler-rs", "dow"][..], "download"),
        (&["tribler-rs", "download", "--max-d"], "--max-down"),
        (&["tribler-rs", "seed", "x.torrent", "--da"], "--data"),
        (&["tribler-rs", "dht", "get-"], "get-peers"),
        (&["tribler-rs", "dht", "get-peers", "--scr"], "--scrape"),
        (&["tribler-rs", "completions", "fi"], "fish"),
        (&["tribler-rs", "download", "--transport", "u"], "utp"),
    ] {
        assert_eq!(offered_by_bash(&script, words), [wanted], "{words:?}");
    }
}

#[test]
fn help_is_a_command_too() {
    let of = |args: &[&str]| run(args).ok().out;
    assert_eq!(of(&["help", "download"]), of(&["download", "--help"]));
    assert_eq!(of(&["help", "dht", "get"]), of(&["dht", "get", "--help"]));
    assert_eq!(of(&["help"]), of(&["--help"]));
    assert_eq!(run(["help", "frobnicate"]).code, 2);
}

#[test]
fn manual_pages_are_made_for_the_shown_commands() {
    let main = run(["man"]).ok().out;
    assert!(
        main.starts_with(".ie") || main.contains(".TH tribler-rs 1"),
        "{main}"
    );
    let folder = tempfile::tempdir().unwrap();
    run(["man", "-o", text(folder.path())]).ok();
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name));
    assert!(
        page("tribler-rs-download.1")
            .unwrap()
            .contains("max\\-down")
    );
    assert_eq!(page("tribler-rs.1").unwrap(), main);
    assert!(
        main.contains(".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\ndone\n"),
        "{main}"
    );
    assert!(page("tribler-rs-help.1").is_err());
    for (words, file) in [
        (&["relay"][..], "tribler-rs-relay.1"),
        (&["dht", "get"], "tribler-rs-dht-get.1"),
    ] {
        let one = run([&["man"], words].concat()).ok().out;
        assert_eq!(one, page(file).unwrap());
    }
    for wrong in [&["man", "frobnicate"][..], &["man", "relay", "x"]] {
        let ran = run(wrong);
        assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{ran:?}");
    }
}

#[test]
fn nothing_is_coloured_where_there_is_no_terminal() {
    let ran = run(["info", "/nonexistent"]);
    assert_eq!(ran.err, "error: /nonexistent does not exist\n");
}

#[test]
fn a_way_out_that_cannot_be_had_is_refused_before_anything_is_sent_and_no_password_is_repeated() {
    for (args, code, told) in [
        (
            &["--proxy", "socks4://u:secret@h"][..],
            2,
            "not a kind of proxy",
        ),
        (
            &["--proxy", "http://u:secret@h", "--transport", "utp"],
            2,
            "no uTP",
        ),
        (
            &[
                "--proxy",
                "http://u:secret@h",
                "--dht-bootstrap",
                "1.2.3.4:5",
            ],
            2,
            "no DHT",
        ),
        (&["--dns", "9.9.9.9"], 2, "with --bind only"),
        (&["--dns", "nobody"], 2, "--dns"),
        (&["--bind", "longerthananyname"], 2, "nor the name of"),
        (&["--bind", "224.0.0.1"], 2, "no host has this"),
        (&["--skip-bad-lines"], 2, "--ip-filter"),
        (&["--ip-filter", "/no/such/list"], 3, "does not exist"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let state = text(dir.path()).to_owned();
        let all = ["download", HASH, "-o", &state, "--state", &state];
        let ran = run(all.iter().chain(args));
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains(told), "{ran:?}");
        assert!(!format!("{ran:?}").contains("secret"), "{ran:?}");
    }
}
