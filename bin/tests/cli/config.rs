//! `config`, and the flags that lead to settings.

use crate::support::{run, text};

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn the_default_file_is_valid_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("settings.toml");
    let file = run(["config", "default"]).ok().out;
    assert!(
        file.contains("[limits]") && file.contains("#down = 0"),
        "{file}"
    );
    std::fs::write(&path, file).expect("written");
    let said = run(["config", "check", text(&path)]).ok().out;
    assert!(said.ends_with("settings.toml is valid\n"), "{said}");
    let shown = run(["settings", "show", "--config", text(&path)]).ok();
    assert_eq!(shown.out, "");
    assert!(shown.err.contains("has its default value"), "{shown:?}");
    let shown = run(["config", "show", "--set", "limits.up=1MiB/s"]).ok();
    assert_eq!(shown.err, "");
    let shown = run(["config", "show", "--json"]).ok();
    let all: serde_json::Value = serde_json::from_str(&shown.out).expect("JSON");
    assert!(all.is_object() && shown.err.is_empty(), "{shown:?}");
}

#[test]
fn a_wrong_file_is_told_with_its_lines() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("settings.toml");
    std::fs::write(&path, "[limits]\ndwon = 5\n[choking]\nslots = -1\n").expect("written");
    let ran = run(["config", "check", text(&path)]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains(
            "settings.toml:2: limits.dwon: there is no such key; did you mean limits.down?"
        ),
        "{}",
        ran.err
    );
    assert!(
        ran.err
            .contains("settings.toml:4: choking.slots: -1 is not allowed"),
        "{}",
        ran.err
    );
    let ran = run([
        "download",
        "--config",
        text(&path),
        "--no-dht",
        "--no-lsd",
        "--no-portmap",
        "--listen",
        "127.0.0.1:0",
        HASH,
    ]);
    assert_eq!(
        (ran.code, ran.err.contains("limits.dwon")),
        (2, true),
        "{}",
        ran.err
    );
    let gone = dir.path().join("gone.toml");
    assert_eq!(run(["config", "check", text(&gone)]).code, 3);
    assert_eq!(run(["config", "show", "--config", text(&gone)]).code, 3);
}

#[test]
fn presets_files_and_single_settings_are_on_top_of_each_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("settings.toml");
    let file = "preset = \"min_memory_usage\"\n[choking]\nslots = 3\nround_every = \"20s\"\n";
    std::fs::write(&path, file).expect("written");
    let args = [
        "config",
        "show",
        "--config",
        text(&path),
        "--set",
        "choking.slots=5",
        "--set",
        "limits.up=1MiB/s",
    ];
    let shown = run(args).ok().out;
    for line in [
        "max = 40",
        "slots = 5",
        "round_every = \"20s\"",
        "up = \"1MiB/s\"",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let shown = run([
        "config",
        "show",
        "--preset",
        "high_performance_seed",
        "--json",
    ])
    .ok()
    .out;
    let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(json["connections"]["max"], 8000);
    assert_eq!(json["limits"]["down"], 0);
    for wrong in [
        ["--preset", "high"],
        ["--set", "limits"],
        ["--set", "limits.up=fast"],
        ["--set", "a.b=1"],
    ] {
        assert_eq!(
            run(["config", "show", wrong[0], wrong[1]]).code,
            2,
            "{wrong:?}"
        );
    }
}
