//! `docs/tribler-settings.md` says of each of Tribler's settings what takes its place here. This checks that no key is missing, and
//! that whatever is said to be here is.

use std::collections::BTreeMap;
use std::path::Path;

use engine::Settings;

use crate::support::run;

/// The keys, below the versions that have them.
const KEYS: &str = include_str!("tribler_settings.txt");

/// Parts that come later.
const LATER: [&str; 3] = ["the ledger", "the market", "channels"];

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tribler-settings.md");
    std::fs::read_to_string(path).unwrap()
}

/// The rows below each heading of the page: key and what is said of it.
fn rows(page: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let mut all: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            all.push((title, Vec::new()));
        } else if let Some(row) = line.strip_prefix("| `") {
            let row = row.strip_suffix(" |").unwrap();
            all.last_mut()
                .unwrap()
                .1
                .push(row.split_once("` | ").unwrap());
        }
    }
    all
}

#[test]
fn every_setting_of_tribler_has_one_row() {
    let mut due: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in KEYS.lines() {
        match line.strip_prefix("# ") {
            Some(title) => due.push((title, Vec::new())),
            None => due.last_mut().unwrap().1.push(line),
        }
    }
    let page = page();
    let said = rows(&page).into_iter().map(|(title, rows)| {
        let keys = rows.into_iter().map(|(key, _)| key).collect();
        (title, keys)
    });
    assert_eq!(said.collect::<Vec<_>>(), due);
}

#[test]
fn the_keys_are_those_that_tribler_was_seen_to_have() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors/rest/settings_defaults.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{}: is missing",
            path.display()
        );
        eprintln!("skipped: {} is missing", path.display());
        return;
    };
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    for version in ["v7_5_0", "doc_snapshot_2021_01"] {
        for (group, keys) in all[version].as_object().unwrap() {
            for key in keys.as_object().unwrap().keys() {
                let key = format!("{group}.{key}");
                assert!(KEYS.lines().any(|line| line == key), "{version}: {key}");
            }
        }
    }
}

/// What is wrong with what a row says.
fn fault(ours: &str, help: &mut BTreeMap<String, String>) -> Option<String> {
    if let Some(why) = ours.strip_prefix("not ours: ") {
        return (why.len() < 20).then(|| "there is no reason".to_owned());
    }
    if let Some(part) = ours.strip_prefix("later: ") {
        let known = LATER.iter().any(|known| part.starts_with(known));
        return (!known).then(|| format!("{part}: there is no such part"));
    }
    let mut quoted = ours.split('`').skip(1).step_by(2);
    if ours.starts_with("setting `") {
        let missing = quoted.find(|key| Settings::key(key).is_none());
        return missing.map(|key| format!("there is no setting {key}"));
    }
    let first = quoted.next()?;
    let words: Vec<&str> = first.split(' ').collect();
    let (flags, command): (Vec<&str>, Vec<&str>) = words
        .iter()
        .copied()
        .partition(|word| word.starts_with("--"));
    let said = help.entry(command.join(" ")).or_insert_with(|| {
        let asked = run(command.iter().chain(&["--help"]));
        if asked.code == 0 {
            asked.out
        } else {
            String::new()
        }
    });
    if said.is_empty() {
        return Some(format!("there is no command {command:?}"));
    }
    let missing = flags.iter().find(|flag| {
        let mut words = said.split(|c: char| !c.is_alphanumeric() && c != '-');
        !words.any(|word| word == **flag)
    });
    let is_flag = ours.starts_with("flag ") && !flags.is_empty();
    if !is_flag && !ours.starts_with("command ") {
        return Some("it is neither a setting, a command nor a flag".to_owned());
    }
    missing.map(|flag| format!("{command:?} has no {flag}"))
}

#[test]
fn whatever_is_said_to_be_here_is() {
    let page = page();
    let mut help = BTreeMap::new();
    let rows = rows(&page).into_iter().flat_map(|(_, rows)| rows);
    let wrong: Vec<String> = rows
        .filter_map(|(key, ours)| Some(format!("{key}: {}", fault(ours, &mut help)?)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(help.len() > 5, "{:?}", help.keys());
}

#[test]
fn what_is_not_there_is_found_out() {
    let mut help = BTreeMap::new();
    for ours in [
        "setting `limits.sideways`",
        "setting `limits.down`, `limits.sideways`",
        "command `ctl dance`",
        "flag `daemon --sideways`",
        "later: the moon",
        "not ours: no",
    ] {
        assert!(fault(ours, &mut help).is_some(), "{ours}");
    }
}
