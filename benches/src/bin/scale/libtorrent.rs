//! libtorrent through its Python binding: `libtorrent.py` is the program.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::crowd::{Client, Kind};
use benches::process::Process;
use benches::torrents::Torrents;

const PROGRAM: &str = include_str!("libtorrent.py");

/// The Python that has it.
pub(crate) struct Libtorrent {
    python: PathBuf,
    version: String,
}

impl Libtorrent {
    pub(crate) fn new(python: &Path) -> Self {
        let mut ask = Command::new(python);
        ask.args(["-c", "import libtorrent; print(libtorrent.__version__)"]);
        let said = ask.output().map(|output| output.stdout).unwrap_or_default();
        Self {
            python: python.to_owned(),
            version: String::from_utf8_lossy(&said).trim().to_owned(),
        }
    }

    /// Starts it; says how long after that all of its torrents were there.
    fn start(
        &self,
        kind: Kind,
        (files, data): (&Path, &Path),
        state: &Path,
    ) -> Result<(Process, Duration), Box<dyn Error>> {
        let mut command = Command::new(&self.python);
        command.args(["-c", PROGRAM, kind.word()]);
        command.args([files, data, state]).stdout(Stdio::piped());
        let mut process = Process::start(command)?;
        let output = process.child.stdout.take().ok_or("there is no output")?;
        let mut line = String::new();
        let mut output = BufReader::new(output);
        output.read_line(&mut line)?;
        let took = process.started.elapsed();
        // It goes on to be there while the process is.
        process.child.stdout = Some(output.into_inner());
        if line.trim() == "ready" {
            Ok((process, took))
        } else {
            Err(format!("libtorrent says {line:?}").into())
        }
    }
}

impl Client for Libtorrent {
    fn name(&self) -> String {
        format!("libtorrent {}", self.version)
    }

    fn start_empty(&mut self, state: &Path) -> Result<Process, Box<dyn Error>> {
        let none = state.join("torrents");
        fs::create_dir_all(&none)?;
        Ok(self.start(Kind::Paused, (&none, state), state)?.0)
    }

    fn start_and_add(
        &mut self,
        kind: Kind,
        torrents: &Torrents,
        state: &Path,
    ) -> Result<(Process, Duration), Box<dyn Error>> {
        self.start(kind, (&torrents.files, &torrents.data), state)
    }

    fn start_again(
        &mut self,
        kind: Kind,
        torrents: &Torrents,
        state: &Path,
    ) -> Result<(Process, Duration), Box<dyn Error>> {
        self.start(kind, (&torrents.files, &torrents.data), state)
    }
}
