//! Settings in files, as TOML: one table a group.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::nearest;
use super::{GROUPS, Patch, Preset, Settings, SettingsError, Value, Wrong, WrongKind};

/// Bytes of a settings file that are read at most.
const LONGEST: u64 = 1 << 20;

/// What a file says: a preset to begin with, perhaps, and single keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// What `preset = "..."` names.
    pub preset: Option<Preset>,
    /// The keys.
    pub patch: Patch,
    /// What is said in tables of the program's own, in order.
    pub own: Vec<OwnKey>,
}

/// A table of a file that is no group of settings, but the program's that has the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTable {
    /// What it is called.
    pub name: &'static str,
    /// The keys that may be in it.
    pub keys: &'static [&'static str],
    /// Keys that one might look for in it, and what they are called where they are.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

/// A key in a table of the program's own.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnKey {
    /// The table.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The value, or all values of a list.
    pub values: Vec<Value>,
    /// The line of the file.
    pub line: usize,
}

impl Layers {
    /// Reads TOML. Its keys are known, and each value is looked at.
    ///
    /// # Errors
    /// [`SettingsError`] names everything that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        Self::parse_with(text, &[])
    }

    /// Reads TOML that may have tables of the program's own, too. What values these may have, the program has to look at.
    ///
    /// # Errors
    /// As [`Layers::parse`].
    pub fn parse_with(text: &str, own: &[OwnTable]) -> Result<Self, SettingsError> {
        let lines = Lines(text);
        let root = DeTable::parse(text).map_err(|error| SettingsError {
            file: None,
            wrongs: vec![Wrong {
                line: error.span().map(|span| lines.of(span.start)),
                path: String::new(),
                kind: WrongKind::Syntax(error.message().to_owned()),
            }],
        })?;
        let mut reader = Reader {
            lines,
            own,
            layers: Self::default(),
            wrongs: Vec::new(),
        };
        reader.read(root.get_ref());
        // Values are of the right kind and in their range, or it is said now, where they stand.
        if let Err(error) = Settings::default().with(&reader.layers.patch) {
            reader.wrongs.extend(error.wrongs);
        }
        if reader.wrongs.is_empty() {
            reader.layers.own.sort_by_key(|key| key.line);
            return Ok(reader.layers);
        }
        reader.wrongs.sort_by_key(|wrong| wrong.line);
        Err(SettingsError {
            file: None,
            wrongs: reader.wrongs,
        })
    }

    /// Reads a file of at most 1 MiB.
    ///
    /// # Errors
    /// As [`Layers::parse`], with the file named; [`WrongKind::File`] where it cannot be read.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        Self::load_with(path, &[])
    }

    /// Reads a file of at most 1 MiB that may have tables of the program's own, too.
    ///
    /// # Errors
    /// As [`Layers::load`].
    pub fn load_with(path: &Path, own: &[OwnTable]) -> Result<Self, SettingsError> {
        let read = || -> io::Result<String> {
            let len = std::fs::metadata(path)?.len();
            if len > LONGEST {
                return Err(io::Error::other("it is too large for a file of settings"));
            }
            std::fs::read_to_string(path)
        };
        let text = read().map_err(|error| {
            SettingsError::of("", WrongKind::File(error.to_string())).in_file(path)
        })?;
        Self::parse_with(&text, own).map_err(|error| error.in_file(path))
    }

    /// The settings: the defaults, changed by the preset, by the keys, and by `last` after all.
    ///
    /// # Errors
    /// As [`Settings::with`].
    pub fn settings(&self, last: &Patch) -> Result<Settings, SettingsError> {
        let preset = self.preset.map(Preset::patch).unwrap_or_default();
        Settings::default()
            .with(&preset)?
            .with(&self.patch)?
            .with(last)
    }
}

impl Settings {
    /// Writes what differs from the defaults to a file, which is replaced as a whole.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("toml.new");
        let text = self.to_toml();
        std::fs::write(&beside, text)?;
        std::fs::File::open(&beside)?.sync_all()?;
        std::fs::rename(&beside, path)
    }

    /// What differs from the defaults, as TOML.
    pub fn to_toml(&self) -> String {
        let plain = Self::default();
        let mut text = String::new();
        for group in GROUPS {
            let changed = |key: &&super::Key| key.of(self) != key.of(&plain);
            let mut keys = group.keys.iter().filter(changed).peekable();
            if keys.peek().is_none() {
                continue;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "[{}]", group.name);
            for key in keys {
                let _ = writeln!(text, "{} = {}", key.name, key.of(self));
            }
        }
        text
    }
}

/// Finds the line of a byte.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(&self, at: usize) -> usize {
        self.0.get(..at).unwrap_or(self.0).matches('\n').count() + 1
    }
}

struct Reader<'a> {
    lines: Lines<'a>,
    own: &'a [OwnTable],
    layers: Layers,
    wrongs: Vec<Wrong>,
}

