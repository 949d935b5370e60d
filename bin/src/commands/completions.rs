//! `completions`: the script that teaches a shell our commands and flags.

use clap::Command;
use clap_complete::Shell;

use crate::cli::{self, CompletionsArgs};
use crate::failure::Failure;
use crate::screen::Screen;

/// What the program is called.
const NAME: &str = "tribler-rs";

/// The name in the script for bash, where `clap_complete` spells the labels of a name with a dash in two ways, so that they
/// never meet.
const NAME_IN_BASH: &str = "tribler_rs";

pub(crate) fn run(args: &CompletionsArgs, screen: &Screen) -> Result<(), Failure> {
    screen.write_bytes(&of(args.shell))
}

/// The script for a shell.
pub(super) fn of(shell: Shell) -> Vec<u8> {
    if shell == Shell::Bash {
        for_bash()
    } else {
        script(shell, NAME)
    }
}

fn script(shell: Shell, name: &'static str) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(&cli::command()), name, &mut script);
    script
}

/// The script for bash: functions named without a dash stand for the program that has one.
fn for_bash() -> Vec<u8> {
    let script = script(Shell::Bash, NAME_IN_BASH);
    let ours = format!(" default {NAME_IN_BASH}\n");
    let theirs = format!(" default {NAME}\n");
    String::from_utf8_lossy(&script)
        .replace(&ours, &theirs)
        .into_bytes()
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
