//! Values read in place: spans of bytes that the scanner has checked.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

/// A checked value: the span of its encoding. Copying it is free; reading a member walks the bytes before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a [u8],
}

/// A checked list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    /// The encoding behind the opening `l`.
    rest: &'a [u8],
}

/// A checked dictionary. A key may occur twice in lenient input; the first one counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dict<'a> {
    /// The encoding behind the opening `d`.
    rest: &'a [u8],
}

/// The members of a dictionary in the order of their encoding.
#[derive(Clone, Debug)]
pub struct DictIter<'a> {
    rest: &'a [u8],
}

/// The elements of a list, in order.
#[derive(Clone, Debug, Default)]
pub struct ListIter<'a> {
    rest: &'a [u8],
}

/// The four kinds of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A byte string.
    Bytes,
    /// A dictionary.
    Dict,
    /// An integer.
    Int,
    /// A list.
    List,
}

impl<'a> Value<'a> {
    /// Wraps a span that the scanner has checked.
    pub(super) const fn checked(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The value's encoding, byte for byte as it came: what info-hashes are taken over.
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// What kind of value this is.
    pub const fn kind(self) -> Kind {
        match self.raw.first() {
            Some(b'd') => Kind::Dict,
            Some(b'i') => Kind::Int,
            Some(b'l') => Kind::List,
            _ => Kind::Bytes,
        }
    }

    /// The integer, if it is one.
    pub fn as_int(self) -> Option<i64> {
        let digits = self.raw.strip_prefix(b"i")?.strip_suffix(b"e")?;
        // The scanner has seen that the digits fit.
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The string's bytes, if it is one.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        if self.kind() == Kind::Bytes {
            take_string(self.raw).map(|(bytes, _)| bytes)
        } else {
            None
        }
    }

    /// The string as text, if it is a string and valid UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The list, if it is one.
    pub fn as_list(self) -> Option<List<'a>> {
        let rest = self.raw.strip_prefix(b"l")?;
        Some(List { rest })
    }

    /// The dictionary, if it is one.
    pub fn as_dict(self) -> Option<Dict<'a>> {
        let rest = self.raw.strip_prefix(b"d")?;
        Some(Dict { rest })
    }
}

impl<'a> List<'a> {
    /// The elements, in order.
    pub const fn iter(self) -> ListIter<'a> {
        ListIter { rest: self.rest }
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.rest.first().is_none_or(|&byte| byte == b'e')
    }
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (value, after) = take_value(self.rest)?;
        self.rest = after;
        Some(value)
    }
}

impl<'a> Dict<'a> {
    /// The members in the order of their encoding, which need not be sorted.
    pub const fn iter(self) -> DictIter<'a> {
        DictIter { rest: self.rest }
    }

    /// The value of the first member with this key.
    pub fn get(self, key: &[u8]) -> Option<Value<'a>> {
        self.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// The values of several keys, in one walk over the dictionary.
    pub fn get_many<const N: usize>(self, keys: [&[u8]; N]) -> [Option<Value<'a>>; N] {
        let mut found = [None; N];
        let mut missing = N;
        for (key, value) in self {
            for (slot, wanted) in found.iter_mut().zip(keys) {
                if slot.is_none() && key == wanted {
                    *slot = Some(value);
                    missing = missing.saturating_sub(1);
                }
            }
            if missing == 0 {
                break;
            }
        }
        found
    }

    /// The integer under a key.
    pub fn int(self, key: &[u8]) -> Option<i64> {
        self.get(key)?.as_int()
    }

    /// The byte string under a key.
    pub fn bytes(self, key: &[u8]) -> Option<&'a [u8]> {
        self.get(key)?.as_bytes()
    }

    /// The dictionary under a key.
    pub fn dict(self, key: &[u8]) -> Option<Self> {
        self.get(key)?.as_dict()
    }

    /// The list under a key.
    pub fn list(self, key: &[u8]) -> Option<List<'a>> {
        self.get(key)?.as_list()
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        self.rest.first().is_none_or(|&byte| byte == b'e')
    }
}

impl<'a> IntoIterator for Dict<'a> {
    type Item = (&'a [u8], Value<'a>);
    type IntoIter = DictIter<'a>;

    fn into_iter(self) -> DictIter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for DictIter<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.first() == Some(&b'e') {
            return None;
        }
        let (key, after) = take_string(self.rest)?;
        let (value, after) = take_value(after)?;
        self.rest = after;
        Some((key, value))
    }
}

/// Splits a checked string off the front.
pub(crate) fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len: usize = 0;
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'0'..=b'9' => len = len.checked_mul(10)?.checked_add(usize::from(byte & 15))?,
            b':' => return rest.split_at_checked(len),
            _ => return None,
        }
    }
    None
}

/// Splits a checked value off the front; `None` at the end of a container.
pub(crate) fn take_value(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let mut rest = bytes;
    let mut open: usize = 0;
    loop {
        match rest.first()? {
            b'd' | b'l' => {
                open = open.checked_add(1)?;
                rest = rest.get(1..)?;
            }
            b'e' => {
                open = open.checked_sub(1)?;
                rest = rest.get(1..)?;
            }
            b'i' => {
                let end = rest.iter().position(|&byte| byte == b'e')?;
                rest = rest.get(end.checked_add(1)?..)?;
            }
            _ => rest = take_string(rest)?.1,
        }
        if open == 0 {
            let used = bytes.len().checked_sub(rest.len())?;
            let (raw, after) = bytes.split_at_checked(used)?;
            return Some((Value { raw }, after));
        }
    }
}

/// A bounded description: large values are cut.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.raw.get(..120).unwrap_or(self.raw);
        write!(f, "{}", shown.escape_ascii())?;
        if shown.len() < self.raw.len() {
            write!(f, "... ({} bytes)", self.raw.len())?;
        }
        Ok(())
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().take(16)).finish()
    }
}

impl fmt::Debug for Dict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.iter().take(16);
        f.debug_map()
            .entries(members.map(|(key, value)| (String::from_utf8_lossy(key), value)))
            .finish()
    }
}
