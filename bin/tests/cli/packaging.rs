//! What a package has: the files that the command writes for it, and the list of them in the manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{run, text};

/// All files below a folder, by their paths from there.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}

/// The commands of the program, and those below them, as their pages are called.
fn pages(words: &[&str], found: &mut BTreeSet<PathBuf>) {
    let name = [&["tribler-rs"], words].concat().join("-");
    found.insert(PathBuf::from(format!("usr/share/man/man1/{name}.1")));
    let help = run(words.iter().copied().chain(["--help"])).ok().out;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in below.take_while(|line| !line.is_empty()) {
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        let name = line.split_whitespace().next().filter(|_| is_name);
        if let Some(name) = name.filter(|name| *name != "help") {
            pages(&[words, &[name]].concat(), found);
        }
    }
}

#[test]
fn a_package_has_units_pages_of_all_commands_completions_and_settings() {
    let dir = tempfile::tempdir().unwrap();
    run(["packaging", text(dir.path())]).ok();
    let found = files(dir.path());
    let mut due = BTreeSet::new();
    pages(&[], &mut due);
    assert!(due.len() > 30, "{due:?}");
    let others = [
        "etc/tribler-rs/daemon.toml",
        "etc/tribler-rs/tracker.toml",
        "usr/lib/systemd/system/tribler-rs-exit.service",
        "usr/lib/systemd/system/tribler-rs-relay.service",
        "usr/lib/systemd/system/tribler-rs-tracker.service",
        "usr/lib/systemd/system/tribler-rs.service",
        "usr/lib/systemd/system/tribler-rs.socket",
        "usr/lib/sysusers.d/tribler-rs.conf",
        "usr/share/bash-completion/completions/tribler-rs",
        "usr/share/fish/vendor_completions.d/tribler-rs.fish",
        "usr/share/zsh/vendor-completions/_tribler-rs",
    ];
    due.extend(others.map(PathBuf::from));
    assert_eq!(found, due);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(
        read("usr/share/zsh/vendor-completions/_tribler-rs"),
        run(["completions", "zsh"]).ok().out
    );
    assert_eq!(
        read("usr/share/man/man1/tribler-rs-ctl-add.1"),
        run(["man", "ctl", "add"]).ok().out
    );
    run([
        "config",
        "check",
        text(&dir.path().join("etc/tribler-rs/daemon.toml")),
    ])
    .ok();
    let tracker = dir.path().join("etc/tribler-rs/tracker.toml");
    run(["tracker", "--check", "--config", text(&tracker)]).ok();
}

#[test]
fn units_of_the_package_are_those_that_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    run(["packaging", text(dir.path())]).ok();
    let unit = |name: &str| {
        std::fs::read_to_string(dir.path().join("usr/lib/systemd/system").join(name)).unwrap()
    };
    for (role, name) in [
        ("daemon", "tribler-rs.service"),
        ("tracker", "tribler-rs-tracker.service"),
        ("exit", "tribler-rs-exit.service"),
        ("relay", "tribler-rs-relay.service"),
    ] {
        let printed = run([role, "--print-unit"]).ok().out;
        let packaged = unit(name);
        // The command, its user and its state are those of the package.
        let own = ["ExecStart", "StateDirectory", "StateDirectoryMode", "UMask"];
        let own = own
            .iter()
            .chain(&["User", "DynamicUser", "EnvironmentFile"]);
        let own: BTreeSet<&str> = own.copied().collect();
        let rest = |unit: &str| -> Vec<String> {
            let key = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
            let lines = unit
                .lines()
                .filter(|line| !own.contains(key(line).as_str()));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(rest(&packaged), rest(&printed), "{name}");
        assert!(packaged.contains("\nProtectSystem=strict\n"), "{packaged}");
        let start = packaged.lines().find(|line| line.starts_with("ExecStart="));
        let start = start.unwrap();
        assert!(
            start.starts_with(&format!("ExecStart=/usr/bin/tribler-rs {role} ")),
            "{start}"
        );
    }
    assert!(unit("tribler-rs.service").contains(
        "ExecStart=/usr/bin/tribler-rs daemon --config /etc/tribler-rs/daemon.toml --state %S/tribler-rs\n"
    ));
    assert_eq!(
        unit("tribler-rs.socket"),
        run(["daemon", "--print-socket"]).ok().out
    );
}

#[test]
fn the_manifest_names_every_folder_of_files() {
    let dir = tempfile::tempdir().unwrap();
    run(["packaging", text(dir.path())]).ok();
    let manifest = include_str!("../../Cargo.toml");
    let deb = manifest.split("[package.metadata.deb]").nth(1).unwrap();
    for file in files(dir.path()) {
        let folder = file.parent().unwrap().to_str().unwrap();
        let line = format!("[\"../target/package/{folder}/*\", \"{folder}/\", \"644\"]");
        assert!(deb.contains(&line), "{line}");
    }
    // Without a folder of scripts none is made, also not of what services and users need.
    assert!(deb.contains("\nmaintainer-scripts = \"debian/\"\n"));
    for name in ["daemon.toml", "tracker.toml"] {
        let conffile = format!("\"/etc/tribler-rs/{name}\"");
        assert!(deb.contains(&conffile), "{conffile}");
    }
}
