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
        /// Why it ended before its time, in words for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'static str>,
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
        /// The torrent that the value names (BEP 46).
        #[serde(skip_serializing_if = "Option::is_none")]
        info_hash: Option<String>,
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
        /// How long its answer took, in milliseconds.
        rtt_ms: f64,
        version: Option<String>,
    },
    /// Which torrent is the newest version was stored (BEP 46); the link follows it.
    Published {
        info_hash: String,
        target: String,
        nodes: usize,
        seq: Option<i64>,
        key: String,
        magnet: String,
        refused: Option<i64>,
    },
    /// A node refuses what it was asked for, with an error's code.
    Refusal { addr: String, code: i64 },
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
            why: None,
        }
    }

    /// The end of a crawl, and why that came before its time.
    pub(crate) fn crawled(
        progress: &Progress,
        seconds: f64,
        because: Option<&'static str>,
    ) -> Self {
        let mut line = Self::done(progress, seconds, None);
        if let Self::Done { why, .. } = &mut line {
            *why = because;
        }
        line
    }

    /// What people are told beside the result, on standard error.
    pub(crate) fn remark(&self) -> Option<String> {
        let Self::Item {
            text,
            info_hash,
            seq,
            ..
        } = self
        else {
            return None;
        };
        let mut remark = String::new();
        if info_hash.is_some() {
            remark.push_str("the value names this torrent (BEP 46)\n");
        } else if text.is_none() {
            remark.push_str("the value is no text; this is its bencode in hex\n");
        }
        if let Some(seq) = seq {
            let _ = writeln!(remark, "version {seq}");
        }
        (!remark.is_empty()).then_some(remark)
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
                why,
                ..
            } => {
                let mut text =
                    format!("{found} found; {answered} of {asked} queries answered in {seconds} s");
                if let (Some(seeds), Some(leechers)) = (seeds, leechers) {
                    let _ = write!(text, "; about {seeds} seeds and {leechers} others");
                }
                if let Some(why) = why {
                    let _ = write!(text, "; {why}");
                }
                text
            }
            Self::InfoHashes { hashes, .. } => hashes.join("\n"),
            Self::Item {
                text,
                info_hash,
                value,
                ..
            } => match (text, info_hash) {
                (Some(text), _) => printable(text),
                (None, Some(info_hash)) => info_hash.clone(),
                (None, None) => value.clone(),
            },
            Self::Peers { peers, .. } => peers.join("\n"),
            Self::Pong {
                addr,
                id,
                rtt_ms,
                version,
            } => {
                let version = version.as_deref().unwrap_or("-");
                format!("{addr} {id} {rtt_ms} ms {version}")
            }
            Self::Published { .. } | Self::Stored { .. } => self.stored(),
            Self::Refusal { addr, code } => format!("{addr} refuses: {}", error(*code)),
            Self::Silence { addr } => format!("{addr} does not answer"),
        }
    }
}

impl Line {
    /// What was stored, for people.
    fn stored(&self) -> String {
        let mut text = String::new();
        if let Self::Published {
            info_hash,
            nodes,
            seq,
            magnet,
            refused,
            ..
        } = self
        {
            let version = seq.filter(|_| *nodes > 0);
            let version = version.map_or_else(String::new, |seq| format!(" as version {seq}"));
            let with = counted(*nodes);
            text = format!(
                "{info_hash} published{version} with {with}{}\n{magnet}",
                why(*refused)
            );
        } else if let Self::Stored {
            target,
            nodes,
            seq,
            key,
            refused,
        } = self
        {
            text = format!("{target} stored with {}{}", counted(*nodes), why(*refused));
            if let (Some(seq), Some(key), 1..) = (seq, key, *nodes) {
                let _ = write!(text, "\nversion {seq} of key {key}");
            }
        }
        text
    }
}

fn counted(nodes: usize) -> String {
    let plural = if nodes == 1 { "" } else { "s" };
    format!("{nodes} node{plural}")
}

fn why(refused: Option<i64>) -> String {
    refused.map_or_else(String::new, |code| format!("; refused: {}", error(code)))
}

/// What a code of the DHT's means (BEP 5, BEP 44).
fn error(code: i64) -> String {
    let words = match code {
        202 => "the node is in trouble",
        203 => "the node takes the query for malformed, or its token for a wrong one",
        204 => "the node does not know the method",
        205 => "the value is too long",
        206 => "the signature is not in order",
        207 => "the salt is too long",
        301 => "another version is stored than --cas says",
        302 => "a newer version is stored already",
        _ => return format!("error {code}"),
    };
    format!("{words} (error {code})")
}

/// A length of time in milliseconds, of which three decimals are told.
pub(crate) fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
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

    #[test]
    fn what_was_refused_is_not_told_as_stored() {
        let mut line = Line::Stored {
            target: "ab".to_owned(),
            nodes: 0,
            seq: Some(1),
            key: Some("cd".to_owned()),
            refused: Some(302),
        };
        assert_eq!(
            line.text(),
            "ab stored with 0 nodes; refused: a newer version is stored already (error 302)\n"
        );
        if let Line::Stored { nodes, refused, .. } = &mut line {
            (*nodes, *refused) = (2, None);
        }
        assert_eq!(line.text(), "ab stored with 2 nodes\nversion 1 of key cd\n");
    }

    #[test]
    fn a_version_stands_beside_the_value_and_what_is_no_text_is_labelled() {
        let item = |text: Option<&str>, seq| Line::Item {
            info_hash: None,
            target: String::new(),
            text: text.map(str::to_owned),
            value: "6c65".to_owned(),
            seq,
            key: None,
            signature: None,
        };
        let signed = item(Some("hi"), Some(2));
        assert_eq!(signed.text(), "hi\n");
        assert_eq!(signed.remark().unwrap(), "version 2\n");
        assert_eq!(item(Some("hi"), None).remark(), None);
        let list = item(None, None);
        assert_eq!(list.text(), "6c65\n");
        assert!(list.remark().unwrap().contains("hex"));
    }

    #[test]
    fn short_times_are_not_rounded_away() {
        let took = std::time::Duration::from_micros(214);
        assert_eq!(milliseconds(took).to_string(), "0.214");
    }
}
