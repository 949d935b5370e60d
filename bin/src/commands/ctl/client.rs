//! The asking end of the command channel.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use control::{Answer, Ask, Done, Lines, Refusal, Request};
use serde_json::{Map, Value};

use super::failure;
use crate::daemon::place;
use crate::failure::{Failure, reason};

/// How long it is waited for an answer. Some things take as long as the DHT or the disk does.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a daemon may take to end.
const ENDING: Duration = Duration::from_secs(60);

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// A connection to a daemon.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    lines: Lines,
    next: u64,
    /// Requests that were not answered yet, in their order, and answers that came before their turn.
    waiting: VecDeque<(u64, Option<Done>)>,
}

impl Client {
    /// Connects to the daemon with a state, or to the one that runs.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where none answers.
    pub(super) fn connect(state: Option<&Path>) -> Result<Self, Failure> {
        let stream = match state {
            Some(state) => place::connect_to(state)?,
            None => place::connect_to_any()?,
        };
        let patience = stream.set_read_timeout(Some(PATIENCE));
        let patience = patience.and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        patience.map_err(|error| lost(&error))?;
        Ok(Self {
            stream,
            lines: Lines::new(control::MOST),
            next: 1,
            waiting: VecDeque::new(),
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`Failure`], as the daemon refuses it; [`Failure::Unreachable`] where it is gone.
    pub(super) fn ask(&mut self, ask: Ask) -> Result<Value, Failure> {
        self.send(ask)?;
        self.answer()?.map_err(|refusal| failure(&refusal))
    }

    /// Asks, and does not wait.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where the daemon is gone.
    pub(super) fn send(&mut self, ask: Ask) -> Result<(), Failure> {
        let request = Request { id: self.next, ask };
        let line = request.to_line().map_err(Failure::failed)?;
        if line.len() > control::MOST {
            let why = "this is more than a daemon takes at once";
            return Err(Failure::Failed(why.to_owned()));
        }
        self.stream.write_all(&line).map_err(|error| lost(&error))?;
        self.waiting.push_back((self.next, None));
        self.next += 1;
        Ok(())
    }

    /// How many answers are due.
    pub(super) fn due(&self) -> usize {
        self.waiting.len()
    }

    /// The next answer, in the order of the requests.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where the daemon is gone.
    pub(super) fn answer(&mut self) -> Result<Result<Value, Refusal>, Failure> {
        loop {
            if let Some((_, Some(_))) = self.waiting.front()
                && let Some((_, Some(done))) = self.waiting.pop_front()
            {
                return Ok(match done {
                    Done::Well(value) => Ok(value),
                    Done::Not(refusal) => Err(refusal),
                });
            }
            let line = self.line()?;
            let line = line.ok_or_else(gone)?;
            let Ok(answer) = serde_json::from_slice::<Answer>(&line) else {
                continue;
            };
            match (answer.id, answer.done) {
                (None, Done::Not(refusal)) => return Err(failure(&refusal)),
                (None, Done::Well(_)) => {}
                (Some(id), done) => {
                    let due = self.waiting.iter_mut().find(|(waits, _)| *waits == id);
                    if let Some(due) = due {
                        due.1 = Some(done);
                    }
                }
            }
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where the daemon is gone, or silent for too long.
    pub(super) fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.read_line().map_err(|error| lost(&error))
    }

    fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = vec![0; CHUNK];
        loop {
            if let Some(line) = self.lines.line().map_err(io::Error::other)? {
                return Ok(Some(line));
            }
            let len = match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if len == 0 {
                return Ok(None);
            }
            self.lines.push(chunk.get(..len).unwrap_or_default());
        }
    }

    /// The next event, where one comes within this time.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where the daemon is gone.
    pub(super) fn within(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Map<String, Value>>, Failure> {
        let patience = self.stream.set_read_timeout(Some(patience));
        patience.map_err(|error| lost(&error))?;
        match self.read_line() {
            Ok(Some(line)) => Ok(serde_json::from_slice(&line).ok()),
            Ok(None) => Err(gone()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(lost(&error)),
        }
    }

    /// Waits for lines as long as it takes.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn be_patient(&self) -> Result<(), Failure> {
        self.stream
            .set_read_timeout(None)
            .map_err(|error| lost(&error))
    }

    /// Waits until the daemon has ended.
    ///
    /// # Errors
    /// [`Failure::Failed`] where it takes too long.
    pub(super) fn wait_for_end(&mut self) -> Result<(), Failure> {
        let patience = self.stream.set_read_timeout(Some(ENDING));
        patience.map_err(|error| lost(&error))?;
        loop {
            match self.line() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(_) => {
                    let why = "the daemon was told to end, and is not done with it yet";
                    return Err(Failure::Failed(why.to_owned()));
                }
            }
        }
    }
}

fn gone() -> Failure {
    Failure::Unreachable("the daemon has ended, or has no room for another connection".to_owned())
}

fn lost(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::WouldBlock {
        return Failure::Unreachable("the daemon does not answer".to_owned());
    }
    Failure::Unreachable(format!("the daemon is gone: {}", reason(error)))
}

/// A path as JSON has it.
///
/// # Errors
/// [`Failure::Usage`] where it is no text.
pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::Usage(format!("{}: the path is no text", path.display())))
}
