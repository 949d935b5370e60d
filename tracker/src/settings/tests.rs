use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A file with one key.
fn with(name: &str, value: impl fmt::Display) -> String {
    let (table, key) = name.rsplit_once('.').unwrap_or(("", name));
    let needed = match table {
        "http" if key != "bind" => "bind = \"127.0.0.1:0\"\n",
        "api" if key != "bind" => "tokens.me = \"0123456789abcdef\"\nbind = \"127.0.0.1:0\"\n",
        "api" => "tokens.me = \"0123456789abcdef\"\n",
        "api.tokens" => {
            return format!("[api]\nbind = \"127.0.0.1:0\"\n[api.tokens]\n{key} = {value}\n");
        }
        _ => "",
    };
    let head = match table {
        "" => String::new(),
        "udp" | "http" => format!("[[{table}]]\n"),
        table => format!("[{table}]\n"),
    };
    format!("{head}{needed}{key} = {value}\n")
}

#[test]
fn every_default_that_is_shown_is_the_default() {
    // Tokens have an example, and no default.
    let named = KEYS.iter().filter(|key| key.section() != "[api.tokens]");
    for key in named.filter(|key| !key.default.is_empty()) {
        let settings = Settings::from_toml(&with(key.name, key.default)).unwrap();
        let mut plain = Settings::default();
        match key.section() {
            "[[udp]]" => plain.udp = vec![UdpSettings::new("[::]:6969".parse().unwrap())],
            "[[http]]" => {
                let bind = if key.name == "http.bind" {
                    "[::]:7070"
                } else {
                    "127.0.0.1:0"
                };
                plain.http = vec![HttpSettings::new(bind.parse().unwrap())];
            }
            "[api]" | "[health]" => continue,
            _ => {}
        }
        assert_eq!(settings, plain, "{}", key.name);
    }
}

#[test]
fn every_key_is_explained_and_no_other() {
    // What is not known is refused with the names of all that are.
    for table in [
        "", "announce", "swarms", "access", "database", "udp", "http", "api", "health",
    ] {
        let name = if table.is_empty() {
            "zzz".to_owned()
        } else {
            format!("{table}.zzz")
        };
        let text = with(&name, 1);
        let Err(SettingsError::Text { line, message }) = Settings::from_toml(&text) else {
            panic!("{text}");
        };
        assert_eq!(
            line,
            text.lines()
                .position(|line| line.starts_with("zzz"))
                .unwrap()
                + 1
        );
        let (_, known) = message
            .split_once("expected")
            .unwrap_or_else(|| panic!("{message}"));
        let known: BTreeSet<&str> = known.split('`').skip(1).step_by(2).collect();
        let prefix = if table.is_empty() {
            String::new()
        } else {
            format!("{table}.")
        };
        let told: BTreeSet<&str> = KEYS
            .iter()
            .filter_map(|key| key.name.strip_prefix(&prefix))
            .map(|name| name.split('.').next().unwrap_or(name))
            .collect();
        assert_eq!(known, told, "{table}");
    }
}

#[test]
fn numbers_beyond_their_range_are_refused_by_name() {
    let mut tried = 0;
    for key in KEYS {
        let Some((least, most)) = key.range else {
            continue;
        };
        for wrong in [least.checked_sub(1), Some(most + 1)].into_iter().flatten() {
            let refused = Settings::from_toml(&with(key.name, wrong)).unwrap_err();
            // Or it is more than the type of the number holds.
            let named = matches!(&refused, SettingsError::Range { key: named, .. } if *named == key.name)
                || matches!(&refused, SettingsError::Text { message, .. } if message.contains("invalid value"));
            assert!(named, "{}: {refused}", key.name);
            tried += 1;
        }
    }
    assert!(tried > 20);
}

#[test]
fn the_file_of_defaults_says_nothing_until_its_comments_are_opened() {
    assert_eq!(Settings::from_toml(&commented()), Ok(Settings::default()));
    let opened: Vec<&str> = commented()
        .leak()
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .filter(|line| !line.ends_with("\"\""))
        .collect();
    let opened = opened.join("\n");
    assert_eq!(
        Settings::from_toml(&opened),
        Err(SettingsError::ExampleToken("admin".to_owned()))
    );
    let settings = Settings::from_toml(&opened.replace("change me", "changed")).unwrap();
    assert_eq!((settings.udp.len(), settings.http.len()), (1, 1));
    assert_eq!(
        settings.http[0],
        HttpSettings::new("[::]:7070".parse().unwrap())
    );
    assert!(settings.api.is_some() && settings.health.is_some());
    assert_eq!(settings.announce, AnnounceSettings::default());
}

