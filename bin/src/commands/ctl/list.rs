//! `ctl list`: as many pages as there are, once or again and again.

use std::collections::HashMap;
use std::time::Duration;

use control::{Ask, Events, Page, Query, Torrent};

use super::client::Client;
use super::{Talk, read, tables};
use crate::cli::ctl::ListArgs;
use crate::failure::Failure;
use crate::screen::terminal;

/// The words of states.
const STATES: [&str; 7] = [
    "checking",
    "downloading",
    "error",
    "metadata",
    "paused",
    "queued",
    "seeding",
];

/// How often a list that is watched is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Clears a terminal and goes to its beginning.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(super) fn run(
    args: &ListArgs,
    connect: impl Fn() -> Result<Client, Failure>,
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    if let Some(word) = args
        .only
        .iter()
        .find(|word| !STATES.contains(&word.as_str()))
    {
        let why = format!("--only {word}: use one of {}", STATES.join(", "));
        return Err(Failure::Usage(why));
    }
    let mut client = connect()?;
    let mut query = Query {
        states: args.only.clone(),
        name: args.name.clone(),
        category: args.category.clone(),
        tags: args.tag.clone(),
        hops: args.hops,
        moving: args.moving.then_some(true),
        complete: match (args.complete, args.incomplete) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            (false, false) => None,
        },
        blocked: args.blocked.then_some(true),
        sort: args.sort.clone(),
        descending: args.descending,
        offset: args.offset,
        limit: None,
    };
    if args.count {
        query.limit = Some(0);
        let page: Page = read(client.ask(Ask::List(query))?)?;
        return if talk.json {
            talk.screen
                .json(&serde_json::json!({"all": page.all, "listed": page.listed}))
        } else {
            talk.screen.say(page.listed)
        };
    }
    if args.watch {
        return watch((&query, args.limit), (client, connect()?), talk);
    }
    let mut first = true;
    pages(query, args.limit, &mut client, |torrents| {
        if talk.json {
            return torrents
                .iter()
                .try_for_each(|torrent| talk.screen.json(torrent));
        }
        if !torrents.is_empty() || first {
            let columns = terminal().map(|(_, columns)| columns);
            talk.write(&tables::list(torrents, first, columns), tables::BEHIND_HASH)?;
        }
        first = false;
        Ok(())
    })
}

/// Asks for page after page.
fn pages(
    mut query: Query,
    most: Option<usize>,
    client: &mut Client,
    mut take: impl FnMut(&[Torrent]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = most.unwrap_or(usize::MAX);
    loop {
        query.limit = Some(left.min(Query::MOST));
        let page: Page = read(client.ask(Ask::List(query.clone()))?)?;
        let given = page.torrents.len();
        take(&page.torrents)?;
        query.offset = query.offset.saturating_add(given);
        left = left.saturating_sub(given);
        if given == 0 || left == 0 || query.offset >= page.listed {
            return Ok(());
        }
    }
}

/// Shows the list again and again, until the daemon ends or nobody reads it.
fn watch(
    (query, most): (&Query, Option<usize>),
    (mut client, mut events): (Client, Client),
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    // Whoever listens hears of the end at once.
    events.ask(Ask::Events(Events {
        categories: vec!["stopping".to_owned()],
        since: None,
    }))?;
    let mut shown: HashMap<String, Torrent> = HashMap::new();
    let mut first = true;
    loop {
        if let Some((rows, columns)) = terminal().filter(|_| !talk.json) {
            // A line says what is what, and the cursor has one.
            let most = most.unwrap_or(usize::MAX).min(rows.saturating_sub(2));
            let mut text = String::from(CLEAR);
            pages(query.clone(), Some(most), &mut client, |torrents| {
                for line in tables::list(torrents, text == CLEAR, Some(columns)).lines() {
                    text.extend(line.chars().take(columns));
                    text.push('\n');
                }
                Ok(())
            })?;
            talk.screen.write(&text)?;
        } else {
            let mut now = HashMap::new();
            pages(query.clone(), most, &mut client, |torrents| {
                for torrent in torrents {
                    now.insert(torrent.info_hash.clone(), torrent.clone());
                    if shown.get(&torrent.info_hash) == Some(torrent) {
                        continue;
                    }
                    if talk.json {
                        talk.screen.json(torrent)?;
                    } else {
                        let row = tables::list(std::slice::from_ref(torrent), first, None);
                        talk.screen.write(&row)?;
                        first = false;
                    }
                }
                Ok(())
            })?;
            shown = now;
        }
        if talk.screen.has_no_reader() {
            return Ok(());
        }
        events.within(LOOK)?;
    }
}
