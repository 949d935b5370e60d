//! Where the process spends its time.

use axum::extract::State;
use axum::routing::{delete, get, put};
use serde_json::json;

use crate::describe::shapes::{flag, object, text};
use crate::describe::{About, done};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(super) fn routes() -> Vec<Served> {
    let path = "/debug/profiler";
    let stopped = object(&[("success", flag()), ("profiler_file", text())]);
    vec![
        route(
            "GET",
            path,
            get(state),
            About::new("Whether it is noted where the process spends its time")
                .answers(object(&[("state", text())])),
        ),
        route(
            "PUT",
            path,
            put(start),
            About::new(
                "Notes from now on where the process spends its time, for ten minutes at most",
            )
            .answers(done("success"))
            .refuses(&[409, 500]),
        ),
        route(
            "DELETE",
            path,
            delete(stop),
            About::new("Ends that: the file with stacks and how often each was met")
                .answers(stopped)
                .refuses(&[404, 500]),
        ),
    ]
}

async fn state(State(shared): State<Shared>) -> Answer {
    let running = shared.daemon().is_profiling();
    Answer(json!({"state": if running { "STARTED" } else { "STOPPED" }}))
}

async fn start(State(shared): State<Shared>) -> Result<Answer, Problem> {
    shared.daemon().start_profiling()?;
    Ok(Answer(json!({"success": true})))
}

async fn stop(State(shared): State<Shared>) -> Result<Answer, Problem> {
    let file = shared.daemon().stop_profiling().await?;
    let file = file.display().to_string();
    Ok(Answer(json!({"success": true, "profiler_file": file})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_profiler_is_started_and_stopped_once_each() {
        let scene = Scene::start().await;
        let mut told = Vec::new();
        for method in ["GET", "DELETE", "PUT", "PUT", "GET", "DELETE", "GET"] {
            let reply = scene.ask(method, "/debug/profiler", b"").await;
            told.push((reply.status, reply.json));
        }
        let file = scene.dir.path().join("profile");
        let due = [
            (200, json!({"state": "STOPPED"})),
            (404, json!({"error": "Profiler is not running"})),
            (200, json!({"success": true})),
            (409, json!({"error": "Profiler is already running"})),
            (200, json!({"state": "STARTED"})),
            (200, json!({"success": true, "profiler_file": file})),
            (200, json!({"state": "STOPPED"})),
        ];
        assert_eq!(told, due);
    }
}
