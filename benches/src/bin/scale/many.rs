//! Torrents by the ten thousands in the daemon: how they are listed, changed and queued.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use control::{Ask, LabelsOf, Query, QueueOf, SettingsChange, Which};
use serde_json::json;

use crate::crowd;
use benches::daemon::{Channel, Daemon};
use benches::process::{load, wait};
use benches::torrents::{Torrents, name};

/// How often each thing is asked.
const TIMES: usize = 50;

/// What a list can be sorted by.
const SORTS: [&str; 14] = [
    "added",
    "downloaded",
    "down_rate",
    "hops",
    "left",
    "name",
    "peers",
    "progress",
    "ratio",
    "seeds",
    "size",
    "state",
    "uploaded",
    "up_rate",
];

pub(crate) fn measure(
    program: &Path,
    torrents: &Torrents,
    state: &Path,
    idle: Duration,
) -> Result<(), Box<dyn Error>> {
    println!("\n{} torrents, load {:.1}", torrents.count, load());
    fs::create_dir_all(state)?;
    let daemon = Daemon::new(program);
    let (process, mut channel) = daemon.start(state)?;
    wait(Duration::from_secs(3));
    let before = process.memory()?;
    channel.add(torrents, true)?;
    let took = process.started.elapsed();
    crowd::head();
    crowd::print(
        "tribler-rs",
        ("paused", "added"),
        &crowd::run((process, took), before, torrents.count, idle)?,
    );
    let (process, _, took) = daemon.start_with(state, torrents.count)?;
    crowd::print(
        "tribler-rs",
        ("paused", "restarted"),
        &crowd::run((process, took), before, torrents.count, idle)?,
    );
    let (process, mut channel, _) = daemon.start_with(state, torrents.count)?;
    pages(&mut channel, torrents.count)?;
    commands(&mut channel)?;
    println!("\nin the queue, 5 of {} running at a time", torrents.count);
    channel.ask(Ask::Settings(SettingsChange {
        set: [
            ("queue.downloads", 5),
            ("queue.seeds", 5),
            ("queue.active", 5),
        ]
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .into(),
        ..SettingsChange::default()
    }))?;
    let (begin, cpu) = (Instant::now(), process.cpu()?);
    channel.ask(Ask::Resume(Which {
        all: true,
        ..Which::default()
    }))?;
    let took = begin.elapsed();
    println!(
        "all resumed in {:.3} s, {:.3} s of CPU",
        took.as_secs_f64(),
        process.cpu()?.saturating_sub(cpu).as_secs_f64()
    );
    wait(Duration::from_secs(5));
    crowd::head();
    let run = crowd::run((process, took), before, torrents.count, idle)?;
    crowd::print("tribler-rs", ("queued", "resumed"), &run);
    let (process, mut channel, took) = daemon.start_with(state, torrents.count)?;
    times("a torrent to the top of the queue", |round| {
        channel
            .ask(Ask::Queue(QueueOf {
                torrents: vec![name(round * 37 % torrents.count)],
                to: Some("top".to_owned()),
            }))
            .map(drop)
    })?;
    let run = crowd::run((process, took), before, torrents.count, idle)?;
    crowd::head();
    crowd::print("tribler-rs", ("queued", "restarted"), &run);
    Ok(())
}

/// Asks for pages of 100 in the middle, sorted by each and filtered.
fn pages(channel: &mut Channel, torrents: usize) -> Result<(), Box<dyn Error>> {
    println!("\na page of 100 over the command channel, its JSON included");
    let page = Query {
        offset: torrents / 3,
        limit: Some(100),
        ..Query::default()
    };
    for sort in SORTS {
        let query = Query {
            sort: Some(sort.to_owned()),
            descending: true,
            ..page.clone()
        };
        times(&format!("by {sort}"), |_| {
            channel.ask(Ask::List(query.clone())).map(drop)
        })?;
    }
    let of = |change: fn(&mut Query)| {
        let mut query = page.clone();
        change(&mut query);
        query
    };
    let filters = [
        (
            "text that all have",
            of(|query| query.name = Some("Ordinary".to_owned())),
        ),
        (
            "text that a tenth has",
            of(|query| {
                query.name = Some("7.BIN".to_owned());
                query.offset = 0;
            }),
        ),
        (
            "text that none has",
            of(|query| query.name = Some("nowhere to be found".to_owned())),
        ),
        (
            "a state",
            of(|query| query.states = vec!["paused".to_owned()]),
        ),
        (
            "no category",
            of(|query| query.category = Some(String::new())),
        ),
        ("a tag", of(|query| query.tags = vec!["none".to_owned()])),
        ("complete", of(|query| query.complete = Some(true))),
    ];
    for (what, query) in filters {
        let query = Query {
            sort: Some("name".to_owned()),
            ..query
        };
        times(&format!("by name, {what}"), |_| {
            channel.ask(Ask::List(query.clone())).map(drop)
        })?;
    }
    Ok(())
}

/// Gives one torrent after the other a tag.
fn commands(channel: &mut Channel) -> Result<(), Box<dyn Error>> {
    println!("\ncommands");
    times("a torrent gets a tag", |round| {
        channel
            .ask(Ask::Label(LabelsOf {
                torrents: vec![name(round)],
                add: vec!["seen".to_owned()],
                ..LabelsOf::default()
            }))
            .map(drop)
    })
}

/// Does something often, and prints how long it took.
fn times(
    what: &str,
    mut act: impl FnMut(usize) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut took = Vec::with_capacity(TIMES);
    for round in 0..TIMES {
        let begin = Instant::now();
        act(round)?;
        took.push(begin.elapsed());
    }
    took.sort_unstable();
    let ms = |at: usize| took[at].as_secs_f64() * 1000.0;
    println!(
        "{what:<40} median {:>8.2} ms, 9 of 10 within {:>8.2} ms",
        ms(TIMES / 2),
        ms(TIMES * 9 / 10)
    );
    Ok(())
}
