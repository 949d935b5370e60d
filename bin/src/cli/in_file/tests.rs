use std::fmt::Write as _;

use engine::Settings;
use engine::settings::Layers;

use super::*;

/// The part of the page of settings that is about the table.
fn reference() -> String {
    let mut text = format!(
        "\n## Flags of the daemon\n\n\
         Made from the flags of `tribler-rs daemon`; change it there.\n\n\
         The file of settings of `daemon --config` may have a table `[{name}]`, for flags of which there is no setting; other commands\n\
         pass over it. A flag of the command line, and of the environment, stands in place of the key. A key is the name of the flag\n\
         with `_` for `-`, and has the values of the flag: a text, `true` for one that takes none or has a usual one, and a list for one\n\
         that can be repeated. Paths are best written from the root. What is changed here holds at the next start.\n\n\
         | key | value | meaning |\n|---|---|---|\n",
        name = TABLE.name
    );
    for (name, kind, value, help) in keys() {
        let help = help.replace('|', "\\|");
        let takes = takes(kind, &value).replace('|', "\\|");
        let _ = writeln!(text, "| `{name}` | {takes} | {help} |");
    }
    text
}

#[test]
fn the_page_of_settings_has_each_key_as_its_flag_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let start = "\n## Flags of the daemon\n";
    let (before, mut kept) = page.split_at(page.find(start).unwrap_or(page.len()));
    let text = reference();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{text}")).unwrap();
        kept = &text;
    }
    assert!(
        kept == text,
        "docs/settings.md is not current: run this test with WRITE_DOCS=1"
    );
}

fn read(text: &str, words: &[&str]) -> Result<DaemonArgs, Failure> {
    let layers = Layers::parse_with(text, &[TABLE]).unwrap();
    let all = ["tribler-rs", "daemon"].iter().chain(words);
    let words: Vec<OsString> = all.map(|word| (*word).into()).collect();
    merged(words, layers.own, Path::new("d.toml"))
}

#[test]
fn each_flag_is_a_key_or_has_a_setting_or_is_of_the_command_line_alone() {
    let alone = [
        "api_key",
        "config",
        "help",
        "hops_within",
        "json",
        "log",
        "print_socket",
        "print_unit",
        "set",
    ];
    let command = super::super::command();
    let daemon = command.find_subcommand("daemon").unwrap();
    let mut flags = 0;
    for arg in daemon.get_arguments() {
        let name = arg.get_id().as_str();
        let key = TABLE.keys.contains(&name);
        let setting = TABLE.elsewhere.iter().find(|(flag, _)| *flag == name);
        let places = usize::from(key) + usize::from(setting.is_some());
        let places = places + usize::from(alone.contains(&name));
        assert_eq!(places, 1, "{name}");
        let there = |(_, path): &(&str, &str)| *path == "preset" || Settings::key(path).is_some();
        assert!(setting.is_none_or(there), "{setting:?}");
        flags += usize::from(places == 1 && name != "help");
    }
    assert!(flags >= TABLE.keys.len() + TABLE.elsewhere.len());
    for name in TABLE.keys {
        assert!(arg(name).is_some(), "{name}");
    }
}

#[test]
fn keys_stand_for_flags_and_flags_of_the_command_line_stand_for_keys() {
    let text = "[daemon]\noutput = \"/srv/t\"\napi = \"127.0.0.1:9000\"\napi_name = [\"a\", \"b\"]\napi_port_tries = 3\n\
                api_local_urls = true\nno_dht = false\nno_webseeds = true\nmetrics = true\nhops = 2\n";
    let args = read(text, &[]).unwrap();
    assert_eq!(args.output.as_deref(), Some(Path::new("/srv/t")));
    assert_eq!(args.api, Some("127.0.0.1:9000".parse().unwrap()));
    assert_eq!(args.api_name, ["a", "b"]);
    assert_eq!((args.api_port_tries, args.common.hops.hops), (3, Some(2)));
    assert!(args.api_local_urls && !args.common.no_dht && args.common.no_webseeds);
    assert_eq!(args.metrics, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(args.of_file.len(), 9);
    let flags = ["--api", "[::1]:1", "--hops=0", "-o", "x", "--api-name", "c"];
    let args = read(text, &flags).unwrap();
    assert_eq!(args.api, Some("[::1]:1".parse().unwrap()));
    assert_eq!(args.output.as_deref(), Some(Path::new("x")));
    assert_eq!(
        (args.api_name, args.common.hops.hops),
        (vec!["c".to_owned()], Some(0))
    );
    assert_eq!(args.api_port_tries, 3);
    // With a key there is no use for its file.
    let key = ["--api", "--api-key", "k"];
    let args = read("[daemon]\napi_key_file = \"/k\"\n", &key).unwrap();
    assert_eq!(args.api_key_file, None);
}

#[test]
fn each_line_of_the_commented_file_can_be_uncommented_as_it_is() {
    let lines = commented();
    let lines: Vec<&str> = lines
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .collect();
    let samples = lines.iter().filter(|line| line.contains(" = "));
    let (mut seen, mut wrong) = (0, Vec::new());
    for sample in samples {
        let name = sample.split(' ').next().unwrap();
        if !TABLE.keys.contains(&name) {
            continue;
        }
        // Some flags stand beside others.
        let beside = match name {
            "skip_bad_lines" => "ip_filter = \"/f\"\n",
            "socks_login" => "socks = \"127.0.0.1:1080\"\n",
            _ if name.starts_with("api_") => "api = true\n",
            _ => "",
        };
        let text = format!("[daemon]\n{beside}{sample}\n");
        let read = read(&text, &[]);
        wrong.extend(read.err().map(|error| format!("{sample}: {error:?}")));
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen, TABLE.keys.len());
}

#[test]
fn what_a_flag_cannot_have_is_refused_with_its_line() {
    for (text, told) in [
        (
            "\napi = \"here\"",
            "d.toml:3: daemon.api: invalid value 'here'",
        ),
        ("hops = 4", "d.toml:2: daemon.hops: invalid value '4'"),
        (
            "no_dht = \"yes\"",
            "d.toml:2: daemon.no_dht: it has to be true or false",
        ),
        (
            "output = true",
            "d.toml:2: daemon.output: it has to be a text",
        ),
        (
            "output = [\"a\", \"b\"]",
            "d.toml:2: daemon.output: the argument",
        ),
        ("skip_bad_lines = true", "--ip-filter"),
    ] {
        let refused = read(&format!("[daemon]\n{text}\n"), &[]).unwrap_err();
        assert_eq!(refused.code(), 2);
        assert!(refused.to_string().contains(told), "{refused}");
        assert_eq!(refused.to_string().lines().count(), 1, "{refused}");
    }
    let refused = Layers::parse_with("[daemon]\nmax_up = 5\n", &[TABLE]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "line 2: daemon.max_up: there is no such key; did you mean limits.up?"
    );
}

#[test]
fn the_commented_table_has_each_key_and_changes_nothing() {
    let text = commented();
    assert!(Layers::parse_with(&text, &[TABLE]).unwrap().own.is_empty());
    // Each line of a key is one that can be read, whatever its value.
    let keys = text.replace("\n#", "\n").replace("\n ", "\n# ");
    let own = Layers::parse_with(&keys, &[TABLE]).unwrap().own;
    assert_eq!(own.len(), TABLE.keys.len());
}
