use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{Encryption, Limits};

/// What the part of the page begins with that is not about settings of an engine.
const REST: &str = "\n## Flags of the daemon\n";

fn refusal(text: &str) -> String {
    Layers::parse(text).expect_err("it is wrong").to_string()
}

#[test]
fn the_reference_is_what_the_declaration_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let text = reference();
    let page = std::fs::read_to_string(&path).expect("docs/settings.md");
    // Behind it programs have what is their own.
    let (mut kept, rest) = page.split_at(page.find(REST).unwrap_or(page.len()));
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{text}{rest}")).expect("written");
        kept = &text;
    }
    assert!(
        kept == text,
        "docs/settings.md is not current: run this test with WRITE_DOCS=1"
    );
}

#[test]
fn every_key_says_what_it_is_and_has_a_default_in_its_range() {
    for key in Settings::keys() {
        assert!(!key.doc.is_empty(), "{}", key.path);
        assert!(!key.range().is_empty(), "{}", key.path);
        let mut settings = Settings::default();
        (key.write)(&mut settings, &key.default()).expect(key.path);
        assert_eq!(settings, Settings::default(), "{}", key.path);
    }
    Settings::default().check().expect("the defaults");
}

#[test]
fn a_commented_file_changes_nothing_until_a_key_is_uncommented() {
    let text = Settings::default().commented();
    let layers = Layers::parse(&text).expect("TOML");
    assert!(layers.patch.is_empty());
    let mut uncommented = String::new();
    for line in text.lines() {
        let key = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        uncommented.push_str(key.unwrap_or(line));
        uncommented.push('\n');
    }
    let layers = Layers::parse(&uncommented).expect("TOML");
    assert_eq!(layers.patch.iter().count(), Settings::keys().count());
    assert_eq!(
        layers.settings(&Patch::new()).expect("defaults"),
        Settings::default()
    );
}

#[test]
fn what_is_saved_is_read_again_and_is_only_what_differs() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("settings.toml");
    let mut settings = Settings::default();
    settings.limits.down = Some(3 << 20);
    settings.limits.up = Some(1001);
    settings.connections.connect_timeout = Duration::from_millis(2500);
    settings.encryption.peers = Encryption::Require;
    settings.trackers.announce_ip = Some("2001:db8::1".parse().expect("an address"));
    settings.save(&path).expect("saved");
    let text = std::fs::read_to_string(&path).expect("read");
    assert_eq!(
        text,
        "[connections]\nconnect_timeout = \"2500ms\"\n\n[limits]\ndown = \"3MiB/s\"\nup = 1001\n\n\
         [encryption]\npeers = \"require\"\n\n[trackers]\nannounce_ip = \"2001:db8::1\"\n"
    );
    let layers = Layers::load(&path).expect("loaded");
    assert_eq!(layers.settings(&Patch::new()).expect("settings"), settings);
    assert_eq!(settings.commented().matches("\ndown = ").count(), 1);
}

