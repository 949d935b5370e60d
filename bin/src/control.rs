//! The control socket: who runs this program on this machine asks a running process how it stands with its circuits.
//!
//! Each process in the overlay has a socket of its own, `PID.sock`, in a folder that only its user may enter. A line asks, a line
//! answers, both JSON: `{"ask":"circuits"}` gets a [`Report`].

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use net::{Pool, Task};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time;

use crate::report::{Report, Reporter};

/// The longest question, in bytes.
const MAX_QUESTION: u64 = 1024;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 16 << 20;

/// Who may ask at the same time.
const MAX_GUESTS: usize = 8;

/// How long a guest may take for a line.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Question {
    /// How it stands: a [`Report`].
    Circuits,
}

/// An answer to what is no question.
#[derive(Debug, Serialize)]
struct Wrong<'a> {
    error: &'a str,
}

/// A control socket; it goes with this value.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    _serving: Task<()>,
}

/// The folder of the sockets: in `state` where one was named, else in that of the session, else in the usual state folder.
pub(crate) fn folder(state: Option<&Path>) -> Option<PathBuf> {
    if let Some(state) = state {
        return Some(state.join("control"));
    }
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let session = session.filter(|dir| dir.is_absolute() && dir.is_dir());
    session
        .map(|dir| dir.join("tribler-rs"))
        .or_else(|| Some(crate::wire::default_state_dir()?.join("control")))
}

impl Control {
    /// Opens the socket of this process.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn serve(folder: &Path, reporter: Reporter, pool: &Pool) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let path = folder.join(format!("{}.sock", std::process::id()));
        // Of a process that had this number and did not end well.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = {
            let _runtime = pool.handle().enter();
            UnixListener::bind(&path)?
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let serving = pool.spawn(serve(listener, reporter));
        Ok(Self {
            path,
            _serving: serving,
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // What stays is found to be dead by whoever asks.
        let _ = fs::remove_file(&self.path);
    }
}

async fn serve(listener: UnixListener, reporter: Reporter) {
    let seats = Arc::new(Semaphore::new(MAX_GUESTS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        let guest = match listener.accept().await {
            Ok((guest, _)) => guest,
            Err(error) => {
                tracing::debug!(%error, "control socket");
                time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let reporter = reporter.clone();
        tokio::spawn(async move {
            let served = attend(guest, &reporter).await;
            tracing::trace!(?served, "a guest of the control socket has left");
            drop(seat);
        });
    }
}

/// Answers line by line.
async fn attend(guest: UnixStream, reporter: &Reporter) -> io::Result<()> {
    let (from, mut to) = guest.into_split();
    let mut from = tokio::io::BufReader::new(from);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut from).take(MAX_QUESTION);
        let read = bounded.read_until(b'\n', &mut line);
        if time::timeout(PATIENCE, read).await?? == 0 {
            return Ok(());
        }
        let mut answer = match serde_json::from_slice(&line) {
            Ok(Question::Circuits) => serde_json::to_vec(&reporter.report())?,
            Err(_) => serde_json::to_vec(&Wrong {
                error: "ask {\"ask\":\"circuits\"}",
            })?,
        };
        answer.push(b'\n');
        time::timeout(PATIENCE, to.write_all(&answer)).await??;
    }
}

/// Asks all running processes that have a socket in a folder, in the order of their numbers; sockets that nobody listens at any
/// more are taken away.
///
/// # Errors
/// What the system says of the folder, except that it is not there.
pub(crate) fn ask_all(folder: &Path) -> io::Result<Vec<Report>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut reports = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "sock") {
            continue;
        }
        match ask(&path) {
            Ok(report) => reports.push(report),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = fs::remove_file(&path);
            }
            Err(error) => tracing::warn!(path = %path.display(), %error, "no answer"),
        }
    }
    reports.sort_by_key(|report| report.pid);
    Ok(reports)
}

/// Asks one process.
fn ask(path: &Path) -> io::Result<Report> {
    let mut stream = Blocking::connect(path)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let mut question = serde_json::to_vec(&Question::Circuits)?;
    question.push(b'\n');
    stream.write_all(&question)?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_line_of_json() {
        let line = serde_json::to_string(&Question::Circuits).unwrap();
        assert_eq!(line, r#"{"ask":"circuits"}"#);
        assert!(serde_json::from_str::<Question>(r#"{"ask":"everything"}"#).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_processes_and_a_dead_socket_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ask_all(&folder.path().join("none")).unwrap().is_empty());
        let path = folder.path().join("1.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let other = folder.path().join("notes.txt");
        fs::write(&other, "mine").unwrap();
        assert!(ask_all(folder.path()).unwrap().is_empty());
        assert!(!path.exists() && other.exists());
    }
}
