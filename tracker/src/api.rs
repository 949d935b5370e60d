//! The management API: figures, torrents, the list and the keys, over HTTP with tokens. Paths, bodies and texts are those of
//! Torrust's tracker, so that its index and scripts go on working.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use arc_swap::ArcSwap;
use protocol::id::InfoHash;
use serde::Deserialize;

mod figures;
mod health;
mod shown;
#[cfg(test)]
mod tests;
mod token;
mod when;

pub use crate::web::{Asked, Reply};
pub(crate) use health::{Health, Service};

use crate::access::Key;
use crate::settings::Secret;
use crate::store::StoreError;
use crate::tracker::{TrackerHandle, WeakHandle};
use crate::web::{Answers, TEXT};
use shown::{ShownKey, ShownStats, ShownTorrent};
use token::{Refused, may_use};

/// Torrents of a page, where nothing else is asked for, and at most.
const PAGE: (usize, usize) = (4_000, 10_000);

/// Torrents that are asked for by name at most.
const MOST_NAMED: usize = 200;

/// Peers that are shown of a torrent at most.
const MOST_PEERS: usize = 10_000;

/// The management API of a tracker. The tracker serves one itself, by its settings; programs may have another behind a server of
/// their own. It does not keep the tracker running.
#[derive(Debug)]
pub struct Api {
    tracker: WeakHandle,
    pub(crate) tokens: ArcSwap<BTreeMap<String, Secret>>,
    /// Refused tokens have the status of Torrust.
    compat: bool,
}

impl Answers for Api {
    fn answer(&self, asked: Asked) -> Pin<Box<dyn Future<Output = Reply> + '_>> {
        Box::pin(async move { self.reply(&asked).await })
    }
}

/// What `POST /api/v1/keys` takes.
#[derive(Debug, Deserialize)]
struct NewKey {
    key: Option<String>,
    seconds_valid: Option<u64>,
}

impl Api {
    /// One for whoever shows one of these tokens, which have names for people. With `compat`, refused tokens have the status and
    /// text that Torrust has for them.
    pub fn new(tracker: &TrackerHandle, tokens: BTreeMap<String, Secret>, compat: bool) -> Self {
        Self {
            tracker: tracker.downgrade(),
            tokens: ArcSwap::from_pointee(tokens),
            compat,
        }
    }

