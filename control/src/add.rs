//! Torrents that are to be added.

use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Refusal;
use crate::request::is_false;

/// Torrents, and what is wanted of each of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of the user"
)]
pub struct Add {
    /// The torrents; each is answered for itself, in this order.
    pub torrents: Vec<Origin>,
    /// The folder of their content, from the root; without it that of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// The category that they are put in, whose folder they go to where no other is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Tags that they get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// They do nothing until they are resumed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Which files are wanted: numbers such as `0,3-7`, or patterns; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// In order, first and last pieces of each file first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sequential: bool,
    /// The data is taken as whole and right, without a check.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_check: bool,
    /// Files that are there already and hold nothing of the torrent are written over.
    #[serde(default, skip_serializing_if = "is_false")]
    pub overwrite: bool,
    /// Each piece is given out about once (BEP 16).
    #[serde(default, skip_serializing_if = "is_false")]
    pub super_seed: bool,
    /// Through how many others; without it as it went before, or as the daemon says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u8>,
    /// Addresses and ports of peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// Trackers besides its own, each as a tier of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trackers: Vec<String>,
    /// Web seeds besides its own (BEP 19).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub web_seeds: Vec<String>,
    /// Bytes a second from peers; 0 is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<u64>,
    /// Bytes a second to peers; 0 is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<u64>,
}

/// What is known of a torrent that is to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Its .torrent file, in base64.
    File(Blob),
    /// A magnet link, or an info-hash.
    Link(String),
    /// Where its .torrent file is fetched, by the daemon and on the torrent's own way.
    Url(String),
}

/// What became of a torrent that was to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// Its info-hash in hex, v1 where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info_hash: Option<String>,
    /// Its name, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it was not added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// Bytes, in base64 with padding (RFC 4648, section 4).
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes in base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
                let bytes = BASE64.decode(text.as_bytes());
                bytes.map(Blob).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}
