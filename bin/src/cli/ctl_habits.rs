//! The flags of `ctl` about categories and tags, watched folders and feeds.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ctl::WhichArgs;
use crate::units::{Size, Span};

#[derive(Args, Debug)]
pub(crate) struct TagArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Give them this tag; repeatable
    #[arg(long, value_name = "TAG")]
    pub(crate) add: Vec<String>,
    /// Take this tag from them; repeatable
    #[arg(long, value_name = "TAG")]
    pub(crate) remove: Vec<String>,
    /// Put them in this category
    #[arg(long, value_name = "NAME", conflicts_with = "no_category")]
    pub(crate) category: Option<String>,
    /// Take them out of their category
    #[arg(long)]
    pub(crate) no_category: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CategoriesArgs {
    #[command(subcommand)]
    pub(crate) what: Option<CategoriesCommand>,
}

/// What to do with categories.
#[derive(Debug, Subcommand)]
pub(crate) enum CategoriesCommand {
    /// List them
    List,
    /// Make one, or give it another folder
    Set {
        /// Which
        name: String,
        /// The folder for content of torrents that are added to it [default: that of the daemon]
        #[arg(long, visible_alias = "data", value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Remove one; torrents in it stay, and are in none then
    Remove {
        /// Which
        name: String,
    },
}

/// What is wanted of torrents that are added.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WishArgs {
    /// The folder of their content, which may lie there already [default: that of the category, or of the daemon]
    #[arg(long, visible_alias = "output", short = 'o', value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Put them in this category
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,
    /// Give them this tag; repeatable
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// They do nothing until they are resumed
    #[arg(long)]
    pub(crate) paused: bool,
    /// Through how many others they go, and what is fetched for them: 0 (direct) to 3 [default: as they went before, or as the
    /// daemon's --hops says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=3))]
    pub(crate) hops: Option<u8>,
}

#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    #[command(subcommand)]
    pub(crate) what: Option<WatchCommand>,
}

/// What to do with watched folders.
#[derive(Debug, Subcommand)]
pub(crate) enum WatchCommand {
    /// List them, and what could not be taken
    List,
    /// Watch a folder, or in another way than before
    Add {
        /// Which; folders in it are not watched
        dir: PathBuf,
        /// What becomes of a file when its torrent was added
        #[arg(long, value_name = "WHAT", value_enum, default_value_t = Then::Rename)]
        then: Then,
        #[command(flatten)]
        wish: WishArgs,
    },
    /// Watch a folder no longer
    Remove {
        /// Which
        dir: PathBuf,
    },
}

/// What becomes of a file when its torrent was added.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Then {
    /// It stays as it is
    Keep,
    /// It is deleted
    Delete,
    /// `.added` is put behind its name
    Rename,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tribler-rs ctl feeds preview https://example.org/rss --include 'debian amd64'\n  \
                  tribler-rs ctl feeds add debian https://example.org/rss --every 1h\n  \
                  tribler-rs ctl feeds rule debian amd64 --include 'amd64 netinst' --exclude beta"
)]
pub(crate) struct FeedsArgs {
    #[command(subcommand)]
    pub(crate) what: Option<FeedsCommand>,
}

/// What to do with feeds.
#[derive(Debug, Subcommand)]
pub(crate) enum FeedsCommand {
    /// List them, with their rules
    List,
    /// Look at a feed from now on; nothing is taken before it has rules, or with --all everything
    Add(FeedArgs),
    /// Make, change or remove a rule by which a feed's items are taken
    Rule {
        /// Whose
        feed: String,
        /// Which; of two that fit, the first by name counts
        name: String,
        /// Remove it
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        rule: RuleArgs,
        #[command(flatten)]
        wish: WishArgs,
    },
    /// Show what would be taken now, and why the rest would not; nothing is
    Preview {
        /// The name of a feed, or an address
        feed: String,
        /// Through how many others an address is fetched
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=3))]
        hops: Option<u8>,
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// Look at a feed now
    Fetch {
        /// Which
        name: String,
    },
    /// Look at a feed no longer, and forget what was taken from it
    Remove {
        /// Which
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct FeedArgs {
    /// What to call it; a feed of that name is changed
    pub(crate) name: String,
    /// Its address, by http or https
    pub(crate) url: String,
    /// Time between two looks; a minute at least
    #[arg(long, value_name = "TIME", default_value = "30m")]
    pub(crate) every: Span,
    /// Take all of its items
    #[arg(long)]
    pub(crate) all: bool,
    /// Take nothing that it has at the first look
    #[arg(long)]
    pub(crate) only_new: bool,
    #[command(flatten)]
    pub(crate) wish: WishArgs,
}

/// Which items are taken: those that all of this is true of.
#[derive(Args, Debug)]
pub(crate) struct RuleArgs {
    /// The title has all of these words, in any order; * stands for anything, ? for any character; repeatable, one must fit
    #[arg(long, value_name = "WORDS")]
    pub(crate) include: Vec<String>,
    /// The title does not have all of these words; repeatable, none must fit
    #[arg(long, value_name = "WORDS")]
    pub(crate) exclude: Vec<String>,
    /// These are regular expressions instead
    #[arg(long)]
    pub(crate) regex: bool,
    /// The feed names a size, and it is so large at least
    #[arg(long, value_name = "SIZE")]
    pub(crate) min_size: Option<Size>,
    /// The feed names a size, and it is so large at most
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<Size>,
    /// The title names one of these episodes: seasons and episodes such as 2,1x3,1x5-8,1x9-
    #[arg(long, value_name = "LIST")]
    pub(crate) episodes: Option<String>,
    /// Take each episode once; a PROPER or REPACK counts as another
    #[arg(long)]
    pub(crate) once: bool,
    /// Take nothing by it for now
    #[arg(long)]
    pub(crate) off: bool,
}
