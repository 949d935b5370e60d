//! What many torrents cost that do nothing: memory, time to start and to stop, time to compute while nothing happens, and how
//! fast a list of them is read and changed. Prints tables.
//!
//! ```text
//! cargo run --release -p tribler-benches --bin scale -- PROGRAM [--python PROGRAM] [--torrents N] [--many N] [--idle SECONDS] [--rounds N]
//! ```
//! PROGRAM is `tribler-rs`, which is run as a daemon; beside it, in turn with it, the libtorrent of a Python does the same. Torrents
//! are one small file each, and have no trackers; nobody is sought anywhere. They are paused, or seeded without anybody who
//! fetches; with `--many` of them, of which the daemon has no content, lists are read, too, torrents are changed, and all of them
//! wait in the queue.
//!
//! Memory is `RssAnon`, which a process owns alone, above what the same process has without torrents; CPU time is that of
//! all its threads.

#![allow(clippy::print_stdout, reason = "a program for people")]

mod crowd;
mod libtorrent;
mod many;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use benches::daemon::Daemon;
use benches::torrents::Torrents;
use crowd::{Client, Kind};
use libtorrent::Libtorrent;

/// What is measured, and with what.
struct Options {
    program: PathBuf,
    python: Option<PathBuf>,
    torrents: usize,
    many: usize,
    idle: Duration,
    rounds: usize,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut options = Options {
        program: args.next().ok_or("which tribler-rs?")?.into(),
        python: None,
        torrents: 10_000,
        many: 50_000,
        idle: Duration::from_secs(30),
        rounds: 3,
    };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag}: and what?"))?;
        match flag.as_str() {
            "--python" => options.python = Some(value.into()),
            "--torrents" => options.torrents = value.parse()?,
            "--many" => options.many = value.parse()?,
            "--idle" => options.idle = Duration::from_secs(value.parse()?),
            "--rounds" => options.rounds = value.parse()?,
            _ => return Err(format!("{flag}: there is no such flag").into()),
        }
    }
    Ok(options)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let dir = tempfile::Builder::new().prefix("scale-").tempdir()?;
    let few = Torrents::write(&dir.path().join("few"), options.torrents, true)?;
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Daemon::new(&options.program))];
    if let Some(python) = &options.python {
        clients.push(Box::new(Libtorrent::new(python)));
    }
    if options.torrents > 0 {
        println!("{} idle torrents", options.torrents);
        crowd::head();
        for round in 0..options.rounds {
            for kind in [Kind::Paused, Kind::Seeding] {
                for client in &mut clients {
                    let scratch =
                        dir.path()
                            .join(format!("{round}-{}-{}", kind.word(), client.name()));
                    let row = crowd::measure(&mut **client, kind, (&few, &scratch), options.idle)?;
                    crowd::row(&client.name(), kind, &row);
                }
            }
        }
    }
    if options.many > 0 {
        let all = Torrents::write(&dir.path().join("many"), options.many, false)?;
        many::measure(
            &options.program,
            &all,
            &dir.path().join("daemon"),
            options.idle,
        )?;
    }
    Ok(())
}
