//! The flags of `tracker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::units::{Size, Span};

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
#[command(
    override_usage = "tribler-rs tracker [--config FILE] [--udp ADDR:PORT] [--http ADDR:PORT] [OPTIONS]\n       \
                      tribler-rs tracker announce|scrape|check URL ...",
    args_conflicts_with_subcommands = true,
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
    /// Say what is wrong with the settings and the files that they name, and do nothing else; exit code 1 if anything is
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
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// End when standard input does
    #[arg(long, hide = true)]
    pub(crate) until_stdin_ends: bool,
    /// Ask a tracker something instead of running one
    #[command(subcommand)]
    pub(crate) what: Option<TrackerCommand>,
}

/// What to ask of trackers.
#[derive(Debug, Subcommand)]
pub(crate) enum TrackerCommand {
    /// Announce a peer to a tracker, as a client does, and show what it answers
    Announce(AnnounceArgs),
    /// Ask a tracker how many seeders and leechers torrents have
    Scrape(ScrapeArgs),
    /// Say of each tracker whether it answers; exit code 1 if one does not
    Check(CheckArgs),
}

#[derive(Args, Debug)]
pub(crate) struct AnnounceArgs {
    /// The tracker, such as udp://HOST:PORT or https://HOST/announce
    pub(crate) url: String,
    /// The torrent: an info-hash, magnet link or .torrent file
    pub(crate) torrent: String,
    /// Where the peer listens [default: a port at random, so that no client of this host is taken for it]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// What to announce; the peer stays on the tracker's list then [default: that it starts, and that it stops when the
    /// answer is there]
    #[arg(long, value_name = "EVENT", requires = "port")]
    pub(crate) event: Option<TrackerEvent>,
    /// The peer has everything
    #[arg(long, conflicts_with = "left")]
    pub(crate) seed: bool,
    /// How much the peer lacks [default: not known]
    #[arg(long, value_name = "SIZE")]
    pub(crate) left: Option<Size>,
    /// How much the peer has sent
    #[arg(long, value_name = "SIZE", default_value = "0")]
    pub(crate) uploaded: Size,
    /// How much the peer has received
    #[arg(long, value_name = "SIZE", default_value = "0")]
    pub(crate) downloaded: Size,
    /// How many peers to ask for [default: as many as the tracker gives]
    #[arg(long, value_name = "N")]
    pub(crate) want: Option<u32>,
    #[command(flatten)]
    pub(crate) patience: PatienceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ScrapeArgs {
    /// The tracker, such as udp://HOST:PORT or https://HOST/announce
    pub(crate) url: String,
    /// The torrents: info-hashes, magnet links or .torrent files
    #[arg(required = true, num_args = 1..=protocol::tracker::MAX_SCRAPE)]
    pub(crate) torrents: Vec<String>,
    #[command(flatten)]
    pub(crate) patience: PatienceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The trackers, such as udp://HOST:PORT or https://HOST/announce
    #[arg(required = true)]
    pub(crate) urls: Vec<String>,
    #[command(flatten)]
    pub(crate) patience: PatienceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PatienceArgs {
    /// How long to wait for an answer
    #[arg(
        long,
        value_name = "TIME",
        default_value = "15s",
        help_heading = "Network"
    )]
    pub(crate) patience: Span,
}

/// What happened to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrackerEvent {
    /// Nothing: it is still there.
    None,
    /// It begins.
    Started,
    /// It has everything now.
    Completed,
    /// It will fetch no more, though it lacks some (BEP 21).
    Paused,
    /// It leaves.
    Stopped,
}
