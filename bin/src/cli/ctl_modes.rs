//! Flags of `ctl set`, `ctl queue` and `ctl web-seeds`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::ctl::WhichArgs;
use crate::units::Span;

#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Turn on: managed, sequential, super_seed, upload_only, share, stop_when_ready, trackers, dht, local_discovery, peer_exchange,
    /// web_seeds, ip_filter (held to --ip-filter) or hidden_seeding (hidden peers find it); several with commas, repeatable
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub(crate) on: Vec<String>,
    /// Turn off, in the same words
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub(crate) off: Vec<String>,
    /// Seed until so many bytes were sent for each byte of content, such as 1.5
    #[arg(long, value_name = "RATIO", value_parser = per_mille, help_heading = "Seeding")]
    pub(crate) seed_ratio: Option<u32>,
    /// Seed for so long, such as 2h; 0s is not at all
    #[arg(long, value_name = "TIME", help_heading = "Seeding")]
    pub(crate) seed_time: Option<Span>,
    /// Seed until nobody fetched anything for so long
    #[arg(long, value_name = "TIME", help_heading = "Seeding")]
    pub(crate) seed_idle: Option<Span>,
    /// Seed as long as it is there, whatever the settings say
    #[arg(long, conflicts_with_all = ["seed_ratio", "seed_time", "seed_idle"], help_heading = "Seeding")]
    pub(crate) seed_forever: bool,
    /// Seed as the settings say
    #[arg(long, conflicts_with_all = ["seed_ratio", "seed_time", "seed_idle", "seed_forever"], help_heading = "Seeding")]
    pub(crate) seed_default: bool,
}

impl SetArgs {
    /// Until when to seed, where something is said of that.
    pub(crate) fn seeding(&self) -> Option<control::SeedingOf> {
        let seconds = |span: Option<Span>| span.map(|span| Duration::as_secs(&span.0));
        let rule = control::SeedingOf {
            forever: self.seed_forever,
            ratio_per_mille: self.seed_ratio,
            seconds: seconds(self.seed_time),
            idle_seconds: seconds(self.seed_idle),
        };
        (self.seed_default || rule != control::SeedingOf::default()).then_some(rule)
    }
}

#[derive(Args, Debug)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    pub(crate) what: Option<QueueCommand>,
}

/// What to do with the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Move torrents before all others
    Top(ShiftArgs),
    /// Move torrents behind all others
    Bottom(ShiftArgs),
    /// Move torrents before the one in front
    Up(ShiftArgs),
    /// Move torrents behind the one that follows
    Down(ShiftArgs),
    /// Move torrents to a position
    To {
        /// Behind so many others
        position: usize,
        #[command(flatten)]
        which: ShiftArgs,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ShiftArgs {
    /// Which
    #[arg(required = true)]
    pub(crate) torrent: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct WebSeedsArgs {
    /// Which
    pub(crate) torrent: String,
    /// Fetch from this one as well; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) add: Vec<String>,
    /// Fetch from this one no longer; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) remove: Vec<String>,
}

/// Reads a ratio.
fn per_mille(text: &str) -> Result<u32, String> {
    let ratio: f64 = text
        .parse()
        .map_err(|_| "a number such as 1.5".to_owned())?;
    let whole = (ratio * 1000.0).round();
    if (0.0..=f64::from(u32::MAX)).contains(&whole) {
        Ok(whole as u32)
    } else {
        Err("a number from 0 on".to_owned())
    }
}
