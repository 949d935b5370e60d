//! The DHT of the overlay.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde_json::{Map, Value, json};

use crate::asked::{self, Query};
use crate::clock;
use crate::describe::shapes::{count, either, flag, list, map, number, object, or_null, text};
use crate::describe::{About, done};
use crate::part::{Dht, DhtPeer, DhtValue, Unfound, Wire};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

/// Values that are kept here and told of at once.
const MOST_VALUES: usize = 1024;

/// What a node of the DHT is reached by, as IPv8 names it.
const ENDPOINT: &str = "UDPIPv4";

/// The word for the bucket that has all nodes: its prefix is empty, which no path can say.
const ALL: &str = "all";

pub(crate) fn routes() -> Vec<Served> {
    let value = stored_value();
    let address = list(either(&[text(), count()]));
    let peer = object(&[("public_key", text()), ("address", address)]);
    let store = object(&[("value", text()), ("sign?", flag())]);
    vec![
        route(
            "GET",
            "/ipv8/dht/statistics",
            get(statistics_now),
            about("What our node of the overlay's DHT knows")
                .answers(object(&[("statistics", statistics())]))
                .refuses(&[400, 404]),
        ),
        route(
            "GET",
            "/ipv8/dht/values",
            get(stored),
            about("Values that others keep here, by their keys; 1024 at most")
                .answers(map(list(value.clone())))
                .refuses(&[400, 404]),
        ),
        route(
            "GET",
            "/ipv8/dht/values/{key}",
            get(find),
            about("Finds values")
                .answers(object(&[("values", list(value)), ("debug", search())]))
                .refuses(&[400, 404, 502]),
        ),
        route(
            "PUT",
            "/ipv8/dht/values/{key}",
            put(store_value),
            about("Stores a value, in hex digits; signed unless otherwise said")
                .takes(store)
                .answers(done("success"))
                .refuses(&[404, 502]),
        ),
        route(
            "GET",
            "/ipv8/dht/peers/{mid}",
            get(peers),
            about("Finds where a peer is")
                .answers(object(&[("peers", list(peer))]))
                .refuses(&[400, 404, 502]),
        ),
        route(
            "GET",
            "/ipv8/dht/buckets",
            get(buckets),
            about("The nodes that ours knows")
                .answers(object(&[("buckets", list(bucket()))]))
                .refuses(&[400]),
        ),
        route(
            "GET",
            "/ipv8/dht/buckets/{prefix}/refresh",
            get(refresh),
            about("Looks into a bucket")
                .answers(done("success"))
                // Where the prefix is "." or "..", clients write another path.
                .refuses(&[400, 404, 502]),
        ),
        route(
            "GET",
            "/ipv8/noblockdht/{mid}",
            get(connect),
            about("Begins to look for a peer")
                .answers(done("success"))
                .refuses(&[400, 404]),
        ),
    ]
}

/// What is said of a route of one of the two DHTs.
fn about(summary: &'static str) -> About {
    let wire = json!({"type": "string", "enum": ["today", "tribler"]});
    About::new(summary).asks("wire", wire, "Of which wire; that of today is usual")
}

fn stored_value() -> Value {
    object(&[
        ("endpoint?", text()),
        ("public_key", or_null(text())),
        ("key", text()),
        ("value", text()),
    ])
}

/// How values were looked for.
fn search() -> Value {
    object(&[
        ("requests", count()),
        ("responses", count()),
        ("responses_with_nodes", count()),
        ("responses_with_values", count()),
        ("time", number()),
    ])
}

fn statistics() -> Value {
    let mut fields = vec![("node_id", text())];
    for name in [
        "routing_table_size",
        "routing_table_buckets",
        "num_keys_in_store",
    ] {
        fields.push((name, count()));
    }
    let endpoint = [fields.clone(), vec![("endpoint", text())]].concat();
    fields.extend([
        ("endpoints", list(object(&endpoint))),
        ("peer_id", text()),
        ("num_tokens", count()),
        ("num_peers_in_store", map(count())),
        ("num_store_for_me", map(count())),
    ]);
    object(&fields)
}

