//! Flags of `daemon` in its file of settings: the table `[daemon]`, whose keys are the names of flags with `_` for `-`.
//!
//! A value is read as that of the flag is, so that both mean the same; a flag of the command line stands in place of the key.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, FromArgMatches as _};
use engine::settings::{OwnKey, OwnTable, Value};

use super::{Cli, Command, DaemonArgs};
use crate::failure::Failure;

/// The table.
pub(crate) const TABLE: OwnTable = OwnTable {
    name: "daemon",
    keys: &[
        "output",
        "state",
        "api",
        "api_port_tries",
        "api_key_file",
        "api_local_urls",
        "api_name",
        "metrics",
        "hops",
        "dns",
        "ip_filter",
        "skip_bad_lines",
        "no_dht",
        "no_portmap",
        "no_trackers",
        "no_webseeds",
        "transport",
        "overlay_listen",
        "overlay_bootstrap",
        "overlay_key",
        "overlay_community",
        "socks",
        "socks_login",
    ],
    elsewhere: &[
        ("announce_port", "trackers.announce_port"),
        ("announce_to_all", "trackers.mode"),
        ("bind", "network.bind"),
        ("dht_bootstrap", "dht.bootstrap"),
        ("encryption", "encryption.peers"),
        ("listen", "network.listen"),
        ("max_down", "limits.down"),
        ("max_peers", "connections.max"),
        ("max_up", "limits.up"),
        ("mixed_mode", "limits.mixed_mode"),
        ("no_lsd", "local_discovery.enabled"),
        ("no_pex", "peers.exchange"),
        ("preallocate", "disk.preallocate"),
        ("preset", "preset"),
        ("proxy", "network.proxy"),
        ("storage", "disk.write"),
        ("unlimited_lan", "limits.local"),
    ],
};

/// The arguments of the process, and for those of `daemon` that were not given what the file says; with `own` in them.
///
/// # Errors
/// [`Failure::Usage`] names the line of what a flag cannot have.
pub(crate) fn merged(
    words: impl IntoIterator<Item = OsString>,
    own: Vec<OwnKey>,
    file: &Path,
) -> Result<DaemonArgs, Failure> {
    let words: Vec<OsString> = words.into_iter().collect();
    let command = super::command();
    let wrong = |error: &clap::Error| Failure::Usage(said(error));
    let given = command.clone().try_get_matches_from(&words);
    let given = given.map_err(|error| wrong(&error))?;
    let given = given.subcommand_matches(TABLE.name);
    let mut all = words;
    for key in &own {
        if given.is_none_or(|given| !has(given, key.name)) {
            all.extend(flags(key).map_err(|why| at(file, key, why))?);
        }
    }
    let matches = command.try_get_matches_from(all).map_err(|error| {
        let about = own.iter().find(|key| concerns(&error, key.name));
        about.map_or_else(|| wrong(&error), |key| at(file, key, &said(&error)))
    })?;
    match Cli::from_arg_matches(&matches).map(|cli| cli.command) {
        Ok(Command::Daemon(mut args)) => {
            args.of_file = own;
            Ok(*args)
        }
        Ok(_) => Err(Failure::Usage(format!("[{}] is for it alone", TABLE.name))),
        Err(error) => Err(wrong(&error)),
    }
}

