//! One module per command.

mod check;
mod completions;
mod create;
mod demo;
mod download;
mod info;
mod man;
mod seed;
mod transfer;

use std::path::Path;

use crate::cli::Command;
use crate::failure::Failure;
use crate::screen::Screen;

/// Runs a command to its end.
///
/// # Errors
/// [`Failure`] says how it ended and carries the exit code.
pub(crate) fn run(command: Command, screen: &Screen) -> Result<(), Failure> {
    if let Some(name) = command.later() {
        return Err(Failure::Usage(format!(
            "this build does not have `{name}` yet"
        )));
    }
    match command {
        Command::Check(args) => check::run(&args, screen),
        Command::Completions(args) => completions::run(&args, screen),
        Command::Create(args) => create::run(&args, screen),
        Command::Demo(args) => demo::run(&args, screen),
        Command::Download(args) => download::run(&args, screen),
        Command::Info(args) => info::run(&args, screen),
        Command::Man(args) => man::run(&args, screen),
        Command::Seed(args) => seed::run(&args, screen),
        Command::Later(_) => Ok(()),
    }
}

/// Refuses a path that is no folder.
fn must_be_folder(path: &Path) -> Result<(), Failure> {
    let meta = std::fs::metadata(path).map_err(|error| Failure::on_file(path, &error))?;
    if meta.is_dir() {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "{} is not a folder",
            path.display()
        )))
    }
}
