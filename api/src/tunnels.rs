//! The tunnels: what goes through here for others, hidden swarms, who there is to build circuits with, and how fast these are.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::routing::get;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::asked::{self, Query};
use crate::circuits;
use crate::clock;
use crate::describe::About;
use crate::describe::shapes::{count, flag, list, number, object, text};
use crate::part::{Speed, SpeedTest, Tested, Untested};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

/// Hops that circuits may have.
const HOPS: std::ops::RangeInclusive<u64> = 1..=3;

/// Bytes that a test sends or asks for at once, at most.
const MOST_BYTES: u64 = 2000;

/// For how many milliseconds a test may run.
const MOST_MS: u64 = 60_000;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

pub(crate) fn routes() -> Vec<Served> {
    let size = About::new("How many seed a hidden swarm, as far as that is found out")
        .asks("hops", hops(), "By circuits of so many hops; 1 is usual")
        .answers(object(&[("swarm_size", count())]))
        .refuses(&[400, 404, 502]);
    let new = test("How fast a circuit is that is built for that").asks(
        "goal_hops",
        hops(),
        "How many hops it is to have; 1 is usual",
    );
    let one = test("How fast a circuit is");
    let mut all = lists();
    all.extend([
        route(
            "GET",
            "/ipv8/tunnel/swarms/{infohash}/size",
            get(swarm_size),
            size,
        ),
        route("GET", "/ipv8/tunnel/circuits/test", get(test_new), new),
        route(
            "GET",
            "/ipv8/tunnel/circuits/{circuit_id}/test",
            get(test_one),
            one,
        ),
    ]);
    all
}

/// The lists.
fn lists() -> Vec<Served> {
    let carried = |more: &[(&'static str, Value)]| {
        let bytes = [("bytes_up", count()), ("bytes_down", count())];
        object(&[more, &bytes, &[("creation_time", number())]].concat())
    };
    let relay = carried(&[
        ("circuit_from", count()),
        ("circuit_to", count()),
        ("is_rendezvous", flag()),
        ("direction", text()),
    ]);
    let exit = carried(&[
        ("circuit_from", count()),
        ("enabled", flag()),
        ("is_introduction", flag()),
        ("is_rendezvous", flag()),
    ]);
    let swarm = object(&[
        ("info_hash", text()),
        ("num_seeders", count()),
        ("num_connections", count()),
        ("num_connections_incomplete", count()),
        ("seeding", flag()),
        ("last_lookup", number()),
        ("bytes_up", count()),
        ("bytes_down", count()),
    ]);
    let peer = object(&[
        ("ip", text()),
        ("port", count()),
        ("mid", text()),
        ("is_key_compatible", flag()),
        ("flags", list(count())),
    ]);
    let about = |summary, word: &'static str, row| {
        About::new(summary).answers(object(&[(word, list(row))]))
    };
    let relay = about("Circuits of others that go on from here", "relays", relay);
    let exit = about("Circuits of others that end here", "exits", exit);
    let swarm = about("Swarms of hidden peers", "swarms", swarm);
    let peer = about("Nodes to build circuits with", "peers", peer);
    vec![
        route("GET", "/ipv8/tunnel/relays", get(relays), relay),
        route("GET", "/ipv8/tunnel/exits", get(exits), exit),
        route("GET", "/ipv8/tunnel/swarms", get(swarms), swarm),
        route("GET", "/ipv8/tunnel/peers", get(peers), peer),
    ]
}

fn hops() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 3})
}

/// What tests of speed have in common.
fn test(summary: &'static str) -> About {
    let bytes = json!({"type": "integer", "minimum": 0, "maximum": MOST_BYTES});
    let time = json!({"type": "integer", "minimum": 1, "maximum": MOST_MS});
    About::new(summary)
        .asks(
            "request_size",
            bytes.clone(),
            "Bytes of each request; 50 are usual",
        )
        .asks(
            "response_size",
            bytes,
            "Bytes of each answer; 1024 are usual",
        )
        .asks("test_time_ms", time, "For how long, in ms; 5000 is usual")
        .answers(object(&[
            ("speed", number()),
            ("messages_sent", count()),
            ("messages_received", count()),
            ("rtt_mean", number()),
            ("rtt_median", number()),
        ]))
        .refuses(&[400, 404, 502])
}

/// The rows of a list of the part in the overlay; without a part, none.
fn rows<T>(all: Option<Vec<T>>, row: impl Fn(T) -> Value) -> Vec<Value> {
    let all = all.unwrap_or_default();
    all.into_iter().map(row).collect()
}

/// Each relay has a row for either direction.
async fn relays(State(shared): State<Shared>) -> Answer {
    let ago = clock::ago();
    let part = shared.daemon().part();
    let all = part.map(|part| part.relayed()).unwrap_or_default();
    let rows = all.iter().flat_map(|relay| {
        let row = |[from, to]: [u32; 2], [up, down]: [u64; 2], direction: &str| {
            json!({
                "circuit_from": from,
                "circuit_to": to,
                "is_rendezvous": relay.is_rendezvous,
                "direction": direction,
                "bytes_up": up,
                "bytes_down": down,
                "creation_time": ago(relay.age),
            })
        };
        let ([back, on], [there, here]) = (relay.ends, relay.bytes);
        [
            row([back, on], [there, here], "forward"),
            row([on, back], [here, there], "backward"),
        ]
    });
    Answer(json!({"relays": rows.collect::<Vec<_>>()}))
}