/// Whether a flag was given, or one in whose presence it may not be.
fn has(given: &ArgMatches, name: &str) -> bool {
    let said = |name: &str| {
        let source = given.value_source(name);
        matches!(
            source,
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    said(name) || (name == "api_key_file" && said("api_key"))
}

/// A key as the words of its flag.
fn flags(key: &OwnKey) -> Result<Vec<OsString>, &'static str> {
    let flag = format!("--{}", key.name.replace('_', "-"));
    let kind = arg(key.name).map_or(Kind::One, |arg| Kind::of(&arg));
    let mut words = Vec::new();
    for value in &key.values {
        let text = match (value, kind) {
            (Value::Bool(yes), Kind::Switch | Kind::Usual) => {
                words.extend(yes.then(|| flag.clone().into()));
                continue;
            }
            (_, Kind::Switch) => return Err("it has to be true or false"),
            (Value::Text(text), _) => text.clone(),
            (Value::Int(number), _) => number.to_string(),
            (Value::Bool(_) | Value::Float(_), _) => return Err("it has to be a text"),
        };
        words.push(format!("{flag}={text}").into());
    }
    Ok(words)
}

fn at(file: &Path, key: &OwnKey, why: &str) -> Failure {
    let (file, line, table, name) = (file.display(), key.line, key.table, key.name);
    Failure::Usage(format!("{file}:{line}: {table}.{name}: {why}"))
}

/// What is wrong, in a line.
fn said(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    // What is missing stands in lines of its own.
    match lines.next() {
        Some(more) if first.ends_with(':') => format!("{first} {more}"),
        _ => first,
    }
}

/// Whether an error is about a flag.
fn concerns(error: &clap::Error, name: &str) -> bool {
    let flag = format!("--{}", name.replace('_', "-"));
    let is_it = |text: &str| text.split([' ', '=']).next() == Some(&flag);
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => is_it(text),
        Some(ContextValue::Strings(texts)) => texts.iter().any(|text| is_it(text)),
        _ => false,
    }
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Switch,
    /// A value, or nothing for a usual one.
    Usual,
    One,
    Many,
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        let least = arg.get_num_args().map(|args| args.min_values());
        let action = arg.get_action();
        if matches!(action, ArgAction::SetTrue) {
            Self::Switch
        } else if matches!(action, ArgAction::Append) {
            Self::Many
        } else if least == Some(0) {
            Self::Usual
        } else {
            Self::One
        }
    }
}

/// A flag of `daemon`.
fn arg(name: &str) -> Option<Arg> {
    let command = super::command();
    let daemon = command.find_subcommand(TABLE.name)?;
    let mut args = daemon.get_arguments();
    args.find(|arg| arg.get_id() == name).cloned()
}

/// What a value is called.
fn called(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first());
    value.map(ToString::to_string).unwrap_or_default()
}

/// Each key with what it takes and what it is.
fn keys() -> impl Iterator<Item = (&'static str, Kind, String, String)> {
    TABLE.keys.iter().filter_map(|name| {
        let arg = arg(name)?;
        let value = called(&arg);
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((*name, Kind::of(&arg), value, help))
    })
}

/// What a key takes, in words.
fn takes(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Switch => "true or false".to_owned(),
        Kind::Usual => format!("\"{value}\", or true"),
        Kind::One => format!("\"{value}\""),
        Kind::Many => format!("[\"{value}\", ...]"),
    }
}

/// The table as the commented file of settings has it.
pub(crate) fn commented() -> String {
    let mut text = format!(
        "\n# Flags of `{name}`, which stand on the command line otherwise, and in place of these.\n[{name}]\n",
        name = TABLE.name
    );
    for (name, kind, value, help) in keys() {
        let takes = takes(kind, &value);
        let example = arg(name).map_or_else(String::new, |arg| example(&arg));
        let _ = write!(text, "\n# {help}\n# {takes}.\n#{name} = {example}\n");
    }
    text
}

/// A value that the flag of a key takes, as TOML has it: the one that it has without the key, where it has any.
fn example(arg: &Arg) -> String {
    let usual = arg.get_default_values().first();
    let usual = usual.map(|value| value.to_string_lossy().into_owned());
    let choice = || {
        let choices = arg.get_possible_values();
        choices.first().map(|choice| choice.get_name().to_owned())
    };
    let value = usual
        .or_else(choice)
        .unwrap_or_else(|| match called(arg).as_str() {
            "DIR" => "/srv/torrents".to_owned(),
            "FILE" => "/etc/tribler-rs/file".to_owned(),
            "ADDR:PORT" => "127.0.0.1:8085".to_owned(),
            "N" => "1".to_owned(),
            "IP[:PORT]" => "9.9.9.9".to_owned(),
            "HOST:PORT" => "node.example:7759".to_owned(),
            "NAME|HEX" => "tribler".to_owned(),
            "NAME" => "nas.example".to_owned(),
            other => other.to_owned(),
        });
    match Kind::of(arg) {
        Kind::Switch | Kind::Usual => "true".to_owned(),
        Kind::One if value.parse::<i64>().is_ok() => value,
        Kind::One => format!("\"{value}\""),
        Kind::Many => format!("[\"{value}\"]"),
    }
}

#[cfg(test)]
mod tests;
