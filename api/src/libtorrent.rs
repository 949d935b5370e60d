//! Settings and figures in the words of libtorrent, as far as they are the same: `docs/libtorrent.md` has the whole map.

mod fixed;
mod names;
mod of_hops;

use axum::extract::{Request, State};
use axum::routing::get;
use engine::Settings;
use serde_json::{Map, Value, json};

use self::fixed::{FIXED, derived};
use self::names::NAMES;

use crate::asked::Query;
use crate::describe::About;
use crate::describe::shapes::{count, map, object};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let of_hop = |summary, word: &'static str| {
        About::new(summary)
            .asks(
                "hop",
                count(),
                "By how many hops, 0 to 3; there are none of others",
            )
            .answers(object(&[("hop", count()), (word, map(json!({})))]))
            .refuses(&[400])
    };
    vec![
        route(
            "GET",
            "/libtorrent/session",
            get(session),
            of_hop("Counters of the engine", "session"),
        ),
        route(
            "GET",
            "/libtorrent/settings",
            get(settings),
            of_hop("Settings of the engine", "settings"),
        ),
    ]
}

/// The most hops that torrents go by.
const MOST_HOPS: u64 = 3;

/// The number of hops that is asked about.
fn hop(request: &Request) -> Result<u64, Problem> {
    Ok(Query::of(request.uri()).number("hop")?.unwrap_or_default())
}

/// The counters of the engine, which carries all torrents; of those that have hops, what can be told of them alone.
async fn session(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let hop = hop(&request)?;
    let figures = match hop {
        0 => {
            let metrics = shared.engine().metrics().await?;
            let all = metrics.iter();
            let mut figures: Map<String, Value> = all
                .map(|it| (it.about.name.to_owned(), it.value.into()))
                .collect();
            // Names that libtorrent has beside these, for the same or for what never happens.
            let forbidden = metrics.get("peer.no_access_peers").unwrap_or_default();
            figures.insert("peer.perm_peers".to_owned(), forbidden.into());
            figures.insert("peer.aborted_peers".to_owned(), 0.into());
            figures
        }
        1..=MOST_HOPS => of_hops::figures(&shared.engine().changes(0).torrents, hop),
        _ => Map::new(),
    };
    Ok(Answer(json!({"hop": hop, "session": figures})))
}

/// The settings of the engine, and what is as fixed as a setting that has one value; for torrents that have hops with what holds of
/// their way.
async fn settings(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let hop = hop(&request)?;
    let mut shown = Map::new();
    if hop <= MOST_HOPS {
        let now = shared.engine().settings();
        shown.extend(own(&now));
        if hop > 0 {
            let way = of_hops::SETTINGS.iter();
            shown.extend(way.map(|(name, value)| ((*name).to_owned(), value.json())));
        }
    }
    Ok(Answer(json!({"hop": hop, "settings": shown})))
}

/// All settings, as they are for the direct way.
fn own(now: &Settings) -> impl Iterator<Item = (String, Value)> {
    let same = NAMES.iter().map(|(name, path, kind)| {
        let value = Settings::key(path).map(|key| key.of(now));
        let value = value.map_or(Value::Null, |it| kind.of(&it));
        ((*name).to_owned(), value)
    });
    let fixed = FIXED.iter();
    let fixed = fixed.map(|(name, value)| ((*name).to_owned(), value.json()));
    let derived = derived(now).into_iter();
    same.chain(fixed)
        .chain(derived.map(|(name, value)| (name.to_owned(), value)))
}

#[cfg(test)]
mod tests;
