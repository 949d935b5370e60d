//! The command line: every command and flag.

pub(crate) mod ctl;
pub(crate) mod ctl_habits;
pub(crate) mod ctl_modes;
pub(crate) mod daemon;
pub(crate) mod dht;
pub(crate) mod in_file;
pub(crate) mod kept;
pub(crate) mod nodes;
pub(crate) mod overlay;
pub(crate) mod settings;
pub(crate) mod tracker;
pub(crate) mod transfer;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use ctl::CtlArgs;
pub(crate) use daemon::DaemonArgs;
pub(crate) use dht::DhtArgs;
pub(crate) use kept::{BackupArgs, From, ImportArgs, RestoreArgs};
pub(crate) use nodes::{
    BootstrapServerArgs, CircuitsArgs, ExitArgs, NodeArgs, RelayArgs, TestnetArgs,
};
pub(crate) use tracker::{TrackerArgs, TrackerCommand};
pub(crate) use transfer::{DownloadArgs, SeedArgs};

use crate::units::Size;

/// Reads an address to listen at.
fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "write an IP address and a port, such as 0.0.0.0:6881 or [::1]:0")
}

/// How numbers are written.
pub(crate) const UNITS: &str =
    "Sizes and rates are written 4MiB, 250KiB/s or plain bytes; lengths of time 90s, 2h.";

/// What the exit codes mean.
pub(crate) const EXIT_CODES: [(u8, &str); 6] = [
    (0, "done"),
    (1, "failed"),
    (2, "wrong usage"),
    (3, "a named file, torrent or key does not exist"),
    (4, "no running process was found to ask"),
    (
        5,
        "the anonymity that was asked for cannot be had, and nothing was sent",
    ),
];

/// The exit codes in a line.
fn exit_codes() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("{code} {meaning}"));
    format!("Exit codes: {}.", codes.join(", "))
}

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "tribler-rs",
    version,
    about = "Downloads and seeds torrents, anonymously if asked; creates and checks them; finds peers and items on the DHT",
    after_help = format!("{UNITS}\n{}\nThe JSON lines are explained in docs/json.md.", exit_codes()),
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What to log to standard error: error, warn, info, debug, trace, or a filter such as
    /// `engine=debug` (RUST_LOG does the same)
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        help_heading = "Output",
        display_order = 1000
    )]
    pub(crate) log: Option<String>,
}

/// The command line as it is read and explained. Where nothing else is listened at, `--listen` is the overlay's socket.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| match command.get_name() {
        "relay" | "exit" => {
            command.mut_arg("overlay_listen", |listen| listen.visible_alias("listen"))
        }
        // Torrents wait for circuits, however long that takes.
        "daemon" => command
            .mut_arg("hops_within", |within| within.hide(true))
            .mut_arg("hops", |hops| {
                hops.help(
                    "Through how many others torrents go that are added and of which nothing else is said: 0 (direct) to 3 \
                     [default: as each went the last time, and direct the first time]",
                )
            }),
        _ => command,
    })
}

