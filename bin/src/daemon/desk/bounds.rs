//! Settings and limits, changed while the daemon runs.

use std::collections::BTreeSet;

use control::{Code, LimitsOf, Refusal, Setting, SettingsChange};
use engine::settings::{Patch, Value as Given};
use engine::{CommandError, Limits, Settings, TorrentId};
use serde_json::{Value, json};

use super::{Desk, refused};

impl Desk {
    /// Changes settings, keeps that, and tells what they are.
    pub(super) async fn change_settings(&self, change: SettingsChange) -> Result<Value, Refusal> {
        let wrong = |why: String| Refusal::new(Code::Wrong, why);
        let mut set = Patch::new();
        for (key, value) in change.set {
            let given: Given = serde_json::from_value(value).map_err(|_| {
                wrong(format!(
                    "{key}: a setting is a word, a number or true or false"
                ))
            })?;
            set = set.with(&key, given);
        }
        let asked = change.reset.iter().chain(&change.get);
        // Of those that are set the engine says what is wrong.
        let set_too = |key: &&String| set.iter().any(|(other, _)| other == key.as_str());
        for key in asked.filter(|key| !set_too(key)) {
            if Settings::key(key).is_none() {
                return Err(wrong(format!(
                    "there is no setting {key}: `ctl settings` lists all"
                )));
            }
        }
        let begun = self.begun.lock().await;
        let mut all = Patch::new();
        for key in &change.reset {
            if let Some(known) = Settings::key(key) {
                all = all.with(key, known.of(&begun));
            }
        }
        for (key, value) in set.iter() {
            all = all.with(key, value.clone());
        }
        let mut unsaved = None;
        if !all.is_empty() {
            let now = self.engine.set_settings(all).await;
            let now = now.map_err(|error| refused(&error))?;
            // As they came to be, in their usual form.
            let keys: Vec<String> = set.iter().map(|(key, _)| key.to_owned()).collect();
            let mut set = Patch::new();
            for key in keys.iter().filter_map(|key| Settings::key(key)) {
                set = set.with(key.path, key.of(&now));
            }
            unsaved = self.keep(&set, &change.reset).await.err();
        }
        let kept = self.kept_keys();
        let settings = self.engine.settings();
        let told = Settings::keys().filter(|key| {
            change.get.is_empty() || change.get.iter().any(|wanted| wanted == key.path)
        });
        let told: Vec<Setting> = told
            .map(|key| Setting {
                key: key.path.to_owned(),
                value: serde_json::to_value(key.of(&settings)).unwrap_or_default(),
                kept: kept.contains(key.path),
            })
            .collect();
        Ok(json!({"settings": told, "unsaved": unsaved}))
    }

    async fn keep(&self, set: &Patch, reset: &[String]) -> Result<(), String> {
        let reset = reset.iter().map(|key| (key.clone(), None));
        let set = set.iter().map(|(key, value)| {
            let value = serde_json::to_vec(value).unwrap_or_default();
            (key.to_owned(), Some(value))
        });
        self.changed.keep(reset.chain(set)).await
    }

    /// The keys whose values are kept.
    pub(super) fn kept_keys(&self) -> BTreeSet<String> {
        self.changed.all().into_keys().collect()
    }

    /// Bounds what torrents move, or all of them together.
    pub(super) async fn limit(&self, limits: LimitsOf) -> Result<Value, Refusal> {
        if limits.torrents.is_empty() {
            return self.limit_all(limits).await;
        }
        let torrents = self.which(limits.torrents.clone(), false)?;
        let limits = &limits;
        self.each(torrents, |id| self.limit_one(id, limits)).await
    }

    async fn limit_one(&self, id: TorrentId, limits: &LimitsOf) -> Result<(), CommandError> {
        if limits.down.is_some() || limits.up.is_some() {
            let now = self.engine.limits(id).await?;
            let rate = |said: Option<u64>, now| match said {
                Some(0) => None,
                Some(rate) => Some(rate),
                None => now,
            };
            let new = Limits {
                down: rate(limits.down, now.down),
                up: rate(limits.up, now.up),
            };
            self.engine.set_limits(Some(id), new).await?;
        }
        if let Some(most) = limits.max_peers {
            let most = Some(most).filter(|most| *most > 0);
            self.engine.set_max_peers(id, most).await?;
        }
        if let Some(slots) = limits.upload_slots {
            let slots = Some(slots).filter(|slots| *slots > 0);
            self.engine.set_upload_slots(id, slots).await?;
        }
        Ok(())
    }

    /// The bounds of all together are settings.
    async fn limit_all(&self, limits: LimitsOf) -> Result<Value, Refusal> {
        let mut change = SettingsChange::default();
        for (key, rate) in [("limits.down", limits.down), ("limits.up", limits.up)] {
            if let Some(rate) = rate {
                change.set.insert(key.to_owned(), rate.into());
            }
        }
        if let Some(most) = limits.max_peers {
            change.set.insert("connections.max".to_owned(), most.into());
        }
        if let Some(slots) = limits.upload_slots {
            change.set.insert(SLOTS.to_owned(), slots.into());
        }
        change.get = change.set.keys().cloned().collect();
        if change.get.is_empty() {
            let why = "say what to bound: down, up, max_peers or upload_slots";
            return Err(Refusal::new(Code::Wrong, why));
        }
        self.change_settings(change).await
    }
}

/// How many peers are served at a time, of a torrent of which nothing else is said.
const SLOTS: &str = "choking.slots";
