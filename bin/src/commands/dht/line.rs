//! What `dht` tells: each result as a line of JSON or of text.

use std::fmt::Write;

use dht::{Progress, Scrape};
use serde::Serialize;

use crate::text::printable;

/// One result. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line {
    /// A torrent was announced.
    Announced {
        info_hash: String,
        nodes: usize,
        refused: Option<i64>,
    },
    /// A lookup has ended.
    Done {
        found: usize,
        asked: usize,
        answered: usize,
        hops: u8,
        seconds: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        seeds: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        leechers: Option<f64>,
    },
    /// A node has peers of torrents.
    InfoHashes {
        from: String,
        hashes: Vec<String>,
        total: u32,
        interval: u64,
    },
    /// An item was found. `text` is there where the value is a string of text, `value` is its bencode in hex.
    Item {
        target: String,
        text: Option<String>,
        value: String,
        seq: Option<i64>,
        key: Option<String>,
        signature: Option<String>,
    },
    /// Peers were found.
    Peers {
        peers: Vec<String>,
        asked: usize,
        answered: usize,
    },
    /// A node is there.
    Pong {
        addr: String,
        id: String,
        rtt: f64,
        version: Option<String>,
    },
    /// A node does not answer.
    Silence { addr: String },
    /// An item was stored.
    Stored {
        target: String,
        nodes: usize,
        seq: Option<i64>,
        key: Option<String>,
        refused: Option<i64>,
    },
}

impl Line {
    /// The end of a lookup.
    pub(crate) fn done(progress: &Progress, seconds: f64, scrape: Option<Scrape>) -> Self {
        let tenth = |number: f64| (number * 10.0).round() / 10.0;
        Self::Done {
            found: progress.found,
            asked: progress.asked,
            answered: progress.answered,
            hops: progress.hops,
            seconds,
            seeds: scrape.map(|scrape| tenth(scrape.seeds)),
            leechers: scrape.map(|scrape| tenth(scrape.leechers)),
        }
    }

    /// The line for people.
    pub(crate) fn text(&self) -> String {
        let mut text = self.words();
        text.push('\n');
        text
    }

    fn words(&self) -> String {
        match self {
            Self::Announced {
                info_hash,
                nodes,
                refused,
            } => {
                format!(
                    "{info_hash} announced to {}{}",
                    counted(*nodes),
                    why(*refused)
                )
            }
            Self::Done {
                found,
                asked,
                answered,
                seconds,
                seeds,
                leechers,
                ..
            } => {
                let mut text =
                    format!("{found} found; {answered} of {asked} queries answered in {seconds} s");
                if let (Some(seeds), Some(leechers)) = (seeds, leechers) {
                    let _ = write!(text, "; about {seeds} seeds and {leechers} others");
                }
                text
            }
            Self::InfoHashes { hashes, .. } => hashes.join("\n"),
            Self::Item {
                text, value, seq, ..
            } => {
                let value = text
                    .as_ref()
                    .map_or_else(|| value.clone(), |text| printable(text));
                match seq {
                    Some(seq) => format!("{value}\nversion {seq}"),
                    None => value,
                }
            }
            Self::Peers { peers, .. } => peers.join("\n"),
            Self::Pong {
                addr,
                id,
                rtt,
                version,
            } => {
                let version = version.as_deref().unwrap_or("-");
                format!("{addr} {id} {:.1} ms {version}", rtt * 1e3)
            }
            Self::Silence { addr } => format!("{addr} does not answer"),
            Self::Stored {
                target,
                nodes,
                seq,
                key,
                refused,
            } => {
                let mut text = format!("{target} stored with {}{}", counted(*nodes), why(*refused));
                if let (Some(seq), Some(key)) = (seq, key) {
                    let _ = write!(text, "\nversion {seq} of key {key}");
                }
                text
            }
        }
    }
}

fn counted(nodes: usize) -> String {
    let plural = if nodes == 1 { "" } else { "s" };
    format!("{nodes} node{plural}")
}

fn why(refused: Option<i64>) -> String {
    refused.map_or_else(String::new, |code| format!("; refused with error {code}"))
}

/// What a node says of its program: letters as they are, numbers of versions in hex.
pub(crate) fn program(version: &[u8]) -> String {
    let (name, number) = version.split_at_checked(2).unwrap_or((version, &[]));
    let mut text = name.escape_ascii().to_string();
    for byte in number {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_shown_as_letters_and_numbers() {
        assert_eq!(program(b"LT\x02\x0b"), "LT020b");
        assert_eq!(program(b""), "");
        assert_eq!(program(b"\n"), "\\n");
    }

    #[test]
    fn lines_name_their_event() {
        let line = Line::Silence {
            addr: "1.2.3.4:5".to_owned(),
        };
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(json, r#"{"event":"silence","addr":"1.2.3.4:5"}"#);
        assert_eq!(line.text(), "1.2.3.4:5 does not answer\n");
    }
}
