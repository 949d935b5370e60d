//! The settings, as the tree that Tribler has of them.
//!
//! Keys that stand for a setting of ours read and change that. All others are kept and shown as they were set, so that front ends
//! find what they wrote, and the answer to a change names those that have no effect.

mod proxy;
mod tree;

pub(crate) use self::proxy::ProxyParts;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use control::{Ask, SettingsChange};
use engine::settings::Value as Setting;
use engine::units::Span;
use engine::{EngineHandle, Settings};
use serde_json::{Map, Value, json};

use self::tree::{Direction, Effect, Key};
use crate::asked;
use crate::describe::About;
use crate::describe::shapes::{count, flag, list, map, object, text};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, old, route};
use crate::shared::Shared;

/// What names of values begin with that are only kept.
const PREFIX: &str = "tribler.";

pub(crate) fn routes() -> Vec<Served> {
    let tree = map(map(json!({})));
    let all = object(&[("settings", tree.clone()), ("ports", map(count()))]);
    let changed = object(&[("modified", flag()), ("without_effect?", list(text()))]);
    vec![
        route(
            "GET",
            "/settings",
            get(show),
            About::new("All settings, as Tribler names them, and the ports").answers(all),
        ),
        route(
            "POST",
            "/settings",
            post(change),
            About::new("Changes settings: all that are named, or none")
                .takes(tree)
                .answers(changed)
                .refuses(&[500]),
        ),
        old(
            "GET",
            "/variables",
            get(variables),
            About::new("Ports that are open")
                .answers(object(&[("variables", object(&[("ports", map(count()))]))])),
        ),
    ]
}

async fn show(State(shared): State<Shared>) -> Answer {
    let mut tree: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let remembered = shared.daemon().remembered();
    for key in tree::KEYS {
        let section = tree.entry(key.section).or_default();
        section.insert(key.name.to_owned(), shown(key, &shared, &remembered));
    }
    Answer(json!({"settings": tree, "ports": ports(&shared)}))
}

/// The ports of the older version.
async fn variables(State(shared): State<Shared>) -> Answer {
    Answer(json!({"variables": {"ports": ports(&shared)}}))
}

/// Ports that are open.
fn ports(shared: &Shared) -> Map<String, Value> {
    let mut ports = Map::new();
    ports.insert("http_api~port".to_owned(), shared.0.port.into());
    if let Some(at) = shared.engine().snapshot().listen {
        ports.insert("libtorrent~port".to_owned(), at.port().into());
    }
    ports
}

/// The value of a key.
fn shown(key: &Key, shared: &Shared, remembered: &Map<String, Value>) -> Value {
    let settings = shared.engine().settings();
    match key.effect {
        Effect::Setting(path) => setting(&settings, path),
        Effect::Rate(Direction::Down) => settings.limits.down.unwrap_or_default().into(),
        Effect::Rate(Direction::Up) => settings.limits.up.unwrap_or_default().into(),
        Effect::Minutes(path) => (span_of(&settings, path).as_secs_f64() / 60.0).into(),
        Effect::Seconds(path) => span_of(&settings, path).as_secs().into(),
        Effect::Unbounded(path) => match setting(&settings, path) {
            now if Some(&now) == default_of(path).as_ref() => (-1).into(),
            now => now,
        },
        Effect::Both([one, other]) => {
            let on = [one, other].map(|path| setting(&settings, path) == Value::Bool(true));
            on.contains(&true).into()
        }
        Effect::Proxy(part) => proxy::shown(text_of(&settings, "network.proxy").as_deref(), part),
        Effect::Content => remembered
            .get(&format!("{PREFIX}{}", key.path()))
            .cloned()
            .unwrap_or_else(|| shared.daemon().content_dir().display().to_string().into()),
        Effect::Port => shared.0.port.into(),
        Effect::Always => key.default(),
        Effect::None => remembered
            .get(&format!("{PREFIX}{}", key.path()))
            .cloned()
            .unwrap_or_else(|| key.default()),
    }
}

/// What to do for a change.
#[derive(Debug, Default)]
struct Plan {
    change: SettingsChange,
    remember: Map<String, Value>,
    idle: Vec<String>,
}

async fn change(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let said = asked::object(request).await?;
    let settings = shared.engine().settings();
    let remembered = shared.daemon().remembered();
    let mut plan = Plan::default();
    let mut way = proxy::Way::of(text_of(&settings, "network.proxy").as_deref());
    let mut other_way = false;
    for (section, keys) in &said.0 {
        let Value::Object(keys) = keys else {
            return Err(unknown("None", section));
        };
        for (name, value) in keys {
            let key = tree::find(section, name).ok_or_else(|| unknown(section, name))?;
            if *value == shown(key, &shared, &remembered) {
                continue;
            }
            key.check(value)
                .map_err(|why| Problem::wrong(format!("{}: {why}", key.path())))?;
            if let Effect::Proxy(part) = key.effect {
                way.set(part, value);
                other_way = true;
            } else {
                plan.take(key, value.clone());
            }
        }
    }
    if other_way {
        let url = way
            .url()
            .map_err(|why| Problem::wrong(format!("libtorrent.proxy_*: {why}")))?;
        plan.change
            .set
            .insert("network.proxy".to_owned(), url.into());
    }
    plan.carry_out(&shared).await
}

impl Plan {
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
                self.remember
                    .insert(format!("{PREFIX}{}", key.path()), value);
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
    async fn carry_out(self, shared: &Shared) -> Result<Answer, Problem> {
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

/// The folder that content goes to that is added by the API, where another was set than the daemon's.
pub(crate) fn content_dir(shared: &Shared) -> Option<String> {
    let remembered = shared.daemon().remembered();
    let dir = remembered.get(&format!("{PREFIX}download_defaults.saveas"))?;
    dir.as_str().map(str::to_owned)
}

/// The bounds of all torrents together, in bytes a second; 0 is none.
pub(crate) fn rates(engine: &EngineHandle) -> [u64; 2] {
    let limits = &engine.settings().limits;
    [limits.down, limits.up].map(Option::unwrap_or_default)
}

fn unknown(section: &str, name: &str) -> Problem {
    let why = format!("Section {section} with option {name} does not exist");
    Problem::of_class(StatusCode::BAD_REQUEST, (false, "ValueError"), &why)
}

fn setting(settings: &Settings, path: &str) -> Value {
    let value = Settings::key(path).map(|key| key.of(settings));
    serde_json::to_value(value).unwrap_or_default()
}

fn default_of(path: &str) -> Option<Value> {
    serde_json::to_value(Settings::key(path)?.default()).ok()
}

fn text_of(settings: &Settings, path: &str) -> Option<String> {
    match Settings::key(path)?.of(settings) {
        Setting::Text(text) => (!text.is_empty()).then_some(text),
        Setting::Bool(_) | Setting::Int(_) | Setting::Float(_) => None,
    }
}

/// A setting that is a length of time, such as `1h`.
fn span_of(settings: &Settings, path: &str) -> Duration {
    let span = text_of(settings, path).and_then(|text| text.parse().ok());
    span.map(|Span(span)| span).unwrap_or_default()
}

#[cfg(test)]
mod tests;
