//! A daemon that takes part in a test network of the overlay, as its API shows it.

use std::io::BufRead;

use serde_json::{Value, json};

use super::rest::Api;
use super::{Daemon, folder};
use crate::running::{Running, until};

/// A torrent that nobody has.
const HASH: &str = "00112233445566778899aabbccddeeff00112233";

/// A test network of four processes, and the flags that join it.
fn network() -> (Running, Vec<String>) {
    let mut net = Running::start(&["testnet", "4", "--exits", "1"]);
    let ready = net.event("ready");
    let flags = ready["flags"].as_array().unwrap().iter();
    let flags = flags.map(|flag| flag.as_str().unwrap().to_owned());
    // Without the number of hops.
    (net, flags.skip(2).collect())
}

fn list(api: &Api, path: &str, name: &str) -> Vec<Value> {
    let (status, told) = api.ask("GET", path, "");
    assert_eq!(status, 200, "{path}: {told}");
    told[name]
        .as_array()
        .unwrap_or_else(|| panic!("{told}"))
        .clone()
}

/// Who and what is there, with a circuit that is ready.
fn shows_who_is_there(api: &Api, circuit: &Value) {
    let overlays = list(api, "/ipv8/overlays", "overlays");
    let names: Vec<&str> = overlays
        .iter()
        .map(|it| it["overlay_name"].as_str().unwrap())
        .collect();
    assert_eq!(names[0], "DiscoveryCommunity");
    assert!(names.contains(&"TriblerTunnelCommunity") && names.contains(&"DHTDiscoveryCommunity"));
    let peers = list(api, "/ipv8/tunnel/peers", "peers");
    let mid = &circuit["verified_hops"][0];
    let exit = peers
        .iter()
        .find(|peer| peer["mid"] == *mid)
        .expect("the exit");
    assert!(
        exit["flags"].as_array().unwrap().contains(&json!(2)),
        "{exit}"
    );
    // Who is met by and by.
    until(|| {
        let (_, known) = api.ask("GET", "/ipv8/network", "");
        known["peers"].as_object().unwrap().len() >= 2
    });
    // It carries nothing for others.
    for what in ["relays", "exits"] {
        assert!(list(api, &format!("/ipv8/tunnel/{what}"), what).is_empty());
    }
    let (_, slots) = api.ask("GET", "/debug/circuits/slots", "");
    assert_eq!(slots, json!({"slots": {"random": [], "competing": []}}));
    let (_, figures) = api.ask("GET", "/statistics/ipv8", "");
    let figures = &figures["ipv8_statistics"];
    assert!(figures["total_up"].as_u64() > Some(0) && figures["total_down"].as_u64() > Some(0));
}

/// Circuits are tested, and cells counted.
fn tests_speed(api: &Api, circuit: &Value) {
    let enable = r#"{"enable":true,"all":true}"#;
    assert_eq!(api.ask("POST", "/ipv8/overlays/statistics", enable).0, 200);
    let quick = "request_size=50&response_size=500&test_time_ms=300";
    let path = format!(
        "/ipv8/tunnel/circuits/{}/test?{quick}",
        circuit["circuit_id"]
    );
    let (status, speed) = api.ask("GET", &path, "");
    assert_eq!(status, 200, "{speed}");
    assert!(speed["messages_received"].as_u64() > Some(0), "{speed}");
    assert!(speed["speed"].as_f64() > Some(0.0) && speed["rtt_median"].as_f64() > Some(0.0));
    let path = format!("/ipv8/tunnel/circuits/test?goal_hops=2&{quick}");
    let (status, speed) = api.ask("GET", &path, "");
    assert_eq!(status, 200, "{speed}");
    let counted = list(api, "/ipv8/overlays/statistics", "statistics");
    let cells = counted
        .iter()
        .flat_map(|it| it.as_object().unwrap().values());
    let cells = cells.filter_map(|of| {
        of.as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| name.ends_with(":cell"))
    });
    assert!(
        cells
            .map(|(_, of)| of["num_up"].as_u64().unwrap())
            .sum::<u64>()
            > 0,
        "{counted:?}"
    );
}

/// The DHT of the overlay keeps a value.
fn keeps_values(api: &Api) {
    let (_, dht) = api.ask("GET", "/ipv8/dht/statistics", "");
    assert_eq!(
        dht["statistics"]["node_id"].as_str().map(str::len),
        Some(40),
        "{dht}"
    );
    until(|| {
        let (_, dht) = api.ask("GET", "/ipv8/dht/statistics", "");
        dht["statistics"]["routing_table_size"].as_u64() > Some(0)
    });
    let value = format!("/ipv8/dht/values/{HASH}");
    until(|| api.ask("PUT", &value, r#"{"value":"0a0b"}"#).0 == 200);
    let (_, found) = api.ask("GET", &value, "");
    assert_eq!(found["values"][0]["value"], "0a0b", "{found}");
    assert!(found["values"][0]["public_key"].is_string(), "{found}");
}

/// Which circuits are told to be gone, up to one.
fn told_of(events: &mut impl BufRead, last: &Value) -> Vec<Value> {
    let mut gone = Vec::new();
    let mut line = String::new();
    while !gone.contains(last) {
        line.clear();
        assert!(events.read_line(&mut line).unwrap() > 0, "no more events");
        let Some(told) = line.strip_prefix("data: ") else {
            continue;
        };
        let told: Value = serde_json::from_str(told).unwrap();
        if told["type"] == "tunnel_remove" {
            let event = &told["event"];
            assert!(event["uptime"].as_f64() > Some(0.0), "{event}");
            // Through one that was only begun nothing has gone.
            let used = event["circuit_id"] == *last;
            assert!(!used || event["bytes_up"].as_u64() > Some(0), "{event}");
            assert!(event["bytes_down"].is_u64(), "{event}");
            assert!(event["additional_info"].is_string(), "{event}");
            gone.push(event["circuit_id"].clone());
        }
    }
    gone
}

#[test]
fn a_daemon_with_circuits_shows_its_part_in_the_overlay_and_tells_of_circuits_that_are_gone() {
    let (net, flags) = network();
    let dir = folder();
    let mut all = vec!["--api", "127.0.0.1:0"];
    all.extend(flags.iter().map(String::as_str));
    let mut daemon = Daemon::with(dir.path(), &all);
    let api = Api::of(&mut daemon);
    assert!(list(&api, "/ipv8/overlays", "overlays").is_empty());
    assert_eq!(api.ask("GET", "/ipv8/tunnel/circuits/test", "").0, 404);
    let mut events = api.open("GET", "/events", "");
    daemon
        .ctl(&["add", "--hops", "1", &format!("magnet:?xt=urn:btih:{HASH}")])
        .ok();
    let mut ready = Vec::new();
    until(|| {
        let circuits = list(&api, "/ipv8/tunnel/circuits", "circuits");
        ready = circuits
            .into_iter()
            .filter(|it| it["state"] == "READY")
            .collect();
        !ready.is_empty()
    });
    let circuit = &ready[0];
    assert_eq!(
        (&circuit["type"], &circuit["goal_hops"]),
        (&json!("DATA"), &json!(1))
    );
    assert_eq!(circuit["exit_flags"], json!([2]));

    shows_who_is_there(&api, circuit);
    tests_speed(&api, circuit);
    keeps_values(&api);
    // The circuit of the test is gone by now, those of the torrent go with it.
    daemon.ctl(&["remove", HASH]).ok();
    let gone = told_of(&mut events, &circuit["circuit_id"]);
    assert!(gone.len() >= 2, "the circuit of the test, and this one");
    drop(net);
}
