//! What a daemon keeps beside its torrents: settings that were changed while it ran.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use engine::Settings;
use engine::settings::{Patch, Value};
use state::{Keeper, StateError};
use tokio::sync::oneshot;

use crate::screen::Screen;

/// What names of settings begin with in the store.
pub(super) const PREFIX: &str = "engine.";

/// How long it is waited for the disk before it is said that it takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keys that say where traffic leaves, and their options: without what was set nothing may.
const WAY_OUT: [(&str, &str); 2] = [("network.bind", "--bind"), ("network.proxy", "--proxy")];

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Traffic would leave by another way than was set.
    #[error(
        "the setting {key} that was kept cannot be used ({why}), and without it everything would leave another way: nothing does. \
         Say {flag} to begin with another, or bring back a backup with `restore`"
    )]
    WayOut {
        /// What was set.
        key: &'static str,
        /// The option of the command line that stands for it.
        flag: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// The settings that were kept. Those that this build does not know, or that can no longer be, are told of and passed over; they
/// stay in the store. `given` are keys for which the command line has something.
///
/// # Errors
/// [`KeptError`].
pub(crate) fn settings(
    keeper: &Keeper,
    given: &[&str],
    screen: &Screen,
) -> Result<Patch, KeptError> {
    let mut patch = Patch::new();
    for (name, value) in keeper.with_store(state::Store::settings)? {
        let Some(key) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let why = match read(key, &value) {
            Ok(value) => {
                patch = patch.with(key, value);
                continue;
            }
            Err(why) => why,
        };
        let mut ways = WAY_OUT.iter().filter(|(key, _)| !given.contains(key));
        if let Some((key, flag)) = ways.find(|(way, _)| *way == key) {
            return Err(KeptError::WayOut { key, flag, why });
        }
        let line = format_args!("the setting {key} that was kept is passed over: {why}");
        screen.warn("warning", line);
    }
    Ok(patch)
}

/// What was kept of a setting, if it can be.
fn read(key: &str, kept: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(kept).map_err(|error| error.to_string())?;
    let one = Patch::new().with(key, value.clone());
    let fits = Settings::default().with(&one);
    fits.map(|_| value).map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use state::{Batch, Folder, KeeperOptions};

    use super::*;

    #[test]
    fn a_way_out_that_was_kept_and_cannot_be_used_is_no_reason_to_take_another() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().to_owned());
        let (keeper, _) = Keeper::open(Arc::new(folder), KeeperOptions::default()).unwrap();
        let screen = Screen::new(true);
        for (key, value) in [("queue.nothing", "7"), ("network.bind", "7")] {
            let mut batch = Batch::new();
            batch.setting(&format!("{PREFIX}{key}"), Some(value.as_bytes().into()));
            keeper.offer(batch).unwrap();
            let (told, written) = std::sync::mpsc::channel();
            keeper.flush(move |_| told.send(()).unwrap());
            written.recv().unwrap();
            let kept = settings(&keeper, &[], &screen);
            assert_eq!(kept.is_ok(), key != "network.bind", "{kept:?}");
        }
        assert!(settings(&keeper, &["network.bind"], &screen).is_ok());
    }
}
