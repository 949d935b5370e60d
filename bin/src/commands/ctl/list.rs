//! `ctl list`: as many pages as there are.

use control::{Ask, Page, Query};

use super::client::Client;
use super::{Talk, read, tables};
use crate::cli::ctl::ListArgs;
use crate::failure::Failure;

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

pub(super) fn run(args: &ListArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    if let Some(word) = args
        .only
        .iter()
        .find(|word| !STATES.contains(&word.as_str()))
    {
        let why = format!("--only {word}: use one of {}", STATES.join(", "));
        return Err(Failure::Usage(why));
    }
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
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut first = true;
    loop {
        query.limit = Some(left.min(Query::MOST));
        let page: Page = read(client.ask(Ask::List(query.clone()))?)?;
        let given = page.torrents.len();
        if talk.json {
            for torrent in &page.torrents {
                talk.screen.json(torrent)?;
            }
        } else if given > 0 || first {
            talk.screen.write(&tables::list(&page.torrents, first))?;
        }
        first = false;
        query.offset = query.offset.saturating_add(given);
        left = left.saturating_sub(given);
        if given == 0 || left == 0 || query.offset >= page.listed {
            return Ok(());
        }
    }
}
