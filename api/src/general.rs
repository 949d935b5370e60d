//! How the daemon stands, and its end.

use axum::extract::State;
use axum::routing::{get, put};
use control::{Ask, Nothing};
use serde_json::json;

use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    vec![
        route("GET", "/state", get(state)),
        route("PUT", "/shutdown", put(shutdown)),
        route("POST", "/upgrader", axum::routing::post(upgrader)),
    ]
}

/// The port is opened when everything else is.
async fn state() -> Answer {
    Answer(json!({"state": "STARTED", "last_exception": null, "readable_state": "Started"}))
}

async fn shutdown(State(shared): State<Shared>) -> Result<Answer, Problem> {
    shared.daemon().ask(Ask::Shutdown(Nothing {})).await?;
    Ok(Answer(json!({"shutdown": true})))
}

/// Nothing is ever upgraded while requests are served.
async fn upgrader(request: axum::extract::Request) -> Result<Answer, Problem> {
    let said = crate::asked::object(request).await?;
    match said.get("skip_db_upgrade") {
        None => Err(Problem::wrong("attribute to change is missing")),
        Some(_) => Err(Problem::missing("upgrader is not running")),
    }
}
