use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::id::{InfoHash, InfoHashes};

use super::*;
use crate::{Labels, State, SwarmCounts};

fn status(id: u64, name: &str) -> TorrentStatus {
    TorrentStatus {
        id: TorrentId(id),
        hashes: InfoHashes::v1(InfoHash([id as u8; 20])),
        name: name.to_owned(),
        dir: std::path::Path::new("/content").into(),
        added: 0,
        labels: None,
        state: State::Downloading,
        queue: None,
        seeding: crate::SeedingRule::default(),
        modes: crate::Modes::NONE,
        hops: 0,
        blocked: None,
        size: 1000,
        pieces: 1,
        wanted: 1000,
        done: 0,
        downloaded: 0,
        uploaded: 0,
        wasted: 0,
        down_rate: 0,
        up_rate: 0,
        peers: 0,
        connections: Arc::from([]),
        seeds: 0,
        web_seeds: Vec::new(),
        newer: None,
        local_data: Arc::from([]),
        moving: None,
        swarm: SwarmCounts::default(),
        age: Duration::ZERO,
        reason: None,
    }
}

fn put(board: &Board, status: TorrentStatus) -> bool {
    board.put(&mut Arc::new(status))
}

fn numbers(torrents: &[Arc<TorrentStatus>]) -> Vec<u64> {
    torrents.iter().map(|status| status.id.0).collect()
}

#[test]
fn only_what_has_changed_since_is_told() {
    let board = Board::new(7);
    for id in 1..=5 {
        assert!(put(&board, status(id, "a")));
    }
    let first = board.changes(0);
    assert!(first.whole);
    assert_eq!(numbers(&first.torrents), [1, 2, 3, 4, 5]);
    let again = board.changes(first.revision);
    assert!(!again.whole && again.torrents.is_empty() && again.removed.is_empty());
    let older = TorrentStatus {
        age: Duration::from_secs(1),
        ..status(2, "a")
    };
    assert!(!put(&board, older), "age alone is no change");
    assert_eq!(board.get(TorrentId(2)).unwrap().age.as_secs(), 1);
    let faster = TorrentStatus {
        down_rate: 1,
        ..status(4, "a")
    };
    assert!(put(&board, faster));
    board.remove(TorrentId(1));
    board.remove(TorrentId(1));
    assert!(put(&board, status(6, "b")));
    let changes = board.changes(first.revision);
    assert!(!changes.whole);
    assert_eq!(numbers(&changes.torrents), [4, 6]);
    assert_eq!(changes.removed, [TorrentId(1)]);
    assert!(board.get(TorrentId(1)).is_none());
    assert!(board.changes(changes.revision).torrents.is_empty());
}

#[test]
fn a_revision_of_another_run_or_of_long_ago_gets_everything() {
    let board = Board::new(7);
    put(&board, status(0, "kept"));
    let early = board.changes(0).revision;
    assert!(board.changes(early + 1).whole, "it is yet to come");
    assert!(board.changes(3).whole);
    for id in 1..=REMOVALS as u64 + 1 {
        put(&board, status(id, "a"));
        board.remove(TorrentId(id));
    }
    let changes = board.changes(early);
    assert!(changes.whole && changes.removed.is_empty());
    assert_eq!(numbers(&changes.torrents), [0]);
    assert!(board.0.read().rows.len() <= 2, "places are used again");
}