#[test]
fn the_page_for_operators_has_the_table() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tracker.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = table();
    assert!(
        page.contains(&table),
        "docs/tracker.md needs this table:\n{table}"
    );
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (text, words) in [
        ("announce.interval = 600", "min_interval"),
        ("announce.interval = 7200", "peer_timeout"),
        ("announce.default_peers = 75", "most_peers"),
        ("database.kind = \"postgresql\"", "database.url"),
        (
            "[[http]]\nbind = \"127.0.0.1:1\"\ncertificate = \"a\"",
            "go together",
        ),
        (
            "[[udp]]\nbind = \"127.0.0.1:1\"\n[[udp]]\nbind = \"127.0.0.1:1\"",
            "two servers",
        ),
        (
            "[api]\nbind = \"127.0.0.1:1\"\ntokens.me = \"short\"",
            "16 characters",
        ),
        ("[api]\nbind = \"127.0.0.1:1\"", "nobody could use the API"),
        ("[http]\nbind = \"127.0.0.1:1\"", "line 1: servers may be"),
        (
            "[[udp]]\nbind = \"127.0.0.1\"",
            "line 2: invalid socket address syntax: write an IP",
        ),
        ("[[udp]]", "missing field `bind`"),
        ("workers = \"two\"", "line 1: invalid type"),
        ("a = ", "line 1: "),
    ] {
        let refused = Settings::from_toml(text).unwrap_err().to_string();
        assert!(refused.contains(words), "{text}: {refused}");
    }
    // One port for both protocols is usual.
    let both = "[[udp]]\nbind = \"127.0.0.1:1\"\n[[http]]\nbind = \"127.0.0.1:1\"";
    assert!(Settings::from_toml(both).is_ok());
}

#[test]
fn secrets_are_not_shown() {
    let text = "[database]\nurl = \"host=a password=b\"\n[api]\nbind = \"127.0.0.1:1\"\ntokens.me = \"0123456789abcdef\"";
    let shown = format!("{:?}", Settings::from_toml(text).unwrap());
    assert!(
        !shown.contains("password") && !shown.contains("0123456789"),
        "{shown}"
    );
}

/// A line of a file: a key that there is or not, with a value that it takes or not; or no line at all.
fn line() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(KEYS).prop_map(|key| key.short().to_owned());
    let table = proptest::sample::select(KEYS).prop_map(|key| key.section().to_owned());
    let value = prop_oneof![
        any::<u32>().prop_map(|number| number.to_string()),
        (0..100_u32).prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|yes| yes.to_string()),
        (0..=u16::MAX).prop_map(|port| format!("\"127.0.0.1:{port}\"")),
        proptest::sample::select(KEYS).prop_map(|key| key.default.to_owned()),
        "\"[ -~]{0,24}\"",
    ];
    prop_oneof![
        4 => (known, value).prop_map(|(key, value)| format!("{key} = {value}")),
        2 => table,
        1 => "[ -~\t\u{e9}]{0,30}",
    ]
}

proptest! {
    #[test]
    fn any_file_is_taken_whole_or_refused_at_one_place(
        lines in proptest::collection::vec(line(), 0..12),
    ) {
        let text = lines.join("\n");
        match Settings::from_toml(&text) {
            Ok(read) => {
                prop_assert_eq!(read.check(), Ok(()));
                for (name, number) in read.numbers() {
                    let key = KEYS.iter().find(|key| key.name == name).unwrap();
                    let (least, most) = key.range.unwrap();
                    prop_assert!((least..=most).contains(&number.into()), "{}", name);
                }
            }
            Err(SettingsError::Text { line, message }) => {
                prop_assert!((1..=lines.len().max(1)).contains(&line), "{}: {}", line, text);
                prop_assert!(!message.is_empty() && !message.contains('\n'));
            }
            Err(other) => prop_assert!(!other.to_string().is_empty()),
        }
    }
}
