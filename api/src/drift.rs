//! How late the runtime is, and what it has to do.
//!
//! Both measurements are tasks that sleep and look how much later they are woken than they asked for. They are there while they are
//! turned on; otherwise they cost nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use engine::State as Doing;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::asked;
use crate::clock;
use crate::describe::shapes::{count, either, flag, list, number, object, text};
use crate::describe::{About, done};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

/// How often drift is measured.
const EVERY: Duration = Duration::from_millis(500);

/// Measurements that are kept.
const KEPT: usize = 100;

/// How often it is looked whether the runtime is late beyond what was said.
const WATCHED: Duration = Duration::from_millis(50);

/// What counts as late unless otherwise said.
const LATE: Duration = Duration::from_millis(100);

/// Lines about it that are kept.
const LINES: usize = 50;

/// Downloads that are listed among tasks at most.
const MOST_TASKS: usize = 1000;

pub(crate) fn routes() -> Vec<Served> {
    let measurement = object(&[("timestamp", number()), ("drift", number())]);
    let drift = || {
        About::new("How late the runtime was of late, in seconds")
            .answers(object(&[("measurements", list(measurement.clone()))]))
            .refuses(&[404])
    };
    let enable = || {
        About::new("Measures how late the runtime is, or no more")
            .takes(object(&[("enable", switch())]))
            .answers(done("success"))
    };
    let task = object(&[
        ("name", text()),
        ("running", flag()),
        ("stack", list(text())),
        ("taskmanager?", text()),
        ("start_time?", number()),
        ("interval?", number()),
    ]);
    let tasks =
        About::new("What the runtime has to do, as far as it has names").answers(object(&[
            ("tasks", list(task)),
            ("alive", count()),
            ("workers", count()),
        ]));
    let debug = About::new("When the runtime was later than it may be, while that is watched")
        .answers(object(&[
            ("messages", list(object(&[("message", text())]))),
            ("enable", flag()),
            ("slow_callback_duration", number()),
        ]));
    let set_debug =
        About::new("Watches whether the runtime is late, or no more; from how many seconds on")
            .takes(object(&[
                ("enable?", switch()),
                ("slow_callback_duration?", number()),
            ]))
            .answers(done("success"));
    vec![
        route("GET", "/ipv8/asyncio/drift", get(measured), drift()),
        route("PUT", "/ipv8/asyncio/drift", put(measure), enable()),
        route("GET", "/ipv8/health/drift", get(measured), drift()),
        route("PUT", "/ipv8/health/enable", put(measure), enable()),
        route("GET", "/ipv8/asyncio/tasks", get(tasks_now), tasks),
        route("GET", "/ipv8/asyncio/debug", get(watched), debug),
        route("PUT", "/ipv8/asyncio/debug", put(watch), set_debug),
    ]
}

fn switch() -> Value {
    either(&[flag(), json!({"type": "string", "enum": ["true", "false"]})])
}

/// What is measured.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    drift: Mutex<Option<Measuring<(f64, f64)>>>,
    watch: Mutex<Watch>,
}

#[derive(Debug)]
struct Watch {
    late: Duration,
    lines: Option<Measuring<String>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            late: LATE,
            lines: None,
        }
    }
}

/// A task that measures, and what it has found last. It ends with this value.
#[derive(Debug)]
struct Measuring<T> {
    found: Arc<Mutex<VecDeque<T>>>,
    since: f64,
    task: JoinHandle<()>,
}

impl<T> Drop for Measuring<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Clone + Send + 'static> Measuring<T> {
    /// Looks so often how late the runtime is, and keeps the last of what is made of it behind what was found `before`.
    fn start(
        every: Duration,
        (before, kept): (Vec<T>, usize),
        of: impl Fn(Duration) -> Option<T> + Send + 'static,
    ) -> Self {
        let found = Arc::new(Mutex::new(VecDeque::from(before)));
        let finds = Arc::clone(&found);
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + every;
                sleep_until(due).await;
                if let Some(found) = of(due.elapsed()) {
                    note(&mut finds.lock(), kept, found);
                }
            }
        });
        Self {
            found,
            since: clock::now(),
            task,
        }
    }

    fn found(&self) -> Vec<T> {
        self.found.lock().iter().cloned().collect()
    }
}

/// Notes what was found behind the rest, of which so much is kept.
fn note<T>(finds: &mut VecDeque<T>, kept: usize, found: T) {
    while finds.len() >= kept && finds.pop_front().is_some() {}
    finds.push_back(found);
}