impl Cli {
    /// Reads the arguments of the process; wrong ones, and questions for help, end it.
    pub(crate) fn of_process() -> Self {
        Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Download torrents; ends when all is complete and verified
    Download(Box<DownloadArgs>),
    /// Verify a torrent's data, then serve it until Ctrl-C
    Seed(Box<SeedArgs>),
    /// Make a .torrent of a file or folder
    Create(Box<CreateArgs>),
    /// Show a torrent or magnet link: files, sizes, hashes, trackers, flags
    Info(InfoArgs),
    /// Hash a torrent's data and report each bad piece and file
    Check(CheckArgs),
    /// Run torrents until told to end; `ctl` adds them, and shows and changes what they do
    Daemon(Box<DaemonArgs>),
    /// Talk to a running daemon
    Ctl(CtlArgs),
    /// Ask where a torrent says that newer versions of it are found (BEP 39)
    CheckUpdate(CheckUpdateArgs),
    /// Find peers and items on the mainline DHT, and store them
    Dht(Box<DhtArgs>),
    /// Relay circuits of others until Ctrl-C
    Relay(Box<RelayArgs>),
    /// Relay circuits of others, and let what comes through them out, until Ctrl-C
    Exit(Box<ExitArgs>),
    /// Run a tracker, by HTTP and UDP, until Ctrl-C; or announce to others, scrape and check them
    Tracker(Box<TrackerArgs>),
    /// Introduce members of the overlay to each other until Ctrl-C
    BootstrapServer(BootstrapServerArgs),
    /// Show the circuits of running processes
    Circuits(CircuitsArgs),
    /// Start a private network of relays and exits on this machine, to try anonymity with
    Testnet(TestnetArgs),
    /// Show the whole main job on parts of its own: tracker, seeder and downloader on loopback
    Demo(DemoArgs),
    /// Take over the torrents of another program; tells first what that would come to
    Import(ImportArgs),
    /// Write the session's state to one file
    Backup(BackupArgs),
    /// Make the session's state of a backup
    Restore(RestoreArgs),
    /// Show what can be set, and check files of settings
    #[command(visible_alias = "settings")]
    Config(settings::ConfigArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Print the manual page of a command, or the main one
    Man(ManArgs),
    /// Write what a package has beside the program: units, manual pages, completions, settings
    Packaging(PackagingArgs),
}

impl Command {
    /// Whether the last of what is logged is kept, for those who ask later.
    pub(crate) const fn keeps_log(&self) -> bool {
        matches!(self, Self::Daemon(_))
    }

    /// Whether its JSON is a line for each event, failures among them, and not one object.
    pub(crate) fn speaks_lines(&self) -> bool {
        match self {
            Self::BootstrapServer(_)
            | Self::Check(_)
            | Self::Ctl(_)
            | Self::Daemon(_)
            | Self::Demo(_)
            | Self::Dht(_)
            | Self::Download(_)
            | Self::Exit(_)
            | Self::Import(_)
            | Self::Relay(_)
            | Self::Seed(_)
            | Self::Testnet(_)
            | Self::Tracker(_) => true,
            Self::Backup(_)
            | Self::CheckUpdate(_)
            | Self::Circuits(_)
            | Self::Completions(_)
            | Self::Config(_)
            | Self::Create(_)
            | Self::Info(_)
            | Self::Man(_)
            | Self::Packaging(_)
            | Self::Restore(_) => false,
        }
    }

    /// Whether the command was asked to speak JSON.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Ctl(args) => args.json,
            Self::Daemon(args) => args.common.json,
            Self::Download(args) => args.common.json,
            Self::Seed(args) => args.common.json,
            Self::Create(args) => args.json,
            Self::Info(args) => args.json,
            Self::Check(args) => args.json,
            Self::CheckUpdate(args) => args.json,
            Self::BootstrapServer(args) => args.watch.json,
            Self::Demo(args) => args.json,
            Self::Dht(args) => args.json,
            Self::Relay(args) => args.node.watch.json,
            Self::Exit(args) => args.node.watch.json,
            Self::Circuits(args) => args.json,
            Self::Import(args) => args.json,
            Self::Backup(args) => args.json,
            Self::Restore(args) => args.json,
            Self::Testnet(args) => args.json,
            Self::Tracker(args) => args.json,
            Self::Config(args) => {
                matches!(
                    args.command,
                    settings::ConfigCommand::Show { json: true, .. }
                )
            }
            Self::Completions(_) | Self::Man(_) | Self::Packaging(_) => false,
        }
    }
}

/// Which versions of the format a new torrent carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// BEP 3: SHA-1 of pieces, every client reads it.
    V1,
    /// BEP 52: a SHA-256 tree for each file.
    V2,
    /// Both in one file.
    Hybrid,
}

/// When a new torrent says it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Date {
    /// No date.
    None,
    /// Seconds since 1970.
    Unix(i64),
}

impl std::str::FromStr for Date {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::None);
        }
        let seconds = text
            .parse()
            .map_err(|_| "use `none` or seconds since 1970")?;
        Ok(Self::Unix(seconds))
    }
}