    /// The answer to a request.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a change of lists or keys done.
    pub async fn reply(&self, asked: &Asked) -> Reply {
        let path: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        if path == ["api", "health_check"] && asked.method == "GET" {
            return Reply::json(r#"{"status":"Ok"}"#);
        }
        if let Err(refused) = may_use(&self.tokens.load(), asked) {
            return self.refuse(refused);
        }
        let (method, path) = (asked.method.as_str(), &path[..]);
        match (method, path) {
            ("GET", ["metrics"] | ["api", "v1", "metrics"]) => self.metrics().await,
            (method, ["api", "v1", rest @ ..]) => match (method, rest) {
                ("GET", ["stats"]) => self.stats().await,
                ("GET", ["torrents"]) => self.torrents(&asked.query),
                ("GET", ["torrent", hash]) => self.torrent(hash),
                ("GET", ["whitelist", "reload"]) => {
                    done("reload whitelist", self.tracker.store.reload().await)
                }
                ("GET", ["keys", "reload"]) => {
                    done("reload keys", self.tracker.store.reload().await)
                }
                ("POST" | "DELETE", ["whitelist", hash]) => self.whitelist(method, hash).await,
                ("POST", ["keys"]) => self.add_key(&asked.body).await,
                ("POST", ["key", seconds]) => self.random_key(seconds).await,
                ("DELETE", ["key", key]) => self.remove_key(key).await,
                (
                    _,
                    ["stats" | "torrents" | "keys"] | ["torrent" | "whitelist" | "key" | "keys", _],
                ) => Reply::text(405, "not by this method"),
                _ => Reply::text(404, "there is no such thing"),
            },
            _ => Reply::text(404, "there is no such thing"),
        }
    }

    fn refuse(&self, refused: Refused) -> Reply {
        let reason = match refused {
            Refused::None => "unauthorized",
            Refused::Wrong => "token not valid",
        };
        let status = if self.compat { 500 } else { 401 };
        Reply::text(status, unhandled(reason))
    }

    async fn stats(&self) -> Reply {
        match self.tracker.statistics().await {
            Ok(statistics) => shown(&ShownStats::from(&statistics)),
            Err(gone) => Reply::text(500, unhandled(&gone.to_string())),
        }
    }

    async fn metrics(&self) -> Reply {
        match self.tracker.statistics().await {
            Ok(statistics) => Reply {
                kind: figures::KIND,
                ..Reply::json(figures::page(&statistics))
            },
            Err(gone) => Reply::text(500, gone.to_string()),
        }
    }

    fn torrent(&self, hash: &str) -> Reply {
        let Some(info_hash) = crate::hex::info_hash(hash) else {
            return bad_hash(hash);
        };
        let core = &self.tracker.core;
        match core.swarms.torrent(&info_hash) {
            Some(torrent) => {
                let peers = core.swarms.peers(&info_hash, MOST_PEERS);
                shown(&ShownTorrent::with_peers(&torrent, &peers, &core.clock))
            }
            None => Reply::json(r#""torrent not known""#),
        }
    }

    fn torrents(&self, query: &str) -> Reply {
        let swarms = &self.tracker.core.swarms;
        let named: Vec<&str> = parameters(query, "info_hash").take(MOST_NAMED).collect();
        if !named.is_empty() {
            let mut found = Vec::new();
            for hash in named {
                match crate::hex::info_hash(hash) {
                    Some(hash) => found.extend(swarms.torrent(&hash)),
                    None => return bad_hash(hash),
                }
            }
            let found: Vec<_> = found.iter().map(ShownTorrent::new).collect();
            return shown(&found);
        }
        let number = |name, default| match parameters(query, name).next() {
            None | Some("") => Ok(default),
            Some(text) => text.parse::<usize>().map_err(|_| text),
        };
        match (number("offset", 0), number("limit", PAGE.0)) {
            (Ok(offset), Ok(limit)) => {
                let page = swarms.page(offset, limit.min(PAGE.1));
                let page: Vec<_> = page.iter().map(ShownTorrent::new).collect();
                shown(&page)
            }
            (Err(text), _) | (_, Err(text)) => {
                Reply::text(400, format!("Invalid URL: {text:?} is no number"))
            }
        }
    }

    async fn whitelist(&self, method: &str, hash: &str) -> Reply {
        let Some(info_hash) = crate::hex::info_hash(hash) else {
            return bad_hash(hash);
        };
        let store = &self.tracker.store;
        if method == "POST" {
            done("whitelist torrent", store.list(info_hash).await.map(drop))
        } else {
            let removed = store.unlist(info_hash).await.map(drop);
            done("remove torrent from whitelist", removed)
        }
    }

    async fn add_key(&self, body: &[u8]) -> Reply {
        let new: NewKey = match serde_json::from_slice(body) {
            Ok(new) => new,
            Err(error) => return Reply::text(400, format!("Invalid body: {error}")),
        };
        let key = match new.key.as_deref().map(str::parse) {
            None => Key::random(&mut rand::rng()),
            Some(Ok(key)) => key,
            Some(Err(why)) => {
                let key = new.key.unwrap_or_default();
                let text = format!("Invalid URL: invalid auth key: string {key:?}, {why}");
                return Reply::text(400, text);
            }
        };
        self.keep_key(key, new.seconds_valid).await
    }

    async fn random_key(&self, seconds: &str) -> Reply {
        match seconds.parse() {
            Ok(seconds) => {
                let key = Key::random(&mut rand::rng());
                self.keep_key(key, Some(seconds)).await
            }
            // Of a path that is no number it is most likely a key.
            Err(_) => bad_duration(seconds),
        }
    }

    async fn keep_key(&self, key: Key, seconds: Option<u64>) -> Reply {
        let now = self.tracker.core.clock.now().unix();
        let until = seconds.map(|seconds| now.checked_add(seconds).filter(|end| *end <= LAST));
        let until = match until {
            None => None,
            Some(Some(until)) => Some(until),
            Some(None) => return bad_duration(&seconds.unwrap_or_default().to_string()),
        };
        match self.tracker.store.add_key(key, until).await {
            Ok(_) => shown(&ShownKey::new(&key, until)),
            Err(error) => failed("generate key", &error),
        }
    }

    async fn remove_key(&self, text: &str) -> Reply {
        match text.parse() {
            Ok(key) => {
                let removed = self.tracker.store.remove_key(key).await.map(drop);
                done("delete key", removed)
            }
            Err(_) => Reply::text(400, format!("Invalid auth key id param {text:?}")),
        }
    }
}

/// The last second that can be written as a date of four digits.
const LAST: u64 = 253_402_300_799;

/// The values of a parameter, as they stand in the query.
fn parameters<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(move |(key, value)| (key == name).then_some(value))
}

fn shown(value: &impl serde::Serialize) -> Reply {
    match serde_json::to_string(value) {
        Ok(body) => Reply::json(body),
        Err(error) => Reply::text(500, unhandled(&error.to_string())),
    }
}

fn done(what: &str, outcome: Result<(), StoreError>) -> Reply {
    match outcome {
        Ok(()) => Reply::json(r#"{"status":"ok"}"#),
        Err(error) => failed(what, &error),
    }
}

fn failed(what: &str, error: &StoreError) -> Reply {
    Reply {
        kind: TEXT,
        ..Reply::text(500, unhandled(&format!("failed to {what}: {error}")))
    }
}

fn unhandled(reason: &str) -> String {
    format!("Unhandled rejection: Err {{ reason: {reason:?} }}")
}

fn bad_hash(text: &str) -> Reply {
    let text = format!(
        "Invalid URL: invalid infohash param: string {text:?}, expected a 40 character long string"
    );
    Reply::text(400, text)
}

fn bad_duration(text: &str) -> Reply {
    Reply::text(
        400,
        format!("Invalid URL: invalid auth key duration: {text:?}"),
    )
}

/// A hash as JSON has it.
fn hex(info_hash: &InfoHash) -> String {
    info_hash.to_string()
}