impl Watch {
    /// Begins anew with what counts as late now, and what was found so far.
    fn restart(&mut self) {
        let late = self.late;
        let lines = self.lines.as_ref().map(Measuring::found);
        let before = (lines.unwrap_or_default(), LINES);
        let begun = Measuring::start(WATCHED, before, move |by| {
            let (by, at) = (by.as_secs_f64(), clock::now());
            (by >= late.as_secs_f64()).then(|| format!("{at:.3}: the runtime was {by:.3} s late"))
        });
        self.lines = Some(begun);
    }
}

async fn measured(State(shared): State<Shared>) -> Result<Answer, Problem> {
    let drift = shared.0.lateness.drift.lock();
    let Some(drift) = &*drift else {
        let why = "Core drift disabled.";
        return Err(Problem::unsuccessful(StatusCode::NOT_FOUND, why));
    };
    let rows = drift.found().into_iter();
    let rows = rows.map(|(at, drift)| json!({"timestamp": at, "drift": drift}));
    Ok(Answer(json!({"measurements": rows.collect::<Vec<_>>()})))
}

fn incorrect() -> Problem {
    Problem::unsuccessful(StatusCode::BAD_REQUEST, "incorrect parameters")
}

async fn measure(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let asked = asked::object(request).await?;
    let enable = asked.flag("enable")?.ok_or_else(incorrect)?;
    let mut drift = shared.0.lateness.drift.lock();
    if !enable {
        *drift = None;
    } else if drift.is_none() {
        let begun = Measuring::start(EVERY, (Vec::new(), KEPT), |by| {
            Some((clock::now(), by.as_secs_f64()))
        });
        *drift = Some(begun);
    }
    Ok(Answer(json!({"success": true})))
}

/// Tasks of the runtime have no names; what is told by name are the request itself, what measures here, and torrents, which are an
/// actor each while they do something.
async fn tasks_now(State(shared): State<Shared>) -> Answer {
    let own = json!({
        "name": "GET /ipv8/asyncio/tasks",
        "running": true,
        "stack": [],
        "taskmanager": "Server",
        "start_time": clock::now(),
    });
    let mut rows = vec![own];
    let mut measures = |name: &str, since: Option<f64>, every: Duration| {
        if let Some(since) = since {
            rows.push(json!({
                "name": name,
                "running": false,
                "stack": [],
                "taskmanager": "Lateness",
                "start_time": since,
                "interval": every.as_secs_f64(),
            }));
        }
    };
    let lateness = &shared.0.lateness;
    let drift = lateness.drift.lock().as_ref().map(|it| it.since);
    let watch = lateness.watch.lock().lines.as_ref().map(|it| it.since);
    measures("drift", drift, EVERY);
    measures("debug", watch, WATCHED);
    let snapshot = shared.engine().snapshot();
    let at_work = snapshot.torrents.iter();
    let at_work = at_work
        .filter(|torrent| torrent.state != Doing::Paused)
        .take(MOST_TASKS);
    rows.extend(at_work.map(|torrent| {
        json!({
            "name": torrent.hashes.wire().to_string(),
            "running": false,
            "stack": [],
            "taskmanager": "Torrent",
        })
    }));
    let metrics = Handle::current().metrics();
    Answer(json!({
        "tasks": rows,
        "alive": metrics.num_alive_tasks(),
        "workers": metrics.num_workers(),
    }))
}

async fn watched(State(shared): State<Shared>) -> Answer {
    let watch = shared.0.lateness.watch.lock();
    let lines = watch.lines.as_ref().map(Measuring::found);
    let lines = lines.unwrap_or_default().into_iter();
    let messages = lines.map(|line| json!({"message": line}));
    Answer(json!({
        "messages": messages.collect::<Vec<_>>(),
        "enable": watch.lines.is_some(),
        "slow_callback_duration": watch.late.as_secs_f64(),
    }))
}

async fn watch(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let asked = asked::object(request).await?;
    let enable = asked.flag("enable")?;
    let late = asked.get("slow_callback_duration").map(|late| {
        let late = late
            .as_f64()
            .and_then(|late| Duration::try_from_secs_f64(late).ok());
        late.ok_or_else(|| {
            let why = "slow_callback_duration is a number of seconds from 0";
            Problem::unsuccessful(StatusCode::BAD_REQUEST, why)
        })
    });
    let late = late.transpose()?;
    if enable.is_none() && late.is_none() {
        return Err(incorrect());
    }
    let mut watch = shared.0.lateness.watch.lock();
    watch.late = late.unwrap_or(watch.late);
    match enable {
        Some(false) => watch.lines = None,
        Some(true) => watch.restart(),
        None if watch.lines.is_some() => watch.restart(),
        None => {}
    }
    Ok(Answer(json!({"success": true})))
}

#[cfg(test)]
mod tests;
