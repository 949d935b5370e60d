//! The communities of the overlay, what they send and receive, and who is known.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Map, Value, json};

use crate::asked;
use crate::clock;
use crate::describe::shapes::{count, either, flag, list, map, number, object, or_null, text};
use crate::describe::{About, done};
use crate::part::{Community, Measured, Part};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let peer = object(&[
        ("ip", text()),
        ("port", count()),
        ("public_key", text()),
        ("services", list(text())),
    ]);
    let switch = either(&[flag(), json!({"type": "string", "enum": ["true", "false"]})]);
    let wish = object(&[
        ("enable", switch.clone()),
        ("all?", switch),
        ("overlay_name?", text()),
    ]);
    let named = object(&[
        ("ip", text()),
        ("port", count()),
        ("exitnode?", flag()),
        ("bootstrapnode?", flag()),
    ]);
    let done = |summary, takes| {
        let about = About::new(summary).takes(takes);
        about.answers(done("success")).refuses(&[412])
    };
    let all = About::new("The communities of the overlay")
        .answers(object(&[("overlays", list(overlay()))]));
    let counted = "What communities have sent and received, by messages, as far as it is counted";
    let counted = About::new(counted).answers(object(&[("statistics", list(map(map(message()))))]));
    let known =
        About::new("Everybody who has proven an identity").answers(object(&[("peers", map(peer))]));
    let measured = done("Has communities counted, or no more", wish);
    let named = done("Names a node or a server of the overlay", named);
    vec![
        route("GET", "/ipv8/overlays", get(overlays), all),
        route("GET", "/ipv8/overlays/statistics", get(statistics), counted),
        route("POST", "/ipv8/overlays/statistics", post(measure), measured),
        route("GET", "/ipv8/network", get(network), known),
        route("POST", "/ipv8/isolation", post(isolation), named),
    ]
}

/// What is told of a community.
fn overlay() -> Value {
    let at = object(&[("ip", text()), ("port", count())]);
    let totals = object(&[
        ("num_up", count()),
        ("num_down", count()),
        ("bytes_up", count()),
        ("bytes_down", count()),
        ("diff_time", number()),
    ]);
    let strategy = object(&[
        ("name", text()),
        ("target_peers", json!({"type": "integer"})),
    ]);
    object(&[
        ("id", text()),
        ("my_peer", text()),
        ("global_time", count()),
        ("peers", list(text())),
        ("overlay_name", text()),
        ("statistics", totals),
        ("max_peers", or_null(count())),
        ("is_isolated", flag()),
        ("my_estimated_wan", at.clone()),
        ("my_estimated_lan", at),
        ("strategies", list(strategy)),
    ])
}

/// What is counted of a message.
fn message() -> Value {
    object(&[
        ("identifier", count()),
        ("num_up", count()),
        ("num_down", count()),
        ("bytes_up", count()),
        ("bytes_down", count()),
        ("first_measured_up", number()),
        ("first_measured_down", number()),
        ("last_measured_up", number()),
        ("last_measured_down", number()),
    ])
}

async fn communities(shared: &Shared) -> Vec<Community> {
    match shared.daemon().part() {
        Some(part) => part.communities().await,
        None => Vec::new(),
    }
}

async fn overlays(State(shared): State<Shared>) -> Answer {
    let all = communities(&shared).await;
    let rows = all.iter().map(|community| {
        let peers = community.peers.iter();
        let peers = peers
            .map(|(at, mid, _)| format!("Peer<{}:{}, {}>", at.ip(), at.port(), BASE64.encode(mid)));
        let strategies = community.strategies.iter();
        let strategies =
            strategies.map(|(name, enough)| json!({"name": name, "target_peers": enough}));
        let [wan, lan] = community.addrs.map(place);
        json!({
            "id": HEXLOWER.encode(&community.id),
            "my_peer": HEXLOWER.encode(&community.own),
            "global_time": community.global_time,
            "peers": peers.collect::<Vec<_>>(),
            "overlay_name": community.name,
            "statistics": totals(community),
            "max_peers": community.max_peers,
            "is_isolated": community.is_isolated,
            "my_estimated_wan": wan,
            "my_estimated_lan": lan,
            "strategies": strategies.collect::<Vec<_>>(),
        })
    });
    Answer(json!({"overlays": rows.collect::<Vec<_>>()}))
}

fn place(at: SocketAddrV4) -> Value {
    json!({"ip": at.ip().to_string(), "port": at.port()})
}

