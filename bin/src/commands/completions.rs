//! `completions`: the script that teaches a shell our commands and flags.

use clap::{Command, CommandFactory};

use crate::cli::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::screen::Screen;

pub(crate) fn run(args: &CompletionsArgs, screen: &Screen) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut shown(&Cli::command()),
        "tribler-rs",
        &mut script,
    );
    screen.write_bytes(&script)
}

/// A command with those of its commands and flags that are shown to people; scripts would offer the others too.
fn shown(command: &Command) -> Command {
    let args = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    let about = command.get_about().cloned().unwrap_or_default();
    Command::new(command.get_name().to_owned())
        .about(about)
        .disable_help_subcommand(true)
        .args(args.cloned())
        .subcommands(below.map(shown))
}
