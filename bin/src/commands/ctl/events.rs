//! `ctl events`: lines as they come.

use std::fmt::Write as _;

use control::{Ask, Events};
use serde_json::{Map, Value};

use super::Talk;
use super::client::Client;
use crate::cli::ctl::EventsArgs;
use crate::failure::Failure;
use crate::text::printable;

pub(super) fn run(args: EventsArgs, mut client: Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let events = Events {
        categories: args.only,
        since: args.since,
    };
    client.ask(Ask::Events(events))?;
    client.be_patient()?;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(line) = client.line()? else {
            return Err(Failure::Unreachable("the daemon has ended".to_owned()));
        };
        let Ok(event) = serde_json::from_slice::<Map<String, Value>>(&line) else {
            continue;
        };
        if talk.json {
            talk.screen.json(&event)?;
        } else {
            talk.screen.say(text(&event))?;
        }
        if talk.screen.is_unread() {
            return Ok(());
        }
        left -= 1;
    }
    Ok(())
}

/// The event's number and word, and what else it says.
fn text(event: &Map<String, Value>) -> String {
    let word = |name: &str| event.get(name).map(plain).unwrap_or_default();
    let mut text = format!("{:>6} {}", word("seq"), word("event"));
    let rest = event.iter();
    for (name, value) in rest.filter(|(name, _)| !["seq", "event"].contains(&name.as_str())) {
        let _ = write!(text, " {name}={}", plain(value));
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}
