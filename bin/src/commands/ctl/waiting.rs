//! What a daemon has begun, waited for: a bar on a terminal, a line now and then elsewhere, and for programs what came of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use control::{Ask, Events, Show, Torrent};
use indicatif::ProgressBar;
use serde_json::{Map, Value};

use super::client::Client;
use super::{Talk, read};
use crate::failure::Failure;
use crate::progress::LINE_EVERY;
use crate::screen::{Style, name_columns};
use crate::text::{eta, printable, shorten};
use crate::units::Size;

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(500);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// All that is wanted of torrents is there.
    Content,
    /// Content lies where it was to be moved.
    Move,
}

/// The ear for what happens, from before the work is begun, so that nothing of it is missed.
#[derive(Debug)]
pub(super) struct Wait {
    goal: Goal,
    events: Client,
    bar: Option<ProgressBar>,
    told: Instant,
}

/// How far one torrent is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Done,
    Failed(String),
    /// Bytes that are there, and all of them.
    Under(u64, u64),
}

impl Wait {
    /// Listens from now on.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(super) fn new(goal: Goal, mut events: Client) -> Result<Self, Failure> {
        let words = match goal {
            Goal::Content => &["finished", "error", "removed", "check_finished"][..],
            Goal::Move => &["moved", "move_failed", "removed"],
        };
        events.ask(Ask::Events(Events {
            categories: words.iter().map(|word| (*word).to_owned()).collect(),
            since: None,
        }))?;
        Ok(Self {
            goal,
            events,
            bar: None,
            told: Instant::now(),
        })
    }

    /// Waits for all of these torrents, each by its info-hash.
    ///
    /// # Errors
    /// [`Failure::Told`] where one came to nothing, which is told; [`Failure::Unreachable`] where the daemon ends meanwhile.
    pub(super) fn until_done(
        mut self,
        mut hashes: Vec<String>,
        client: &mut Client,
        talk: &Talk<'_>,
    ) -> Result<(), Failure> {
        let mut well = true;
        // What moves have come to, by info-hash.
        let mut ends: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        while !hashes.is_empty() {
            let (mut done, mut all, mut rate) = (0, 0, 0);
            let mut left = Vec::new();
            let mut name = format!("{} torrents", hashes.len());
            let alone = hashes.len() == 1;
            for hash in hashes {
                let shown = client.ask(Ask::Show(Show {
                    torrent: hash.clone(),
                }));
                let shown = match shown {
                    Err(Failure::NotFound(_)) => {
                        well = false;
                        talk.screen
                            .warn("error", format_args!("{hash}: it was removed"));
                        continue;
                    }
                    shown => shown?,
                };
                let torrent: Torrent = read(shown.clone())?;
                if alone {
                    name = printable(&torrent.name);
                }
                match stage(self.goal, &torrent, &shown, ends.get(&hash)) {
                    Stage::Done => self.tell(&torrent, &shown, talk)?,
                    Stage::Failed(why) => {
                        well = false;
                        let name = printable(&torrent.name);
                        talk.screen.warn("error", format_args!("{name}: {why}"));
                    }
                    Stage::Under(there, of) => {
                        done += there;
                        all += of;
                        rate += torrent.down;
                        left.push(hash);
                    }
                }
            }
            hashes = left;
            if hashes.is_empty() {
                break;
            }
            self.show(&name, (done, all, rate), talk)?;
            let news = self.events.within(LOOK)?;
            let of = |news: &Map<String, Value>| Some(news.get("info_hash")?.as_str()?.to_owned());
            if let Some((hash, news)) = news.and_then(|news| Some((of(&news)?, news))) {
                ends.insert(hash, news);
            }
        }
        if let Some(bar) = &self.bar {
            talk.screen.remove(bar);
        }
        if well { Ok(()) } else { Err(Failure::Told) }
    }

    /// Says that one is done.
    fn tell(&self, torrent: &Torrent, shown: &Value, talk: &Talk<'_>) -> Result<(), Failure> {
        if talk.json {
            return talk.screen.json(shown);
        }
        let name = printable(&torrent.name);
        match self.goal {
            Goal::Content => talk.screen.say(format_args!("{name}: complete")),
            Goal::Move => {
                let dir = shown.get("dir").and_then(Value::as_str);
                let dir = printable(dir.unwrap_or_default());
                talk.screen.say(format_args!("{name}: lies in {dir} now"))
            }
        }
    }

    /// Shows how far all of it is.
    fn show(
        &mut self,
        name: &str,
        (done, all, rate): (u64, u64, u64),
        talk: &Talk<'_>,
    ) -> Result<(), Failure> {
        let words = match self.goal {
            Goal::Content => {
                let left = eta(all.saturating_sub(done), rate);
                format!("{}/s {left}", Size(rate))
            }
            Goal::Move => String::new(),
        };
        match talk.screen.style() {
            Style::Bars => {
                let bar = self
                    .bar
                    .get_or_insert_with(|| talk.screen.bar(&shorten(name, name_columns()), all));
                bar.set_length(all);
                bar.set_prefix(shorten(name, name_columns()));
                bar.set_message(words);
                bar.set_position(done);
            }
            Style::Lines if self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                let (done, all) = (Size(done), Size(all));
                talk.screen.say(
                    format_args!("{name}: {done} of {all} {words}")
                        .to_string()
                        .trim_end(),
                )?;
            }
            Style::Lines | Style::Json => {}
        }
        Ok(())
    }
}