#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs create PATH -o FILE [OPTIONS]",
    after_help = "Example:\n  tribler-rs create holiday/ -o holiday.torrent --tracker http://tracker.example/announce"
)]
pub(crate) struct CreateArgs {
    /// The file or folder to share
    pub(crate) path: PathBuf,
    /// Where to write the .torrent; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// A tracker; repeat for further tiers, join with commas for one tier
    #[arg(long, value_name = "URL")]
    pub(crate) tracker: Vec<String>,
    /// A web seed (BEP 19); repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) web_seed: Vec<String>,
    /// A DHT node (BEP 5); repeatable
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) node: Vec<String>,
    /// Bytes in a piece, a power of two of 16KiB or more [default: by size]
    #[arg(long, value_name = "SIZE")]
    pub(crate) piece_length: Option<Size>,
    /// v1 (BEP 3) is read by every client, v2 (BEP 52) has a hash tree for each file, hybrid is both
    #[arg(long, value_enum, value_name = "v1|v2|hybrid", hide_possible_values = true, default_value_t = Format::Hybrid)]
    pub(crate) format: Format,
    /// Ask clients to find peers through the trackers only (BEP 27)
    #[arg(long)]
    pub(crate) private: bool,
    /// The `source` field, which makes the info-hash a tracker's own
    #[arg(long, value_name = "TEXT")]
    pub(crate) source: Option<String>,
    /// A comment for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    /// Where a newer version of the torrent will be found (BEP 39)
    #[arg(long, value_name = "URL")]
    pub(crate) update_url: Option<String>,
    /// Who signs what is found there: a certificate, PEM or DER (BEP 39)
    #[arg(long, value_name = "FILE")]
    pub(crate) originator: Option<PathBuf>,
    /// A torrent that shares files with this one, by its info-hash (BEP 38); repeatable
    #[arg(long, value_name = "HASH")]
    pub(crate) similar: Vec<String>,
    /// A collection of torrents that share files (BEP 38); repeatable
    #[arg(long, value_name = "TEXT")]
    pub(crate) collection: Vec<String>,
    /// The creation date: `none` or seconds since 1970 [default: now]
    #[arg(long, value_name = "none|UNIX")]
    pub(crate) date: Option<Date>,
    /// The torrent's name [default: the file's or folder's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Threads that hash [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Write over a file that is there already and is no torrent
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave out files and folders by their name, or by their path in the folder where the pattern has a `/`; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Share what links that lead out of the folder lead to
    #[arg(long)]
    pub(crate) follow_links: bool,
    /// Print one JSON object instead of text; to standard error where the torrent goes to standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) feed: FeedArgs,
    #[command(flatten)]
    pub(crate) signing: SigningArgs,
}

/// A torrent of torrents (BEP 49).
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Feeds")]
pub(crate) struct FeedArgs {
    /// The folder is a feed: the files directly in it are its items, commonly torrents (BEP 49)
    #[arg(long)]
    pub(crate) feed: bool,
    /// Where newer versions of the feed are published: the link that `dht publish` prints
    #[arg(
        long,
        value_name = "LINK",
        requires = "feed",
        conflicts_with = "feed_archive"
    )]
    pub(crate) feed_source: Option<String>,
    /// The version of the feed before this one
    #[arg(
        long,
        value_name = "LINK",
        requires = "feed",
        conflicts_with = "feed_archive"
    )]
    pub(crate) feed_previous: Option<String>,
    /// The archive with the items before those in it
    #[arg(long, value_name = "LINK")]
    pub(crate) feed_archive_next: Option<String>,
    /// It is an archive of older items, and not the newest version of the feed
    #[arg(long)]
    pub(crate) feed_archive: bool,
}

/// Who signs a torrent (BEP 35).
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SigningArgs {
    /// Sign the torrent with this RSA key, PEM or DER (BEP 35)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) sign_key: Option<PathBuf>,
    /// The certificate of the key, PEM or DER
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Who signs, in reverse DNS notation such as com.example [default: the certificate's common name]
    #[arg(long, value_name = "NAME", requires = "sign_key")]
    pub(crate) signer: Option<String>,
    /// Leave the certificate out of the torrent: those who check it have it
    #[arg(long, requires = "sign_key")]
    pub(crate) exclude_certificate: bool,
}

#[derive(Args, Debug)]
pub(crate) struct InfoArgs {
    /// A .torrent file, magnet link, http(s) URL of a .torrent, info-hash, or `-`
    pub(crate) source: String,
    /// A certificate, PEM or DER, that vouches for signatures: its own, and those of whom it was issued to; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Vec<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The .torrent file, its http(s) URL, or `-`
    pub(crate) torrent: String,
    /// The folder that holds the torrent's top-level name
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Threads that hash [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Print JSON lines instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CheckUpdateArgs {
    /// The .torrent file, its http(s) URL, or `-`
    pub(crate) torrent: String,
    /// Write the newer .torrent to this file; nothing is downloaded
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write it also where the originator, whom the torrent names, has not signed it
    #[arg(long, requires = "output")]
    pub(crate) unsigned: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Bytes to transfer
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) size: Size,
    /// Print JSON lines instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs man [COMMAND...] | -o DIR",
    after_help = "Examples:\n  tribler-rs man relay | man -l -\n  tribler-rs man -o /usr/local/share/man/man1"
)]
pub(crate) struct ManArgs {
    /// The page of this command, such as `relay` or `dht get` [default: the main page]
    #[arg(conflicts_with = "output")]
    pub(crate) command: Vec<String>,
    /// Write one page per command into this folder, instead of one to standard output
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(override_usage = "tribler-rs packaging FOLDER")]
pub(crate) struct PackagingArgs {
    /// What stands for the root of the file system
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}
