//! What a daemon does by itself: it takes torrents from folders and from feeds.
//!
//! [`watching`] folders; [`feeding`] feeds, and [`fetching`] what is fetched for them; [`taking`] a torrent from either. What is taken is for the
//! rules of the room `habits` to say. All of it is kept in the store, under names of its own.

mod feeding;
mod fetching;
mod taking;
mod watching;

use std::sync::Arc;

use net::{Pool, Task};
use serde::Serialize;
use state::{Batch, Keeper};

pub(crate) use feeding::Feeding;
pub(crate) use fetching::fetch_feed;
pub(crate) use watching::Watching;

use super::desk::Desk;

/// Folders are watched and feeds are looked at for as long as this lives.
#[derive(Debug)]
pub(crate) struct Habits {
    _watching: Task<()>,
    _feeding: Task<()>,
}

/// Starts to watch folders and to look at feeds.
pub(crate) fn start(desk: &Arc<Desk>, pool: &Pool) -> Habits {
    Habits {
        _watching: pool.spawn(watching::run(Arc::clone(desk))),
        _feeding: pool.spawn(feeding::run(Arc::clone(desk), pool.clone())),
    }
}

/// Events of a daemon that are no engine's, by their words.
pub(crate) const WORDS: [&str; 4] = ["feed_failed", "feed_taken", "watch_failed", "watch_taken"];

/// Keeps something under a name, or forgets it.
fn keep(keeper: &Keeper, name: &str, what: Option<&impl Serialize>) -> Result<(), String> {
    let bytes = what.map(serde_json::to_vec).transpose();
    let bytes = bytes.map_err(|error| error.to_string())?;
    let mut batch = Batch::new();
    batch.setting(name, bytes.map(Into::into));
    let offered = keeper.offer(batch);
    offered.map_err(|error| error.to_string())
}

/// What is kept under names that begin so, by the rest of the name; what cannot be read is passed over, and stays in the store.
fn kept<T: serde::de::DeserializeOwned>(
    keeper: &Keeper,
    prefix: &str,
) -> Result<Vec<(String, T)>, state::StateError> {
    let all = keeper.with_store(state::Store::settings)?.into_iter();
    let ours = all.filter_map(|(name, value)| {
        let rest = name.strip_prefix(prefix)?;
        let read = serde_json::from_slice(&value)
            .inspect_err(|error| tracing::warn!(name, %error, "what was kept is passed over"));
        Some((rest.to_owned(), read.ok()?))
    });
    Ok(ours.collect())
}