async fn exits(State(shared): State<Shared>) -> Answer {
    let ago = clock::ago();
    let all = shared.daemon().part().map(|part| part.endings());
    let rows = rows(all, |exit| {
        json!({
            "circuit_from": exit.id,
            "enabled": exit.is_open,
            "bytes_up": exit.bytes[0],
            "bytes_down": exit.bytes[1],
            "creation_time": ago(exit.age),
            "is_introduction": exit.hidden[0],
            "is_rendezvous": exit.hidden[1],
        })
    });
    Answer(json!({"exits": rows}))
}

async fn swarms(State(shared): State<Shared>) -> Answer {
    let ago = clock::ago();
    let all = shared.daemon().part().map(|part| part.swarms());
    let rows = rows(all, |swarm| {
        json!({
            "info_hash": HEXLOWER.encode(&swarm.name),
            "num_seeders": swarm.seeders,
            "num_connections": swarm.links[0],
            "num_connections_incomplete": swarm.links[1],
            "seeding": swarm.seeds,
            "last_lookup": swarm.looked.map_or(0.0, &ago),
            "bytes_up": swarm.bytes[0],
            "bytes_down": swarm.bytes[1],
        })
    });
    Answer(json!({"swarms": rows}))
}

async fn peers(State(shared): State<Shared>) -> Answer {
    let members = match shared.daemon().part() {
        Some(part) => part.members().await,
        None => Vec::new(),
    };
    let rows = members.iter().map(|peer| {
        json!({
            "ip": peer.at.ip().to_string(),
            "port": peer.at.port(),
            "mid": HEXLOWER.encode(&peer.mid),
            "is_key_compatible": peer.is_compatible,
            "flags": circuits::flags(peer.flags),
        })
    });
    Answer(json!({"peers": rows.collect::<Vec<_>>()}))
}

async fn swarm_size(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let decoded = asked::twenty_bytes(&name);
    let decoded = decoded.ok_or_else(|| Problem::wrong(format!("{name}: no 40 hex digits")))?;
    let hops = hops_of(&Query::of(request.uri()), "hops")?;
    let part = shared.daemon().part().ok_or_else(no_tunnels)?;
    let size = part.count_seeders(decoded, hops).await;
    let size = size.ok_or_else(|| {
        let why = format!("there is no circuit with hops={hops}, or that is counted already");
        Problem::new(StatusCode::BAD_GATEWAY, why)
    })?;
    Ok(Answer(json!({"swarm_size": size})))
}

fn no_tunnels() -> Problem {
    Problem::missing("TunnelCommunity is not initialized")
}

/// A number of hops of the query, 1 where there is none.
fn hops_of(query: &Query, name: &str) -> Result<u8, Problem> {
    let hops = query.number(name)?.unwrap_or(1);
    let hops = Some(hops).filter(|hops| HOPS.contains(hops));
    let hops = hops.and_then(|hops| u8::try_from(hops).ok());
    hops.ok_or_else(|| Problem::wrong("invalid number of hops specified"))
}

async fn test_new(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let query = Query::of(request.uri());
    let hops = hops_of(&query, "goal_hops")?;
    run(&shared, Tested::New(hops), &query).await
}

async fn test_one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let id = id.parse();
    let id = id.map_err(|_| Problem::wrong("circuit_id must be an integer"))?;
    run(&shared, Tested::Circuit(id), &Query::of(request.uri())).await
}

async fn run(shared: &Shared, what: Tested, query: &Query) -> Result<Answer, Problem> {
    let size = |name: &str, usual: u16| {
        let size = query.number(name)?.map_or(Ok(usual), u16::try_from);
        let size = size.ok().filter(|size| u64::from(*size) <= MOST_BYTES);
        size.ok_or_else(|| Problem::wrong("invalid request or response size specified"))
    };
    let ms = query.number("test_time_ms")?.unwrap_or(5000);
    if !(1..=MOST_MS).contains(&ms) {
        return Err(Problem::wrong("invalid test time specified"));
    }
    let how = SpeedTest {
        request: size("request_size", 50)?,
        response: size("response_size", 1024)?,
        time: Duration::from_millis(ms),
    };
    let part = shared.daemon().part().ok_or_else(no_tunnels)?;
    let speed = part.test(what, how).await.map_err(|why| match why {
        Untested::Unknown(why) => Problem::missing(why),
        Untested::Refused(why) => Problem::wrong(why),
        Untested::NotBuilt(why) => Problem::new(StatusCode::BAD_GATEWAY, why),
    })?;
    Ok(Answer(shown(&speed, how)))
}

/// The speed of the larger of both ways in MiB/s, and times in seconds.
fn shown(speed: &Speed, how: SpeedTest) -> Value {
    let bytes = speed.answered as f64 * f64::from(how.request.max(how.response));
    let took = speed.took.as_secs_f64();
    let per_s = if took > 0.0 { bytes / MIB / took } else { 0.0 };
    let [mean, median] = speed
        .round_trip
        .unwrap_or_default()
        .map(|took| took.as_secs_f64());
    json!({
        "speed": per_s,
        "messages_sent": speed.sent,
        "messages_received": speed.answered,
        "rtt_mean": mean,
        "rtt_median": median,
    })
}

#[cfg(test)]
mod tests;
