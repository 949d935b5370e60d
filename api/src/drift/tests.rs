use super::*;
use crate::testing::Scene;

#[test]
fn no_more_is_kept_than_may_be_however_much_there_was() {
    let mut found = VecDeque::from([1, 2, 3, 4, 5]);
    note(&mut found, 3, 6);
    assert_eq!(found, [4, 5, 6]);
    note(&mut found, 3, 7);
    assert_eq!(found, [5, 6, 7]);
}

async fn set(scene: &Scene, path: &str, body: Value) -> u16 {
    let reply = scene.ask("PUT", path, body.to_string().as_bytes()).await;
    if reply.status == 200 {
        assert_eq!(reply.json, json!({"success": true}));
    } else {
        assert_eq!(reply.json["success"], json!(false));
    }
    reply.status
}

async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never is");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_measured_while_it_is_turned_on_by_either_name() {
    let scene = Scene::start().await;
    let off = scene.ask("GET", "/ipv8/health/drift", b"").await;
    let disabled = json!({"success": false, "error": "Core drift disabled."});
    assert_eq!((off.status, &off.json), (404, &disabled));
    assert_eq!(set(&scene, "/ipv8/asyncio/drift", json!({})).await, 400);
    assert_eq!(
        set(&scene, "/ipv8/asyncio/drift", json!({"enable": true})).await,
        200
    );
    let rows = until(async || {
        let told = scene.ask("GET", "/ipv8/health/drift", b"").await.json;
        let rows = told["measurements"].as_array().unwrap().clone();
        (rows.len() >= 2).then_some(rows)
    })
    .await;
    let value = |at: usize, name: &str| rows[at][name].as_f64().unwrap();
    let between = value(1, "timestamp") - value(0, "timestamp");
    assert!(between >= 0.4, "{rows:?}");
    assert!(value(0, "drift") >= 0.0 && value(0, "timestamp") > 1.6e9);
    let tasks = scene.ask("GET", "/ipv8/asyncio/tasks", b"").await.json;
    let named = |name: &str| {
        let all = tasks["tasks"].as_array().unwrap().iter();
        all.filter(|task| task["name"] == name).count()
    };
    assert_eq!((named("drift"), named("debug")), (1, 0), "{tasks}");
    assert!(tasks["alive"].as_u64() > Some(0) && tasks["workers"].as_u64() > Some(0));
    assert_eq!(
        set(&scene, "/ipv8/health/enable", json!({"enable": false})).await,
        200
    );
    let off = scene.ask("GET", "/ipv8/asyncio/drift", b"").await;
    assert_eq!(off.status, 404);
    let tasks = scene.ask("GET", "/ipv8/asyncio/tasks", b"").await.json;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1, "{tasks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_do_something_are_among_the_tasks() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a", 10)]).await;
    let tasks = scene.ask("GET", "/ipv8/asyncio/tasks", b"").await.json;
    let last = &tasks["tasks"][1];
    assert_eq!(
        (&last["name"], &last["taskmanager"]),
        (&json!(hash), &json!("Torrent"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_late_is_told_of_while_that_is_watched() {
    let scene = Scene::start().await;
    let path = "/ipv8/asyncio/debug";
    let at_first = scene.ask("GET", path, b"").await.json;
    let due = json!({"messages": [], "enable": false, "slow_callback_duration": 0.1});
    assert_eq!(at_first, due);
    for bad in [
        json!({}),
        json!({"slow_callback_duration": -1}),
        json!({"slow_callback_duration": "x"}),
    ] {
        assert_eq!(set(&scene, path, bad).await, 400);
    }
    // Every look is late by no time at all.
    let wish = json!({"enable": "true", "slow_callback_duration": 0});
    assert_eq!(set(&scene, path, wish).await, 200);
    let told = until(async || {
        let told = scene.ask("GET", path, b"").await.json;
        (!told["messages"].as_array().unwrap().is_empty()).then_some(told)
    })
    .await;
    let line = told["messages"][0]["message"].as_str().unwrap();
    assert!(line.ends_with(" s late"), "{line}");
    assert_eq!(told["enable"], json!(true));
    // No look is late by a day; what was found stays.
    assert_eq!(
        set(&scene, path, json!({"slow_callback_duration": 86_400})).await,
        200
    );
    let kept = scene.ask("GET", path, b"").await.json;
    let lines = |told: &Value| told["messages"].as_array().unwrap().len();
    assert!(lines(&kept) >= lines(&told));
    tokio::time::sleep(WATCHED * 4).await;
    let later = scene.ask("GET", path, b"").await.json;
    assert_eq!(lines(&later), lines(&kept));
    assert_eq!(set(&scene, path, json!({"enable": false})).await, 200);
    let off = scene.ask("GET", path, b"").await.json;
    assert_eq!(
        (&off["messages"], &off["enable"]),
        (&json!([]), &json!(false))
    );
}
