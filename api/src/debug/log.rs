//! The last lines of the log.

use axum::extract::{Request, State};
use axum::routing::get;
use serde_json::json;

use crate::asked::Query;
use crate::describe::About;
use crate::describe::shapes::{count, object, text};
use crate::problem::Answer;
use crate::routes::{Served, route};
use crate::shared::Shared;

/// Lines where it is not said how many.
const LINES: usize = 100;

/// The process whose log there is.
const CORE: &str = "core";

pub(super) fn routes() -> Vec<Served> {
    let about = About::new("The last lines of the log")
        .asks("process", text(), "Of which process: there is `core` alone")
        .asks(
            "max_lines",
            text(),
            "How many lines; 100 where that is no number",
        )
        .answers(object(&[("content", text()), ("max_lines", count())]));
    vec![route("GET", "/debug/log", get(log), about)]
}

/// The last lines of the log; of processes that are not there, none. What is no number is answered with 0 beside the usual lines.
async fn log(State(shared): State<Shared>, request: Request) -> Answer {
    let query = Query::of(request.uri());
    if query.get("process").is_some_and(|process| process != CORE) {
        return Answer(json!({"content": "", "max_lines": 0}));
    }
    let said = query.get("max_lines").map(str::parse::<usize>);
    let (lines, told) = match said {
        None => (LINES, LINES),
        Some(Ok(lines)) => (lines, lines),
        Some(Err(_)) => (LINES, 0),
    };
    Answer(json!({"content": shared.daemon().log(lines), "max_lines": told}))
}

#[cfg(test)]
mod tests {
    use crate::testing::Scene;

    #[tokio::test(flavor = "multi_thread")]
    async fn so_many_of_the_last_lines_are_told() {
        let scene = Scene::start().await;
        for (query, lines, told) in [
            ("", 100, 100),
            ("?process=core&max_lines=3", 3, 3),
            ("?max_lines=0", 0, 0),
            ("?max_lines=x", 100, 0),
            ("?max_lines=-1", 100, 0),
            ("?process=gui&max_lines=3", 0, 0),
            ("?process=../core&max_lines=3", 0, 0),
        ] {
            let reply = scene.ask("GET", &format!("/debug/log{query}"), b"").await;
            assert_eq!(reply.status, 200);
            let content = reply.json["content"].as_str().unwrap();
            assert_eq!(content.lines().count(), lines, "{query}");
            assert_eq!(reply.json["max_lines"], told, "{query}");
        }
    }
}
