//! A bencoded dictionary whose fields are taken one after the other; what remains is what nobody knew.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::bencode::{self, Dict, Limits, List, Value};

use super::MOST_BYTES;
use super::fault::{Fault, FaultKind};
use crate::platform;

/// Bounds of a record: lists of blocks and files can be long.
const LIMITS: Limits = Limits {
    depth: 100,
    tokens: 5_000_000,
    bytes: MOST_BYTES,
};

/// The fields of a dictionary.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// What its fields are named behind, in errors.
    prefix: String,
    fields: BTreeMap<&'a [u8], Value<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads a whole record.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let value = bencode::decode(bytes, &LIMITS)
            .map_err(|error| Fault::whole(FaultKind::Bencode(error)))?;
        let dict = value.as_dict();
        let dict = dict.ok_or_else(|| Fault::whole(FaultKind::Kind("a dictionary")))?;
        Ok(Self::of(String::new(), dict))
    }

    fn of(prefix: String, dict: Dict<'a>) -> Self {
        let mut fields = BTreeMap::new();
        for (key, value) in dict {
            fields.entry(key).or_insert(value);
        }
        Self { prefix, fields }
    }

    /// What is wrong with a field.
    pub(super) fn fault(&self, key: &str, kind: FaultKind) -> Fault {
        if self.prefix.is_empty() {
            return Fault::new(key, kind);
        }
        Fault::new(format!("{}.{key}", self.prefix), kind)
    }

    /// Takes a field, whatever it is.
    pub(super) fn take(&mut self, key: &str) -> Option<Value<'a>> {
        self.fields.remove(key.as_bytes())
    }

    /// Takes a whole number.
    pub(super) fn int(&mut self, key: &str) -> Result<Option<i64>, Fault> {
        self.typed(key, "a whole number", Value::as_int)
    }

    /// Takes a number that counts something or lasts some time; what is below 0 stands for what is not known.
    pub(super) fn count(&mut self, key: &str) -> Result<u64, Fault> {
        Ok(u64::try_from(self.int(key)?.unwrap_or(0)).unwrap_or(0))
    }

    /// Takes a time in seconds since 1970; 0 and less stand for what is not known.
    pub(super) fn time(&mut self, key: &str) -> Result<Option<i64>, Fault> {
        Ok(self.int(key)?.filter(|time| *time > 0))
    }

    /// Takes yes or no.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> Result<bool, Fault> {
        Ok(self.int(key)?.map_or(default, |number| number != 0))
    }

    /// Takes bytes.
    pub(super) fn bytes(&mut self, key: &str) -> Result<Option<&'a [u8]>, Fault> {
        self.typed(key, "a byte string", Value::as_bytes)
    }

    /// Takes a text; what is no UTF-8 in it is replaced. An empty one is none.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        let bytes = self.bytes(key)?.filter(|bytes| !bytes.is_empty());
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }

    /// Takes a path; an empty one is none.
    pub(super) fn path(&mut self, key: &str) -> Result<Option<PathBuf>, Fault> {
        let Some(bytes) = self.bytes(key)?.filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        let wrong = || self.fault(key, FaultKind::Value("no path of this system"));
        if bytes.contains(&0) {
            return Err(wrong());
        }
        let path = platform::path(bytes.to_vec());
        path.map(Some).ok_or_else(wrong)
    }

    /// Takes a list.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<List<'a>>, Fault> {
        self.typed(key, "a list", Value::as_list)
    }

    /// Takes a dictionary.
    pub(super) fn fields(&mut self, key: &str) -> Result<Option<Self>, Fault> {
        let dict = self.typed(key, "a dictionary", Value::as_dict)?;
        Ok(dict.map(|dict| Self::of(key.to_owned(), dict)))
    }

    /// Takes those fields away that say nothing of use here.
    pub(super) fn drop_all(&mut self, keys: &[&str]) {
        for key in keys {
            self.take(key);
        }
    }

    /// What nobody took.
    pub(super) fn rest(self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        self.fields.into_iter()
    }

    fn typed<T>(
        &mut self,
        key: &str,
        what: &'static str,
        read: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let value = read(value).ok_or_else(|| self.fault(key, FaultKind::Kind(what)))?;
        Ok(Some(value))
    }
}