fn bucket() -> Value {
    let node = object(&[
        ("ip", text()),
        ("port", count()),
        ("mid", text()),
        ("id", text()),
        ("failed", count()),
        ("last_contact", number()),
        ("distance", number()),
    ]);
    object(&[
        ("prefix", text()),
        ("endpoint", text()),
        ("last_changed", number()),
        ("peers", list(node)),
    ])
}

/// The node that a request is about.
fn node(shared: &Shared, query: &Query) -> Result<Option<Box<dyn Dht>>, Problem> {
    let wire = match query.get("wire") {
        None => None,
        Some("today") => Some(Wire::Today),
        Some("tribler") => Some(Wire::Tribler),
        Some(other) => return Err(wrong(format!("wire: {other} is neither today nor tribler"))),
    };
    Ok(shared.daemon().part().and_then(|part| part.dht(wire)))
}

fn there(shared: &Shared, request: &Request) -> Result<Box<dyn Dht>, Problem> {
    let node = node(shared, &Query::of(request.uri()))?;
    node.ok_or_else(no_dht)
}

fn no_dht() -> Problem {
    Problem::unsuccessful(StatusCode::NOT_FOUND, "DHT community not found")
}

fn wrong(why: impl Into<String>) -> Problem {
    Problem::unsuccessful(StatusCode::BAD_REQUEST, why)
}

/// A key, or the name of a peer.
fn place(name: &str, text: &str) -> Result<[u8; 20], Problem> {
    let why = || wrong(format!("{name}: {text} has no 40 hex digits"));
    asked::twenty_bytes(text).ok_or_else(why)
}

impl From<Unfound> for Problem {
    fn from(why: Unfound) -> Self {
        match why {
            Unfound::Wrong(why) => wrong(why),
            Unfound::Failed(why) => Self::unsuccessful(StatusCode::BAD_GATEWAY, why),
        }
    }
}

fn shown(key: &[u8; 20], value: &DhtValue) -> Value {
    json!({
        "public_key": value.signer.as_ref().map(|key| BASE64.encode(key)),
        "key": HEXLOWER.encode(key),
        "value": HEXLOWER.encode(&value.data),
    })
}

async fn statistics_now(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let dht = there(&shared, &request)?;
    let status = dht.status().await.ok_or_else(no_dht)?;
    let own = HEXLOWER.encode(&status.peer_id);
    let peers = status
        .peers
        .iter()
        .map(|mid| (HEXLOWER.encode(mid), 1.into()));
    let keepers = if status.keepers > 0 {
        json!({&own: status.keepers})
    } else {
        json!({})
    };
    let node_id = HEXLOWER.encode(&status.node_id);
    // One version tells of the endpoint by itself, the other of the node altogether.
    let endpoint = json!({
        "endpoint": ENDPOINT,
        "node_id": node_id,
        "routing_table_size": status.nodes,
        "routing_table_buckets": status.buckets,
        "num_keys_in_store": status.keys,
    });
    Ok(Answer(json!({"statistics": {
        "endpoints": [endpoint],
        "node_id": node_id,
        "peer_id": own,
        "routing_table_size": status.nodes,
        "routing_table_buckets": status.buckets,
        "num_keys_in_store": status.keys,
        "num_tokens": status.tokens,
        "num_peers_in_store": peers.collect::<Map<_, Value>>(),
        "num_store_for_me": keepers,
    }})))
}

async fn stored(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let dht = there(&shared, &request)?;
    let mut by_key: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (key, value) in dht.stored(MOST_VALUES).await {
        let of_key = by_key.entry(HEXLOWER.encode(&key)).or_default();
        let mut row = shown(&key, &value);
        if let Value::Object(row) = &mut row {
            row.insert("endpoint".to_owned(), ENDPOINT.into());
        }
        of_key.push(row);
    }
    Ok(Answer(json!(by_key)))
}

