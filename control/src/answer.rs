//! What a daemon answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line from the daemon that answers a request.
///
/// # Format
/// `{"id":7,"ok":{...}}`, or `{"id":7,"error":{"code":"not_found","message":"..."}}`; `id` is null where the request had none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The number of the request.
    pub id: Option<u64>,
    /// What became of it.
    #[serde(flatten)]
    pub done: Done,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Done {
    /// It was done; an object, by what was asked.
    #[serde(rename = "ok")]
    Well(Value),
    /// It was not.
    #[serde(rename = "error")]
    Not(Refusal),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A name fits more than one torrent.
    Ambiguous,
    /// There are too many connections, or too much is asked for on this one.
    Busy,
    /// The torrent is there already.
    Duplicate,
    /// It was tried, and failed.
    Failed,
    /// A disk has no room for what is to be kept.
    NoRoom,
    /// The way that was asked for cannot be had: there are no circuits, or it is not known by how many hops it went.
    NoRoute,
    /// There is no such torrent.
    NotFound,
    /// The daemon is ending.
    Stopped,
    /// It is not known what is to be done.
    Unknown,
    /// What is asked cannot be: a value that is none, a key that there is not.
    Wrong,
    /// A later version has another word for it.
    #[serde(other)]
    Other,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl Answer {
    /// It was done.
    pub const fn well(id: u64, what: Value) -> Self {
        Self {
            id: Some(id),
            done: Done::Well(what),
        }
    }

    /// It was not.
    pub const fn refused(id: Option<u64>, refusal: Refusal) -> Self {
        Self {
            id,
            done: Done::Not(refusal),
        }
    }

    /// As a line, its line feed at the end.
    ///
    /// # Errors
    /// What serde says; there is nothing in an answer that JSON cannot say.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_as_they_are_documented_and_are_read_back() {
        let well = Answer::well(7, serde_json::json!({"torrents": 2}));
        let line = String::from_utf8(well.to_line().unwrap()).unwrap();
        assert_eq!(line, "{\"id\":7,\"ok\":{\"torrents\":2}}\n");
        let refused = Answer::refused(None, Refusal::new(Code::NotFound, "no"));
        let text = serde_json::to_string(&refused).unwrap();
        assert_eq!(
            text,
            r#"{"id":null,"error":{"code":"not_found","message":"no"}}"#
        );
        for answer in [well, refused] {
            let text = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
        }
        let later = r#"{"id":1,"error":{"code":"brand_new","message":"x"}}"#;
        let later: Answer = serde_json::from_str(later).unwrap();
        assert_eq!(
            later.done,
            Done::Not(Refusal::new(Code::Other, "x")),
            "of a later version"
        );
    }
}
