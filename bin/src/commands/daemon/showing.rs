//! What a daemon shows of what happens: all of it to programs, to people what goes wrong.

use serde_json::{Map, Value};

use crate::daemon::bulletin::{News, Told, missed};
use crate::failure::Failure;
use crate::screen::{Screen, Style};
use crate::text::printable;
use crate::units::Size;

pub(super) fn show(news: &News, screen: &Screen) -> Result<(), Failure> {
    let json = screen.style() == Style::Json;
    match news {
        News::Told(told) if json => screen.write_bytes(&told.line),
        News::Told(told) => match Said::of(told) {
            Some(Said::Well(line)) => screen.say(line),
            Some(Said::Wrong(line)) => {
                screen.warn("warning", format_args!("{line}"));
                Ok(())
            }
            None => Ok(()),
        },
        News::Missed(count) if json => screen.json(&missed(*count)),
        News::Missed(_) => Ok(()),
    }
}

/// An event in words.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// What had gone wrong goes on.
    Well(String),
    Wrong(String),
}

impl Said {
    /// `None` of one that people are not told of without being asked.
    fn of(told: &Told) -> Option<Self> {
        let line: Map<String, Value> = serde_json::from_slice(&told.line).unwrap_or_default();
        let word = |name| {
            let word = line.get(name).and_then(Value::as_str);
            printable(word.unwrap_or_default())
        };
        let (torrent, error) = (word("info_hash"), word("error"));
        Some(Self::Wrong(match told.word {
            "recovered" => return Some(Self::Well(format!("{torrent}: goes on"))),
            "error" => format!("{torrent}: {error}"),
            "move_failed" => format!("{torrent}: stays where it is, {error}"),
            "delete_failed" => format!("{}: cannot be deleted: {error}", word("path")),
            "unsaved" => format!("{}: progress cannot be kept: {error}", word("path")),
            "watch_failed" => format!("{}: {error}", word("file")),
            "feed_failed" => match line.get("title") {
                Some(_) => format!("feed {}: {}: {error}", word("feed"), word("title")),
                None => format!("feed {}: {error}", word("feed")),
            },
            "low_space" => {
                let free = line.get("free").and_then(Value::as_u64);
                let free = Size(free.unwrap_or_default());
                format!("{}: {free} of room are left", word("dir"))
            }
            "resource_short" => word("reason"),
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(word: &'static str, line: &Value) -> Option<Said> {
        Said::of(&Told {
            seq: 1,
            categories: engine::Categories::ALL,
            word,
            line: line.to_string().into_bytes().into(),
        })
    }

    #[test]
    fn what_goes_wrong_is_said_of_what_and_nothing_in_it_can_drive_the_terminal() {
        let wrong = |text: &str| Some(Said::Wrong(text.to_owned()));
        let cases = [
            (
                "error",
                r#"{"info_hash":"ab","error":"disk\nfull"}"#,
                "ab: disk?full",
            ),
            (
                "move_failed",
                r#"{"info_hash":"ab","dir":"/x","error":"/x: 5 bytes are needed"}"#,
                "ab: stays where it is, /x: 5 bytes are needed",
            ),
            (
                "delete_failed",
                r#"{"info_hash":"ab","path":"/x","error":"busy"}"#,
                "/x: cannot be deleted: busy",
            ),
            (
                "unsaved",
                r#"{"info_hash":"ab","path":"/x","error":"full"}"#,
                "/x: progress cannot be kept: full",
            ),
            (
                "watch_failed",
                r#"{"file":"/a.torrent","error":"bad"}"#,
                "/a.torrent: bad",
            ),
            (
                "feed_failed",
                r#"{"feed":"f","error":"status 404"}"#,
                "feed f: status 404",
            ),
            (
                "feed_failed",
                r#"{"feed":"f","title":"a\u001bb","error":"bad"}"#,
                "feed f: a?b: bad",
            ),
            (
                "low_space",
                r#"{"dir":"/x","free":2048}"#,
                "/x: 2.00 KiB of room are left",
            ),
            ("resource_short", r#"{"reason":"little"}"#, "little"),
        ];
        for (word, line, text) in cases {
            let line = serde_json::from_str(line).expect("JSON");
            assert_eq!(said(word, &line), wrong(text), "{word}");
        }
        let well = said("recovered", &serde_json::json!({"info_hash": "ab"}));
        assert_eq!(well, Some(Said::Well("ab: goes on".to_owned())));
        assert_eq!(
            said("paused", &serde_json::json!({"info_hash": "ab"})),
            None
        );
    }
}