async fn find(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let dht = there(&shared, &request)?;
    let key = place("key", &key)?;
    let begun = Instant::now();
    let (values, search) = dht.find(key).await?;
    let values: Vec<Value> = values.iter().map(|value| shown(&key, value)).collect();
    Ok(Answer(json!({
        "values": values,
        "debug": {
            "requests": search.asked,
            "responses": search.answered,
            "responses_with_nodes": search.with_nodes,
            "responses_with_values": search.with_values,
            "time": begun.elapsed().as_secs_f64(),
        },
    })))
}

async fn store_value(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let dht = there(&shared, &request)?;
    let asked = asked::object(request).await?;
    let value = asked.text("value")?;
    let value = value.ok_or_else(|| wrong("incorrect parameters"))?;
    let key = place("key", &key)?;
    let value = HEXLOWER_PERMISSIVE.decode(value.as_bytes());
    let value = value.map_err(|_| wrong("value is not in hex digits"))?;
    let sign = asked.flag("sign")?.unwrap_or(true);
    dht.store(key, value, sign).await?;
    Ok(Answer(json!({"success": true})))
}

async fn peers(
    State(shared): State<Shared>,
    Path(mid): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let dht = there(&shared, &request)?;
    let found = dht.connect(place("mid", &mid)?).await?;
    let peers = found.iter().map(|DhtPeer { key, at }| {
        json!({
            "public_key": BASE64.encode(key),
            "address": (at.ip().to_string(), at.port()),
        })
    });
    Ok(Answer(json!({"peers": peers.collect::<Vec<_>>()})))
}

async fn buckets(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let all = match node(&shared, &Query::of(request.uri()))? {
        Some(dht) => dht.buckets().await,
        None => Vec::new(),
    };
    let ago = clock::ago();
    let rows = all.iter().map(|bucket| {
        let peers = bucket.nodes.iter().map(|node| {
            json!({
                "ip": node.at.ip().to_string(),
                "port": node.at.port(),
                "mid": HEXLOWER.encode(&node.mid),
                "id": HEXLOWER.encode(&node.id),
                "failed": node.failed,
                "last_contact": node.heard.map_or(0.0, ago),
                "distance": rounded(&node.distance),
            })
        });
        json!({
            "prefix": bucket.prefix,
            "endpoint": ENDPOINT,
            "last_changed": bucket.changed.map_or(0.0, ago),
            "peers": peers.collect::<Vec<_>>(),
        })
    });
    Ok(Answer(json!({"buckets": rows.collect::<Vec<_>>()})))
}

/// A number of 160 bits, as near as numbers of JSON usually come to it.
fn rounded(bytes: &[u8; 20]) -> f64 {
    bytes
        .iter()
        .fold(0.0, |sum, byte| sum * 256.0 + f64::from(*byte))
}

async fn refresh(
    State(shared): State<Shared>,
    Path(prefix): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let node = node(&shared, &Query::of(request.uri()))?;
    let dht = node.ok_or_else(|| wrong("DHT community is not loaded"))?;
    let prefix = if prefix == ALL { String::new() } else { prefix };
    if dht.refresh(prefix).await? {
        Ok(Answer(json!({"success": true})))
    } else {
        Err(wrong("no such bucket"))
    }
}

/// The answer does not wait for what comes of it: that the peer is heard of, and its NAT opened for us.
async fn connect(
    State(shared): State<Shared>,
    Path(mid): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let dht = there(&shared, &request)?;
    let mid = place("mid", &mid)?;
    let turn = shared.0.looks.now()?;
    tokio::spawn(async move {
        let _turn = turn;
        if let Err(why) = dht.connect(mid).await {
            tracing::debug!(?why, "a peer is not found in the overlay's DHT");
        }
    });
    Ok(Answer(json!({"success": true})))
}

#[cfg(test)]
mod tests;
