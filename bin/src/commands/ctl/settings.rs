//! `ctl settings`: what holds, and what shall.

use std::collections::BTreeMap;

use control::{Ask, Setting, SettingsChange};
use serde_json::Value;

use super::client::Client;
use super::{Talk, read};
use crate::cli::ctl::{SettingsArgs, SettingsCommand};
use crate::failure::Failure;
use crate::text::printable;

pub(super) fn run(args: SettingsArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let mut change = SettingsChange::default();
    match args.what {
        None => {}
        Some(SettingsCommand::Get { key }) => change.get = key,
        Some(SettingsCommand::Reset { key }) => {
            change.get.clone_from(&key);
            change.reset = key;
        }
        Some(SettingsCommand::Set { set }) => {
            let json = |(key, value)| Ok((key, serde_json::to_value(value)?));
            let set = set.into_iter().map(json);
            let set = set.collect::<Result<BTreeMap<String, Value>, serde_json::Error>>();
            change.set = set.map_err(Failure::failed)?;
            change.get = change.set.keys().cloned().collect();
        }
    }
    tell(&client.ask(Ask::Settings(change))?, talk)
}

/// Shows settings, and whether they could be kept.
pub(super) fn tell(answer: &Value, talk: &Talk<'_>) -> Result<(), Failure> {
    let unsaved = answer.get("unsaved").and_then(Value::as_str);
    if let Some(why) = unsaved {
        let line = format_args!(
            "it holds, but could not be kept for the next start: {}",
            printable(why)
        );
        talk.screen.warn("warning", line);
    }
    let rows = answer.get("settings").cloned().unwrap_or_default();
    for setting in read::<Vec<Setting>>(rows)? {
        if talk.json {
            talk.screen.json(&setting)?;
            continue;
        }
        let kept = if setting.kept { "  # kept" } else { "" };
        talk.screen
            .say(format_args!("{} = {}{kept}", setting.key, setting.value))?;
    }
    Ok(())
}
