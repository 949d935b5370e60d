//! Figures for Prometheus.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use axum::routing::get;
use engine::metrics::Exposition;

use crate::describe::About;
use crate::describe::shapes::text;
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let about = About::new("Figures for Prometheus, as OpenMetrics 1.0").answers_as(
        200,
        Exposition::CONTENT_TYPE,
        text(),
    );
    vec![route("GET", "/metrics", get(metrics), about)]
}

/// All figures, as OpenMetrics.
async fn metrics(State(shared): State<Shared>) -> Response<Body> {
    let mut response = Response::new(Body::from(shared.daemon().figures().await));
    let kind = HeaderValue::from_static(Exposition::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    #[tokio::test(flavor = "multi_thread")]
    async fn figures_come_as_open_metrics() {
        let scene = Scene::start().await;
        let reply = scene.ask("GET", "/metrics", b"").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some(Exposition::CONTENT_TYPE));
        let text = String::from_utf8(reply.body).unwrap();
        assert!(
            text.ends_with("# EOF\n") && text.contains("\ntribler_ses_num_torrents 0\n"),
            "{text}"
        );
    }
}