#[test]
fn everything_that_is_wrong_is_named_with_its_line_and_what_would_be_right() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("my.toml");
    let text = "preset = \"high_performance_sed\"\n\
                [limits]\n\
                dwon = 5\n\
                up = \"fast\"\n\
                [choking]\n\
                slots = \"eight\"\n\
                round_every = \"0s\"\n\
                [conections]\n\
                max = 5\n\
                [connections]\n\
                max = 0\n\
                down = 3\n\
                [encryption]\n\
                peers = \"sometimes\"\n\
                [disk]\n\
                write = [\"map\"]\n";
    std::fs::write(&path, text).expect("written");
    let error = Layers::load(&path).expect_err("it is wrong").to_string();
    let file = path.display().to_string();
    let lines: Vec<String> = error
        .lines()
        .map(|line| line.replace(&file, "my.toml"))
        .collect();
    assert_eq!(
        lines,
        [
            "my.toml:1: preset: \"high_performance_sed\" is not allowed: did you mean \"high_performance_seed\"? there are \
             \"default\", \"high_performance_seed\", \"min_memory_usage\"",
            "my.toml:3: limits.dwon: there is no such key; did you mean limits.down?",
            "my.toml:4: limits.up: \"fast\" is a text, and should be a rate, such as \"4MiB/s\" or a number of bytes a second; \
             0 is no limit (there is no number in it)",
            "my.toml:6: choking.slots: \"eight\" is a text, and should be a whole number",
            "my.toml:7: choking.round_every: \"0s\" is not allowed: 1s to 1h",
            "my.toml:8: conections: there is no such key; did you mean [connections]?",
            "my.toml:11: connections.max: 0 is not allowed: 1 to 1000000 connections",
            "my.toml:12: connections.down: there is no such key; did you mean limits.down?",
            "my.toml:14: encryption.peers: \"sometimes\" is not allowed: \"off\", \"allow\", \"prefer\" or \"require\"",
            "my.toml:16: disk.write: it is a list, and should be a single value",
        ]
    );
}

#[test]
fn what_is_no_toml_is_refused_with_the_line() {
    let error = refusal("[limits]\ndown = 5\nup 6\n");
    assert!(error.starts_with("line 3: "), "{error}");
    let error = refusal("[limits]\ndown = 99999999999999999999\n");
    assert!(error.starts_with("line 2: limits.down: "), "{error}");
    assert!(refusal("max = 5").starts_with("line 1: max: there is no such key"));
    let missing = Layers::load(Path::new("/nowhere/at/all.toml")).expect_err("no file");
    assert!(missing.to_string().starts_with("/nowhere/at/all.toml: "));
}

#[test]
fn one_key_that_is_wrong_changes_nothing() {
    let patch = Patch::new()
        .with("limits.down", Some(5))
        .with("choking.slots", 4_u32)
        .with("choking.slot", 4_u32);
    let before = Settings::default();
    let error = before.with(&patch).expect_err("a wrong key");
    assert_eq!(
        error.to_string(),
        "choking.slot: there is no such key; did you mean choking.slots?"
    );
    assert_eq!(before, Settings::default());
}

#[test]
fn defaults_are_under_the_preset_that_under_the_file_and_flags_on_top() {
    let layers = Layers::parse(
        "preset = \"min_memory_usage\"\n[connections]\nper_torrent = 7\nhalf_open = 3\n",
    )
    .expect("layers");
    let flags = Patch::new().with("connections.half_open", 2_u32);
    let settings = layers.settings(&flags).expect("settings");
    assert_eq!(settings.connections.per_host, 8, "the default");
    assert_eq!(settings.connections.max, 40, "the preset's");
    assert_eq!(settings.connections.per_torrent, 7, "the file's");
    assert_eq!(settings.connections.half_open, 2, "the flag's");
}

#[test]
fn each_preset_is_valid_and_every_key_of_it_changes_something() {
    for preset in Preset::ALL {
        let settings = Settings::default().with(&preset.patch());
        let settings = settings.expect("a valid preset");
        settings.check().expect("in range");
        let changed = Patch::between(&Settings::default(), &settings);
        assert_eq!(changed.iter().count(), preset.patch().iter().count());
        assert_eq!(preset.name().parse(), Ok(preset));
    }
}

#[test]
fn a_preset_is_for_much_or_for_little() {
    let of = |preset: Preset| Settings::default().with(&preset.patch()).expect("valid");
    let (little, much) = (of(Preset::MinMemoryUsage), of(Preset::HighPerformanceSeed));
    let usual = Settings::default();
    assert!(little.connections.max < usual.connections.max);
    assert!(little.disk.open_files < usual.disk.open_files);
    assert!(much.connections.max > usual.connections.max);
    assert!(much.disk.open_files > usual.disk.open_files);
}

