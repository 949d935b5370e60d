use std::collections::BTreeSet;

use super::*;
use crate::testing::Scene;

/// The page for users.
const PAGE: &str = include_str!("../../../docs/rest.md");

#[tokio::test(flavor = "multi_thread")]
async fn words_come_before_places_and_other_methods_are_named() {
    let scene = Scene::start().await;
    let table = scene.table();
    let find = |era, method: Method, path: &str| table.find(era, &method, path);
    assert_eq!(
        find(Era::Now, Method::GET, "/state"),
        Found::Served(Era::Now)
    );
    assert_eq!(
        find(Era::Now, Method::HEAD, "/state"),
        Found::Served(Era::Now)
    );
    assert_eq!(
        find(Era::Now, Method::DELETE, "/settings"),
        Found::Method("GET, HEAD, POST".to_owned())
    );
    for path in [
        "",
        "/stat",
        "/state/",
        "/state/x",
        "//state",
        "/wallets//balance",
    ] {
        assert_eq!(find(Era::Now, Method::GET, path), Found::Nothing, "{path}");
    }
    let channels = Found::Absent("channels");
    assert_eq!(find(Era::Now, Method::GET, "/search/completions"), channels);
    assert_eq!(find(Era::Now, Method::GET, "/channels/ab/7"), channels);
    assert_eq!(
        find(Era::V70, Method::PUT, "/channels/discovered"),
        channels
    );
    assert_eq!(
        find(Era::Now, Method::PUT, "/channels/discovered"),
        Found::Nothing
    );
    assert_eq!(
        find(Era::V70, Method::GET, "/state"),
        Found::Served(Era::Now)
    );
    let old = Found::Served(Era::V70);
    assert_eq!(find(Era::V70, Method::GET, "/debug/circuits"), old);
    assert_eq!(
        find(Era::Now, Method::GET, "/debug/circuits"),
        Found::Nothing
    );
    assert_eq!(era("/v7.0/state"), (Era::V70, "/state"));
    assert_eq!(era("/v7.0state"), (Era::Now, "/v7.0state"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_of_the_table_is_there_once_and_the_page_for_users_says_the_same() {
    let scene = Scene::start().await;
    let mut shown = BTreeSet::new();
    let tables = ["<!-- served -->", "<!-- absent -->"].map(|mark| {
        let (_, table) = PAGE.split_once(mark).unwrap();
        table.split_once("<!-- end -->").unwrap().0
    });
    let lines = tables.iter().flat_map(|table| table.lines());
    for line in lines.filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(first), Some(second)) = (cells.next(), cells.next()) else {
            continue;
        };
        let whole = first.ends_with('`') && first.matches('`').count() == 2;
        if let Some((method, _)) = first.trim_matches('`').split_once(" /")
            && whole
            && method.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            let row = (first.trim_matches('`').to_owned(), second.to_owned());
            assert!(shown.insert(row.clone()), "twice: {row:?}");
        }
    }
    let mut rows = BTreeSet::new();
    for row in scene.table().rows() {
        let prefix = if row.era == Era::V70 { V70 } else { "" };
        let standing = match row.standing {
            Standing::Served => "served".to_owned(),
            Standing::Absent(feature) => format!("501: no {feature}"),
        };
        let row = (format!("{} {prefix}{}", row.method, row.path), standing);
        assert!(rows.insert(row.clone()), "twice: {row:?}");
    }
    let missing: Vec<_> = rows.difference(&shown).collect();
    let wrong: Vec<_> = shown.difference(&rows).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "docs/rest.md lacks {missing:#?}\nand has {wrong:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_has_a_handler_for_each_route_that_is_served_and_the_others_say_what_is_missing()
{
    let scene = Scene::start().await;
    let rows = scene.table().rows().to_vec();
    let mut served = 0;
    for row in rows {
        let prefix = if row.era == Era::V70 { V70 } else { "" };
        let path = format!("{prefix}{}", row.path.replace(['{', '}'], ""));
        // That would end the scene, and the stream does not end.
        if path == "/shutdown" || path == "/events" {
            continue;
        }
        let reply = scene.ask(row.method, &path, b"").await;
        match row.standing {
            Standing::Served => {
                served += 1;
                assert!(
                    reply.status != 501 && reply.status != 405,
                    "{path}: {reply:?}"
                );
                assert_ne!(reply.json["error"]["code"], "HTTPNotFound", "{path}");
            }
            Standing::Absent(feature) => {
                assert_eq!(reply.status, 501, "{} {path}", row.method);
                assert_eq!(reply.json["feature"], feature);
            }
        }
    }
    assert!(served > 10);
}

#[test]
fn a_path_is_written_out_once_and_only_where_that_says_the_same() {
    for (path, due) in [
        ("/state", "/state"),
        ("/%73%7E%2d%5f%2E", "/s~-_."),
        ("/%2f%25%3F%C3%bC%00", "/%2f%25%3F%C3%bC%00"),
        ("/%2573", "/%2573"),
        ("/%25%37%33", "/%2573"),
        ("/%%373", "/%%373"),
        ("/%7%333", "/%7%333"),
        ("/%73%", "/%73%"),
        ("/%73%4", "/%73%4"),
        ("/%+3", "/%+3"),
        ("/%\u{fc}", "/%\u{fc}"),
        ("", ""),
    ] {
        assert_eq!(normal(path), due, "{path}");
    }
}
