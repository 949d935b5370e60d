//! How the daemon stands, and its end.

use axum::extract::State;
use axum::routing::{get, post, put};
use control::{Ask, Nothing};
use serde_json::json;

use crate::describe::shapes::{flag, object, or_null, text};
use crate::describe::{About, done};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let state_shape = object(&[
        ("state", text()),
        ("last_exception", or_null(text())),
        ("readable_state", text()),
    ]);
    let upgrader_about = About::new("Skips the upgrade of the database, of which there is none")
        .takes(object(&[("skip_db_upgrade", flag())]))
        .refuses(&[404]);
    vec![
        route(
            "GET",
            "/state",
            get(state),
            About::new("How the daemon stands").answers(state_shape),
        ),
        route(
            "PUT",
            "/shutdown",
            put(shutdown),
            About::new("Ends the daemon").answers(done("shutdown")),
        ),
        route("POST", "/upgrader", post(upgrader), upgrader_about),
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
