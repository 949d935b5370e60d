//! The flags about settings, and the command that shows and checks them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use engine::settings::{Preset, Value};

/// Where settings come from, beside flags of their own: each of these is on top of the one before it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsArgs {
    /// Begin with a set of values: default, high_performance_seed or min_memory_usage
    #[arg(long, value_name = "NAME", value_parser = preset)]
    pub(crate) preset: Option<Preset>,
    /// Read settings from this file; `config default` shows what may be in it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Give one setting a value, such as connections.half_open=10; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, Value)>,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What is done with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a file of settings with every key, its meaning, range and default
    Default {
        /// With the values of this preset: default, high_performance_seed or min_memory_usage
        #[arg(long, value_name = "NAME", value_parser = preset)]
        preset: Option<Preset>,
    },
    /// Say what is wrong with a file of settings, line by line; exit code 1 if anything is
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print the settings that a file, a preset and flags make together, where they are not the defaults
    Show {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Print all of them, as one JSON object
        #[arg(long)]
        json: bool,
    },
}

fn preset(name: &str) -> Result<Preset, String> {
    name.parse::<Preset>().map_err(|wrong| wrong.to_string())
}

/// Reads `KEY=VALUE`. Which values a key may have is looked at later.
pub(super) fn assignment(text: &str) -> Result<(String, Value), &'static str> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write a key and a value, such as limits.down=4MiB/s")?;
    Ok((key.trim().to_owned(), value_of(value.trim())))
}

fn value_of(text: &str) -> Value {
    if let Ok(yes) = text.parse() {
        return Value::Bool(yes);
    }
    if let Ok(number) = text.parse() {
        return Value::Int(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Float(number),
        Ok(_) | Err(_) => Value::Text(text.to_owned()),
    }
}
