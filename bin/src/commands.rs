//! One module per command.

mod bootstrap_server;
mod check;
mod check_update;
mod circuits;
mod completions;
mod config;
pub(crate) mod create;
mod ctl;
mod daemon;
mod demo;
mod dht;
mod download;
mod import;
mod info;
mod kept;
mod man;
mod node;
mod packaging;
mod seed;
mod testnet;
mod tracker;
mod transfer;
pub(crate) mod unit;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::Access;

use crate::cli::Command;
use crate::failure::{self, Failure};
use crate::log::Tail;
use crate::screen::Screen;

/// Runs a command to its end; `tail` has the last of what is logged, where that is kept.
///
/// # Errors
/// [`Failure`] says how it ended and carries the exit code.
pub(crate) fn run(command: Command, screen: &Screen, tail: Option<Tail>) -> Result<(), Failure> {
    match command {
        Command::Backup(args) => kept::backup(&args, screen),
        Command::BootstrapServer(args) => bootstrap_server::run(&args, screen),
        Command::Check(args) => check::run(&args, screen),
        Command::CheckUpdate(args) => check_update::run(&args, screen),
        Command::Circuits(args) => circuits::run(&args, screen),
        Command::Completions(args) => completions::run(&args, screen),
        Command::Config(args) => config::run(&args, screen),
        Command::Create(args) => create::run(&args, screen),
        Command::Ctl(args) => ctl::run(args, screen),
        Command::Daemon(args) => daemon::run(*args, screen, tail.unwrap_or_default()),
        Command::Demo(args) => demo::run(&args, screen),
        Command::Dht(args) => dht::run(&args, screen),
        Command::Download(mut args) => download::run(&mut args, screen),
        Command::Exit(args) => node::exit(&args, screen),
        Command::Import(args) => import::run(&args, screen),
        Command::Info(args) => info::run(&args, screen),
        Command::Man(args) => man::run(&args, screen),
        Command::Packaging(args) => packaging::run(&args, screen),
        Command::Relay(args) => node::relay(&args, screen),
        Command::Restore(args) => kept::restore(&args, screen),
        Command::Seed(mut args) => seed::run(&mut args, screen),
        Command::Testnet(args) => testnet::run(&args, screen),
        Command::Tracker(args) => tracker::run(&args, screen),
    }
}

/// Refuses a folder that nothing can be written to. One that is not there yet is judged by what is above it.
fn must_be_writable(path: &Path) -> Result<(), Failure> {
    let mut there = path;
    while !there.exists() {
        there = match there.parent() {
            Some(above) if above.as_os_str().is_empty() => Path::new("."),
            Some(above) => above,
            None => break,
        };
    }
    must_be_folder(there)?;
    rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|errno| unwritable(path, there, &errno.into(), is_service()))?;
    // Without room what is there already can be served, and room may come.
    let no_room = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
    match try_folder(there) {
        Err(error) if !no_room.contains(&error.kind()) => {
            Err(unwritable(path, there, &error, is_service()))
        }
        _ => Ok(()),
    }
}

/// Makes a folder in another, and takes it away: what the super-user may do and the file system cannot, shows by nothing else.
fn try_folder(there: &Path) -> io::Result<()> {
    let name = format!(".tribler-rs-{}", std::process::id());
    let folder = there.join(name);
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => fs::remove_dir(&folder),
    }
}

/// Whether systemd runs this process as a service.
fn is_service() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
}

/// What is said of a folder in which nothing can be written. What the unit of a service does not name is read-only for it alone, which
/// nobody sees who looks at the folder.
fn unwritable(path: &Path, there: &Path, why: &io::Error, is_service: bool) -> Failure {
    let what = if is_service && why.kind() == ErrorKind::ReadOnlyFilesystem {
        format!(
            "let the service write there, by `systemctl edit` and the lines `[Service]` and `ReadWritePaths={}`",
            path.display()
        )
    } else {
        "let this user write there".to_owned()
    };
    let (path, there, why) = (path.display(), there.display(), failure::reason(why));
    Failure::Failed(format!(
        "{path}: nothing can be written in {there} ({why}): name another folder, or {what}"
    ))
}

/// Refuses a path that is no folder.
fn must_be_folder(path: &Path) -> Result<(), Failure> {
    let meta = fs::metadata(path).map_err(|error| Failure::on_file(path, &error))?;
    if meta.is_dir() {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "{} is not a folder",
            path.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_what_its_unit_keeps_from_it() {
        let told = |kind, is_service| {
            let (path, why) = (Path::new("/srv/films"), io::Error::from(kind));
            unwritable(path, Path::new("/srv"), &why, is_service).to_string()
        };
        let unit = "ReadWritePaths=/srv/films";
        assert!(told(ErrorKind::ReadOnlyFilesystem, true).contains(unit));
        for (kind, is_service) in [
            (ErrorKind::ReadOnlyFilesystem, false),
            (ErrorKind::PermissionDenied, true),
        ] {
            let told = told(kind, is_service);
            assert!(told.ends_with("let this user write there"), "{told}");
            assert!(!told.contains(unit), "{told}");
        }
    }
}