impl Reader<'_> {
    fn wrong(&mut self, at: usize, path: &str, kind: WrongKind) {
        self.wrongs.push(Wrong {
            line: Some(self.lines.of(at)),
            path: path.to_owned(),
            kind,
        });
    }

    fn read(&mut self, root: &DeTable<'_>) {
        for (name, value) in root {
            let (at, name) = (name.span().start, name.get_ref().as_ref());
            match (name, value.get_ref()) {
                ("preset", preset) => self.preset(at, preset),
                (group, DeValue::Table(keys)) => {
                    match self.own.iter().find(|table| table.name == group) {
                        Some(table) => self.own_table(table, keys),
                        None => self.group(at, group, keys),
                    }
                }
                (other, _) => {
                    let groups = self.tables();
                    let near = nearest(other, groups.chain(["preset"]));
                    let nearest = near.map(str::to_owned);
                    self.wrong(at, other, WrongKind::Unknown { nearest });
                }
            }
        }
    }

    fn preset(&mut self, at: usize, named: &DeValue<'_>) {
        let preset = match named {
            DeValue::String(name) => name.parse(),
            other @ (DeValue::Array(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Float(_)
            | DeValue::Integer(_)
            | DeValue::Table(_)) => Err(WrongKind::Kind {
                found: format!("it is {}", kind(other)),
                due: "the name of a preset".to_owned(),
            }),
        };
        match preset {
            Ok(preset) => self.layers.preset = Some(preset),
            Err(wrong) => self.wrong(at, "preset", wrong),
        }
    }

    /// What tables there may be.
    fn tables(&self) -> impl Iterator<Item = &'static str> {
        let own = self.own.iter().map(|table| table.name);
        GROUPS.iter().map(|group| group.name).chain(own)
    }

    /// A table of the program's own.
    fn own_table(&mut self, table: &OwnTable, keys: &DeTable<'_>) {
        for (name, value) in keys {
            let at = name.span().start;
            let path = format!("{}.{}", table.name, name.get_ref());
            let known = table.keys.iter().find(|known| **known == name.get_ref());
            let Some(known) = known else {
                let elsewhere = table.elsewhere.iter();
                let mut elsewhere = elsewhere.filter(|(looked, _)| *looked == name.get_ref());
                let near = nearest(name.get_ref(), table.keys.iter().copied());
                let nearest = elsewhere.next().map_or_else(
                    || near.map(|near| format!("{}.{near}", table.name)),
                    |(_, there)| Some((*there).to_owned()),
                );
                self.wrong(at, &path, WrongKind::Unknown { nearest });
                continue;
            };
            let values = match value.get_ref() {
                DeValue::Array(list) => list.iter().map(scalar).collect(),
                DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Float(_)
                | DeValue::Integer(_)
                | DeValue::String(_)
                | DeValue::Table(_) => scalar(value).map(|value| vec![value]),
            };
            match values {
                Ok(values) => self.layers.own.push(OwnKey {
                    table: table.name,
                    name: known,
                    values,
                    line: self.lines.of(at),
                }),
                Err(wrong) => self.wrong(value.span().start, &path, wrong),
            }
        }
    }

    fn group(&mut self, at: usize, group: &str, keys: &DeTable<'_>) {
        if !GROUPS.iter().any(|known| known.name == group) {
            let near = nearest(group, self.tables());
            let nearest = near.map(|near| format!("[{near}]"));
            self.wrong(at, group, WrongKind::Unknown { nearest });
            return;
        }
        for (name, value) in keys {
            let line = self.lines.of(name.span().start);
            let path = format!("{group}.{}", name.get_ref());
            match scalar(value) {
                Ok(value) => self.layers.patch.push(path, value, Some(line)),
                Err(wrong) => self.wrong(value.span().start, &path, wrong),
            }
        }
    }
}

/// A value that a key can have.
fn scalar(value: &Spanned<DeValue<'_>>) -> Result<Value, WrongKind> {
    let strange = |value: &DeValue<'_>| WrongKind::Kind {
        found: format!("it is {}", kind(value)),
        due: "a single value".to_owned(),
    };
    match value.get_ref() {
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::String(text) => Ok(Value::Text(text.clone().into_owned())),
        DeValue::Float(number) => {
            let float = number.as_str().parse();
            float
                .map(Value::Float)
                .map_err(|_| strange(value.get_ref()))
        }
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::Int)
            .map_err(|_| WrongKind::OutOfRange {
                value: number.as_str().to_owned(),
                range: "whole numbers have 64 bits".to_owned(),
            }),
        other @ (DeValue::Array(_) | DeValue::Datetime(_) | DeValue::Table(_)) => {
            Err(strange(other))
        }
    }
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) => "a number",
        DeValue::Integer(_) => "a whole number",
        DeValue::String(_) => "a text",
        DeValue::Table(_) => "a table",
    }
}
