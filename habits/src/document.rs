//! What a feed says: RSS 2.0, RSS 1.0 or Atom, and the extensions for torrents (BEP 36 and what indexers use).

use std::borrow::Cow;

use protocol::id::{InfoHash, InfoHashV2};
use protocol::xml::{self, Attributes, Manner, Step};
use url::Url;

use crate::date;
use crate::item::{Item, Torrent};

/// Bytes of the largest document.
const MOST_BYTES: usize = 8 << 20;

/// The most items of a document; further ones do not count.
const MOST_ITEMS: usize = 2000;

/// How feeds are read: two thousand items of fifty elements.
const MANNER: Manner = Manner {
    most_elements: 100_000,
    longest_text: 16 << 10,
    forgiving: true,
};

/// Characters of a title; what is behind them is cut off.
const LONGEST_TITLE: usize = 1000;

/// A feed, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What it calls itself.
    pub title: Option<String>,
    /// Its items, as they came.
    pub items: Vec<Item>,
}

/// Why something is no feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// It is longer than 8 MiB.
    #[error("it is longer than 8 MiB")]
    TooLong,
    /// It is a web page.
    #[error("this is a web page, and no feed")]
    WebPage,
    /// It is neither RSS nor Atom.
    #[error("this is neither RSS nor Atom")]
    Unknown,
    /// It is no XML, or not all of it.
    #[error("this is no feed: {0}")]
    Xml(&'static str),
}

/// What is known of an item while it is read.
#[derive(Default)]
struct Draft {
    item: Item,
    /// An enclosure that says that it is a torrent.
    torrent: Option<String>,
    /// Something that is named like a torrent, or is a magnet link.
    likely: Option<String>,
    /// A magnet link.
    magnet: Option<String>,
    /// An info-hash in hex.
    hash: Option<String>,
    /// Where its page is, or its torrent after all.
    link: Option<String>,
}

impl Document {
    /// Reads a feed that came from `at`. A feed that is cut short or breaks off has the items before that.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn read(bytes: &[u8], at: Option<&Url>) -> Result<Self, FeedError> {
        if bytes.len() > MOST_BYTES {
            return Err(FeedError::TooLong);
        }
        let text = decoded(bytes);
        let mut reading = Reading::new(at);
        let read = xml::read(&text, MANNER, |step| reading.step(step));
        let head: String = text.trim_start().chars().take(15).collect();
        match (reading.kind, read) {
            (Some(true), Ok(())) => Ok(reading.document),
            // What is whole is worth something.
            (Some(true), Err(_)) if !reading.document.items.is_empty() => Ok(reading.document),
            (Some(false), _) => Err(reading.wrong),
            _ if head.to_ascii_lowercase().starts_with("<!doctype html") => Err(FeedError::WebPage),
            (_, Err(error)) => Err(FeedError::Xml(match error {
                xml::XmlError::Truncated => "it is cut short",
                xml::XmlError::Malformed => "it is no XML",
                xml::XmlError::TooMany => "it has too many elements",
                xml::XmlError::DocumentType | _ => "it has a document type",
            })),
            (None, Ok(())) => Err(FeedError::Unknown),
        }
    }
}

struct Reading<'a> {
    at: Option<&'a Url>,
    document: Document,
    depth: usize,
    /// Whether the first element is that of a feed; `None` before it.
    kind: Option<bool>,
    wrong: FeedError,
    draft: Option<(usize, Draft)>,
}

