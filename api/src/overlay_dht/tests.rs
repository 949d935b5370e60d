use std::time::Duration;

use super::*;
use crate::part::{Bucket, BucketNode, DhtSearch, DhtStatus};
use crate::testing::Scene;

/// A scene with a node that knows something.
async fn with_node() -> Scene {
    let scene = Scene::start().await;
    let part = scene.part();
    let mut show = part.lock();
    show.dht = Some(DhtStatus {
        node_id: [1; 20],
        peer_id: [2; 20],
        nodes: 3,
        buckets: 4,
        keys: 5,
        tokens: 6,
        peers: vec![[7; 20]],
        keepers: 8,
    });
    let value = |data: &[u8], signer: Option<Vec<u8>>| DhtValue {
        data: data.to_vec(),
        signer,
    };
    show.values = vec![
        ([9; 20], value(b"a", None)),
        ([9; 20], value(b"b", Some(vec![3]))),
        ([10; 20], value(b"c", None)),
    ];
    show.search = DhtSearch {
        asked: 4,
        answered: 3,
        with_nodes: 2,
        with_values: 1,
    };
    drop(show);
    scene
}

async fn ask(scene: &Scene, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let reply = scene.ask(method, path, body.as_bytes()).await;
    (reply.status, reply.json)
}

async fn get(scene: &Scene, path: &str) -> (u16, Value) {
    ask(scene, "GET", path, Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_part_in_the_overlay_there_is_no_dht() {
    let scene = Scene::start().await;
    let key = "09".repeat(20);
    let none = json!({"success": false, "error": "DHT community not found"});
    for path in [
        "statistics",
        "values",
        &format!("values/{key}"),
        &format!("peers/{key}"),
    ] {
        let told = get(&scene, &format!("/ipv8/dht/{path}")).await;
        assert_eq!(told, (404, none.clone()), "{path}");
    }
    let put = ask(
        &scene,
        "PUT",
        &format!("/ipv8/dht/values/{key}"),
        json!({"value": "00"}),
    )
    .await;
    assert_eq!(put, (404, none.clone()));
    assert_eq!(
        get(&scene, &format!("/ipv8/noblockdht/{key}")).await,
        (404, none)
    );
    assert_eq!(
        get(&scene, "/ipv8/dht/buckets").await,
        (200, json!({"buckets": []}))
    );
    let refused = get(&scene, "/ipv8/dht/buckets/0/refresh").await;
    let due = json!({"success": false, "error": "DHT community is not loaded"});
    assert_eq!(refused, (400, due));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_knows_is_told_field_by_field() {
    let scene = with_node().await;
    let due = json!({"statistics": {
        "endpoints": [{"endpoint": "UDPIPv4", "node_id": "01".repeat(20), "routing_table_size": 3,
            "routing_table_buckets": 4, "num_keys_in_store": 5}],
        "node_id": "01".repeat(20), "peer_id": "02".repeat(20), "routing_table_size": 3,
        "routing_table_buckets": 4, "num_keys_in_store": 5, "num_tokens": 6,
        "num_peers_in_store": {"07".repeat(20): 1}, "num_store_for_me": {"02".repeat(20): 8},
    }});
    assert_eq!(get(&scene, "/ipv8/dht/statistics").await, (200, due));
    let row = |key: &str, value: &str, signer: Option<&str>| json!({"public_key": signer, "key": key.repeat(20), "value": value});
    let (first, second) = (row("09", "61", None), row("09", "62", Some("Aw==")));
    let here = |mut row: Value| {
        row["endpoint"] = json!("UDPIPv4");
        row
    };
    let due = json!({
        "09".repeat(20): [here(first.clone()), here(second.clone())],
        "0a".repeat(20): [here(row("0a", "63", None))],
    });
    assert_eq!(get(&scene, "/ipv8/dht/values").await, (200, due));
    let (status, mut found) = get(&scene, &format!("/ipv8/dht/values/{}", "09".repeat(20))).await;
    let time = found["debug"]["time"].take().as_f64().unwrap();
    assert!(status == 200 && time >= 0.0, "{found}");
    let due = json!({"values": [first, second], "debug": {
        "requests": 4, "responses": 3, "responses_with_nodes": 2, "responses_with_values": 1, "time": null,
    }});
    assert_eq!(found, due);
    scene.part().lock().places.push(DhtPeer {
        key: vec![3],
        at: "1.2.3.4:5".parse().unwrap(),
    });
    let due = json!({"peers": [{"public_key": "Aw==", "address": ["1.2.3.4", 5]}]});
    let peers = get(&scene, &format!("/ipv8/dht/peers/{}", "0B".repeat(20))).await;
    assert_eq!(peers, (200, due));
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_told_with_their_nodes_and_looked_into() {
    let scene = with_node().await;
    let mut distance = [0; 20];
    (distance[18], distance[19]) = (1, 4);
    let bucket = |prefix: &str, changed, nodes| Bucket {
        prefix: prefix.to_owned(),
        changed,
        nodes,
    };
    let node = BucketNode {
        at: "1.2.3.4:5".parse().unwrap(),
        mid: [3; 20],
        id: [4; 20],
        failed: 1,
        heard: None,
        distance,
    };
    let age = Some(Duration::from_secs(60));
    let buckets = vec![bucket("0", age, vec![node]), bucket("", None, Vec::new())];
    scene.part().lock().buckets = buckets;
    let (_, mut told) = get(&scene, "/ipv8/dht/buckets").await;
    let changed = told["buckets"][0]["last_changed"].take().as_f64().unwrap();
    assert!((clock::now() - 60.0 - changed).abs() < 30.0);
    let due = json!({"buckets": [
        {"prefix": "0", "endpoint": "UDPIPv4", "last_changed": null, "peers": [{
            "ip": "1.2.3.4", "port": 5, "mid": "03".repeat(20), "id": "04".repeat(20), "failed": 1,
            "last_contact": 0.0, "distance": 260.0,
        }]},
        {"prefix": "", "endpoint": "UDPIPv4", "last_changed": 0.0, "peers": []},
    ]});
    assert_eq!(told, due);
    for prefix in ["0", "all"] {
        let done = get(&scene, &format!("/ipv8/dht/buckets/{prefix}/refresh")).await;
        assert_eq!(done, (200, json!({"success": true})), "{prefix}");
    }
    let none = json!({"success": false, "error": "no such bucket"});
    assert_eq!(
        get(&scene, "/ipv8/dht/buckets/1/refresh").await,
        (400, none)
    );
    let whole = [0xff; 20];
    assert!((rounded(&whole) / 2_f64.powi(160) - 1.0).abs() < 1e-12);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_stored_with_a_signature_unless_otherwise_said() {
    let scene = with_node().await;
    let path = format!("/ipv8/dht/values/{}", "09".repeat(20));
    let put = async |path: &str, body: Value| ask(&scene, "PUT", path, body).await;
    let done = (200, json!({"success": true}));
    assert_eq!(put(&path, json!({"value": "0aFF"})).await, done);
    assert_eq!(
        put(
            &format!("{path}?wire=tribler"),
            json!({"value": "", "sign": false})
        )
        .await,
        done
    );
    let (status, json) = put(&path, json!({})).await;
    let due = json!({"success": false, "error": "incorrect parameters"});
    assert_eq!((status, json), (400, due));
    for body in [json!({"value": "0"}), json!({"value": "xy"})] {
        assert_eq!(put(&path, body).await.0, 400);
    }
    for path in ["/ipv8/dht/values/09", &format!("{path}?wire=x")] {
        assert_eq!(put(path, json!({"value": "00"})).await.0, 400, "{path}");
    }
    let asked = scene.part().lock().asked.clone();
    assert!(
        asked.contains(&"store 9 [10, 255] true".to_owned()),
        "{asked:?}"
    );
    assert!(asked.contains(&"store 9 [] false".to_owned()), "{asked:?}");
    assert!(asked.contains(&"dht Some(Tribler)".to_owned()), "{asked:?}");
    for (why, status) in [
        (Unfound::Wrong("a".to_owned()), 400),
        (Unfound::Failed("b".to_owned()), 502),
    ] {
        scene.part().lock().unfound = Some(why);
        assert_eq!(put(&path, json!({"value": "00"})).await.0, status);
        assert_eq!(get(&scene, &path).await.0, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_looked_for_behind_the_answer() {
    let scene = with_node().await;
    let path = format!("/ipv8/noblockdht/{}", "0b".repeat(20));
    assert_eq!(get(&scene, &path).await, (200, json!({"success": true})));
    let mut tries = 0;
    while !scene.part().lock().asked.contains(&"connect 11".to_owned()) {
        tries += 1;
        assert!(tries < 1000, "nobody looks for it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(get(&scene, "/ipv8/noblockdht/0b").await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_peers_are_looked_for_behind_answers() {
    let scene = with_node().await;
    scene.part().lock().seeks = true;
    let path = format!("/ipv8/noblockdht/{}", "0b".repeat(20));
    for _ in 0..32 {
        assert_eq!(get(&scene, &path).await.0, 200);
    }
    let (status, told) = get(&scene, &path).await;
    let why = told["error"].as_str().unwrap();
    assert!(status == 503 && why.contains("32 peers"), "{status} {why}");
}
