//! Lists and keys that are changed by the API.

use super::*;

#[actix_rt::test]
async fn the_list_and_keys_change_while_clients_are_answered() {
    let mut settings = settings();
    settings.access.listing = crate::access::Listing::Allow;
    settings.access.private = true;
    let tracker = launch(settings);
    let (at, http) = (
        tracker.listening().api.unwrap(),
        tracker.listening().http[0],
    );
    let ok = (200, r#"{"status":"ok"}"#.to_owned());

    let (status, body) = ask(at, "POST", "/api/v1/key/60", "").await;
    let key: Value = serde_json::from_str(&body).unwrap();
    let text = key["key"].as_str().unwrap();
    assert!(status == 200 && text.parse::<Key>().is_ok());
    let until = key["valid_until"].as_u64().unwrap();
    assert_eq!(key["expiry_time"], when::utc(until));
    let with = |key: &str| {
        format!(
            "/announce/{key}?info_hash={}&peer_id={0}&port=1&left=0",
            "a".repeat(20)
        )
    };
    assert!(
        get(http, &with(text))
            .await
            .1
            .contains("is not whitelisted")
    );
    assert_eq!(
        ask(at, "POST", &format!("/api/v1/whitelist/{HASH}"), "").await,
        ok
    );
    assert!(get(http, &with(text)).await.1.contains("8:completei1e"));
    for path in ["/api/v1/whitelist/reload", "/api/v1/keys/reload"] {
        assert_eq!(ask(at, "GET", path, "").await, ok);
    }
    assert!(get(http, &with(text)).await.1.contains("8:completei1e"));
    assert_eq!(
        ask(at, "DELETE", &format!("/api/v1/whitelist/{HASH}"), "").await,
        ok
    );
    assert!(
        get(http, &with(text))
            .await
            .1
            .contains("is not whitelisted")
    );
    assert_eq!(
        ask(at, "DELETE", &format!("/api/v1/key/{text}"), "").await,
        ok
    );
    assert!(get(http, &with(text)).await.1.contains("is not known"));

    let own = "YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ";
    let made = format!(r#"{{"key":"{own}","seconds_valid":null}}"#);
    let expected = format!(r#"{{"key":"{own}","valid_until":null,"expiry_time":null}}"#);
    assert_eq!(
        ask(at, "POST", "/api/v1/keys", &made).await,
        (200, expected)
    );
    let (status, body) = ask(
        at,
        "POST",
        "/api/v1/keys",
        r#"{"key":null,"seconds_valid":5}"#,
    )
    .await;
    assert!(status == 200 && body.contains("UTC"), "{body}");
    for (method, path, body, words) in [
        (
            "POST",
            "/api/v1/keys",
            r#"{"key":"short"}"#,
            r#"Invalid URL: invalid auth key: string "short", a key has 32"#,
        ),
        ("POST", "/api/v1/keys", "?", "Invalid body"),
        (
            "POST",
            "/api/v1/key/18446744073709551615",
            "",
            r#"Invalid URL: invalid auth key duration: "18446744073709551615""#,
        ),
        (
            "POST",
            "/api/v1/key/soon",
            "",
            r#"Invalid URL: invalid auth key duration: "soon""#,
        ),
        (
            "DELETE",
            "/api/v1/key/short",
            "",
            r#"Invalid auth key id param "short""#,
        ),
        (
            "POST",
            "/api/v1/whitelist/1",
            "",
            "Invalid URL: invalid infohash param",
        ),
    ] {
        let (status, text) = ask(at, method, path, body).await;
        assert!(
            status == 400 && text.contains(words),
            "{path}: {status} {text}"
        );
    }
}

#[actix_rt::test]
async fn what_the_database_refuses_is_told_and_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.database = crate::settings::DatabaseSettings::default();
    settings.access.listing = crate::access::Listing::Allow;
    let (_, tracker) = Tracker::launch(settings, folder.path()).unwrap();
    let at = tracker.listening().api.unwrap();
    let db = rusqlite::Connection::open(folder.path().join("tracker.db")).unwrap();
    db.execute_batch("DROP TABLE whitelist; DROP TABLE keys;")
        .unwrap();
    for (method, path, words) in [
        (
            "POST",
            format!("/api/v1/whitelist/{HASH}"),
            "failed to whitelist torrent: no such table",
        ),
        (
            "DELETE",
            format!("/api/v1/whitelist/{HASH}"),
            "failed to remove torrent from whitelist: ",
        ),
        (
            "GET",
            "/api/v1/whitelist/reload".to_owned(),
            "failed to reload whitelist: ",
        ),
        (
            "GET",
            "/api/v1/keys/reload".to_owned(),
            "failed to reload keys: ",
        ),
        (
            "POST",
            "/api/v1/key/60".to_owned(),
            "failed to generate key: ",
        ),
        (
            "DELETE",
            format!("/api/v1/key/{}", "a".repeat(32)),
            "failed to delete key: ",
        ),
    ] {
        let (status, body) = ask(at, method, &path, "").await;
        assert!(
            status == 500
                && body.starts_with("Unhandled rejection: Err { reason: \"")
                && body.contains(words),
            "{path}: {body}"
        );
    }
    assert_eq!(
        (tracker.core().access.listed(), tracker.core().access.keys()),
        (0, 0)
    );
    let (_, page) = ask(at, "GET", "/metrics", "").await;
    assert!(page.contains("tribler_tracker_database_up 0\n"), "{page}");
}
