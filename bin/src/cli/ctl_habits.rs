//! The flags of `ctl` about categories and tags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ctl::WhichArgs;

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
