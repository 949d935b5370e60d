//! The settings, as the tree that Tribler has of them.
//!
//! Keys that stand for a setting of ours read and change that. All others are kept and shown as they were set, so that front ends
//! find what they wrote, and the answer to a change names those that have no effect.

pub(crate) mod plan;
pub(crate) mod proxy;
pub(crate) mod tree;

use self::plan::Plan;
pub(crate) use self::proxy::ProxyParts;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::routing::{get, post};
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

async fn change(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let said = asked::object(request).await?;
    let settings = shared.engine().settings();
    let remembered = shared.daemon().remembered();
    let proxy = text_of(&settings, "network.proxy");
    let now = |key: &Key| shown(key, &shared, &remembered);
    let plan = Plan::of(&said, proxy.as_deref(), now)?;
    plan.carry_out(&shared).await
}

/// The folder that content goes to that is added by the API, where another was set than the daemon's.
pub(crate) fn content_dir(shared: &Shared) -> Option<String> {
    let remembered = shared.daemon().remembered();
    let dir = remembered.get(&format!("{PREFIX}download_defaults.saveas"))?;
    let dir = dir.as_str().filter(|dir| is_folder(dir));
    dir.map(str::to_owned)
}

/// Whether a text can be a folder that content goes to: it is named from the root.
fn is_folder(text: &str) -> bool {
    Path::new(text).is_absolute()
}

/// The bounds of all torrents together, in bytes a second; 0 is none.
pub(crate) fn rates(engine: &EngineHandle) -> [u64; 2] {
    let limits = &engine.settings().limits;
    [limits.down, limits.up].map(Option::unwrap_or_default)
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