#[test]
fn programs_read_and_write_them_as_maps_of_groups() {
    let json = serde_json::to_value(Settings::default()).expect("JSON");
    assert_eq!(json["limits"]["down"], 0);
    assert_eq!(json["connections"]["connect_timeout"], "15s");
    assert_eq!(json["peers"]["exchange"], true);
    let patch: Patch = serde_json::from_value(json).expect("a patch");
    assert_eq!(
        Settings::default().with(&patch).expect("settings"),
        Settings::default()
    );
    let patch: Patch =
        serde_json::from_str(r#"{"limits":{"up":"1KiB/s"},"choking":{"slots":3}}"#).expect("JSON");
    let settings = Settings::default().with(&patch).expect("settings");
    assert_eq!(
        (settings.limits.up, settings.choking.slots),
        (Some(1024), 3)
    );
}

#[test]
fn values_beyond_their_range_are_found_though_a_program_set_them() {
    let mut settings = Settings::default();
    settings.choking.round_every = Duration::ZERO;
    settings.trackers.announce_port = Some(0);
    let error = settings.check().expect_err("out of range").to_string();
    assert_eq!(
        error,
        "choking.round_every: \"0s\" is not allowed: 1s to 1h\n\
         trackers.announce_port: 0 is not allowed: 1 to 65535"
    );
}

#[test]
fn rates_without_the_rest_are_the_limits_of_a_command() {
    let limits = LimitSettings::from(Limits {
        down: Some(1),
        up: None,
    });
    assert_eq!(
        (limits.down, limits.up, limits.local),
        (Some(1), None, true)
    );
}

proptest! {
    #[test]
    fn no_text_brings_the_reader_down(text in ".{0,200}", lines in "(\\[[a-z]{0,9}\\]\n|[a-z_.]{0,9} = [-0-9a-z\"'\\[\\]{},.]{0,20}\n){0,8}") {
        let _ = Layers::parse(&text);
        let _ = Layers::parse(&lines);
    }

    #[test]
    fn times_rates_and_sizes_are_read_as_they_were_written(ms in 1000_u64..3_600_000, rate in 0_u64.., mapped in 0_u64..1 << 50) {
        let mut settings = Settings::default();
        settings.connections.connect_timeout = Duration::from_millis(ms);
        settings.limits.down = (rate > 0).then_some(rate);
        settings.disk.mapped = crate::units::Size(mapped);
        let layers = Layers::parse(&settings.to_toml()).expect("TOML");
        prop_assert_eq!(layers.settings(&Patch::new()).expect("settings"), settings);
    }
}

#[test]
fn tables_of_the_program_are_read_beside_the_groups_and_their_keys_known() {
    let own = [OwnTable {
        name: "daemon",
        keys: &["api", "names", "quiet"],
        elsewhere: &[("up", "limits.up")],
    }];
    let text = "[daemon]\nnames = [\"a\", \"b\"]\nquiet = true\n[limits]\nup = 5\n";
    let layers = Layers::parse_with(text, &own).expect("it is right");
    let told: Vec<(&str, usize, usize)> = layers
        .own
        .iter()
        .map(|key| (key.name, key.values.len(), key.line))
        .collect();
    assert_eq!(told, [("names", 2, 2), ("quiet", 1, 3)]);
    assert_eq!(layers.patch.iter().count(), 1);
    let refusal = |text| {
        let refused = Layers::parse_with(text, &own);
        refused.expect_err("it is wrong").to_string()
    };
    assert_eq!(
        refusal("[daemon]\n\napii = 5\nnames = [[]]\n"),
        "line 3: daemon.apii: there is no such key; did you mean daemon.api?\n\
         line 4: daemon.names: it is a list, and should be a single value"
    );
    assert!(refusal("[daemon]\nup = 5\n").ends_with("did you mean limits.up?"));
    assert!(refusal("[deamon]\n").contains("did you mean [daemon]?"));
    assert!(Layers::parse(text).is_err());
}
