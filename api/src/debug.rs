//! A look into the process, as the system sees it.

mod log;
mod memory;
mod process;
mod profiler;

use axum::extract::State;
use axum::routing::get;
use control::{Ask, Nothing, Resources};
use serde_json::{Value, json};

use crate::describe::About;
use crate::describe::shapes::{count, list, number, object, text};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let rows = |summary, word: &'static str, row: &[(&'static str, Value)]| {
        let shape = object(&[(word, list(object(row)))]);
        About::new(summary).answers(shape).refuses(&[500])
    };
    let files = [("path", text()), ("fd", count())];
    let sockets = [
        ("family", count()),
        ("status", text()),
        ("laddr", text()),
        ("raddr", text()),
        ("type", count()),
    ];
    let frames = ("frames", list(text()));
    let all_threads = [("thread_id", count()), ("thread_name", text()), frames];
    let cpu_row = [("time", number()), ("cpu", number())];
    let memory_row = [("time", number()), ("mem", count())];
    let mut routes = vec![
        route(
            "GET",
            "/debug/open_files",
            get(open_files),
            rows("Files that are open", "open_files", &files),
        ),
        route(
            "GET",
            "/debug/open_sockets",
            get(open_sockets),
            rows("Sockets that are open", "open_sockets", &sockets),
        ),
        route(
            "GET",
            "/debug/threads",
            get(threads),
            rows("Threads, and what each does", "threads", &all_threads),
        ),
        route(
            "GET",
            "/debug/cpu/history",
            get(cpu),
            rows(
                "Processor time of late, in per cent of a core",
                "cpu_history",
                &cpu_row,
            ),
        ),
        route(
            "GET",
            "/debug/memory/history",
            get(memory),
            rows("Bytes of memory of late", "memory_history", &memory_row),
        ),
    ];
    routes.extend(log::routes());
    routes.extend(memory::routes());
    routes.extend(profiler::routes());
    routes
}

/// Looks at files of the system, which may take a moment.
async fn look<T: Send + 'static>(
    at: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let looked = Shared::apart(at).await?;
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

#[cfg(test)]
mod tests;
