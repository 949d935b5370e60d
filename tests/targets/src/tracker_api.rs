//! The management API of the tracker: whatever is asked, who shows no good token learns and changes nothing, an answer is JSON or text
//! of a status that the API has, nothing that is secret is in it, and what is changed holds afterwards.

use std::path::Path;

use crate::steps::Steps;
use protocol::id::InfoHash;
use serde_json::Value;
use tracker::access::Listing;
use tracker::api::{Api, Asked, Reply};
use tracker::settings::Secret;
use tracker::{Settings, Tracker, TrackerHandle};

const TOKEN: &str = "a token of 16 &=%";

/// Paths that there are, with a place for something else in some.
const PATHS: [&str; 12] = [
    "/api/v1/stats",
    "/api/v1/torrents",
    "/api/v1/torrent/*",
    "/api/v1/whitelist/*",
    "/api/v1/whitelist/reload",
    "/api/v1/key/*",
    "/api/v1/keys",
    "/api/v1/keys/reload",
    "/api/v1/metrics",
    "/metrics",
    "/api/health_check",
    "/*",
];

fn text(steps: &mut Steps<'_>) -> String {
    let len = usize::from(steps.byte());
    String::from_utf8_lossy(steps.take(len)).into_owned()
}

/// What stands in a path: a hash, a key, or anything.
fn place(steps: &mut Steps<'_>) -> String {
    match steps.byte() % 4 {
        0 => format!("{:02x}", steps.byte() % 4).repeat(20),
        1 => char::from(b'A' + steps.byte() % 4).to_string().repeat(32),
        2 => steps.word().to_string(),
        _ => text(steps),
    }
}

fn asked(steps: &mut Steps<'_>) -> Asked {
    let method = ["GET", "POST", "DELETE", "PUT"][usize::from(steps.byte() % 4)];
    let path = PATHS[usize::from(steps.byte()) % PATHS.len()];
    let path = path.replace('*', &place(steps));
    let mut query = match steps.byte() % 4 {
        0 => format!("info_hash={}&info_hash={}", place(steps), place(steps)),
        1 => format!("offset={}&limit={}", place(steps), place(steps)),
        2 => text(steps),
        _ => String::new(),
    };
    let body = match steps.byte() % 3 {
        0 => format!(
            r#"{{"key":"{}","seconds_valid":{}}}"#,
            place(steps),
            steps.word()
        ),
        1 => r#"{"key":null,"seconds_valid":null}"#.to_owned(),
        _ => text(steps),
    };
    let mut authorization = None;
    match steps.byte() % 4 {
        0 => authorization = Some(format!("Bearer {TOKEN}")),
        1 => query.insert_str(0, "token=a%20token%20of%2016%20%26%3D%25&"),
        2 => authorization = Some(text(steps)),
        _ => {}
    }
    Asked {
        method: method.to_owned(),
        path,
        query,
        authorization,
        body: body.into_bytes(),
    }
}

/// A hash that the API has taken.
fn info_hash(text: &str) -> InfoHash {
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("digits");
    InfoHash(std::array::from_fn(byte))
}

/// Whether the request shows the token, in one of the two places where it may stand.
fn shows_token(asked: &Asked) -> bool {
    let in_head = asked.authorization.as_deref();
    match in_head.and_then(|words| words.strip_prefix("Bearer ")) {
        Some(token) => token.trim() == TOKEN,
        None => {
            asked
                .query
                .split('&')
                .find_map(|pair| pair.strip_prefix("token="))
                == Some("a%20token%20of%2016%20%26%3D%25")
        }
    }
}

fn check(asked: &Asked, reply: &Reply, tracker: &TrackerHandle, before: (usize, usize)) {
    assert!(
        [200, 400, 401, 404, 405].contains(&reply.status),
        "{reply:?}"
    );
    let access = &tracker.core().access;
    let good = shows_token(asked);
    let path = asked.path.trim_start_matches('/');
    if path == "api/health_check" && asked.method == "GET" {
        assert_eq!(reply.body, r#"{"status":"Ok"}"#);
        return;
    }
    assert_eq!(reply.status == 401, !good, "{asked:?}");
    if !good || reply.status != 200 {
        assert_eq!((access.listed(), access.keys()), before, "{asked:?}");
    }
    if !asked.path.contains(TOKEN) && !asked.query.contains(TOKEN) {
        assert!(!reply.body.contains(TOKEN), "{reply:?}");
    }
    if reply.status != 200 {
        return;
    }
    if path.ends_with("metrics") {
        assert!(reply.body.ends_with("# EOF\n"));
        return;
    }
    let value: Value = serde_json::from_str(&reply.body).expect("JSON");
    let words: Vec<&str> = path.split('/').collect();
    match (asked.method.as_str(), &words[2..]) {
        ("POST" | "DELETE", ["whitelist", hash]) => {
            let listed = access.check_torrent(&info_hash(hash)).is_ok();
            assert_eq!(listed, asked.method == "POST");
        }
        ("POST", ["key", _] | ["keys"]) => {
            let key = value["key"].as_str().expect("a key");
            let now = tracker.core().clock.now().unix();
            assert!(access.check_key(Some(key), now).is_ok(), "{value}");
            assert!(value["valid_until"].is_null() == value["expiry_time"].is_null());
        }
        ("DELETE", ["key", key]) => assert!(access.check_key(Some(key), 0).is_err()),
        ("GET", ["torrents"]) => assert!(value.is_array()),
        _ => {}
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let system = actix_rt::System::new();
    system.block_on(async {
        let mut settings = Settings::in_memory();
        settings.access.listing = Listing::Allow;
        settings.access.private = true;
        let (_, tracker) = Tracker::launch(settings, Path::new("")).expect("a tracker");
        let tokens = [("me".to_owned(), Secret(TOKEN.to_owned()))];
        let api = Api::new(&tracker, tokens.into(), false);
        let mut steps = Steps::new(data);
        for _ in 0..64 {
            if steps.is_empty() {
                break;
            }
            let asked = asked(&mut steps);
            let access = &tracker.core().access;
            let before = (access.listed(), access.keys());
            let reply = api.reply(&asked).await;
            check(&asked, &reply, &tracker, before);
        }
        tracker.stop().await;
    });
}
