//! Torrents that do nothing, in any client: memory, times and CPU.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use benches::daemon::Daemon;
use benches::process::{Process, load, wait};
use benches::torrents::Torrents;
use control::Query;

/// How long a client is left alone before its memory is looked at.
const SETTLES: Duration = Duration::from_secs(5);

/// What torrents do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Paused,
    /// And nobody fetches.
    Seeding,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Seeding => "seeding",
        }
    }
}

/// A program that has torrents.
pub(crate) trait Client {
    fn name(&self) -> String;

    /// Starts it without torrents.
    fn start_empty(&mut self, state: &Path) -> Result<Process, Box<dyn Error>>;

    /// Starts it and adds torrents; says how long after the start all were there.
    fn start_and_add(
        &mut self,
        kind: Kind,
        torrents: &Torrents,
        state: &Path,
    ) -> Result<(Process, Duration), Box<dyn Error>>;

    /// Starts it again; says how long after that all torrents were listed.
    fn start_again(
        &mut self,
        kind: Kind,
        torrents: &Torrents,
        state: &Path,
    ) -> Result<(Process, Duration), Box<dyn Error>>;
}

/// The torrents that are to be in this state.
fn all_in(kind: Kind) -> Query {
    Query {
        states: vec![kind.word().to_owned()],
        ..Query::default()
    }
}

impl Client for Daemon {
    fn name(&self) -> String {
        "tribler-rs".to_owned()
    }

    fn start_empty(&mut self, state: &Path) -> Result<Process, Box<dyn Error>> {
        Ok(self.start(state)?.0)
    }

    fn start_and_add(
        &mut self,
        kind: Kind,
        torrents: &Torrents,
        state: &Path,
    ) -> Result<(Process, Duration), Box<dyn Error>> {
        let (process, mut channel) = self.start(state)?;
        channel.add(torrents, kind == Kind::Paused)?;
        channel.until(all_in(kind), torrents.count)?;
        let took = process.started.elapsed();
        Ok((process, took))
    }

    fn start_again(
        &mut self,
        kind: Kind,
        torrents: &Torrents,
        state: &Path,
    ) -> Result<(Process, Duration), Box<dyn Error>> {
        let (process, mut channel, took) = self.start_with(state, torrents.count)?;
        channel.until(all_in(kind), torrents.count)?;
        Ok((process, took))
    }
}

/// What torrents cost while a client runs, and until it has ended.
pub(crate) struct Run {
    until_there: Duration,
    start_cpu: Duration,
    bytes_each: f64,
    idle: f64,
    stop: Duration,
    load: f64,
}

/// What they cost when they were added, and after a new start.
pub(crate) struct Row {
    added: Run,
    again: Run,
}

pub(crate) fn measure(
    client: &mut dyn Client,
    kind: Kind,
    (torrents, scratch): (&Torrents, &Path),
    idle: Duration,
) -> Result<Row, Box<dyn Error>> {
    let (none, state) = (scratch.join("none"), scratch.join("state"));
    fs::create_dir_all(&none)?;
    fs::create_dir_all(&state)?;
    let empty = client.start_empty(&none)?;
    wait(SETTLES);
    let before = empty.memory()?;
    empty.stop()?;
    let added = client.start_and_add(kind, torrents, &state)?;
    let added = run(added, before, torrents.count, idle)?;
    let again = client.start_again(kind, torrents, &state)?;
    let again = run(again, before, torrents.count, idle)?;
    fs::remove_dir_all(scratch)?;
    Ok(Row { added, again })
}

pub(crate) fn run(
    (process, until_there): (Process, Duration),
    before: u64,
    torrents: usize,
    idle: Duration,
) -> Result<Run, Box<dyn Error>> {
    let start_cpu = process.cpu()?;
    wait(SETTLES);
    let bytes = process.memory()?.saturating_sub(before);
    let idle = process.busy(idle)?;
    Ok(Run {
        until_there,
        start_cpu,
        bytes_each: bytes as f64 / torrents.max(1) as f64,
        idle,
        stop: process.stop()?,
        load: load(),
    })
}

pub(crate) fn head() {
    println!(
        "{:<18} {:<8} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "", "", "", "there s", "CPU s", "B each", "idle %", "stop s", "load"
    );
}

pub(crate) fn row(name: &str, kind: Kind, row: &Row) {
    print(name, (kind.word(), "added"), &row.added);
    print(name, (kind.word(), "restarted"), &row.again);
}

/// Prints what torrents cost in one run of a client: what they did, and since when they were there.
pub(crate) fn print(name: &str, (kind, since): (&str, &str), run: &Run) {
    println!(
        "{name:<18} {kind:<8} {since:<9} {:>8.3} {:>8.2} {:>8.0} {:>8.3} {:>8.3} {:>6.1}",
        run.until_there.as_secs_f64(),
        run.start_cpu.as_secs_f64(),
        run.bytes_each,
        run.idle,
        run.stop.as_secs_f64(),
        run.load
    );
}
