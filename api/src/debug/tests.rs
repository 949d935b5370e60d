use std::os::fd::AsRawFd as _;

use serde_json::json;

use crate::testing::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn files_sockets_and_threads_of_the_process_are_told() {
    let scene = Scene::start().await;
    let path = scene.dir.path().join("open");
    let file = std::fs::File::create(&path).unwrap();
    let files = scene.ask("GET", "/debug/open_files", b"").await.json;
    let row = json!({"path": path, "fd": file.as_raw_fd()});
    assert!(
        files["open_files"].as_array().unwrap().contains(&row),
        "{files}"
    );
    let sockets = scene.ask("GET", "/debug/open_sockets", b"").await.json;
    let own = json!({
        "family": 2, "status": "LISTEN", "laddr": scene.at.to_string(), "raddr": "-", "type": 1,
    });
    assert!(
        sockets["open_sockets"].as_array().unwrap().contains(&own),
        "{sockets}"
    );
    let threads = scene.ask("GET", "/debug/threads", b"").await.json;
    let threads = threads["threads"].as_array().unwrap();
    assert!(threads.len() > 1);
    for thread in threads {
        assert!(thread["thread_id"].is_u64() && thread["thread_name"].is_string());
        assert!(thread["frames"].is_array());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_has_read_of_late_is_told_by_kind_and_what_it_could_not_read_is_left_out() {
    let scene = Scene::start().await;
    let memory = scene.ask("GET", "/debug/memory/history", b"").await.json;
    let due = json!({"memory_history": [{"time": 1.5, "mem": 4096}, {"time": 6.5, "mem": 8192}]});
    assert_eq!(memory, due);
    let cpu = scene.ask("GET", "/debug/cpu/history", b"").await.json;
    assert_eq!(cpu, json!({"cpu_history": [{"time": 6.5, "cpu": 12.5}]}));
}
