//! How fast the REST API of a daemon answers. Prints a table.
//!
//! ```text
//! cargo run --release -p tribler-benches --bin api -- PROGRAM [--torrents N] [--rounds N] [--only PART]
//! ```
//! PROGRAM is `tribler-rs`, which is run as a daemon on this machine, with keys off. The parts:
//! - `lists`: the list of so many torrents, alone and asked for by 50 clients at a time, while others ask for little things; what
//!   has changed; and streams of events in which nothing happens.
//! - `slow`: memory of the daemon while 100 clients read one byte a second of lists, of events and of files, and what others
//!   wait meanwhile.
//! - `streams`: files that are read while they are fetched from a seeder that gives 10 MB/s, and from one that gives what it can,
//!   beside the same file fetched without a reader.
//! - `stall`: everything that can be read while the disk of the content stands still: a file system of its own, which is frozen
//!   while torrents come. Needs root, for a mount in a namespace of its own (`unshare --mount`), and is left out without.
//!
//! CPU time is that of the daemon alone; memory is `RssAnon`, which it owns alone.

#![allow(clippy::print_stdout, reason = "a program for people")]

mod http;
mod lists;
mod slow;
mod stall;
mod streams;
mod swarm;

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use benches::daemon::{Channel, Daemon};
use benches::process::{Process, load, wait};

/// What is measured, and with what.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) program: PathBuf,
    pub(crate) torrents: usize,
    pub(crate) rounds: usize,
    only: Option<String>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let program = args.next().ok_or("where is the program?")?;
    let mut options = Options {
        program: program.into(),
        torrents: 10_000,
        rounds: 3,
        only: None,
    };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag}: and what?"))?;
        match flag.as_str() {
            "--torrents" => options.torrents = value.parse()?,
            "--rounds" => options.rounds = value.parse()?,
            "--only" => options.only = Some(value),
            _ => return Err(format!("{flag}: there is no such flag").into()),
        }
    }
    Ok(options)
}

/// A part of what is measured, and the folder that it may fill.
type Part = fn(&Options, &Path) -> Result<(), Box<dyn Error>>;

/// A daemon whose API is served.
pub(crate) struct Served {
    pub(crate) process: Process,
    pub(crate) channel: Channel,
    pub(crate) at: SocketAddr,
}

/// Starts a daemon that serves its API.
pub(crate) fn serve(program: &Path, state: &Path) -> Result<Served, Box<dyn Error>> {
    std::fs::create_dir_all(state)?;
    // It is free again at once, and next to nobody else takes it.
    let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let daemon = Daemon::new(program).with(["--api", &at.to_string(), "--api-key", ""]);
    let (process, channel) = daemon.start(state)?;
    Ok(Served {
        process,
        channel,
        at,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let dir = tempfile::Builder::new().prefix("api-").tempdir()?;
    let parts: [(&str, Part); 4] = [
        ("lists", lists::measure),
        ("slow", slow::measure),
        ("streams", streams::measure),
        ("stall", stall::measure),
    ];
    for (name, part) in parts {
        if options.only.as_deref().is_none_or(|only| only == name) {
            println!("\n{name}, load {:.1}", load());
            part(&options, &dir.path().join(name))?;
            wait(std::time::Duration::from_secs(1));
        }
    }
    Ok(())
}
