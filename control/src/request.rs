//! What a daemon is asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Add, CategoriesOf, FeedsOf, LabelsOf, ModesOf, PreviewOf, Query, QueueOf, RulesOf, WatchesOf,
    WebSeedsOf,
};

/// A line to the daemon.
///
/// # Format
/// `{"id":7,"do":"pause","torrents":["0123..."]}`: a number that the answer has as well, what to do, and what that needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Whose answer is whose; the asking side chooses it.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked, by the word of `do`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Add torrents.
    Add(Add),
    /// Write all that is kept to a file of its own.
    Backup(Backup),
    /// The categories, changed first where that is asked for.
    Categories(CategoriesOf),
    /// Hash what torrents have on disk again.
    Check(Which),
    /// Send what happens, from now on or since a moment before.
    Events(Events),
    /// The feeds, changed first where that is asked for, or one of them looked at.
    Feeds(FeedsOf),
    /// The files of a torrent.
    Files(FilesOf),
    /// Have torrents go through so many others, or none.
    Hops(HopsOf),
    /// Give torrents another category or other tags.
    Label(LabelsOf),
    /// Bound what torrents, or all of them together, move.
    Limits(LimitsOf),
    /// A page of the list.
    List(Query),
    /// Move content to another folder, or take that back.
    Move(MoveOf),
    /// Have torrents do nothing until they are resumed.
    Pause(Which),
    /// The peers that a torrent is connected to.
    Peers(Show),
    /// What would be taken from a feed now.
    Preview(PreviewOf),
    /// The queue, changed first where that is asked for.
    Queue(QueueOf),
    /// Announce torrents as soon as that is allowed.
    Reannounce(Which),
    /// Remove torrents.
    Remove(Removal),
    /// Close the sockets of the direct way and open them anew.
    Reopen(Nothing),
    /// What the process takes of the machine.
    Resources(Nothing),
    /// Let torrents go on.
    Resume(Which),
    /// The rules of a feed, changed.
    Rules(RulesOf),
    /// Turn switches of torrents, and say until when they are seeded.
    Set(ModesOf),
    /// The settings, changed first where that is asked for.
    Settings(SettingsChange),
    /// All that is known of a torrent.
    Show(Show),
    /// End.
    Shutdown(Nothing),
    /// Sums over all torrents, and of the process.
    Stats(Nothing),
    /// The trackers of a torrent, changed first where that is asked for.
    Trackers(TrackersOf),
    /// The watched folders, changed first where that is asked for.
    Watches(WatchesOf),
    /// The web seeds of a torrent, changed first where that is asked for.
    WebSeeds(WebSeedsOf),
}

/// Which torrents are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Info-hashes, beginnings of them, or names; see [`Names`](crate::Names).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torrents: Vec<String>,
    /// All torrents, and no names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
}

/// Which torrent is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// As in [`Which`].
    pub torrent: String,
}

/// Nothing more to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Where to write all that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The file, from the root. One of that name is replaced once all is written.
    pub file: String,
}

/// Which events are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Only those of these names or categories; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Begin behind the event with this number, as far as those since are still there; without it, with the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// Whose files are asked for, and what is changed of some: how much they are wanted, or where one lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesOf {
    /// As in [`Which`].
    pub torrent: String,
    /// Files that `priority` or `rename` is for: numbers such as `0,3-7`, or patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choose: Vec<String>,
    /// How much they are wanted: 0 (not at all) to 7; 4 is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The path, with `/`, that the one file that is chosen lies at from now on, in the folder of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
}

/// Whose content is moved, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveOf {
    /// As in [`Which`].
    pub torrents: Vec<String>,
    /// The folder, from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// What becomes of files that are there already.
    #[serde(default)]
    pub existing: Existing,
    /// A move that is under way is taken back instead.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cancel: bool,
}

/// What becomes of files where content is moved to. What verifies of them is never written over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// They are taken over and completed; but where a file holds nothing of the torrent, nothing is moved.
    #[default]
    Adopt,
    /// Nothing is moved where there is any.
    Fail,
    /// They are completed, whatever they are.
    Replace,
}

/// Which way torrents go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HopsOf {
    /// As in [`Which`].
    pub torrents: Vec<String>,
    /// Through how many others; 0 is the direct way.
    pub hops: u8,
}

/// Bounds. What is not said stays as it is; 0 is no bound, or that of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsOf {
    /// As in [`Which`]; none for all torrents together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torrents: Vec<String>,
    /// Bytes a second from peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<u64>,
    /// Bytes a second to peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<u64>,
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_peers: Option<u32>,
    /// Peers that are served at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_slots: Option<u32>,
}

/// Which torrents go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// As in [`Which`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torrents: Vec<String>,
    /// All torrents, and no names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Their content goes as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub data: bool,
}

/// Which settings get which values, or go back to what they are without.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// Keys such as `limits.down`, and their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Value>,
    /// Keys that are no longer kept; they get the value that the file, the preset and the flags of the daemon give them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<String>,
    /// Which are told; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub get: Vec<String>,
}

/// Whose trackers, and what they shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackersOf {
    /// As in [`Which`].
    pub torrent: String,
    /// Trackers that come to it, each as a tier of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Trackers that are announced to no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// All of them, by tier, in place of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<Vec<Vec<String>>>,
}

/// Why a line is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Wrong {
    /// Its number, as far as it has one.
    pub id: Option<u64>,
    /// Whether it is not known what is to be done, and not only with what.
    pub unknown: bool,
    /// For people.
    pub message: String,
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Wrong`] says what is.
    pub fn parse(line: &[u8]) -> Result<Self, Wrong> {
        let wrong = |id, message: String| Wrong {
            id,
            unknown: false,
            message,
        };
        let map: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| wrong(None, format!("this is no JSON object: {error}")))?;
        let mut map = map;
        let id = map.remove("id").as_ref().and_then(Value::as_u64);
        let Some(Value::String(word)) = map.remove("do") else {
            let line = "it is not said what to do, such as \"do\":\"list\"";
            return Err(wrong(id, line.to_owned()));
        };
        let Some(id) = id else {
            let line = "a request has a whole number as `id`";
            return Err(wrong(None, line.to_owned()));
        };
        let rest: Map<String, Value> = [(word.clone(), Value::Object(map))].into_iter().collect();
        let ask = Ask::deserialize(Value::Object(rest)).map_err(|error| {
            let message = error.to_string();
            Wrong {
                id: Some(id),
                unknown: message.starts_with("unknown variant"),
                message: format!("{word}: {message}"),
            }
        })?;
        Ok(Self { id, ask })
    }

    /// As a line, its line feed at the end.
    ///
    /// # Errors
    /// What serde says; there is nothing in a request that JSON cannot say.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = Map::new();
        line.insert("id".to_owned(), self.id.into());
        if let Value::Object(ask) = serde_json::to_value(&self.ask)? {
            for (word, rest) in ask {
                line.insert("do".to_owned(), word.into());
                if let Value::Object(rest) = rest {
                    line.extend(rest);
                }
            }
        }
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        Ok(line)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(crate) const fn is_false(yes: &bool) -> bool {
    !*yes
}

#[cfg(test)]
mod tests;
