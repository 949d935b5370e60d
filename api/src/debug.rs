//! A look into the process, as the system sees it.

mod process;

use axum::extract::{Request, State};
use axum::routing::get;
use control::{Ask, Nothing, Resources};
use serde_json::json;

use crate::asked::Query;
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    vec![
        route("GET", "/debug/open_files", get(open_files)),
        route("GET", "/debug/open_sockets", get(open_sockets)),
        route("GET", "/debug/threads", get(threads)),
        route("GET", "/debug/cpu/history", get(cpu)),
        route("GET", "/debug/memory/history", get(memory)),
        route("GET", "/debug/log", get(log)),
    ]
}

/// Looks at files of the system, which may take a moment.
async fn look<T: Send + 'static>(
    at: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let looked = tokio::task::spawn_blocking(at).await;
    let looked = looked.map_err(|error| Problem::failed(error.to_string()))?;
    looked.map_err(|error| Problem::failed(format!("/proc: {error}")))
}

async fn open_files() -> Result<Answer, Problem> {
    let files = look(process::open_files).await?;
    Ok(Answer(json!({"open_files": files})))
}

async fn open_sockets() -> Result<Answer, Problem> {
    let sockets = look(process::open_sockets).await?;
    Ok(Answer(json!({"open_sockets": sockets})))
}

async fn threads() -> Result<Answer, Problem> {
    let threads = look(process::threads).await?;
    Ok(Answer(json!({"threads": threads})))
}

/// What the process took of late, oldest first.
async fn taken(shared: &Shared) -> Result<Resources, Problem> {
    let told = shared.daemon().ask(Ask::Resources(Nothing {})).await?;
    serde_json::from_value(told).map_err(|error| Problem::failed(error.to_string()))
}

async fn cpu(State(shared): State<Shared>) -> Result<Answer, Problem> {
    let taken = taken(&shared).await?;
    let rows = taken.samples.iter().filter_map(|sample| {
        let cpu = sample.cpu?;
        Some(json!({"time": sample.time, "cpu": cpu}))
    });
    Ok(Answer(json!({"cpu_history": rows.collect::<Vec<_>>()})))
}

async fn memory(State(shared): State<Shared>) -> Result<Answer, Problem> {
    let taken = taken(&shared).await?;
    let rows = taken.samples.iter().filter_map(|sample| {
        let memory = sample.memory?;
        Some(json!({"time": sample.time, "mem": memory}))
    });
    Ok(Answer(json!({"memory_history": rows.collect::<Vec<_>>()})))
}

/// The log goes to standard error, and no file of it is kept.
async fn log(request: Request) -> Result<Answer, Problem> {
    Query::of(request.uri()).number("max_lines")?;
    Ok(Answer(json!({"content": "", "max_lines": 0})))
}

#[cfg(test)]
mod tests;
