//! What a change of settings comes to: settings of ours that change, and what is only kept.

use axum::http::StatusCode;
use control::{Ask, SettingsChange};
use serde_json::{Map, Value, json};

use super::PREFIX;
use super::proxy::{Part, Way};
use super::tree::{self, Effect, Key};
use crate::asked::Object;
use crate::problem::{Answer, Problem};
use crate::shared::Shared;

/// What to do for a change.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) change: SettingsChange,
    pub(crate) remember: Map<String, Value>,
    /// Keys of which nothing comes.
    pub(crate) idle: Vec<String>,
}

impl Plan {
    /// What is to be done for what is said, where `now` shows the value of a key, and this is the address of the proxy.
    ///
    /// # Errors
    /// 400 where a key is not there, or cannot have its value.
    pub(crate) fn of(
        said: &Object,
        proxy: Option<&str>,
        now: impl Fn(&Key) -> Value,
    ) -> Result<Self, Problem> {
        let mut plan = Self::default();
        let mut way = Way::of(proxy);
        // The parts of the proxy that are said.
        let mut parts = Vec::new();
        for (section, keys) in &said.0 {
            let Value::Object(keys) = keys else {
                return Err(unknown("None", section));
            };
            for (name, value) in keys {
                let key = tree::find(section, name).ok_or_else(|| unknown(section, name))?;
                if *value == now(key) {
                    continue;
                }
                key.check(value)
                    .map_err(|why| Problem::wrong(format!("{}: {why}", key.path())))?;
                if let Effect::Proxy(part) = key.effect {
                    way.set(part, value);
                    parts.push((part, key.path()));
                } else {
                    plan.take(key, value.clone());
                }
            }
        }
        if !parts.is_empty() {
            let url = way
                .url()
                .map_err(|why| Problem::wrong(format!("libtorrent.proxy_*: {why}")))?;
            if url.is_empty() {
                // Of where no proxy is, nothing is kept.
                let lost = parts.iter().filter(|(part, _)| *part != Part::Kind);
                plan.idle.extend(lost.map(|(_, path)| path.clone()));
            }
            let set = &mut plan.change.set;
            set.insert("network.proxy".to_owned(), url.into());
        }
        Ok(plan)
    }

    fn take(&mut self, key: &Key, value: Value) {
        let set = &mut self.change.set;
        match key.effect {
            Effect::Rate(direction) => {
                set.insert(direction.path().to_owned(), value);
            }
            Effect::Minutes(path) => {
                let seconds = value.as_f64().unwrap_or_default() * 60.0;
                set.insert(
                    path.to_owned(),
                    format!("{}s", seconds.round() as u64).into(),
                );
            }
            Effect::Seconds(path) => {
                set.insert(path.to_owned(), format!("{value}s").into());
            }
            Effect::Unbounded(path) if value.as_i64().is_some_and(|most| most < 0) => {
                self.change.reset.push(path.to_owned());
            }
            Effect::Setting(path) | Effect::Unbounded(path) => {
                set.insert(path.to_owned(), value);
            }
            Effect::Both(paths) => {
                for path in paths {
                    set.insert(path.to_owned(), value.clone());
                }
            }
            Effect::Content => {
                // No folder is that of the daemon.
                let dir = if value == "" { Value::Null } else { value };
                self.remember.insert(format!("{PREFIX}{}", key.path()), dir);
            }
            Effect::Proxy(_) => {}
            Effect::None | Effect::Port | Effect::Always => {
                self.idle.push(key.path());
                if let Effect::None = key.effect {
                    self.remember
                        .insert(format!("{PREFIX}{}", key.path()), value);
                }
            }
        }
    }

    /// All of it, or nothing where one value cannot be.
    pub(super) async fn carry_out(self, shared: &Shared) -> Result<Answer, Problem> {
        let mut unsaved = None;
        if !self.change.set.is_empty() || !self.change.reset.is_empty() {
            let change = SettingsChange {
                get: vec!["limits.down".to_owned()],
                ..self.change
            };
            let done = shared.daemon().ask(Ask::Settings(change)).await?;
            unsaved = done
                .get("unsaved")
                .and_then(Value::as_str)
                .map(str::to_owned);
        }
        if !self.remember.is_empty() {
            unsaved = unsaved.or(shared.daemon().remember(self.remember).await.err());
        }
        if let Some(why) = unsaved {
            let why = format!("it holds until the daemon ends, for it cannot be saved: {why}");
            return Err(Problem::failed(why));
        }
        let mut answer = json!({"modified": true});
        if let (false, Value::Object(answer)) = (self.idle.is_empty(), &mut answer) {
            answer.insert("without_effect".to_owned(), self.idle.into());
        }
        Ok(Answer(answer))
    }
}

fn unknown(section: &str, name: &str) -> Problem {
    let why = format!("Section {section} with option {name} does not exist");
    Problem::of_class(StatusCode::BAD_REQUEST, (false, "ValueError"), &why)
}
