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
    /// All that is on disk was looked at.
    Check,
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
            Goal::Check => &["check_finished", "error", "removed", "state_changed"],
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
        // What each has come to, by info-hash.
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
                    Stage::Done => {
                        self.tell(&torrent, &shown, talk)?;
                        well &= self.goal != Goal::Check || torrent.done >= torrent.wanted;
                    }
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
            let news = news.and_then(|news| Some((of(&news)?, news)));
            if let Some((hash, news)) = news
                && is_an_end(self.goal, ends.get(&hash), &news)
            {
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
            Goal::Check if torrent.done >= torrent.wanted => {
                let all = Size(torrent.wanted);
                talk.screen
                    .say(format_args!("{name}: checked, all {all} are there"))
            }
            Goal::Check => {
                let (done, all) = (Size(torrent.done), Size(torrent.wanted));
                talk.screen.say(format_args!(
                    "{name}: checked, {done} of {all} are there; the rest is wrong or missing"
                ))
            }
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
            Goal::Check | Goal::Move => String::new(),
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

/// Whether an event says what has come of a torrent, of which another may have said so before: that a check makes it do something else
/// for a while says nothing of that, nor that it stands still as before when that is over.
fn is_an_end(goal: Goal, before: Option<&Map<String, Value>>, news: &Map<String, Value>) -> bool {
    let is = |name: &str, word: &str| news.get(name).and_then(Value::as_str) == Some(word);
    let checks = goal == Goal::Check && is("event", "state_changed");
    !checks || before.is_none() && is("is", "paused")
}

/// How far a torrent is, as it is shown and as the last event tells.
fn stage(goal: Goal, torrent: &Torrent, shown: &Value, end: Option<&Map<String, Value>>) -> Stage {
    let number = |name: &str| shown.get(name).and_then(Value::as_u64).unwrap_or_default();
    let word = |name: &str| end?.get(name)?.as_str();
    match goal {
        Goal::Content => match torrent.state.as_str() {
            "error" => Stage::Failed(printable(torrent.error.as_deref().unwrap_or("it stopped"))),
            "checking" | "metadata" => Stage::Under(torrent.done, torrent.wanted),
            _ if torrent.done >= torrent.wanted && torrent.size > 0 => Stage::Done,
            _ => Stage::Under(torrent.done, torrent.wanted),
        },
        // What is shown is as new as what was told, or newer.
        Goal::Check => match (word("event"), torrent.state.as_str()) {
            (Some("check_finished"), "checking") => Stage::Under(torrent.size, torrent.size),
            (Some("check_finished"), _) => Stage::Done,
            (Some("error"), _) => Stage::Failed(printable(word("error").unwrap_or("it stopped"))),
            (Some("state_changed"), _) => {
                Stage::Failed("it was paused before all of it was looked at".to_owned())
            }
            (_, "paused") if torrent.size == 0 => Stage::Failed(
                "it is paused without its metadata, and so nothing to check".to_owned(),
            ),
            (_, "metadata") => {
                Stage::Failed("its metadata is not there yet, and so nothing to check".to_owned())
            }
            (_, _) => Stage::Under(torrent.checked.unwrap_or_default(), torrent.size),
        },
        Goal::Move => {
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
    fn a_check_ends_as_its_event_says_and_not_before_what_it_found_is_shown() {
        let of = |state: &str, told: &Value| {
            let (torrent, all) = shown(state, 10, 3, &json!({"checked": 7}));
            stage(Goal::Check, &torrent, &all, told.as_object())
        };
        let finished = json!({"event": "check_finished", "good": 1});
        assert_eq!(of("seeding", &Value::Null), Stage::Under(7, 10));
        assert_eq!(of("error", &Value::Null), Stage::Under(7, 10));
        assert_eq!(of("checking", &finished), Stage::Under(10, 10));
        assert_eq!(of("downloading", &finished), Stage::Done);
        let changed = |is: &str| json!({"event": "state_changed", "is": is});
        let is_an_end = |news: &Value| is_an_end(Goal::Check, None, news.as_object().unwrap());
        assert_eq!(
            ["checking", "downloading", "paused"].map(|is| is_an_end(&changed(is))),
            [false, false, true]
        );
        assert!(is_an_end(&finished));
        // One that was paused before is paused again.
        let again = changed("paused");
        let (before, again) = (finished.as_object(), again.as_object().unwrap());
        assert!(!super::is_an_end(Goal::Check, before, again));
        for ended in [
            of("paused", &changed("paused")),
            of("error", &json!({"event": "error", "error": "disk\u{1b}"})),
            of("metadata", &Value::Null),
            stage(
                Goal::Check,
                &Torrent {
                    size: 0,
                    ..shown("paused", 0, 0, &Value::Null).0
                },
                &Value::Null,
                None,
            ),
        ] {
            assert!(matches!(ended, Stage::Failed(_)), "{ended:?}");
        }
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
