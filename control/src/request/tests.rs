use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Blob, Feed, Origin, Rule, Then, Watch, Wish};

fn parsed(line: &str) -> Result<Request, Wrong> {
    Request::parse(line.as_bytes())
}

#[test]
fn a_request_is_a_line_with_a_number_and_what_to_do() {
    let line = r#"{"id":7,"do":"remove","torrents":["ab"],"data":true}"#;
    let request = parsed(line).unwrap();
    let removal = Removal {
        torrents: vec!["ab".to_owned()],
        all: false,
        data: true,
    };
    assert_eq!((request.id, &request.ask), (7, &Ask::Remove(removal)));
    let again = request.to_line().unwrap();
    assert_eq!(Request::parse(&again).unwrap(), request);
    assert_eq!(again.last(), Some(&b'\n'));
    let list = parsed(r#"{"do":"list","id":0}"#).unwrap();
    assert_eq!(list.ask, Ask::List(Query::default()));
    let stats = parsed(r#"{"do":"stats","id":0}"#).unwrap();
    assert_eq!(stats.ask, Ask::Stats(Nothing {}));
}

#[test]
fn what_is_no_request_is_refused_with_its_number_and_the_word_that_is_wrong() {
    for (line, id, unknown, told) in [
        ("", None, false, "no JSON object"),
        ("[1]", None, false, "no JSON object"),
        (r#"{"id":3}"#, Some(3), false, "what to do"),
        (r#"{"do":"list"}"#, None, false, "`id`"),
        (r#"{"do":"list","id":-1}"#, None, false, "`id`"),
        (
            r#"{"do":"explode","id":3}"#,
            Some(3),
            true,
            "unknown variant `explode`",
        ),
        (
            r#"{"do":"remove","id":3,"torents":[]}"#,
            Some(3),
            false,
            "unknown field `torents`",
        ),
        (r#"{"do":"show","id":3}"#, Some(3), false, "`torrent`"),
        (
            r#"{"do":"stats","id":3,"x":1}"#,
            Some(3),
            false,
            "unknown field `x`",
        ),
        (
            r#"{"do":"add","id":3,"torrents":[{"file":"%"}]}"#,
            Some(3),
            false,
            "add: ",
        ),
    ] {
        let wrong = parsed(line).unwrap_err();
        assert_eq!((wrong.id, wrong.unknown), (id, unknown), "{line}: {wrong}");
        assert!(wrong.message.contains(told), "{line}: {wrong}");
    }
    let deep = format!(r#"{{"id":1,"do":"list","name":{}1"#, "[".repeat(100_000));
    assert!(parsed(&deep).is_err());
}

fn text() -> impl Strategy<Value = String> {
    prop::string::string_regex("[a-f0-9\"\\\\ é\n]{0,12}").unwrap()
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..4)
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Origin::File(Blob(bytes))),
        text().prop_map(Origin::Link),
        text().prop_map(Origin::Url),
    ]
}

fn small() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0_u64..1 << 60)
}

fn add() -> impl Strategy<Value = Ask> {
    let add = (
        prop::collection::vec(origin(), 0..4),
        prop::option::of(text()),
        any::<[bool; 5]>(),
        texts(),
        prop::option::of(any::<u8>()),
        small(),
    );
    add.prop_map(|(torrents, dir, flags, words, hops, rate)| {
        let [paused, sequential, no_check, overwrite, super_seed] = flags;
        Ask::Add(Add {
            torrents,
            dir,
            category: words.first().cloned(),
            tags: words.clone(),
            paused,
            files: words.clone(),
            sequential,
            no_check,
            overwrite,
            super_seed,
            hops,
            peers: words.clone(),
            trackers: words.clone(),
            web_seeds: words,
            down: rate,
            up: rate,
        })
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let wish = (prop::option::of(text()), texts(), any::<bool>());
    wish.prop_map(|(dir, tags, paused)| Wish {
        category: dir.clone(),
        dir,
        tags,
        paused,
        hops: paused.then_some(2),
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    (text(), texts(), any::<[bool; 3]>(), small(), wish()).prop_map(
        |(name, include, [regex, once, off], size, add)| Rule {
            episodes: include.first().cloned(),
            exclude: include.clone(),
            include,
            name,
            regex,
            min_size: size,
            max_size: size,
            once,
            off,
            add,
        },
    )
}

fn habits() -> impl Strategy<Value = Ask> {
    let rules = prop::collection::vec(rule(), 0..3);
    let then = prop::sample::select(vec![Then::Keep, Then::Delete, Then::Rename]);
    prop_oneof![
        (text(), then, wish(), prop::option::of(text())).prop_map(|(dir, then, add, remove)| {
            let set = Some(Watch { dir, then, add });
            Ask::Watches(WatchesOf { set, remove })
        }),
        (text(), 0..1_000_000_u64, any::<[bool; 2]>(), rules, wish()).prop_map(
            |(name, every, [all, only_new], rules, add)| {
                let feed = Feed {
                    url: name.clone(),
                    name: name.clone(),
                    every,
                    all,
                    only_new,
                    rules,
                    add,
                };
                Ask::Feeds(FeedsOf {
                    set: Some(feed),
                    remove: all.then(|| name.clone()),
                    fetch: only_new.then_some(name),
                })
            }
        ),
        (text(), prop::option::of(rule()), prop::option::of(text()))
            .prop_map(|(feed, set, remove)| Ask::Rules(RulesOf { feed, set, remove })),
        (
            text(),
            prop::option::of(rule()),
            prop::option::of(any::<u8>())
        )
            .prop_map(|(feed, rule, hops)| Ask::Preview(PreviewOf { feed, rule, hops })),
    ]
}

fn sorting() -> impl Strategy<Value = Ask> {
    prop_oneof![
        (texts(), any::<bool>(), prop::option::of(text())).prop_map(|(torrents, all, category)| {
            Ask::Label(LabelsOf {
                add: torrents.clone(),
                remove: torrents.clone(),
                torrents,
                all,
                category,
            })
        }),
        (prop::option::of(text()), prop::option::of(text())).prop_map(|(set, dir)| {
            Ask::Categories(CategoriesOf {
                remove: set.clone(),
                set,
                dir,
            })
        }),
    ]
}

fn content() -> impl Strategy<Value = Ask> {
    prop_oneof![
        (text(), texts(), any::<u8>(), prop::option::of(text())).prop_map(
            |(torrent, choose, priority, rename)| {
                Ask::Files(FilesOf {
                    torrent,
                    choose,
                    priority: Some(priority),
                    rename,
                })
            }
        ),
        (texts(), text(), any::<bool>()).prop_map(|(torrents, dir, cancel)| {
            Ask::Move(MoveOf {
                torrents,
                dir: Some(dir),
                existing: Existing::Replace,
                cancel,
            })
        }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let which = || (texts(), any::<bool>()).prop_map(|(torrents, all)| Which { torrents, all });
    let list = (texts(), prop::option::of(text()), any::<bool>(), 0_usize..9);
    let list = list.prop_map(|(states, name, descending, offset)| {
        Ask::List(Query {
            sort: states.first().cloned(),
            category: states.first().cloned(),
            tags: states.clone(),
            states,
            name,
            moving: Some(descending),
            descending,
            offset,
            limit: Some(offset),
            ..Query::default()
        })
    });
    let limits = (texts(), small(), small());
    let limits = limits.prop_map(|(torrents, down, up)| {
        Ask::Limits(LimitsOf {
            torrents,
            down,
            up,
            max_peers: None,
            upload_slots: Some(3),
        })
    });
    let events = (texts(), small());
    let events = events.prop_map(|(categories, since)| Ask::Events(Events { categories, since }));
    let settings = (texts(), texts()).prop_map(|(reset, get)| {
        let set = [("limits.down".to_owned(), json!("1MiB/s"))].into();
        Ask::Settings(SettingsChange { set, reset, get })
    });
    let trackers = (text(), texts(), prop::option::of(texts()));
    let trackers = trackers.prop_map(|(torrent, add, replace)| {
        Ask::Trackers(TrackersOf {
            torrent,
            remove: add.clone(),
            add,
            replace: replace.map(|tier| vec![tier]),
        })
    });
    prop_oneof![
        add(),
        list,
        limits,
        events,
        settings,
        trackers,
        text().prop_map(|file| Ask::Backup(Backup { file })),
        content(),
        sorting(),
        habits(),
        text().prop_map(|torrent| Ask::Show(Show { torrent })),
        text().prop_map(|torrent| Ask::Peers(Show { torrent })),
        (texts(), any::<u8>()).prop_map(|(torrents, hops)| Ask::Hops(HopsOf { torrents, hops })),
        which().prop_map(Ask::Check),
        which().prop_map(Ask::Pause),
        which().prop_map(Ask::Resume),
        which().prop_map(Ask::Reannounce),
        Just(Ask::Reopen(Nothing {})),
        Just(Ask::Shutdown(Nothing {})),
        Just(Ask::Resources(Nothing {})),
        Just(Ask::Stats(Nothing {})),
    ]
}

proptest! {
    #[test]
    fn every_request_is_a_line_that_is_read_back(id in any::<u64>(), ask in ask()) {
        let request = Request { id, ask };
        let line = request.to_line().unwrap();
        let (end, line) = line.split_last().unwrap();
        prop_assert!(*end == b'\n' && !line.contains(&b'\n'));
        prop_assert_eq!(Request::parse(line), Ok(request));
    }

    #[test]
    fn whatever_is_read_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse(&line);
    }

    #[test]
    fn a_word_that_is_not_known_refuses_the_whole(id in any::<u64>(), ask in ask(), word in "[xyz]{1,9}") {
        let line = Request { id, ask }.to_line().unwrap();
        let mut map: Map<String, Value> = serde_json::from_slice(&line).unwrap();
        map.insert(word, json!(1));
        let line = serde_json::to_vec(&map).unwrap();
        let wrong = Request::parse(&line).unwrap_err();
        prop_assert_eq!(wrong.id, Some(id));
    }
}
