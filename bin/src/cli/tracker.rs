//! The flags of `tracker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::units::Span;

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
#[command(
    override_usage = "tribler-rs tracker [--config FILE] [--udp ADDR:PORT] [--http ADDR:PORT] [OPTIONS]",
    after_help = "SIGHUP has the file of settings, the list of torrents, keys and certificates read again. docs/tracker.md has all that \
                  can be set.\n\nExamples:\n  \
                  tribler-rs tracker --udp '[::]:6969' --http '[::]:7070'\n  \
                  tribler-rs tracker --print-config > tracker.toml; tribler-rs tracker --config tracker.toml --check\n  \
                  tribler-rs tracker --config tracker.toml --print-unit | sudo tee /etc/systemd/system/tribler-tracker.service"
)]
pub(crate) struct TrackerArgs {
    /// A file of settings; flags are on top of it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Answer UDP at this address, instead of those of the file; repeatable
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address)]
    pub(crate) udp: Vec<SocketAddr>,
    /// Answer HTTP at this address, instead of those of the file; repeatable
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address)]
    pub(crate) http: Vec<SocketAddr>,
    /// Threads for each address [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// Where completions, keys and the list are kept [default: tracker in $XDG_STATE_HOME/tribler-rs or ~/.local/state/tribler-rs]
    #[arg(long, value_name = "DIR", help_heading = "Storage")]
    pub(crate) state: Option<PathBuf>,
    /// Keep nothing: completions, keys and the list end with the process
    #[arg(long, help_heading = "Storage")]
    pub(crate) forget: bool,
    /// Say what is wrong with the settings, and do nothing else; exit code 1 if anything is
    #[arg(long)]
    pub(crate) check: bool,
    /// Print a file of settings with every key, its meaning, range and default, and do nothing else
    #[arg(long, help_heading = "Output")]
    pub(crate) print_config: bool,
    /// Print a unit file for systemd that runs this command with these flags, and do nothing else
    #[arg(long, help_heading = "Output")]
    pub(crate) print_unit: bool,
    /// How often to tell how it stands, where that has changed [default: never]
    #[arg(long, value_name = "TIME", help_heading = "Output")]
    pub(crate) every: Option<Span>,
    /// Print JSON lines instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// End when standard input does
    #[arg(long, hide = true)]
    pub(crate) until_stdin_ends: bool,
}