#[test]
fn a_page_is_sorted_filtered_and_cut() {
    let board = Board::new(1);
    for (id, name, rate) in [
        (1, "Beta", 5),
        (2, "alpha", 0),
        (3, "Gamma", 9),
        (4, "beta two", 5),
    ] {
        let status = TorrentStatus {
            down_rate: rate,
            ..status(id, name)
        };
        put(&board, status);
    }
    let page = |query: Query| {
        let page = board.page(&query);
        assert_eq!(page.torrents, 4);
        (page.fitting, numbers(&page.rows))
    };
    let by = |sort, descending| Query {
        sort,
        descending,
        ..Query::default()
    };
    assert_eq!(page(Query::default()), (4, vec![1, 2, 3, 4]));
    assert_eq!(page(by(Sort::Name, false)), (4, vec![2, 1, 4, 3]));
    assert_eq!(page(by(Sort::Name, true)), (4, vec![3, 4, 1, 2]));
    assert_eq!(page(by(Sort::DownRate, false)), (4, vec![2, 1, 4, 3]));
    assert_eq!(page(by(Sort::DownRate, true)), (4, vec![3, 4, 1, 2]));
    let filter = Filter {
        text: Some("BETA".to_owned()),
        moving: Some(true),
        ..Filter::default()
    };
    let second = Query {
        filter,
        offset: 1,
        limit: Some(1),
        ..by(Sort::Name, false)
    };
    assert_eq!(page(second), (2, vec![4]));
    let renamed = status(3, "Aardvark");
    put(&board, renamed);
    assert_eq!(page(by(Sort::Name, false)), (4, vec![3, 2, 1, 4]));
}

/// What a page must be, found the plain way.
fn plainly(all: &BTreeMap<u64, TorrentStatus>, query: &Query) -> (usize, Vec<u64>) {
    let filter = &query.filter;
    let fits = |it: &&TorrentStatus| {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let states = filter.states.as_ref();
        text.is_none_or(|text| it.name.to_lowercase().contains(&text))
            && states.is_none_or(|states| states.iter().any(|word| word == it.state.word()))
            && filter.category.as_deref().is_none_or(|wanted| {
                let labels = it.labels.as_deref().cloned().unwrap_or_default();
                labels.category.unwrap_or_default() == wanted
            })
            && filter.tags.iter().all(|tag| {
                let labels = it.labels.iter();
                labels.flat_map(|labels| &labels.tags).any(|is| is == tag)
            })
            && filter.hops.is_none_or(|hops| hops == it.hops)
            && filter
                .moving
                .is_none_or(|moving| moving == (it.down_rate + it.up_rate > 0))
            && filter
                .complete
                .is_none_or(|complete| complete == (it.done == it.wanted))
            && filter
                .blocked
                .is_none_or(|blocked| blocked == it.blocked.is_some())
    };
    let mut fitting: Vec<&TorrentStatus> = all.values().filter(fits).collect();
    fitting.sort_by(|a, b| {
        let order = match query.sort {
            Sort::Added => a.id.cmp(&b.id),
            Sort::Downloaded => a.downloaded.cmp(&b.downloaded),
            Sort::DownRate => a.down_rate.cmp(&b.down_rate),
            Sort::Hops => a.hops.cmp(&b.hops),
            Sort::Left => {
                let left = |it: &TorrentStatus| match (it.wanted - it.done, it.down_rate) {
                    (0, _) => Some(0.0),
                    (_, 0) => None,
                    (left, rate) => Some((left as f64 / rate as f64).ceil()),
                };
                match (left(a), left(b)) {
                    (Some(a), Some(b)) => a.total_cmp(&b),
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (None, None) => std::cmp::Ordering::Equal,
                }
            }
            Sort::Name => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
            Sort::Peers => a.peers.cmp(&b.peers),
            Sort::Progress => (a.done * b.wanted).cmp(&(b.done * a.wanted)),
            Sort::Ratio => (a.uploaded * b.size).cmp(&(b.uploaded * a.size)),
            Sort::Seeds => a.seeds.cmp(&b.seeds),
            Sort::Size => a.size.cmp(&b.size),
            Sort::State => a.state.word().cmp(b.state.word()),
            Sort::Uploaded => a.uploaded.cmp(&b.uploaded),
            Sort::UpRate => a.up_rate.cmp(&b.up_rate),
        };
        order.then(a.id.cmp(&b.id))
    });
    if query.descending {
        fitting.reverse();
    }
    let page = fitting.iter().skip(query.offset);
    let page = page.take(query.limit.unwrap_or(usize::MAX));
    (fitting.len(), page.map(|status| status.id.0).collect())
}

