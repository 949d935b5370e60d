//! The daemon's own circuits.

use axum::extract::State;
use axum::routing::get;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::clock;
use crate::daemon::Circuit;
use crate::describe::About;
use crate::describe::shapes::{count, list, number, object, or_null, text};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, old, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let row = object(&[
        ("circuit_id", count()),
        ("goal_hops", count()),
        ("actual_hops", count()),
        ("verified_hops", list(text())),
        ("unverified_hop", text()),
        ("type", text()),
        ("state", text()),
        ("bytes_up", count()),
        ("bytes_down", count()),
        ("creation_time", number()),
        ("exit_flags", list(count())),
    ]);
    let old_row = object(&[
        ("id", count()),
        ("state", text()),
        ("goal_hops", count()),
        ("bytes_up", count()),
        ("bytes_down", count()),
        ("created", number()),
        ("hops", list(object(&[("host", text())]))),
    ]);
    let competing = list(list(count()));
    let slots_shape = object(&[("random", list(or_null(count()))), ("competing", competing)]);
    vec![
        route(
            "GET",
            "/ipv8/tunnel/circuits",
            get(now),
            About::new("The daemon's own circuits").answers(object(&[("circuits", list(row))])),
        ),
        route(
            "GET",
            "/debug/circuits/slots",
            get(slots),
            About::new("What is lent to circuits of others")
                .answers(object(&[("slots", slots_shape)])),
        ),
        old(
            "GET",
            "/debug/circuits",
            get(before),
            About::new("The daemon's own circuits")
                .answers(object(&[("circuits", list(old_row))]))
                .refuses(&[404]),
        ),
    ]
}

async fn now(State(shared): State<Shared>) -> Answer {
    let ago = clock::ago();
    let circuits = shared.daemon().circuits();
    let rows: Vec<Value> = circuits
        .iter()
        .map(|circuit| row(circuit, ago(circuit.age)))
        .collect();
    Answer(json!({"circuits": rows}))
}

fn row(circuit: &Circuit, begun: f64) -> Value {
    let hops = circuit.hops.iter();
    let hops: Vec<String> = hops.map(|(id, _)| HEXLOWER.encode(id)).collect();
    json!({
        "circuit_id": circuit.id,
        "goal_hops": circuit.goal,
        "actual_hops": hops.len(),
        "verified_hops": hops,
        "unverified_hop": circuit.asked.map_or_else(String::new, |id| HEXLOWER.encode(&id)),
        "type": circuit.purpose,
        "state": state(circuit),
        "bytes_up": circuit.bytes[0],
        "bytes_down": circuit.bytes[1],
        "creation_time": begun,
        "exit_flags": flags(circuit.exit_flags),
    })
}

/// In the older version there are none, and no community, before the first torrent that needs some.
async fn before(State(shared): State<Shared>) -> Result<Answer, Problem> {
    if shared.daemon().overlay().is_none() {
        return Err(Problem::missing("tunnel community not found"));
    }
    let ago = clock::ago();
    let rows = shared.daemon().circuits().into_iter().map(|circuit| {
        let hops = circuit.hops.iter();
        let hosts =
            hops.map(|(_, at)| at.map_or_else(|| "unknown".to_owned(), |at| at.to_string()));
        let hops: Vec<Value> = hosts.map(|host| json!({"host": host})).collect();
        json!({
            "id": circuit.id,
            "state": state(&circuit),
            "goal_hops": circuit.goal,
            "bytes_up": circuit.bytes[0],
            "bytes_down": circuit.bytes[1],
            "created": ago(circuit.age),
            "hops": hops,
        })
    });
    Ok(Answer(json!({"circuits": rows.collect::<Vec<_>>()})))
}

/// A daemon carries nothing for others, so that it has no slots to lend.
async fn slots() -> Answer {
    Answer(json!({"slots": {"random": [], "competing": []}}))
}

const fn state(circuit: &Circuit) -> &'static str {
    if circuit.is_ready {
        "READY"
    } else {
        "EXTENDING"
    }
}

/// The bits that are set, each as a number.
pub(crate) fn flags(flags: u16) -> Vec<u16> {
    let bits = (0..u16::BITS).map(|bit| 1_u16 << bit);
    bits.filter(|bit| flags & bit != 0).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::Scene;

    #[tokio::test(flavor = "multi_thread")]
    async fn circuits_are_told_in_the_words_of_both_versions() {
        let scene = Scene::start().await;
        let none = scene.ask("GET", "/v7.0/debug/circuits", b"").await;
        assert_eq!(
            (none.status, &none.json["error"]),
            (404, &json!("tunnel community not found"))
        );
        let empty = scene.ask("GET", "/ipv8/tunnel/circuits", b"").await.json;
        assert_eq!(empty, json!({"circuits": []}));
        scene.circuits().lock().push(Circuit {
            id: 7,
            purpose: "DATA",
            is_ready: false,
            goal: 3,
            hops: vec![
                ([0xab; 20], Some("127.0.0.2:7".parse().unwrap())),
                ([0xcd; 20], None),
            ],
            asked: Some([0xef; 20]),
            exit_flags: 2,
            bytes: [10, 20],
            age: Duration::from_secs(60),
        });
        let mut now = scene.ask("GET", "/ipv8/tunnel/circuits", b"").await.json;
        let created = now["circuits"][0]["creation_time"].take().as_f64().unwrap();
        assert!(created > 1.6e9, "{created}");
        let due = json!({"circuits": [{
            "circuit_id": 7, "goal_hops": 3, "actual_hops": 2, "unverified_hop": "ef".repeat(20),
            "verified_hops": ["ab".repeat(20), "cd".repeat(20)], "type": "DATA", "state": "EXTENDING",
            "bytes_up": 10, "bytes_down": 20, "creation_time": null, "exit_flags": [2],
        }]});
        assert_eq!(now, due);
        let mut before = scene.ask("GET", "/v7.0/debug/circuits", b"").await.json;
        assert!(before["circuits"][0]["created"].take().as_f64().is_some());
        let due = json!({"circuits": [{
            "id": 7, "state": "EXTENDING", "goal_hops": 3, "bytes_up": 10, "bytes_down": 20, "created": null,
            "hops": [{"host": "127.0.0.2:7"}, {"host": "unknown"}],
        }]});
        assert_eq!(before, due);
        let slots = scene.ask("GET", "/debug/circuits/slots", b"").await.json;
        assert_eq!(slots, json!({"slots": {"random": [], "competing": []}}));
    }
}
