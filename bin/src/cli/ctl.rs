//! The flags of `ctl`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use engine::Sort;
use engine::settings::Value;

use super::ctl_habits::{CategoriesArgs, FeedsArgs, TagArgs, WatchArgs, WishArgs};
use super::ctl_modes::{QueueArgs, SetArgs, WebSeedsArgs};
use super::settings::assignment;
use crate::units::Rate;

/// How torrents are named.
const NAMING: &str =
    "TORRENT is an info-hash, the beginning of one, or a name, if only one torrent is called so.";

/// Behind the flags of the command itself.
const LAST: usize = 900;

#[derive(Args, Debug)]
#[command(
    after_help = format!("{NAMING}\n\nExamples:\n  tribler-rs ctl add debian.torrent\n  tribler-rs ctl list --sort down_rate --descending\n  \
                  tribler-rs ctl limits 3f2a --down 1MiB/s")
)]
pub(crate) struct CtlArgs {
    /// Talk to the daemon with this --state [default: to the one that runs]
    #[arg(long, value_name = "DIR", global = true, display_order = LAST)]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) what: CtlCommand,
}

/// What to ask of the daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Add torrents: .torrent files, folders of them, magnet links, http(s) URLs, info-hashes
    Add(Box<AddArgs>),
    /// List torrents, sorted and filtered
    List(ListArgs),
    /// Show all that is known of a torrent
    Show(OneArgs),
    /// Have torrents do nothing until they are resumed
    Pause(WhichArgs),
    /// Let torrents go on
    Resume(WhichArgs),
    /// Remove torrents; their content stays unless --data says otherwise
    Remove(RemoveArgs),
    /// Bound what torrents move, or all of them together where none is named
    Limits(LimitsArgs),
    /// Move content to another folder
    Move(MoveArgs),
    /// List the files of a torrent, say how much some are wanted, or give one another name
    Files(FilesArgs),
    /// Turn switches of torrents, and say until when they are seeded
    Set(SetArgs),
    /// List the torrents that wait or download, in order, or move some
    Queue(QueueArgs),
    /// List or change the web seeds of a torrent
    WebSeeds(WebSeedsArgs),
    /// List or change the trackers of a torrent
    Trackers(TrackersArgs),
    /// List the peers that a torrent is connected to
    Peers(OneArgs),
    /// List or change the folders whose .torrent and .magnet files are taken
    Watch(WatchArgs),
    /// List, try out or change the feeds that torrents are taken from
    Feeds(FeedsArgs),
    /// Put torrents in a category, or give them tags or take them away
    Tag(TagArgs),
    /// List or change categories
    Categories(CategoriesArgs),
    /// Print what happens, until Ctrl-C
    Events(EventsArgs),
    /// Show or change settings
    Settings(SettingsArgs),
    /// Show sums over all torrents
    Stats,
    /// Show what the daemon takes of the machine
    Resources,
    /// Have torrents go through so many others, or the direct way with 0
    Hops(HopsArgs),
    /// Hash what torrents have on disk again; those that are paused stay so
    Check(CheckArgs),
    /// Announce torrents as soon as that is allowed
    Reannounce(WhichArgs),
    /// Close the sockets of the network and open them anew
    Reopen,
    /// Write all that the daemon keeps to a file of its own
    Backup(BackupArgs),
    /// End the daemon
    Shutdown,
}

#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct AddArgs {
    /// A .torrent file, a folder of them, a magnet link, http(s) URL of a .torrent, info-hash, or `-` (standard input)
    #[arg(required = true)]
    pub(crate) source: Vec<String>,
    #[command(flatten)]
    pub(crate) wish: WishArgs,
    /// Show how far they are until all that is wanted is there; Ctrl-C ends the waiting, and not the torrents
    #[arg(long, conflicts_with = "paused")]
    pub(crate) wait: bool,
    /// Which files, by number (0,3-7) or pattern ('*.mkv'); the rest is not written
    #[arg(long, value_name = "FILES")]
    pub(crate) files: Vec<String>,
    /// In order, first and last pieces of each file first
    #[arg(long)]
    pub(crate) sequential: bool,
    /// Take the data as whole and right, without hashing it first
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Write over files that are there already and hold nothing of the torrent
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Give out each piece about once, for the first seed of a swarm
    #[arg(long)]
    pub(crate) super_seed: bool,
    /// Connect straight to this peer; repeatable
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) peer: Vec<std::net::SocketAddr>,
    /// Announce to this tracker as well; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) tracker: Vec<String>,
    /// Fetch from this web server too; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) web_seed: Vec<String>,
    /// Largest rate of downloading of each of them; 0 is no limit
    #[arg(long, value_name = "RATE")]
    pub(crate) max_down: Option<Rate>,
    /// Largest rate of uploading of each of them; 0 is no limit
    #[arg(long, value_name = "RATE")]
    pub(crate) max_up: Option<Rate>,
}

