//! Figures of the daemon.

use axum::extract::{Request, State};
use axum::routing::get;
use serde_json::json;

use crate::asked::{self, Era};
use crate::describe::About;
use crate::describe::shapes::{count, number, object};
use crate::problem::{Answer, Problem};
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
            About::new("What is kept")
                .answers(object(&[("tribler_statistics", counts)]))
                .refuses(&[500]),
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
async fn tribler(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let size = Shared::apart(move || shared.daemon().state_size()).await?;
    if asked::era(&request) == Era::V70 {
        // Nor are torrents collected, and nothing stands in line for that.
        return Ok(Answer(json!({"tribler_statistics": {
            "torrents": {"num_collected": 0, "total_size": 0, "num_files": 0},
            "num_channels": 0,
            "database_size": size,
            "torrent_queue_stats": [],
            "torrent_queue_size_stats": [],
            "torrent_queue_bandwidth_stats": [],
        }})));
    }
    Ok(Answer(json!({
        "tribler_statistics": {"db_size": size, "num_channels": 0, "num_torrents": 0},
    })))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    #[tokio::test(flavor = "multi_thread")]
    async fn each_version_has_its_own_words_for_what_is_kept() {
        let scene = Scene::start().await;
        let now = scene.ask("GET", "/statistics/tribler", b"").await.json;
        let due = json!({"db_size": 7, "num_channels": 0, "num_torrents": 0});
        assert_eq!(now["tribler_statistics"], due);
        let old = scene.ask("GET", "/v7.0/statistics/tribler", b"").await;
        let old = &old.json["tribler_statistics"];
        assert_eq!(
            (&old["database_size"], &old["num_channels"]),
            (&json!(7), &json!(0))
        );
        assert_eq!(old["torrents"]["num_files"], 0);
        assert_eq!(old["torrent_queue_stats"], json!([]));
    }
}