impl<'a> Reading<'a> {
    fn new(at: Option<&'a Url>) -> Self {
        Self {
            at,
            document: Document::default(),
            depth: 0,
            kind: None,
            wrong: FeedError::Unknown,
            draft: None,
        }
    }

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Begin(name, attributes) => {
                self.depth = self.depth.saturating_add(1);
                if self.kind.is_none() {
                    self.kind = Some(matches!(name, "rss" | "feed" | "rdf"));
                    if name == "html" {
                        self.wrong = FeedError::WebPage;
                    }
                }
                self.begin(name, &attributes);
            }
            Step::End(name, text) => {
                self.end(name, text);
                self.depth = self.depth.saturating_sub(1);
            }
        }
    }

    fn begin(&mut self, name: &str, attributes: &Attributes<'_>) {
        let Some((_, draft)) = &mut self.draft else {
            let room = self.document.items.len() < MOST_ITEMS;
            if matches!(name, "item" | "entry") && self.kind == Some(true) && room {
                self.draft = Some((self.depth, Draft::default()));
            }
            return;
        };
        match name {
            "enclosure" | "content" => {
                draft.enclosure(attributes.get("url"), attributes);
            }
            "link" => {
                let rel = attributes.get("rel").unwrap_or_default();
                let href = attributes.get("href");
                if rel == "enclosure" {
                    draft.enclosure(href, attributes);
                } else if let (Some(href), true) = (href, rel.is_empty() || rel == "alternate") {
                    draft.linked(href);
                }
            }
            // Torznab.
            "attr" => {
                if let (Some(name), Some(value)) = (attributes.get("name"), attributes.get("value"))
                {
                    draft.named(&name.to_ascii_lowercase(), &value);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str, text: &str) {
        let Some((depth, draft)) = &mut self.draft else {
            if name == "title" && self.depth <= 3 && self.document.title.is_none() {
                self.document.title = Some(cut(text)).filter(|title| !title.is_empty());
            }
            return;
        };
        if self.depth == *depth {
            let (_, draft) = self.draft.take().unwrap_or_default();
            self.document.items.push(draft.finish(self.at));
            return;
        }
        let child = self.depth.checked_sub(1) == Some(*depth);
        let item = &mut draft.item;
        match name {
            "title" if child && item.title.is_empty() => item.title = cut(text),
            "guid" | "id" if child && !text.is_empty() => {
                item.guid.get_or_insert_with(|| text.to_owned());
            }
            "link" if child && !text.is_empty() => draft.linked(text.to_owned()),
            "pubdate" | "published" | "date" if child => item.published = date::seconds(text),
            "updated" if child && item.published.is_none() => item.published = date::seconds(text),
            _ => draft.named(name, text),
        }
    }
}

impl Draft {
    fn enclosure(&mut self, url: Option<String>, attributes: &Attributes<'_>) {
        let Some(url) = url else { return };
        let kind = attributes.get("type").unwrap_or_default();
        let torrent = kind.eq_ignore_ascii_case("application/x-bittorrent");
        if torrent && !is_magnet(&url) {
            self.torrent.get_or_insert(url);
            let len = ["length", "filesize"].map(|name| attributes.get(name));
            // Many say how long the .torrent file is, which no content worth a torrent is as short as.
            let len = len.into_iter().flatten().find_map(|len| size_of(&len));
            self.item.size = self.item.size.or_else(|| len.filter(|len| *len > 1 << 20));
        } else if torrent || is_likely(&url) {
            self.linked(url);
        }
    }

    fn linked(&mut self, url: String) {
        if is_magnet(&url) {
            self.magnet.get_or_insert(url);
        } else if is_likely(&url) {
            self.likely.get_or_insert(url);
        } else {
            self.link.get_or_insert(url);
        }
    }

    /// What extensions say, by the name of an element or of an attribute.
    fn named(&mut self, name: &str, text: &str) {
        match name {
            "magneturi" | "magneturl" if is_magnet(text) => {
                self.magnet.get_or_insert_with(|| text.to_owned());
            }
            "infohash" | "info_hash" => {
                let hex = text.parse::<InfoHash>().is_ok() || text.parse::<InfoHashV2>().is_ok();
                if hex {
                    self.hash.get_or_insert_with(|| text.to_ascii_lowercase());
                }
            }
            "contentlength" | "size" => {
                if let Some(size) = size_of(text) {
                    self.item.size = Some(size);
                }
            }
            _ => {}
        }
    }

    fn finish(self, at: Option<&Url>) -> Item {
        let mut item = self.item;
        let of_hash = || {
            let hash = self.hash?;
            let kind = if hash.len() == 40 {
                "btih:"
            } else {
                "btmh:1220"
            };
            Some(format!("magnet:?xt=urn:{kind}{hash}"))
        };
        let named = [self.torrent, self.likely, self.magnet];
        let named = named
            .into_iter()
            .flatten()
            .find_map(|it| Torrent::at(&it, at));
        item.torrent = named
            .or_else(|| Torrent::at(&of_hash()?, at))
            .or_else(|| Torrent::at(&self.link?, at));
        item
    }
}

fn is_magnet(url: &str) -> bool {
    let start = url.get(.."magnet:".len());
    start.is_some_and(|start| start.eq_ignore_ascii_case("magnet:"))
}

/// Whether the path of an address ends as those of torrents do.
fn is_likely(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let end = path.len().checked_sub(".torrent".len());
    let end = end.and_then(|at| path.get(at..));
    is_magnet(url) || end.is_some_and(|end| end.eq_ignore_ascii_case(".torrent"))
}

/// Bytes, plain or with a unit: `123456`, `1.4 GiB`.
fn size_of(text: &str) -> Option<u64> {
    let text = text.trim().replace(',', "");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at_checked(digits.unwrap_or(text.len()))?;
    let unit = unit.trim().to_ascii_lowercase();
    let factor: u64 = match unit.as_str() {
        "" | "b" | "bytes" => return number.parse().ok(),
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    let size = number.parse::<f64>().ok()? * factor as f64;
    (size.is_finite() && size < u64::MAX as f64).then_some(size as u64)
}

fn cut(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST_TITLE).collect()
}

/// The characters of a document: UTF-8, UTF-16 with a mark, or the Latin alphabet where it says so.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (units, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|unit| read(*unit)).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return wide(rest, u16::from_be_bytes),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.get(..bytes.len().min(200)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let head = head.split("?>").next().unwrap_or_default();
    let latin = ["iso-8859-1", "windows-1252", "latin1", "iso-8859-15"];
    if head.contains("encoding") && latin.iter().any(|name| head.contains(name)) {
        return Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests;
