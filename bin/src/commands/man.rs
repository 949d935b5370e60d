//! `man`: the manual pages, in roff.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::cli::{self, EXIT_CODES, ManArgs, UNITS};
use crate::failure::Failure;
use crate::screen::Screen;

/// The file of the main page.
const MAIN: &str = "tribler-rs.1";

pub(crate) fn run(args: &ManArgs, screen: &Screen) -> Result<(), Failure> {
    // A page about `help` would tell nothing.
    let command = cli::command().disable_help_subcommand(true);
    if !args.command.is_empty() {
        let page = page_of(command, &args.command)?;
        return screen.write_bytes(&page);
    }
    match &args.output {
        None => screen.write_bytes(&main_page(&command).map_err(Failure::failed)?),
        Some(folder) => write_all(folder),
    }
}

/// Writes the pages of all commands into a folder, which is made where it is not there.
///
/// # Errors
/// What the system says.
pub(super) fn write_all(folder: &Path) -> Result<(), Failure> {
    let command = cli::command().disable_help_subcommand(true);
    let main = main_page(&command).map_err(Failure::failed)?;
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .and_then(|()| fs::write(folder.join(MAIN), main))
        .map_err(|error| Failure::on_file(folder, &error))
}

/// The page of the command that is named by these words.
fn page_of(mut command: Command, words: &[String]) -> Result<Vec<u8>, Failure> {
    // Names of pages are those of all commands on the way.
    command.build();
    let mut named = &command;
    for word in words {
        let shown = |below: &&Command| below.get_name() == word && !below.is_hide_set();
        named = named.get_subcommands().find(shown).ok_or_else(|| {
            let names: Vec<_> = named
                .get_subcommands()
                .filter(|below| !below.is_hide_set())
                .map(Command::get_name)
                .collect();
            let why = match names.as_slice() {
                [] => format!("`{}` has no commands of its own", named.get_name()),
                names => format!("use one of {}", names.join(", ")),
            };
            Failure::Usage(format!("there is no command `{word}`: {why}"))
        })?;
    }
    let mut roff = Vec::new();
    let page = Man::new(named.clone()).render(&mut roff);
    page.map_err(Failure::failed)?;
    Ok(roff)
}

/// The page of the program, with its exit codes where manual pages have them.
fn main_page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut roff = Vec::new();
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    writeln!(roff, ".PP\n{UNITS}")?;
    man.render_options_section(&mut roff)?;
    man.render_subcommands_section(&mut roff)?;
    writeln!(roff, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in EXIT_CODES {
        writeln!(roff, ".TP\n\\fB{code}\\fR\n{meaning}")?;
    }
    man.render_version_section(&mut roff)?;
    Ok(roff)
}
