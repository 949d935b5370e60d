//! Figures of the daemon.

use axum::extract::State;
use axum::routing::get;
use serde_json::json;

use crate::problem::Answer;
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    vec![
        route("GET", "/statistics/tribler", get(tribler)),
        route("GET", "/statistics/ipv8", get(ipv8)),
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
