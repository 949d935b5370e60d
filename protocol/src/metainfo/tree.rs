//! The file tree of v2 torrents (BEP 52).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::bencode::{Dict, Value, take_string, take_value};

use super::MetainfoError;

/// A walk over the encoding of a file tree: once from front to back, whatever its depth.
pub(super) struct TreeWalk<'a> {
    rest: &'a [u8],
    depth: usize,
    first: bool,
}

/// What the walk comes upon.
pub(super) enum TreeStep<'a> {
    /// A directory.
    Enter(&'a [u8]),
    /// The end of the tree.
    End,
    /// The end of the directory entered last.
    Leave,
    /// A file; `alone` if it is all the tree holds.
    File {
        name: &'a [u8],
        dict: Dict<'a>,
        alone: bool,
    },
}

impl<'a> TreeWalk<'a> {
    pub(super) fn new(tree: Value<'a>) -> Option<Self> {
        Some(Self {
            rest: tree.raw().strip_prefix(b"d")?,
            depth: 0,
            first: true,
        })
    }

    /// The next step, `None` at the end of the tree.
    pub(super) fn next(&mut self) -> Result<Option<TreeStep<'a>>, MetainfoError> {
        match self.step() {
            Some(TreeStep::End) => Ok(None),
            Some(step) => Ok(Some(step)),
            None => Err(MetainfoError::FileList),
        }
    }

    /// `None` where the tree is malformed.
    fn step(&mut self) -> Option<TreeStep<'a>> {
        if let Some(rest) = self.rest.strip_prefix(b"e") {
            self.rest = rest;
            let Some(depth) = self.depth.checked_sub(1) else {
                return Some(TreeStep::End);
            };
            self.depth = depth;
            return Some(TreeStep::Leave);
        }
        let (name, value) = take_string(self.rest)?;
        if name.is_empty() {
            return None;
        }
        let inner = value.strip_prefix(b"d")?;
        let first = std::mem::replace(&mut self.first, false);
        let Some(file) = inner.strip_prefix(b"0:") else {
            self.rest = inner;
            self.depth = self.depth.checked_add(1)?;
            return Some(TreeStep::Enter(name));
        };
        let (file, after) = take_value(file)?;
        self.rest = after.strip_prefix(b"e")?;
        Some(TreeStep::File {
            name,
            dict: file.as_dict()?,
            alone: first && self.depth == 0 && self.rest.first() == Some(&b'e'),
        })
    }
}
