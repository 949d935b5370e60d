//! What a daemon keeps beside its torrents: settings that were changed while it ran.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use engine::Settings;
use engine::settings::{Patch, Value};
use state::{Batch, Keeper, StateError};
use tokio::sync::oneshot;

use crate::screen::Screen;

/// What names of settings begin with in the store.
const PREFIX: &str = "engine.";

/// How long it is waited for the disk before it is said that it takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The settings that were kept. Those that this build does not know, or that can no longer be, are told of and passed over; they
/// stay in the store.
///
/// # Errors
/// [`StateError`].
pub(crate) fn settings(keeper: &Keeper, screen: &Screen) -> Result<Patch, StateError> {
    let mut patch = Patch::new();
    for (name, value) in keeper.with_store(state::Store::settings)? {
        let Some(key) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let read = serde_json::from_slice::<Value>(&value).map_err(|error| error.to_string());
        let read = read.and_then(|value| {
            let one = Patch::new().with(key, value.clone());
            let fits = Settings::default().with(&one);
            fits.map(|_| value).map_err(|error| error.to_string())
        });
        match read {
            Ok(value) => patch = patch.with(key, value),
            Err(why) => {
                let line = format_args!("the setting {key} that was kept is passed over: {why}");
                screen.warn("warning", line);
            }
        }
    }
    Ok(patch)
}

/// The batch that keeps settings, and forgets others.
pub(crate) fn batch(set: &Patch, reset: &[String]) -> Batch {
    let mut batch = Batch::new();
    for key in reset {
        batch.setting(&format!("{PREFIX}{key}"), None);
    }
    for (key, value) in set.iter() {
        let value = serde_json::to_vec(value).unwrap_or_default();
        batch.setting(&format!("{PREFIX}{key}"), Some(value.into()));
    }
    batch
}

/// Waits until all that was taken before is on the disk.
///
/// # Errors
/// Why it is not.
pub(crate) async fn on_disk(keeper: &Arc<Keeper>) -> Result<(), String> {
    let (told, written) = oneshot::channel();
    keeper.flush(move |written| {
        let _ = told.send(written.map_err(|error| error.to_string()));
    });
    match tokio::time::timeout(PATIENCE, written).await {
        Ok(Ok(written)) => written,
        Ok(Err(_)) => Err("the state is closed".to_owned()),
        Err(_) => Err("the disk has not taken it yet; it is kept as soon as it does".to_owned()),
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

/// The keys of settings among all that is kept under a name.
pub(crate) fn keys<T>(named: Vec<(String, T)>) -> impl Iterator<Item = String> {
    let keys = named.into_iter();
    keys.filter_map(|(name, _)| name.strip_prefix(PREFIX).map(str::to_owned))
}
