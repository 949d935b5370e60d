//! Changes of settings, which are made as a whole or not at all.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::nearest;
use super::{GROUPS, Key, Settings, SettingsError, Value, Wrong, WrongKind};

/// Keys and the values that they shall have. What a key is called and may be is looked at when it is applied.
///
/// As serde reads it, it is a map of groups, each a map of keys: `{"limits": {"down": "4MiB/s"}}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch(Vec<Change>);

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) value: Value,
    /// The line of the file.
    pub(super) line: Option<usize>,
}

impl Patch {
    /// Nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Gives a key a value, after what was said before.
    #[must_use]
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        self.push(path.to_owned(), value.into(), None);
        self
    }

    pub(super) fn push(&mut self, path: String, value: Value, line: Option<usize>) {
        self.0.push(Change { path, value, line });
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What makes `to` of `from`.
    pub fn between(from: &Settings, to: &Settings) -> Self {
        let mut patch = Self::new();
        for key in Settings::keys() {
            let value = key.of(to);
            if value != key.of(from) {
                patch.push(key.path.to_owned(), value, None);
            }
        }
        patch
    }

    /// The keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0
            .iter()
            .map(|change| (change.path.as_str(), &change.value))
    }
}

impl Settings {
    /// All keys, in order.
    pub fn keys() -> impl Iterator<Item = &'static Key> {
        GROUPS.iter().flat_map(|group| group.keys)
    }

    /// What is known of the key with this path, such as `limits.down`.
    pub fn key(path: &str) -> Option<&'static Key> {
        Self::keys().find(|key| key.path == path)
    }

    /// These with some changes; all or none of them are made.
    ///
    /// # Errors
    /// [`SettingsError`] names everything that is wrong.
    pub fn with(&self, patch: &Patch) -> Result<Self, SettingsError> {
        let mut changed = self.clone();
        let mut wrongs = Vec::new();
        for Change { path, value, line } in &patch.0 {
            let done = match Self::key(path) {
                Some(key) => (key.write)(&mut changed, value),
                None => Err(unknown(path)),
            };
            if let Err(kind) = done {
                wrongs.push(Wrong {
                    line: *line,
                    path: path.clone(),
                    kind,
                });
            }
        }
        if wrongs.is_empty() {
            wrongs = crate::classes::unknown(&changed);
        }
        if wrongs.is_empty() {
            return Ok(changed);
        }
        Err(SettingsError { file: None, wrongs })
    }

    /// Whether every value is in its range, which fields that were set by hand need not be.
    ///
    /// # Errors
    /// [`SettingsError`] names everything that is not.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |key: &'static Key| {
            (key.check)(self).err().map(|kind| Wrong {
                line: None,
                path: key.path.to_owned(),
                kind,
            })
        };
        let mut wrongs: Vec<Wrong> = Self::keys().filter_map(wrong).collect();
        wrongs.extend(crate::classes::unknown(self));
        if wrongs.is_empty() {
            return Ok(());
        }
        Err(SettingsError { file: None, wrongs })
    }
}

/// What is said of a key that there is not: which one of its group looks like it, or has its name in another group, or looks
/// like it with its group.
fn unknown(path: &str) -> WrongKind {
    let (group, name) = path.split_once('.').unwrap_or(("", path));
    let full = |found: &str| {
        Settings::keys()
            .map(|key| key.path)
            .find(|path| *path == found)
    };
    let of_group = || {
        let group = GROUPS.iter().find(|known| known.name == group)?;
        let near = nearest(name, group.keys.iter().map(|key| key.name))?;
        full(&format!("{}.{near}", group.name))
    };
    let elsewhere = || Settings::keys().find(|key| key.name == name);
    let near = of_group()
        .or_else(|| elsewhere().map(|key| key.path))
        .or_else(|| nearest(path, Settings::keys().map(|key| key.path)));
    WrongKind::Unknown {
        nearest: near.map(str::to_owned),
    }
}

/// As maps of groups and keys, with values as files have them.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Table<'a>(&'a Settings, &'static [Key]);

        impl Serialize for Table<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(self.1.len()))?;
                for key in self.1 {
                    map.serialize_entry(key.name, &key.of(self.0))?;
                }
                map.end()
            }
        }

        let mut map = serializer.serialize_map(Some(GROUPS.len()))?;
        for group in GROUPS {
            map.serialize_entry(group.name, &Table(self, group.keys))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Vec<(String, Value)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut keys = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    keys.push(entry);
                }
                Ok(keys)
            }
        }

        struct Table(Vec<(String, Value)>);

        impl<'de> Deserialize<'de> for Table {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(Keys).map(Self)
            }
        }

        struct Groups;

        impl<'de> Visitor<'de> for Groups {
            type Value = Patch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of groups of settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Patch, A::Error> {
                let mut patch = Patch::new();
                while let Some((group, Table(keys))) = map.next_entry::<String, Table>()? {
                    for (name, value) in keys {
                        patch.push(format!("{group}.{name}"), value, None);
                    }
                }
                Ok(patch)
            }
        }

        deserializer.deserialize_map(Groups)
    }
}
