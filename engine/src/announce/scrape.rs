//! What the trackers of a torrent know of its swarm, asked for once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use protocol::id::InfoHash;

use crate::SwarmCounts;
use crate::announce::desk::Desk;
use crate::announce::tracker::Tracker;

/// Trackers of a torrent that are asked; the first of the list.
const MOST_TRACKERS: usize = 16;

/// How long their answers are waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Scrapes the trackers of a torrent under each of its hashes, all at once; those that do not answer in time are missing. The
/// two swarms of a hybrid are counted apart, and most of their peers are in both.
pub(crate) async fn scrape(
    desk: &Desk,
    trackers: &[Vec<String>],
    names: &[InfoHash],
) -> BTreeMap<(Arc<str>, InfoHash), SwarmCounts> {
    let urls = trackers.iter().flatten().map(|url| Arc::from(url.trim()));
    let usable = urls
        .filter_map(|url| Tracker::parse(&url))
        .take(MOST_TRACKERS);
    let both = usable.flat_map(|tracker| names.iter().map(move |name| (tracker.clone(), *name)));
    let asked = both.map(|(tracker, torrent)| async move {
        let answer = tokio::time::timeout(PATIENCE, desk.scrape(&tracker, torrent)).await;
        match answer.ok()? {
            Ok(entry) => Some((
                (tracker.text, torrent),
                SwarmCounts {
                    seeds: Some(entry.complete),
                    leechers: Some(entry.incomplete),
                    downloaded: Some(entry.downloaded),
                },
            )),
            Err(error) => {
                tracing::debug!(tracker = %tracker.place, %error, "no scrape");
                None
            }
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}