#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct ListArgs {
    /// Only torrents with this in their name
    pub(crate) name: Option<String>,
    /// Print only how many there are
    #[arg(long)]
    pub(crate) count: bool,
    /// Go on: on a terminal the list is drawn again each second, elsewhere torrents of which something has changed are printed again
    #[arg(long, conflicts_with = "count")]
    pub(crate) watch: bool,
    /// Only those that are checking, downloading, error, metadata, paused, queued or seeding; repeatable
    #[arg(long, value_name = "STATE")]
    pub(crate) only: Vec<String>,
    /// Only those in this category; '' stands for none
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,
    /// Only those with this tag; repeatable
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Only those that go through so many others
    #[arg(long, value_name = "N")]
    pub(crate) hops: Option<u8>,
    /// Only those that move something
    #[arg(long)]
    pub(crate) moving: bool,
    /// Only those that have all that is wanted
    #[arg(long, conflicts_with = "incomplete")]
    pub(crate) complete: bool,
    /// Only those that lack something
    #[arg(long)]
    pub(crate) incomplete: bool,
    /// Only those by whose circuits nothing leaves
    #[arg(long)]
    pub(crate) blocked: bool,
    /// What they are sorted by: added, downloaded, down_rate, hops, left, name, peers, progress, ratio, seeds, size, state,
    /// uploaded or up_rate [default: added]
    #[arg(long, value_name = "WORD", value_parser = PossibleValuesParser::new(Sort::EACH.map(Sort::word)), hide_possible_values = true)]
    pub(crate) sort: Option<String>,
    /// The other way round
    #[arg(long)]
    pub(crate) descending: bool,
    /// Pass over so many
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// At most so many [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct OneArgs {
    /// Which
    pub(crate) torrent: String,
}

#[derive(Args, Debug)]
pub(crate) struct FilesArgs {
    /// Which
    pub(crate) torrent: String,
    /// Files to say something of, by number (0,3-7) or pattern ('*.mkv'); repeatable
    #[arg(long, value_name = "FILES", requires = "change")]
    pub(crate) choose: Vec<String>,
    /// How much they are wanted: 0 (not at all) to 7; 4 is usual
    #[arg(long, value_name = "N", group = "change", requires = "choose", value_parser = clap::value_parser!(u8).range(0..=7))]
    pub(crate) priority: Option<u8>,
    /// Where the one file that is chosen lies from now on: a path in the folder of the content, with `/`
    #[arg(long, value_name = "PATH", group = "change", requires = "choose")]
    pub(crate) rename: Option<String>,
}

#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct MoveArgs {
    /// Which
    pub(crate) torrent: String,
    /// The folder that shall hold the torrent's top-level name
    #[arg(required_unless_present = "cancel")]
    pub(crate) dir: Option<PathBuf>,
    /// Fail where files are there already, instead of taking over what verifies of them
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) no_adopt: bool,
    /// Write over files that are there already and hold nothing of the torrent
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Take a move back that is under way
    #[arg(long, conflicts_with_all = ["dir", "no_adopt", "overwrite"])]
    pub(crate) cancel: bool,
    /// Show how far it is until it is done; Ctrl-C ends the waiting, and not the move
    #[arg(long, conflicts_with = "cancel")]
    pub(crate) wait: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WhichArgs {
    /// Which
    #[arg(required_unless_present = "all")]
    pub(crate) torrent: Vec<String>,
    /// All torrents
    #[arg(long, conflicts_with = "torrent")]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Show how far that is until it is done, and fail where anything wanted is wrong or missing; Ctrl-C ends the waiting, and not
    /// the check
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Delete their content as well
    #[arg(long)]
    pub(crate) data: bool,
}

#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct LimitsArgs {
    /// Which; none for all together
    pub(crate) torrent: Vec<String>,
    /// Largest rate of downloading; 0 is no limit
    #[arg(long, value_name = "RATE")]
    pub(crate) down: Option<Rate>,
    /// Largest rate of uploading; 0 is no limit
    #[arg(long, value_name = "RATE")]
    pub(crate) up: Option<Rate>,
    /// Most peers connected at a time; 0 is as the settings say
    #[arg(long, value_name = "N")]
    pub(crate) max_peers: Option<u32>,
    /// Peers served at a time; 0 is as the settings say
    #[arg(long, value_name = "N")]
    pub(crate) upload_slots: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct TrackersArgs {
    /// Which
    pub(crate) torrent: String,
    /// Announce to this one as well, in a tier of its own; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) add: Vec<String>,
    /// Announce to this one no longer; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) remove: Vec<String>,
    /// Announce to these and no others; repeat for further tiers, join with commas for one tier
    #[arg(long, value_name = "URL", conflicts_with_all = ["add", "remove"])]
    pub(crate) replace: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct EventsArgs {
    /// Only events of this name or category; repeatable
    #[arg(long, value_name = "WORD")]
    pub(crate) only: Vec<String>,
    /// Begin behind the event with this number
    #[arg(long, value_name = "N")]
    pub(crate) since: Option<u64>,
    /// End after so many
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    pub(crate) what: Option<SettingsCommand>,
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show these, or all
    Get {
        /// Keys such as limits.down
        key: Vec<String>,
    },
    /// Change settings at once, and keep that for the next start
    Set {
        /// A key and a value, such as limits.down=4MiB/s
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = assignment)]
        set: Vec<(String, Value)>,
    },
    /// Go back to what file, preset and flags of the daemon say
    Reset {
        /// Keys such as limits.down
        #[arg(required = true)]
        key: Vec<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct HopsArgs {
    /// Through how many others: 0 (direct) to 3
    #[arg(value_name = "N", value_parser = clap::value_parser!(u8).range(0..=3))]
    pub(crate) hops: u8,
    /// Which
    #[arg(required = true)]
    pub(crate) torrent: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The file; one of that name is replaced once all is written
    pub(crate) file: PathBuf,
}
