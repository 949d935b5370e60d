//! What the contract of the command line names and this build does not have.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::Command;

impl Command {
    /// The command's or flag's name where this build does not have it.
    pub(crate) fn later(&self) -> Option<String> {
        match self {
            Self::Later(command) => Some(command.name()),
            Self::Backup(_)
            | Self::BootstrapServer(_)
            | Self::Circuits(_)
            | Self::Config(_)
            | Self::Ctl(_)
            | Self::Daemon(_)
            | Self::Download(_)
            | Self::Exit(_)
            | Self::Import(_)
            | Self::Relay(_)
            | Self::Restore(_)
            | Self::Seed(_)
            | Self::Testnet(_)
            | Self::Create(_)
            | Self::Info(_)
            | Self::Check(_)
            | Self::CheckUpdate(_)
            | Self::Demo(_)
            | Self::Dht(_)
            | Self::Completions(_)
            | Self::Man(_) => None,
        }
    }
}

/// Commands that this build does not have.
#[derive(Debug, Subcommand)]
pub(crate) enum LaterCommand {
    #[command(hide = true)]
    Tracker(Anything),
}

impl LaterCommand {
    fn name(&self) -> String {
        let name = match self {
            Self::Tracker(_) => "tracker",
        };
        name.to_owned()
    }
}

/// The arguments of such a command: whatever stands there.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _words: Vec<OsString>,
}