/// All messages of a community together, and from the first of them to the last.
fn totals(community: &Community) -> Value {
    let all = || community.measured.values().map(|(_, measured)| measured);
    let sum = |part: fn(&Measured) -> u64| all().map(part).sum::<u64>();
    let ago = all().flat_map(|measured| measured.ago.iter().flatten());
    let first = ago.clone().map(|(first, _)| *first).max();
    let last = ago.map(|(_, last)| *last).min();
    let between = first
        .zip(last)
        .map(|(first, last)| first.saturating_sub(last));
    json!({
        "num_up": sum(|it| it.count[0]),
        "num_down": sum(|it| it.count[1]),
        "bytes_up": sum(|it| it.bytes[0]),
        "bytes_down": sum(|it| it.bytes[1]),
        "diff_time": between.unwrap_or_default().as_secs_f64(),
    })
}

async fn statistics(State(shared): State<Shared>) -> Answer {
    let ago = clock::ago();
    let when = |at: Option<Duration>| at.map_or(0.0, ago);
    let all = communities(&shared).await;
    let rows = all.iter().map(|community| {
        let messages = community.measured.iter().map(|(number, (name, measured))| {
            let [up, down] = measured.ago;
            let row = json!({
                "identifier": number,
                "num_up": measured.count[0],
                "num_down": measured.count[1],
                "bytes_up": measured.bytes[0],
                "bytes_down": measured.bytes[1],
                "first_measured_up": when(up.map(|(first, _)| first)),
                "first_measured_down": when(down.map(|(first, _)| first)),
                "last_measured_up": when(up.map(|(_, last)| last)),
                "last_measured_down": when(down.map(|(_, last)| last)),
            });
            (format!("{number}:{name}"), row)
        });
        json!({community.name: messages.collect::<Map<_, _>>()})
    });
    Answer(json!({"statistics": rows.collect::<Vec<_>>()}))
}

/// There is no part in the overlay.
fn not_running() -> Problem {
    Problem::unsuccessful(StatusCode::PRECONDITION_FAILED, "IPv8 is not running")
}

fn wrong(why: impl Into<String>) -> Problem {
    Problem::unsuccessful(StatusCode::BAD_REQUEST, why)
}

async fn measure(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let asked = asked::object(request).await?;
    let enable = asked.flag("enable")?;
    let enable = enable.ok_or_else(|| wrong("Parameter 'enable' is required"))?;
    let all = asked.flag("all")?.unwrap_or(false);
    let name = asked.text("overlay_name")?;
    if !all && name.is_none() {
        let why = "Parameter 'all' or 'overlay_name' is required";
        return Err(Problem::unsuccessful(StatusCode::PRECONDITION_FAILED, why));
    }
    let part = shared.daemon().part().ok_or_else(|| {
        let why = "StatisticsEndpoint is not enabled.";
        Problem::unsuccessful(StatusCode::PRECONDITION_FAILED, why)
    })?;
    let communities = part.communities().await;
    let chosen = communities.iter().filter(|it| all || name == Some(it.name));
    let chosen: Vec<[u8; 20]> = chosen.map(|it| it.id).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = communities.iter().map(|it| it.name).collect();
        let name = name.unwrap_or_default();
        let why = format!("overlay_name: {name} is none of {}", names.join(", "));
        return Err(wrong(why));
    }
    for community in chosen {
        part.measure(community, enable).await;
    }
    Ok(Answer(json!({"success": true})))
}

async fn network(State(shared): State<Shared>) -> Answer {
    let all = match shared.daemon().part() {
        Some(part) => part.peers().await,
        None => Vec::new(),
    };
    let peers = all.iter().map(|peer| {
        let services = peer.services.iter().map(|id| BASE64.encode(id));
        let row = json!({
            "ip": peer.at.ip().to_string(),
            "port": peer.at.port(),
            "public_key": BASE64.encode(&peer.key),
            "services": services.collect::<Vec<_>>(),
        });
        (BASE64.encode(&peer.mid), row)
    });
    Answer(json!({"peers": peers.collect::<Map<_, _>>()}))
}

async fn isolation(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let asked = asked::object(request).await?;
    let (Some(ip), Some(port)) = (asked.text("ip")?, asked.number("port")?) else {
        return Err(wrong("Parameters 'ip' and 'port' are required"));
    };
    let exit = asked.get("exitnode").is_some();
    if !exit && asked.get("bootstrapnode").is_none() {
        return Err(wrong("Parameter 'exitnode' or 'bootstrapnode' is required"));
    }
    let ip: Option<Ipv4Addr> = ip.parse().ok();
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    let (Some(ip), Some(port)) = (ip, port) else {
        return Err(wrong("ip is an IPv4 address, and port is 1 to 65535"));
    };
    let part: Box<dyn Part> = shared.daemon().part().ok_or_else(not_running)?;
    let at = SocketAddrV4::new(ip, port);
    if exit {
        part.walk_to(at).await;
    } else {
        part.add_bootstrap(at).await;
    }
    Ok(Answer(json!({"success": true})))
}

#[cfg(test)]
mod tests;