/// How far a torrent is, as it is shown and as the last event tells.
fn stage(goal: Goal, torrent: &Torrent, shown: &Value, end: Option<&Map<String, Value>>) -> Stage {
    let number = |name: &str| shown.get(name).and_then(Value::as_u64).unwrap_or_default();
    match goal {
        Goal::Content => match torrent.state.as_str() {
            "error" => Stage::Failed(printable(torrent.error.as_deref().unwrap_or("it stopped"))),
            "checking" | "metadata" => Stage::Under(torrent.done, torrent.wanted),
            _ if torrent.done >= torrent.wanted && torrent.size > 0 => Stage::Done,
            _ => Stage::Under(torrent.done, torrent.wanted),
        },
        Goal::Move => {
            let word = |name: &str| end?.get(name)?.as_str();
            // What is shown may be a little behind what is told.
            let lies = shown.get("dir").and_then(Value::as_str) == word("dir");
            match word("event") {
                Some("move_failed") => {
                    let why = word("error").unwrap_or_default();
                    Stage::Failed(format!("it stays where it was: {}", printable(why)))
                }
                Some("moved") if lies && torrent.moving.is_none() => Stage::Done,
                _ => Stage::Under(number("moved"), number("to_move")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(state: &str, wanted: u64, done: u64, more: &Value) -> (Torrent, Value) {
        let mut all = json!({
            "info_hash": "ab", "name": "n", "state": state, "hops": 0, "size": 10, "wanted": wanted, "done": done,
            "downloaded": 0, "uploaded": 0, "down": 0, "up": 0, "peers": 0, "seeds": 0, "tags": [],
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more.clone());
        }
        (serde_json::from_value(all.clone()).unwrap(), all)
    }

    #[test]
    fn content_is_there_when_all_that_is_wanted_was_verified() {
        let of = |state, wanted, done| {
            let (torrent, all) = shown(state, wanted, done, &json!({"error": "disk\u{1b}"}));
            stage(Goal::Content, &torrent, &all, None)
        };
        assert_eq!(of("seeding", 10, 10), Stage::Done);
        assert_eq!(of("paused", 5, 5), Stage::Done);
        assert_eq!(of("downloading", 10, 3), Stage::Under(3, 10));
        assert_eq!(of("paused", 10, 3), Stage::Under(3, 10));
        assert_eq!(of("checking", 10, 10), Stage::Under(10, 10));
        assert_eq!(of("metadata", 0, 0), Stage::Under(0, 0));
        assert_eq!(of("error", 10, 10), Stage::Failed("disk?".to_owned()));
    }

    #[test]
    fn a_move_ends_as_its_event_says() {
        let of = |more: &Value, end: Option<Value>| {
            let (torrent, all) = shown("seeding", 10, 10, more);
            let end = end.map(|end| end.as_object().unwrap().clone());
            stage(Goal::Move, &torrent, &all, end.as_ref())
        };
        let under = json!({"dir": "/old", "moving": "/new", "moved": 4, "to_move": 10});
        assert_eq!(of(&under, None), Stage::Under(4, 10));
        let failed = json!({"event": "move_failed", "error": "full"});
        let why = "it stays where it was: full".to_owned();
        assert_eq!(of(&under, Some(failed)), Stage::Failed(why));
        let moved = || Some(json!({"event": "moved", "dir": "/mnt/new"}));
        assert_eq!(of(&under, moved()), Stage::Under(4, 10));
        assert_eq!(of(&json!({"dir": "/old"}), moved()), Stage::Under(0, 0));
        assert_eq!(of(&json!({"dir": "/mnt/new"}), moved()), Stage::Done);
        assert_eq!(of(&json!({"dir": "/new"}), None), Stage::Under(0, 0));
        assert_eq!(of(&json!({"dir": "/old"}), None), Stage::Under(0, 0));
    }
}