fn any_status() -> impl Strategy<Value = TorrentStatus> {
    let state = prop_oneof![
        Just(State::Downloading),
        Just(State::Seeding),
        Just(State::Paused)
    ];
    let numbers = (0..4_u64, 0..4_u64, 0..4_u64, 0..4_usize, 0..3_u8);
    let tags = proptest::collection::btree_set("[xy]", 0..3);
    let labels = (proptest::option::of("[cd]"), tags);
    let labels = labels.prop_map(|(category, tags)| Labels { category, tags }.shared());
    let flags = (any::<bool>(), labels);
    (0..12_u64, "[aAbB]{0,3}", state, numbers, flags).prop_map(
        |(id, name, state, (done, rate, uploaded, peers, hops), (blocked, labels))| TorrentStatus {
            state,
            labels,
            done: done * 250 + u64::from(done == 3) * 250,
            size: 1000 + uploaded,
            downloaded: done,
            uploaded,
            down_rate: rate,
            up_rate: rate / 2,
            peers,
            seeds: peers / 2,
            hops,
            blocked: blocked.then(|| "why".into()),
            ..status(id, &name)
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Put(Box<TorrentStatus>),
    Remove(u64),
    Look,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_status().prop_map(|status| Step::Put(Box::new(status))),
        1 => (0..12_u64).prop_map(Step::Remove),
        1 => Just(Step::Look),
    ]
}

fn any_query() -> impl Strategy<Value = Query> {
    let state = proptest::option::of(vec(
        prop_oneof![Just("paused".to_owned()), Just("seeding".to_owned())],
        0..3,
    ));
    let labels = (proptest::option::of("[cd]?"), proptest::option::of("[xy]"));
    let flags = (
        labels,
        proptest::option::of(any::<bool>()),
        proptest::option::of(any::<bool>()),
        proptest::option::of(any::<bool>()),
    );
    (
        proptest::option::of("[aB]{0,2}"),
        state,
        proptest::option::of(0..3_u8),
        flags,
        0..Sort::EACH.len(),
        (any::<bool>(), 0..6_usize, proptest::option::of(0..6_usize)),
    )
        .prop_map(
            |(
                text,
                states,
                hops,
                ((category, tag), moving, complete, blocked),
                sort,
                (descending, offset, limit),
            )| {
                Query {
                    filter: Filter {
                        text,
                        category,
                        tags: tag.into_iter().collect(),
                        states,
                        hops,
                        moving,
                        complete,
                        blocked,
                    },
                    sort: Sort::EACH[sort],
                    descending,
                    offset,
                    limit,
                }
            },
        )
}

proptest! {
    #[test]
    fn pages_are_those_of_a_plain_list(steps in vec(any_step(), 0..60), queries in vec(any_query(), 1..6)) {
        let board = Board::new(3);
        let mut all = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(status) => {
                    put(&board, (*status).clone());
                    all.insert(status.id.0, *status);
                }
                Step::Remove(id) => {
                    board.remove(TorrentId(id));
                    all.remove(&id);
                }
                Step::Look => {}
            }
        }
        for query in queries {
            let page = board.page(&query);
            let due = plainly(&all, &query);
            prop_assert_eq!((page.fitting, numbers(&page.rows)), due, "{:?}", query);
        }
    }

    #[test]
    fn who_follows_the_changes_knows_everything(steps in vec(any_step(), 0..80), seed in any::<u64>()) {
        let board = Board::new(seed);
        let mut all: BTreeMap<u64, TorrentStatus> = BTreeMap::new();
        let mut known: BTreeMap<u64, TorrentStatus> = BTreeMap::new();
        let mut revision = 0;
        for step in steps.into_iter().chain([Step::Look]) {
            match step {
                Step::Put(status) => {
                    put(&board, (*status).clone());
                    all.insert(status.id.0, *status);
                }
                Step::Remove(id) => {
                    board.remove(TorrentId(id));
                    all.remove(&id);
                }
                Step::Look => {
                    let changes = board.changes(revision);
                    prop_assert_eq!(changes.whole, revision == 0);
                    if changes.whole {
                        known.clear();
                    }
                    for id in &changes.removed {
                        known.remove(&id.0);
                    }
                    for status in &changes.torrents {
                        known.insert(status.id.0, (**status).clone());
                    }
                    revision = changes.revision;
                    prop_assert!(revision < 1 << 53);
                    prop_assert_eq!(&known, &all);
                }
            }
        }
    }
}

