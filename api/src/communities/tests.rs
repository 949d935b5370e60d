use std::collections::BTreeMap;

use super::*;
use crate::part::KnownPeer;
use crate::testing::Scene;

fn community(name: &'static str, id: u8) -> Community {
    let second = Duration::from_secs(1);
    let measured = Measured {
        count: [3, 1],
        bytes: [300, 50],
        ago: [
            Some((second * 60, second * 20)),
            Some((second * 70, second * 70)),
        ],
    };
    let other = Measured {
        count: [1, 0],
        bytes: [8, 0],
        ago: [Some((second * 5, second * 5)), None],
    };
    Community {
        name,
        id: [id; 20],
        own: vec![1, 2],
        global_time: 9,
        peers: vec![("1.2.3.4:5".parse().unwrap(), [0; 20], vec![3])],
        max_peers: None,
        is_isolated: false,
        addrs: ["9.9.9.9:1".parse().unwrap(), "10.0.0.1:2".parse().unwrap()],
        strategies: vec![("RandomWalk", 20), ("RandomChurn", -1)],
        measured: BTreeMap::from([
            (246, ("introduction_request".to_owned(), measured)),
            (7, ("unknown".to_owned(), other)),
        ]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn communities_and_what_they_send_are_told_field_by_field() {
    let scene = Scene::start().await;
    let get = async |path: &str| scene.ask("GET", path, b"").await.json;
    let empty = [
        ("/ipv8/overlays", json!({"overlays": []})),
        ("/ipv8/overlays/statistics", json!({"statistics": []})),
        ("/ipv8/network", json!({"peers": {}})),
    ];
    for (path, due) in &empty {
        assert_eq!(get(path).await, *due);
    }
    scene.part().lock().communities.push(community("One", 1));
    let due = json!({"overlays": [{
        "id": "01".repeat(20), "my_peer": "0102", "global_time": 9, "overlay_name": "One",
        "peers": ["Peer<1.2.3.4:5, AAAAAAAAAAAAAAAAAAAAAAAAAAA=>"],
        "statistics": {"num_up": 4, "num_down": 1, "bytes_up": 308, "bytes_down": 50, "diff_time": 65.0},
        "max_peers": null, "is_isolated": false,
        "my_estimated_wan": {"ip": "9.9.9.9", "port": 1},
        "my_estimated_lan": {"ip": "10.0.0.1", "port": 2},
        "strategies": [
            {"name": "RandomWalk", "target_peers": 20}, {"name": "RandomChurn", "target_peers": -1},
        ],
    }]});
    assert_eq!(get("/ipv8/overlays").await, due);
    let mut told = get("/ipv8/overlays/statistics").await;
    let row = told["statistics"][0]["One"]["246:introduction_request"].take();
    let at = |name: &str| row[name].as_f64().unwrap();
    assert!(
        (at("last_measured_up") - at("first_measured_up") - 40.0).abs() < 1e-3,
        "{row}"
    );
    assert!(
        (at("first_measured_up") - at("first_measured_down") - 10.0).abs() < 1e-3,
        "{row}"
    );
    assert!(at("last_measured_down") > 1.6e9);
    let counts = ["identifier", "num_up", "num_down", "bytes_up", "bytes_down"];
    assert_eq!(
        counts.map(|name| row[name].as_u64().unwrap()),
        [246, 3, 1, 300, 50]
    );
    let never = &told["statistics"][0]["One"]["7:unknown"];
    assert_eq!(never["last_measured_down"], json!(0.0));
    scene.part().lock().peers.push(KnownPeer {
        mid: [0; 20],
        at: "1.2.3.4:5".parse().unwrap(),
        key: vec![3],
        services: vec![[0xff; 20]],
    });
    let due = json!({"peers": {"AAAAAAAAAAAAAAAAAAAAAAAAAAA=": {
        "ip": "1.2.3.4", "port": 5, "public_key": "Aw==",
        "services": ["//////////////////////////8="],
    }}});
    assert_eq!(get("/ipv8/network").await, due);
}

#[tokio::test(flavor = "multi_thread")]
async fn communities_are_counted_where_somebody_asks_for_it() {
    let scene = Scene::start().await;
    let ask = async |body: Value| {
        let body = body.to_string();
        let reply = scene
            .ask("POST", "/ipv8/overlays/statistics", body.as_bytes())
            .await;
        assert_eq!(reply.json["success"], json!(reply.status == 200), "{body}");
        reply.status
    };
    let all = json!({"enable": "true", "all": "true"});
    assert_eq!(
        ask(all.clone()).await,
        412,
        "there is no part in the overlay"
    );
    let part = scene.part();
    part.lock().communities = vec![community("One", 1), community("Two", 2)];
    assert_eq!(ask(json!({"all": true})).await, 400);
    assert_eq!(ask(json!({"enable": true})).await, 412);
    assert_eq!(ask(json!({"enable": true, "all": false})).await, 412);
    assert_eq!(
        ask(json!({"enable": true, "overlay_name": "Three"})).await,
        400
    );
    assert!(part.lock().asked.is_empty());
    assert_eq!(ask(all).await, 200);
    assert_eq!(
        ask(json!({"enable": false, "overlay_name": "Two"})).await,
        200
    );
    let asked = ["measure 1 true", "measure 2 true", "measure 2 false"];
    assert_eq!(part.lock().asked, asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_servers_are_named_by_their_addresses() {
    let scene = Scene::start().await;
    let ask = async |body: Value| {
        let body = body.to_string();
        let reply = scene.ask("POST", "/ipv8/isolation", body.as_bytes()).await;
        assert_eq!(reply.json["success"], json!(reply.status == 200), "{body}");
        reply.status
    };
    let exit = json!({"ip": "1.2.3.4", "port": 5, "exitnode": 1});
    assert_eq!(ask(exit.clone()).await, 412);
    let part = scene.part();
    for bad in [
        json!({"port": 5, "exitnode": 1}),
        json!({"ip": "1.2.3.4", "exitnode": 1}),
        json!({"ip": "1.2.3.4", "port": 5}),
        json!({"ip": "::1", "port": 5, "exitnode": 1}),
        json!({"ip": "1.2.3.4", "port": 0, "exitnode": 1}),
        json!({"ip": "1.2.3.4", "port": 65536, "bootstrapnode": 1}),
    ] {
        assert_eq!(ask(bad).await, 400);
    }
    assert_eq!(ask(exit).await, 200);
    assert_eq!(
        ask(json!({"ip": "1.2.3.4", "port": "5", "bootstrapnode": true})).await,
        200
    );
    assert_eq!(part.lock().asked, ["walk 1.2.3.4:5", "bootstrap 1.2.3.4:5"]);
}
