//! An item of a feed.

use control::{Code, FeedItem, Refusal};
use protocol::magnet::Magnet;
use url::Url;

use crate::Episode;
use crate::memory::Mark;

/// Bytes of the longest address.
const LONGEST: usize = 8 << 10;

/// An item of a feed, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Its title; empty where it has none.
    pub title: String,
    /// What tells it from others for ever, where the feed says that.
    pub guid: Option<String>,
    /// The torrent that it names.
    pub torrent: Option<Torrent>,
    /// Bytes of the content.
    pub size: Option<u64>,
    /// When it was published: seconds since 1970.
    pub published: Option<i64>,
}

/// What an item says of its torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Torrent {
    /// Where its .torrent file is, by http or https.
    Url(Url),
    /// A magnet link.
    Link(String),
}

impl Torrent {
    /// Reads an address, which may be relative to that of the feed. It is not known yet what lies there.
    pub(crate) fn at(address: &str, feed: Option<&Url>) -> Option<Self> {
        let address = address.trim();
        if address.is_empty() || address.len() > LONGEST {
            return None;
        }
        let starts = address.get(.."magnet:".len());
        if starts.is_some_and(|start| start.eq_ignore_ascii_case("magnet:")) {
            Magnet::parse(address).ok()?;
            return Some(Self::Link(address.to_owned()));
        }
        let options = Url::options().base_url(feed);
        let url = options.parse(address).ok()?;
        matches!(url.scheme(), "http" | "https").then_some(Self::Url(url))
    }

    /// As a text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Url(url) => url.as_str(),
            Self::Link(link) => link,
        }
    }
}

impl Item {
    /// What it is remembered by.
    pub fn mark(&self) -> Mark {
        let torrent = || self.torrent.as_ref().map(Torrent::as_str);
        Mark::of(self.guid.as_deref().or_else(torrent).unwrap_or(&self.title))
    }

    /// As it is told of; `what` and `why` are left to who knows.
    pub fn told(&self) -> FeedItem {
        FeedItem {
            title: self.title.clone(),
            torrent: self.torrent.as_ref().map(|it| it.as_str().to_owned()),
            size: self.size,
            published: self.published,
            episode: Episode::of(&self.title).map(|episode| episode.to_string()),
            ..FeedItem::default()
        }
    }
}

/// Reads the address of a feed that a user names.
///
/// # Errors
/// [`Code::Wrong`]: it is none, or not by http or https.
pub fn feed_url(text: &str) -> Result<Url, Refusal> {
    let url = text.trim().parse::<Url>().ok();
    let fits = |url: &Url| matches!(url.scheme(), "http" | "https") && text.len() <= LONGEST;
    url.filter(fits).ok_or_else(|| {
        let why = format!("{text}: a feed's address begins with http:// or https://");
        Refusal::new(Code::Wrong, why)
    })
}
