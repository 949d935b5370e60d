//! What the contract of the command line names and this build does not have.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::Command;
use super::transfer::Common;

/// Flags of `download` and `seed` whose features this build does not have.
#[derive(Args, Debug, Default)]
pub(crate) struct LaterFlags {
    #[arg(long, hide = true, value_name = "N", default_value_t = 0)]
    hops: u8,
    #[arg(long, hide = true, value_name = "ADDR:PORT")]
    overlay_listen: Option<String>,
    #[arg(long, hide = true, value_name = "HOST:PORT")]
    overlay_bootstrap: Vec<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    overlay_key: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    overlay_community: Vec<String>,
}

impl Common {
    /// The first flag given that asks for what this build does not have.
    pub(crate) fn later(&self) -> Option<String> {
        let later = &self.later;
        if later.hops > 0 {
            return Some(format!("--hops {}", later.hops));
        }
        [
            ("--overlay-listen", later.overlay_listen.is_some()),
            ("--overlay-bootstrap", !later.overlay_bootstrap.is_empty()),
            ("--overlay-key", later.overlay_key.is_some()),
            ("--overlay-community", !later.overlay_community.is_empty()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then(|| flag.to_owned()))
    }
}

impl Command {
    /// The command's or flag's name where this build does not have it.
    pub(crate) fn later(&self) -> Option<String> {
        match self {
            Self::Download(args) => args.common.later(),
            Self::Seed(args) => args.common.later(),
            Self::Later(command) => Some(command.name()),
            Self::BootstrapServer(_)
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
    Backup(Anything),
    #[command(hide = true)]
    Circuits(Anything),
    #[command(hide = true)]
    Config(Anything),
    #[command(hide = true)]
    Ctl(Anything),
    #[command(hide = true)]
    Daemon(Anything),
    #[command(hide = true)]
    Exit(Anything),
    #[command(hide = true)]
    Import(Anything),
    #[command(hide = true)]
    Relay(Anything),
    #[command(hide = true)]
    Restore(Anything),
    #[command(hide = true)]
    Testnet(Anything),
    #[command(hide = true)]
    Tracker(Anything),
}

impl LaterCommand {
    fn name(&self) -> String {
        let name = match self {
            Self::Backup(_) => "backup",
            Self::Circuits(_) => "circuits",
            Self::Config(_) => "config",
            Self::Ctl(_) => "ctl",
            Self::Daemon(_) => "daemon",
            Self::Exit(_) => "exit",
            Self::Import(_) => "import",
            Self::Relay(_) => "relay",
            Self::Restore(_) => "restore",
            Self::Testnet(_) => "testnet",
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
