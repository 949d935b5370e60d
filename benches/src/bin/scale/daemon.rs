//! The daemon of `tribler-rs`, and its command channel.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control::{Add, Answer, Ask, Blob, Done, Lines, Origin, Query, Request};
use serde_json::Value;

use crate::crowd::{Client, Kind};
use crate::process::{Process, wait};
use crate::torrents::Torrents;

/// How long is waited for anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// Torrents in a request.
const AT_ONCE: usize = 512;

/// The program.
pub(crate) struct Daemon {
    program: PathBuf,
}

impl Daemon {
    pub(crate) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
        }
    }

    /// Starts it; a connection to it once it answers.
    pub(crate) fn start(&self, state: &Path) -> Result<(Process, Channel), Box<dyn Error>> {
        let mut command = Command::new(&self.program);
        command.args([
            "daemon",
            "--listen",
            "127.0.0.1:0",
            "--no-dht",
            "--no-lsd",
            "--no-portmap",
        ]);
        command.arg("--state").arg(state).arg("--output").arg(state);
        command.env("XDG_RUNTIME_DIR", state).stdout(Stdio::null());
        let mut process = Process::start(command)?;
        let socket = state.join(control::SOCKET);
        while process.started.elapsed() < PATIENCE {
            if let Ok(stream) = UnixStream::connect(&socket) {
                return Ok((process, Channel::new(stream)?));
            }
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("the daemon ended with {status}").into());
            }
            wait(Duration::from_millis(1));
        }
        Err("the daemon does not answer".into())
    }

    /// Starts it with its torrents; says how long after that all were listed.
    pub(crate) fn start_with(
        &self,
        state: &Path,
        torrents: usize,
    ) -> Result<(Process, Channel, Duration), Box<dyn Error>> {
        let (process, mut channel) = self.start(state)?;
        channel.until(Query::default(), torrents)?;
        let took = process.started.elapsed();
        Ok((process, channel, took))
    }
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

/// A connection to a daemon, on which one thing is asked at a time.
pub(crate) struct Channel {
    stream: UnixStream,
    lines: Lines,
    next: u64,
}

impl Channel {
    fn new(stream: UnixStream) -> Result<Self, Box<dyn Error>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            lines: Lines::new(control::MOST),
            next: 1,
        })
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, ask: Ask) -> Result<Value, Box<dyn Error>> {
        let id = self.next;
        self.next += 1;
        self.stream.write_all(&Request { id, ask }.to_line()?)?;
        let mut chunk = vec![0; 64 << 10];
        loop {
            while let Some(line) = self.lines.line()? {
                let answer: Answer = serde_json::from_slice(&line)?;
                match answer.done {
                    Done::Not(refusal) => return Err(refusal.into()),
                    Done::Well(value) if answer.id == Some(id) => return Ok(value),
                    Done::Well(_) => {}
                }
            }
            let len = self.stream.read(&mut chunk)?;
            if len == 0 {
                return Err("the daemon has ended".into());
            }
            self.lines.push(&chunk[..len]);
        }
    }

    /// Adds torrents, paused or whole.
    pub(crate) fn add(&mut self, torrents: &Torrents, paused: bool) -> Result<(), Box<dyn Error>> {
        let mut files = torrents.each().peekable();
        while files.peek().is_some() {
            let some = files.by_ref().take(AT_ONCE);
            let some = some.map(|file| Ok(Origin::File(Blob(file?))));
            let add = Add {
                torrents: some.collect::<std::io::Result<_>>()?,
                dir: torrents.data.to_str().map(str::to_owned),
                paused,
                no_check: !paused,
                ..Add::default()
            };
            let answer = self.ask(Ask::Add(add))?;
            let mut all = answer["torrents"].as_array().into_iter().flatten();
            if let Some(why) = all.find_map(|one| one.get("error")) {
                return Err(format!("a torrent was not added: {why}").into());
            }
        }
        Ok(())
    }

    /// Waits until so many torrents are listed.
    pub(crate) fn until(&mut self, query: Query, count: usize) -> Result<(), Box<dyn Error>> {
        let begin = Instant::now();
        let query = Query {
            limit: Some(1),
            ..query
        };
        loop {
            let page = self.ask(Ask::List(query.clone()))?;
            let listed = page["listed"].as_u64().unwrap_or_default();
            if listed == count as u64 {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("{listed} torrents of {count} are listed by {query:?}").into());
            }
            wait(Duration::from_millis(5));
        }
    }
}
