use std::net::IpAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;
use url::Url;

use super::*;
use crate::Key as ApiKey;

/// What hosts are made of, and what only looks like one.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "(localhost|LocalHost|box|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]{0,5})?",
        "(localhost|127\\.0\\.0\\.1|\\[::1\\])[.:@\\[\\]a-z0-9]{1,8}",
        "[a-z0-9.:@\\[\\]-]{0,20}",
        any::<IpAddr>().prop_map(|ip| ip.to_string()),
    ]
}

/// A head that asks for the state.
fn asked(uri: &str, lines: &[(&str, &str)]) -> Option<Asked> {
    let lines: Vec<(&str, &[u8])> = lines
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    Asked::new(b"PUT", uri.as_bytes(), &lines)
}

fn access() -> Access {
    Access {
        key: ApiKey::new("secret"),
        names: vec!["box".to_owned()],
    }
}

proptest! {
    #[test]
    fn who_is_let_in_names_this_machine_as_browsers_read_it(host in host()) {
        let lines = [("host", host.as_str()), ("x-api-key", "secret")];
        let Some(asked) = asked("/state", &lines) else { return Ok(()) };
        if asked.admit(&access()).is_ok() && let Ok(url) = Url::parse(&format!("http://{host}/")) {
            let name = url.host_str().unwrap();
            let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
            prop_assert!(is_address || name == "localhost" || name == "box", "{}", host);
        }
    }

    #[test]
    fn an_origin_is_the_own_host_or_it_is_refused(host in host(), other in host(), secure in any::<bool>()) {
        let scheme = if secure { "https" } else { "http" };
        let origin = format!("{scheme}://{other}");
        let lines = [("host", host.as_str()), ("origin", &origin), ("x-api-key", "secret")];
        if let Some(asked) = asked("/state", &lines) && asked.admit(&access()).is_ok() {
            prop_assert!(host.eq_ignore_ascii_case(&other));
        }
    }

    #[test]
    fn a_key_is_known_however_it_is_written_and_no_other_is(said in "(secret|s?ecre?t?|.{0,8})", escaped in any::<bool>()) {
        let written = if escaped {
            utf8_percent_encode(&said, NON_ALPHANUMERIC).to_string()
        } else {
            said.chars().filter(char::is_ascii_alphanumeric).collect()
        };
        let is_key = if escaped { said == "secret" } else { written == "secret" };
        let lines = [("host", "localhost")];
        let asked = asked(&format!("/state?apikey={written}"), &lines).unwrap();
        prop_assert_eq!(asked.admit(&access()), if is_key { Ok(()) } else { Err(401) });
    }

    #[test]
    fn each_path_of_the_table_is_found_whatever_stands_in_its_places(
        at in any::<proptest::sample::Index>(),
        part in "[a-zA-Z0-9_.%-]{1,12}",
    ) {
        let rows = TABLE.rows();
        let row = rows[at.index(rows.len())];
        let words = row.path.split('/').map(|word| if word.starts_with('{') { &part } else { word });
        let path = routes::whole(row.era, &words.collect::<Vec<_>>().join("/"));
        let asked = Asked::new(row.method.as_bytes(), path.as_bytes(), &[]).unwrap();
        // A word that is another path's own may stand there.
        prop_assert!(matches!(asked.route(), Ok(_) | Err(405 | 501)), "{} {}", row.method, path);
    }

    #[test]
    fn files_are_named_from_the_root_however_that_is_written(path in "/[^/\0][^\0]{0,20}", host in "(|//|//localhost)") {
        let uri = format!("file:{host}{}", utf8_percent_encode(&path, NON_ALPHANUMERIC).to_string().replace("%2F", "/"));
        prop_assert_eq!(file_path(&uri), Ok(PathBuf::from(&path)), "{}", uri);
        let any = format!("file:{path}");
        if let Ok(read) = file_path(&any) {
            prop_assert!(read.is_absolute());
        }
    }

    #[test]
    fn hashes_have_40_or_64_digits(bytes in any::<[u8; 32]>(), other in "[0-9a-fA-Fg]{0,70}") {
        let hex = data_encoding::HEXUPPER.encode(&bytes);
        let first: [u8; 20] = bytes[..20].try_into().unwrap();
        prop_assert_eq!(info_hash(&hex), Ok(InfoHash(first)));
        prop_assert_eq!(info_hash(&hex[..40]), Ok(InfoHash(first)));
        let is_hash = matches!(other.len(), 40 | 64) && !other.contains('g');
        prop_assert_eq!(info_hash(&other).is_ok(), is_hash);
    }

    #[test]
    fn ranges_are_parts_of_the_file_and_tell_themselves(said in "(bytes ?= ?[0-9]{0,21}-[0-9]{0,21}|.{0,30})", len in any::<u64>()) {
        if let Some(Span::Part(start, end, told)) = range(said.as_bytes(), len) {
            prop_assert!(start < end && end <= len);
            prop_assert_eq!(&told, &format!("bytes {start}-{}/{len}", end - 1));
            let again = format!("bytes={start}-{}", end - 1);
            prop_assert_eq!(range(again.as_bytes(), len), Some(Span::Part(start, end, told)));
        }
    }

    #[test]
    fn times_are_bounded(said in "(-?[0-9]{0,30}\\.?[0-9]{0,5}(e[0-9]{1,4})?|inf|nan|NaN|-inf|.{0,5})") {
        match seconds(&said) {
            Ok(time) => prop_assert!((0.0..=300.0).contains(&time)),
            Err(status) => prop_assert_eq!(status, 400),
        }
    }

    #[test]
    fn what_leads_to_a_proxy_comes_back_and_its_password_does_not(
        kind in 1..6_i64, user in ".{1,9}", password in "\\PC{6,12}", port in 1..u16::MAX,
    ) {
        prop_assume!(!user.contains(':'));
        let said = json!({"libtorrent": {
            "proxy_type": kind, "proxy_server": format!("proxy.example:{port}"), "proxy_auth": format!("{user}:{password}"),
        }});
        let changed = settings(said.to_string().as_bytes(), None).unwrap();
        let url = changed.set["network.proxy"].as_str().unwrap();
        let ([shown, server, login], back) = proxy(url);
        let default_port = url.starts_with("http:") && port == 80;
        prop_assert_eq!((shown, server), (json!(kind), json!(format!("proxy.example:{port}"))));
        prop_assert!(default_port || back.as_deref() == Ok(url));
        // SOCKS4 knows a name alone.
        let has_login = matches!(kind, 1 | 3 | 5);
        prop_assert_eq!(Url::parse(url).unwrap().password().is_some(), matches!(kind, 3 | 5));
        prop_assert_eq!(login, if has_login { json!(format!("{user}:")) } else { json!(":") });
    }

    #[test]
    fn whatever_is_said_of_settings_is_a_change_or_refused(
        section in "(libtorrent|download_defaults|general|api|.{0,5})",
        name in "(utp|proxy_type|proxy_server|seeding_time|saveas|max_upload_rate|port|key|.{0,5})",
        value in prop_oneof![
            any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from),
            ".{0,9}".prop_map(Value::from), Just(Value::Null), Just(json!([1, {"a": []}])),
        ],
    ) {
        let said = json!({section: {name: value}}).to_string();
        match settings(said.as_bytes(), Some("http://me:pw@proxy.example:3128")) {
            Ok(changed) => prop_assert!(changed.kept.keys().all(|key| key.starts_with("tribler."))),
            Err(status) => prop_assert_eq!(status, 400),
        }
    }

    #[test]
    fn any_name_of_a_file_goes_into_a_head(name in any::<String>()) {
        for (field, value) in file_head(&name).unwrap() {
            prop_assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}: {}", field, value);
        }
    }
}

#[test]
fn all_settings_as_they_are_come_to_no_change() {
    let mut said = Map::new();
    for key in crate::settings::tree::KEYS {
        let (section, name) = (key.section, key.name);
        let section = said.entry(section).or_insert_with(|| json!({}));
        section[name] = key.default();
    }
    let said = Value::Object(said).to_string();
    let due = Changed {
        set: BTreeMap::new(),
        reset: Vec::new(),
        kept: Map::new(),
        idle: Vec::new(),
    };
    assert_eq!(settings(said.as_bytes(), None), Ok(due));
}
