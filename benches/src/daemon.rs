//! The daemon of `tribler-rs`, and its command channel.

use std::error::Error;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control::{Add, Answer, Ask, Blob, Done, Lines, Origin, Query, Request};
use serde_json::Value;

use crate::process::{Process, wait};
use crate::torrents::Torrents;

/// How long is waited for anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// Torrents in a request.
const AT_ONCE: usize = 512;

/// The program.
#[derive(Clone, Debug)]
pub struct Daemon {
    program: PathBuf,
    /// What it is told beside the usual.
    args: Vec<OsString>,
}

impl Daemon {
    /// A program that is told no more than where things lie, and to leave other machines alone.
    pub fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
        }
    }

    /// Tells it something beside that.
    #[must_use]
    pub fn with<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts it; a connection to it once it answers.
    ///
    /// # Errors
    /// What the system or the daemon says.
    pub fn start(&self, state: &Path) -> Result<(Process, Channel), Box<dyn Error>> {
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
        command.args(&self.args);
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
    ///
    /// # Errors
    /// What the system or the daemon says.
    pub fn start_with(
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

/// A connection to a daemon, on which one thing is asked at a time.
#[derive(Debug)]
pub struct Channel {
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
    ///
    /// # Errors
    /// What the system or the daemon says.
    pub fn ask(&mut self, ask: Ask) -> Result<Value, Box<dyn Error>> {
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
    ///
    /// # Errors
    /// What the system or the daemon says.
    pub fn add(&mut self, torrents: &Torrents, paused: bool) -> Result<(), Box<dyn Error>> {
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
    ///
    /// # Errors
    /// What the system or the daemon says.
    pub fn until(&mut self, query: Query, count: usize) -> Result<(), Box<dyn Error>> {
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
