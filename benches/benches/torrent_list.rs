//! 50,000 torrents of which a few are at work: what has changed, and pages of 100 by several orders and filters.

#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use engine::board::Board;
use engine::{
    Filter, Labels, Modes, Query, SeedingRule, Sort, State, SwarmCounts, TorrentId, TorrentStatus,
};
use protocol::id::{InfoHash, InfoHashes};

const TORRENTS: u64 = 50_000;

/// Well stirred.
const fn stirred(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    (number ^ (number >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d)
}

/// Those of a torrent: one of three has some.
fn labels(random: u64) -> Option<Arc<Labels>> {
    let labels = match random % 6 {
        0 => Labels {
            category: Some("films".to_owned()),
            ..Labels::default()
        },
        1 => Labels {
            tags: ["seen".to_owned(), "liked".to_owned()].into(),
            ..Labels::default()
        },
        _ => Labels::default(),
    };
    labels.shared()
}

/// A torrent whose name begins as many do, in a state of its own; `round` is the time at which it stands so.
fn status(number: u64, round: u64) -> TorrentStatus {
    let random = stirred(number);
    let state = match random % 10 {
        0 => State::Downloading,
        1..=5 => State::Seeding,
        _ => State::Paused,
    };
    TorrentStatus {
        id: TorrentId::from(number),
        hashes: InfoHashes::v1(InfoHash([random as u8; 20])),
        name: format!(
            "The.Same.Beginning.of.a.Long.Name.{:06}.1080p",
            random % 1_000_000
        ),
        dir: std::path::Path::new("/content").into(),
        added: number.cast_signed(),
        labels: labels(random),
        state,
        queue: None,
        seeding: SeedingRule::default(),
        modes: Modes::default(),
        hops: (random % 4) as u8,
        blocked: None,
        size: random % (1 << 40),
        pieces: 1 << 10,
        wanted: 1 << 30,
        done: random % (1 << 30),
        downloaded: random % (1 << 30),
        uploaded: random % (1 << 31),
        wasted: 0,
        down_rate: stirred(number + round) % 1000,
        up_rate: 0,
        peers: (random % 50) as usize,
        connections: Arc::from([]),
        seeds: (random % 20) as usize,
        web_seeds: Vec::new(),
        newer: None,
        local_data: Arc::from([]),
        swarm: SwarmCounts::default(),
        age: Duration::from_secs(round),
        reason: None,
        moving: None,
    }
}

fn board() -> Board {
    let board = Board::new(1);
    for number in 1..=TORRENTS {
        board.put(&mut Arc::new(status(number, 0)));
    }
    board
}

fn changes(c: &mut Criterion) {
    let board = board();
    let all = board.changes(0).revision;
    for number in (1..=TORRENTS).step_by(500) {
        board.put(&mut Arc::new(status(number, 1)));
    }
    let mut group = c.benchmark_group("torrent_list");
    group.bench_function("changes_none", |b| {
        let now = board.changes(all).revision;
        b.iter(|| black_box(board.changes(black_box(now))));
    });
    group.bench_function("changes_100", |b| {
        b.iter(|| black_box(board.changes(black_box(all))));
    });
    group.bench_function("changes_everything", |b| {
        b.iter(|| black_box(board.changes(0)));
    });
    group.bench_function("put", |b| {
        let mut round = 1;
        b.iter(|| {
            round += 1;
            board.put(&mut Arc::new(status(stirred(round) % TORRENTS + 1, round)))
        });
    });
    group.finish();
}

fn pages(c: &mut Criterion) {
    let board = board();
    let mut group = c.benchmark_group("torrent_list");
    let filters = [
        ("all", Filter::default()),
        (
            "text_and_state",
            Filter {
                text: Some("1080P".to_owned()),
                states: Some(vec!["seeding".to_owned(), "downloading".to_owned()]),
                ..Filter::default()
            },
        ),
        (
            "text_of_few",
            Filter {
                text: Some("77.1080".to_owned()),
                ..Filter::default()
            },
        ),
        (
            "no_category",
            Filter {
                category: Some(String::new()),
                ..Filter::default()
            },
        ),
        (
            "tag",
            Filter {
                tags: vec!["seen".to_owned()],
                ..Filter::default()
            },
        ),
    ];
    for (name, filter) in filters {
        for sort in [Sort::Added, Sort::Name, Sort::DownRate, Sort::Ratio] {
            let query = Query {
                filter: filter.clone(),
                sort,
                descending: true,
                // Where the fewest fit, there is a page still.
                offset: TORRENTS as usize / 200,
                limit: Some(100),
            };
            group.bench_function(format!("page_{}_{name}", sort.word()), |b| {
                b.iter(|| {
                    let page = board.page(black_box(&query));
                    assert_eq!(page.rows.len(), 100);
                    black_box(page)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, changes, pages);
criterion_main!(benches);
