//! HTTP trackers: the client's URLs, the replies, and in [`server`] the other end.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod reply;
pub mod server;
mod url;

pub use reply::{
    MAX_REPLY_LEN, PeerForm, ReplyError, encode_announce, encode_failure, encode_scrape,
    parse_announce, parse_scrape,
};
pub use url::{UrlError, announce_url, scrape_url};

#[cfg(test)]
mod tests;
