//! Figures of the daemon.

use axum::extract::State;
use axum::routing::get;
use serde_json::json;

use crate::describe::About;
use crate::describe::shapes::{count, number, object};
use crate::problem::Answer;
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let counts = object(&[
        ("db_size", count()),
        ("num_channels", count()),
        ("num_torrents", count()),
    ]);
    let overlay = object(&[
        ("total_up?", count()),
        ("total_down?", count()),
        ("session_uptime?", number()),
    ]);
    vec![
        route(
            "GET",
            "/statistics/tribler",
            get(tribler),
            About::new("What is kept").answers(object(&[("tribler_statistics", counts)])),
        ),
        route(
            "GET",
            "/statistics/ipv8",
            get(ipv8),
            About::new("What the part in the overlay has done; nothing before there is one")
                .answers(object(&[("ipv8_statistics", overlay)])),
        ),
    ]
}

/// Channels and their torrents are not kept here.
async fn tribler(State(shared): State<Shared>) -> Answer {
    let size = shared.daemon().state_size();
    Answer(json!({
        "tribler_statistics": {"db_size": size, "num_channels": 0, "num_torrents": 0},
    }))
}

async fn ipv8(State(shared): State<Shared>) -> Answer {
    let figures = shared.daemon().overlay().map(|figures| {
        json!({
            "total_up": figures.sent,
            "total_down": figures.received,
            "session_uptime": figures.uptime.as_secs_f64(),
        })
    });
    Answer(json!({"ipv8_statistics": figures.unwrap_or_else(|| json!({}))}))
}
