//! Any requests at all.

use proptest::prelude::*;

use super::*;
use crate::access::Listing;

/// A hash, a key, a number, or anything.
fn place() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..3_u8).prop_map(|digit| format!("{digit:02x}").repeat(20)),
        (b'A'..b'D').prop_map(|letter| char::from(letter).to_string().repeat(32)),
        any::<u64>().prop_map(|number| number.to_string()),
        "[ -~\u{e9}]{0,40}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("/api/v1/stats"),
        Just("/api/v1/torrents"),
        Just("/api/v1/torrent/*"),
        Just("/api/v1/whitelist/*"),
        Just("/api/v1/whitelist/reload"),
        Just("/api/v1/key/*"),
        Just("/api/v1/keys"),
        Just("/metrics"),
        Just("/*"),
    ];
    (known, place()).prop_map(|(path, place)| path.replace('*', &place))
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        (place(), any::<u64>())
            .prop_map(|(key, seconds)| format!(r#"{{"key":{key:?},"seconds_valid":{seconds}}}"#)),
        Just(r#"{"key":null,"seconds_valid":null}"#.to_owned()),
        "[ -~]{0,40}",
    ]
}

/// Requests, and whether each shows the token.
fn requests() -> impl Strategy<Value = Vec<(Asked, bool)>> {
    let method = prop_oneof![Just("GET"), Just("POST"), Just("DELETE"), Just("PUT")];
    let query = (
        prop_oneof![Just("info_hash"), Just("offset"), Just("limit")],
        place(),
    )
        .prop_map(|(name, value)| format!("{name}={value}"));
    let wrong = prop_oneof![
        Just(None),
        Just(Some("Bearer".to_owned())),
        Just(Some(format!("Basic {TOKEN}"))),
        Just(Some(TOKEN.to_owned())),
        Just(Some(format!("Bearer {TOKEN}+"))),
        Just(Some(format!("Bearer {}", &TOKEN[1..]))),
    ];
    let right = prop_oneof![Just("Bearer"), Just("bearer"), Just("BEARER")];
    let shown = prop_oneof![
        right.prop_map(|scheme| (Some(format!("{scheme} {TOKEN}")), true)),
        wrong.prop_map(|wrong| (wrong, false)),
    ];
    let request = (method, path(), query, body(), shown);
    let request = request.prop_map(|(method, path, query, body, (authorization, good))| {
        let asked = Asked {
            method: method.to_owned(),
            path,
            query,
            authorization,
            body: body.into_bytes(),
        };
        (asked, good)
    });
    proptest::collection::vec(request, 1..40)
}

/// What is listed, and which keys there are, in numbers.
fn sizes(tracker: &TrackerHandle) -> (usize, usize) {
    let access = &tracker.core().access;
    (access.listed(), access.keys())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_request_is_too_much_and_none_without_the_token_does_anything(requests in requests()) {
        let outcome: Result<(), TestCaseError> = actix_rt::System::new().block_on(async {
            let mut settings = Settings::in_memory();
            settings.access.listing = Listing::Allow;
            settings.access.private = true;
            let tracker = launch(settings);
            let tokens = [("me".to_owned(), Secret(TOKEN.to_owned()))];
            let api = Api::new(&tracker, tokens.into(), false);
            for (asked, good) in requests {
                let before = sizes(&tracker);
                let reply = api.reply(&asked).await;
                prop_assert_eq!(reply.status == 401, !good, "{:?}", asked);
                prop_assert!([200, 400, 401, 404, 405].contains(&reply.status), "{:?}", reply);
                prop_assert!(!reply.body.contains(TOKEN), "{:?}", reply);
                let after = sizes(&tracker);
                if reply.status != 200 || asked.method == "GET" {
                    prop_assert_eq!(after, before, "{:?}", asked);
                }
                if reply.status == 200 && asked.path != "/metrics" {
                    let read = serde_json::from_str::<Value>(&reply.body);
                    prop_assert!(read.is_ok(), "{:?}", reply);
                }
                let (now, then) = (after.0 + after.1, before.0 + before.1);
                prop_assert!(now.abs_diff(then) <= 1, "one change a request: {:?}", asked);
            }
            tracker.stop().await;
            Ok(())
        });
        outcome?;
    }
}