/// All torrents that have changed since, stretch by stretch.
fn in_stretches(board: &Board, since: u64, most: usize) -> Vec<u64> {
    let outline = board.outline(since);
    let since = if outline.whole { 0 } else { since };
    let mut all = Vec::new();
    let Some(through) = outline.last else {
        return all;
    };
    let mut of = StretchOf {
        after: None,
        through,
        since,
        most,
    };
    loop {
        let stretch = board.stretch(&of);
        assert!(stretch.torrents.len() <= most);
        let Some(last) = stretch.torrents.last() else {
            return all;
        };
        of.after = Some(last.id);
        all.extend(numbers(&stretch.torrents));
    }
}

#[test]
fn stretches_are_the_list_and_end_where_it_ended_when_they_were_begun() {
    let board = Board::new(7);
    assert_eq!(in_stretches(&board, 0, 2), [0; 0]);
    for id in 1..=5 {
        put(&board, status(id, "a"));
    }
    let first = board.outline(0);
    assert_eq!((first.whole, first.last), (true, Some(TorrentId(5))));
    put(&board, status(6, "later"));
    let rest = StretchOf {
        after: Some(TorrentId(3)),
        through: TorrentId(5),
        since: 0,
        most: 10,
    };
    assert_eq!(numbers(&board.stretch(&rest).torrents), [4, 5]);
    for after in [5, 6, 7] {
        let behind = StretchOf {
            after: Some(TorrentId(after)),
            ..rest
        };
        assert_eq!(numbers(&board.stretch(&behind).torrents), [0; 0]);
    }
}

proptest! {
    /// Stretches that say that they are the same are the same, whatever was done in between, and all of them are what has changed.
    #[test]
    fn stretches_with_the_same_revisions_have_the_same_torrents(
        steps in vec((0_u64..12, 0_u64..4, 0_u8..4), 0..60),
        most in 1_usize..5,
    ) {
        let board = Board::new(9);
        let (mut next, mut seen, mut since) = (1, Vec::<(StretchOf, Stretch)>::new(), 0);
        for (id, rate, act) in steps {
            match act {
                0 => {
                    put(&board, status(next, "new"));
                    next += 1;
                }
                1 => board.remove(TorrentId(id)),
                2 => since = board.outline(0).revision,
                _ if board.get(TorrentId(id)).is_some() => {
                    let other = TorrentStatus { down_rate: rate, ..status(id, "new") };
                    put(&board, other);
                }
                _ => {}
            }
            prop_assert_eq!(in_stretches(&board, since, most), numbers(&board.changes(since).torrents));
            let of = StretchOf {
                after: (id > 0).then_some(TorrentId(id)),
                through: TorrentId(10),
                since: 0,
                most,
            };
            let now = board.stretch(&of);
            for (asked, before) in &seen {
                if asked.after == of.after && before.revisions == now.revisions && before.torrents.len() == now.torrents.len() {
                    prop_assert_eq!(&before.torrents, &now.torrents);
                }
            }
            seen.push((of, now));
        }
    }
}
