//! The flags of `import`, `backup` and `restore`: what a session keeps.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use state::import::Program;

/// Whose torrents to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// qBittorrent with resume data in files.
    Qbittorrent,
    /// Files of resume data of libtorrent.
    Libtorrent,
    /// Deluge.
    Deluge,
    /// Transmission.
    Transmission,
    /// rqbit.
    Rqbit,
}

impl From {
    /// As the library has it.
    pub(crate) fn program(self) -> Program {
        match self {
            Self::Qbittorrent => Program::Qbittorrent,
            Self::Libtorrent => Program::Libtorrent,
            Self::Deluge => Program::Deluge,
            Self::Transmission => Program::Transmission,
            Self::Rqbit => Program::Rqbit,
        }
    }
}

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs import [--from PROGRAM] PATH [--apply] [OPTIONS]",
    after_help = "Without --apply nothing is written: it only tells what would be taken over, what is there already, what is \
                  missing, and what has to be checked. Neither the other program's files nor the content are ever written to. \
                  End the other program first: it keeps the newest state only then.\n\n\
                  Examples:\n  tribler-rs import ~/.local/share/qBittorrent/BT_backup\n  \
                  tribler-rs import --from transmission ~/.config/transmission-daemon --apply"
)]
pub(crate) struct ImportArgs {
    /// Where the other program keeps its state, or a single record
    pub(crate) path: PathBuf,
    /// Whose state it is [default: found out]
    #[arg(
        long,
        value_enum,
        value_name = "qbittorrent|libtorrent|deluge|transmission|rqbit",
        hide_possible_values = true
    )]
    pub(crate) from: Option<From>,
    /// Take the torrents over
    #[arg(long)]
    pub(crate) apply: bool,
    /// Where content is whose record names no folder, or one without a beginning [default: those without a beginning are
    /// below the current folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Take all of them over as paused
    #[arg(long)]
    pub(crate) paused: bool,
    /// Where the session's state is kept [default: $XDG_STATE_HOME/tribler-rs or ~/.local/state/tribler-rs]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON lines instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(override_usage = "tribler-rs backup FILE [OPTIONS]")]
pub(crate) struct BackupArgs {
    /// The file to write; an earlier backup of that name is replaced
    pub(crate) file: PathBuf,
    /// Replace a file that is no backup
    #[arg(long)]
    pub(crate) force: bool,
    /// Where the session's state is kept [default: $XDG_STATE_HOME/tribler-rs or ~/.local/state/tribler-rs]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(override_usage = "tribler-rs restore FILE [OPTIONS]")]
pub(crate) struct RestoreArgs {
    /// The backup
    pub(crate) file: PathBuf,
    /// Put it in the place of the state that is there, which is put aside
    #[arg(long)]
    pub(crate) force: bool,
    /// Where the session's state is kept [default: $XDG_STATE_HOME/tribler-rs or ~/.local/state/tribler-rs]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
