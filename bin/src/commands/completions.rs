//! `completions`: the script that teaches a shell our commands and flags.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::screen::Screen;

pub(crate) fn run(args: &CompletionsArgs, screen: &Screen) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tribler-rs", &mut script);
    screen.write_bytes(&script)
}
