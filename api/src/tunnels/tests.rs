use super::*;
use crate::part::{Ending, Member, Relayed, Swarm};
use crate::testing::Scene;

const LISTS: [&str; 4] = ["relays", "exits", "swarms", "peers"];

async fn list(scene: &Scene, what: &str) -> Value {
    let reply = scene.ask("GET", &format!("/ipv8/tunnel/{what}"), b"").await;
    assert_eq!(reply.status, 200);
    let mut list = reply.json;
    list[what].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_through_here_is_told_field_by_field() {
    let scene = Scene::start().await;
    for what in LISTS {
        assert_eq!(list(&scene, what).await, json!([]), "{what}");
    }
    let part = scene.part();
    for what in LISTS {
        assert_eq!(list(&scene, what).await, json!([]), "{what}");
    }
    let age = Duration::from_secs(60);
    {
        let mut show = part.lock();
        show.relayed.push(Relayed {
            ends: [1, 2],
            is_rendezvous: true,
            bytes: [10, 20],
            age,
        });
        show.endings.push(Ending {
            id: 3,
            is_open: true,
            bytes: [30, 40],
            age,
            hidden: [true, false],
        });
        show.swarms.push(Swarm {
            name: [0xab; 20],
            seeders: 5,
            links: [2, 1],
            seeds: false,
            looked: None,
            bytes: [50, 60],
        });
        show.members.push(Member {
            at: "9.8.7.6:5".parse().unwrap(),
            mid: [0xcd; 20],
            is_compatible: true,
            flags: 0x800b,
        });
    }
    let due = [
        json!([
            {"circuit_from": 1, "circuit_to": 2, "is_rendezvous": true, "direction": "forward",
             "bytes_up": 10, "bytes_down": 20, "creation_time": null},
            {"circuit_from": 2, "circuit_to": 1, "is_rendezvous": true, "direction": "backward",
             "bytes_up": 20, "bytes_down": 10, "creation_time": null},
        ]),
        json!([{"circuit_from": 3, "enabled": true, "bytes_up": 30, "bytes_down": 40,
            "is_introduction": true, "is_rendezvous": false, "creation_time": null}]),
        json!([{"info_hash": "ab".repeat(20), "num_seeders": 5, "num_connections": 2,
            "num_connections_incomplete": 1, "seeding": false, "last_lookup": 0.0,
            "bytes_up": 50, "bytes_down": 60}]),
        json!([{"ip": "9.8.7.6", "port": 5, "mid": "cd".repeat(20), "is_key_compatible": true,
            "flags": [1, 2, 8, 32768]}]),
    ];
    for (what, due) in LISTS.into_iter().zip(due) {
        let mut rows = list(&scene, what).await;
        for row in rows.as_array_mut().unwrap() {
            if let Some(at) = row.get_mut("creation_time") {
                let at = at.take().as_f64().unwrap();
                assert!((clock::now() - 60.0 - at).abs() < 30.0, "{at}");
            }
        }
        assert_eq!(rows, due, "{what}");
    }
    part.lock().swarms[0].looked = Some(age);
    let at = list(&scene, "swarms").await[0]["last_lookup"].as_f64();
    assert!(at > Some(1.6e9), "{at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seeders_are_counted_by_as_many_hops_as_were_asked_for() {
    let scene = Scene::start().await;
    let path = |name: &str, more: &str| format!("/ipv8/tunnel/swarms/{name}/size{more}");
    let name = "ab".repeat(20);
    let ask = async |name: &str, more: &str| {
        let reply = scene.ask("GET", &path(name, more), b"").await;
        (reply.status, reply.json)
    };
    assert_eq!(ask(&name, "").await.0, 404);
    let part = scene.part();
    assert_eq!(ask(&name, "?hops=2").await.0, 502);
    part.lock().seeders = Some(7);
    assert_eq!(ask(&name, "").await, (200, json!({"swarm_size": 7})));
    for (name, more) in [
        (&*name, "?hops=0"),
        (&name, "?hops=4"),
        (&name, "?hops=x"),
        ("ab", ""),
        ("zz", ""),
    ] {
        assert_eq!(ask(name, more).await.0, 400, "{name} {more}");
    }
    assert_eq!(part.lock().asked, ["count ab 2", "count ab 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_of_speed_say_what_was_asked_and_what_was_seen() {
    let scene = Scene::start().await;
    let ask = async |path: &str| {
        let reply = scene
            .ask("GET", &format!("/ipv8/tunnel/circuits/{path}"), b"")
            .await;
        (reply.status, reply.json)
    };
    assert_eq!(ask("test").await.0, 404);
    let part = scene.part();
    part.lock().speed = Some(Speed {
        sent: 1100,
        answered: 1024,
        took: Duration::from_secs(4),
        round_trip: Some([Duration::from_millis(20), Duration::from_millis(10)]),
    });
    let due = json!({
        "speed": 0.25, "messages_sent": 1100, "messages_received": 1024,
        "rtt_mean": 0.02, "rtt_median": 0.01,
    });
    assert_eq!(ask("test").await, (200, due.clone()));
    let wish = "7/test?request_size=1024&response_size=0&test_time_ms=60000";
    assert_eq!(ask(wish).await, (200, due));
    let asked = [
        "New(1) SpeedTest { request: 50, response: 1024, time: 5s }",
        "Circuit(7) SpeedTest { request: 1024, response: 0, time: 60s }",
    ];
    assert_eq!(part.lock().asked, asked);
    part.lock().speed = Some(Speed::default());
    assert_eq!(ask("test?goal_hops=3").await.1["speed"], json!(0.0));
    for bad in [
        "test?goal_hops=0",
        "test?goal_hops=4",
        "test?request_size=2001",
        "test?response_size=70000",
        "test?test_time_ms=0",
        "test?test_time_ms=60001",
        "test?test_time_ms=x",
        "x/test",
        "99999999999/test",
    ] {
        let (status, json) = ask(bad).await;
        assert_eq!(status, 400, "{bad}: {json}");
    }
    for (why, status) in [
        (Untested::Unknown("a".to_owned()), 404),
        (Untested::Refused("b".to_owned()), 400),
        (Untested::NotBuilt("c".to_owned()), 502),
    ] {
        part.lock().untested = Some(why);
        assert_eq!(ask("7/test").await.0, status);
    }
}
