//! The command channel of a daemon.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::wait;

/// A connection to a daemon.
pub(super) struct Channel {
    stream: BufReader<UnixStream>,
    next: u64,
}

impl Channel {
    /// Connects as soon as the daemon answers; `None` where it does not in time.
    pub(super) fn open(state: &Path, patience: Duration) -> Option<Self> {
        wait::at_most(patience, || {
            let stream = UnixStream::connect(state.join("control.sock")).ok()?;
            let patience = Some(super::PATIENCE);
            stream.set_read_timeout(patience).ok()?;
            let mut channel = Self {
                stream: BufReader::new(stream),
                next: 0,
            };
            channel.ask(json!({"do": "stats"})).ok().map(|_| channel)
        })
    }

    /// Asks, and gives the answer: what was done, or why it was not.
    ///
    /// # Errors
    /// What the system says where the daemon is gone.
    pub(super) fn ask(&mut self, mut request: Value) -> io::Result<Result<Value, String>> {
        self.next += 1;
        request["id"] = self.next.into();
        let line = format!("{request}\n");
        self.stream.get_mut().write_all(line.as_bytes())?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut answer: Value = serde_json::from_str(&line)?;
        Ok(match answer.get_mut("ok") {
            Some(ok) => Ok(ok.take()),
            None => Err(answer["error"].to_string()),
        })
    }

    /// All torrents.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) fn list(&mut self) -> io::Result<Vec<Value>> {
        let page = self.ask(json!({"do": "list"}))?.expect("a list");
        Ok(page["torrents"].as_array().cloned().expect("torrents"))
    }
}
