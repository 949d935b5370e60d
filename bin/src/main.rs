//! The `tribler-rs` command: reads the command line, wires the rooms together and shows what they do.
//!
//! # What
//! One module per command under [`commands`]; [`cli`] is the command line, [`wire`] builds the engine and its network.
//! # What not
//! Nothing here knows a protocol: files, wires and torrents belong to the libraries.
//! # Map of modules
//! [`cli`] flags; [`commands`] what they do; [`source`] where torrents come from; [`selection`] `--files`; [`screen`]
//! bars and lines; [`progress`]; [`json`]; [`units`] sizes and rates; [`text`]; [`settings`] what files and flags
//! make of them; [`content`] what the store is told of a
//! torrent; [`daemon`] what serves `ctl`; [`report`] how it stands with circuits, which [`control`] and [`metrics`] tell; [`log`]; [`shutdown`] signals;
//! [`failure`] exit codes.
//! # Invariants
//! Only this crate reads arguments and the environment. With `--json`, standard output carries JSON lines only.

mod certificates;
mod cli;
mod commands;
mod content;
mod control;
mod daemon;
mod failure;
mod host_port;
mod json;
mod log;
mod metrics;
mod progress;
mod report;
mod screen;
mod selection;
mod settings;
mod shutdown;
mod source;
mod text;

mod wire;

use std::process::ExitCode;

use engine::units;

fn main() -> ExitCode {
    let cli = cli::Cli::of_process();
    let screen = screen::Screen::new(cli.command.json());
    let lines = cli.command.speaks_lines();
    let tail = cli.command.keeps_log().then(log::Tail::default);
    let ended = log::start(cli.log.as_deref(), &screen, tail.as_ref())
        .and_then(|()| commands::run(cli.command, &screen, tail));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure, lines, &screen);
            failure.exit_code()
        }
    }
}

/// Says why a command failed, unless it has said so itself; `lines` of JSON tell it too.
fn tell(failure: &failure::Failure, lines: bool, screen: &screen::Screen) {
    let message = failure.to_string();
    if message.is_empty() {
        return;
    }
    screen.warn("error", &message);
    if lines && screen.style() == screen::Style::Json {
        let line = json::Line::Error { message: &message };
        // Standard output that is gone leaves nobody to tell, and the exit code says it as well.
        let _ = screen.json(&line);
    }
}
