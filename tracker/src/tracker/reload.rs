//! Taking other settings while clients are answered.

use super::{StartError, TrackerGone};
use crate::settings::{Settings, SettingsError};
use crate::store::StoreError;

/// What came of other settings: the tables that have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What holds from now on.
    pub changed: Vec<&'static str>,
    /// What holds when the tracker starts again.
    pub at_next_start: Vec<&'static str>,
}

/// Why other settings are not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// They cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] StartError),
    /// The lists.
    #[error("lists and keys stay what they were: {0}")]
    Lists(#[from] StoreError),
    /// There is no tracker.
    #[error(transparent)]
    Gone(TrackerGone),
}

/// The settings that hold when `new` come while `old` hold, and what came of each of them.
pub(super) fn merge(old: &Settings, new: &Settings) -> (Settings, Reloaded) {
    let mut kept = old.clone();
    let mut reloaded = Reloaded::default();
    let mut live = |name, is_same: bool| {
        if !is_same {
            reloaded.changed.push(name);
        }
    };
    live("stop_seconds", old.stop_seconds == new.stop_seconds);
    live("announce", old.announce == new.announce);
    live("access", old.access == new.access);
    live(
        "swarms.sweep_seconds",
        old.swarms.sweep_seconds == new.swarms.sweep_seconds,
    );
    let (was, is) = (&old.database, &new.database);
    let paces = |it: &crate::settings::DatabaseSettings| (it.write_seconds, it.reload_seconds);
    live(
        "database.write_seconds, database.reload_seconds",
        paces(was) == paces(is),
    );
    kept.stop_seconds = new.stop_seconds;
    kept.announce = new.announce.clone();
    kept.access = new.access.clone();
    kept.swarms.sweep_seconds = new.swarms.sweep_seconds;
    kept.database.write_seconds = new.database.write_seconds;
    kept.database.reload_seconds = new.database.reload_seconds;
    // Servers stay where they are, with other certificates and tokens.
    for (kept, new) in kept.http.iter_mut().zip(&new.http) {
        if kept.bind == new.bind && kept.certificate.is_some() == new.certificate.is_some() {
            kept.certificate.clone_from(&new.certificate);
            kept.private_key.clone_from(&new.private_key);
        }
    }
    if let (Some(kept), Some(new)) = (&mut kept.api, &new.api)
        && kept.bind == new.bind
        && kept.certificate.is_some() == new.certificate.is_some()
    {
        live("api.tokens", kept.tokens == new.tokens);
        kept.tokens.clone_from(&new.tokens);
        kept.certificate.clone_from(&new.certificate);
        kept.private_key.clone_from(&new.private_key);
    }
    for (name, is_same) in [
        ("workers", kept.workers == new.workers),
        ("external_ip", kept.external_ip == new.external_ip),
        ("swarms", kept.swarms == new.swarms),
        ("database", kept.database == new.database),
        ("udp", kept.udp == new.udp),
        ("http", kept.http == new.http),
        ("api", kept.api == new.api),
        ("health", kept.health == new.health),
    ] {
        if !is_same {
            reloaded.at_next_start.push(name);
        }
    }
    (kept, reloaded)
}
