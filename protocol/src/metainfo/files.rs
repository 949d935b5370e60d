//! The file lists of v1 and v2, as the info dictionary holds them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::bencode::{Dict, List, Value};
use crate::merkle::BLOCK_LEN;

use super::path::safe_element;
use super::tree::{TreeStep, TreeWalk};
use super::{FileAttr, FileEntry, LoadLimits, MetainfoError};

/// The largest offset in a torrent: 2^48 - 1, as in deployed clients.
const MAX_OFFSET: u64 = (1 << 48) - 1;

/// A v2 file must be shorter than this, so that the indices in its hash tree fit 31 bits.
const MAX_V2_LEN: u64 = ((1 << 30) - 1) * BLOCK_LEN as u64;

/// BitComet marks its padding by name only.
const BITCOMET_PAD: &[u8] = b"_____padding_file_";

/// Collects files, keeping the running offset and the limits.
pub(super) struct FileList<'a> {
    pub(super) files: Vec<FileEntry>,
    /// The torrent's name; the file's, where the torrent is a single v2 file.
    pub(super) name: String,
    limits: &'a LoadLimits,
    offset: u64,
    path_bytes: usize,
}

impl<'a> FileList<'a> {
    pub(super) const fn new(name: String, limits: &'a LoadLimits) -> Self {
        Self {
            files: Vec::new(),
            name,
            limits,
            offset: 0,
            path_bytes: limits.path_bytes,
        }
    }

    /// Reads the single file of a v1 info dictionary; `named` tells whether the torrent's name is usable, since it is the
    /// file's too.
    pub(super) fn v1_single(&mut self, info: Dict<'_>, named: bool) -> Result<(), MetainfoError> {
        let path = vec![self.name.clone()];
        let (attr, len) = size_of_file(info)?;
        if !named {
            return Err(MetainfoError::MissingName);
        }
        self.v1_file(info, path, attr, len)
    }

    /// Reads the `files` of a v1 info dictionary.
    pub(super) fn v1_multi(&mut self, files: List<'_>) -> Result<(), MetainfoError> {
        for file in files.iter() {
            let dict = file.as_dict().ok_or(MetainfoError::FileList)?;
            let (attr, len) = size_of_file(dict)?;
            let [utf8, plain] = dict.get_many([b"path.utf-8", b"path"]);
            let elements = utf8
                .and_then(Value::as_list)
                .or_else(|| plain.and_then(Value::as_list));
            let mut path = vec![self.name.clone()];
            let mut pad = attr.pad;
            for element in elements.into_iter().flat_map(List::iter) {
                let element = element.as_bytes().ok_or(MetainfoError::FileName)?;
                self.push_element(&mut path, element)?;
                pad |= element
                    .windows(BITCOMET_PAD.len())
                    .any(|window| window == BITCOMET_PAD);
            }
            if path.len() == 1 {
                // Only padding may go without a path; its place on disk does not matter.
                if !pad {
                    return Err(MetainfoError::MissingName);
                }
                path.extend([".pad".to_owned(), len.to_string()]);
            }
            self.v1_file(dict, path, FileAttr { pad, ..attr }, len)?;
        }
        if self.files.is_empty() {
            return Err(MetainfoError::NoFiles);
        }
        Ok(())
    }

    /// Adds a v1 file, with what its dictionary says beside path and length.
    fn v1_file(
        &mut self,
        dict: Dict<'_>,
        path: Vec<String>,
        mut attr: FileAttr,
        len: u64,
    ) -> Result<(), MetainfoError> {
        let [mtime, target] = dict.get_many([b"mtime", b"symlink path"]);
        let symlink = self.target(&mut attr, target)?;
        self.push(FileEntry {
            path,
            renamed: None,
            len,
            offset: 0,
            attr,
            symlink,
            root: None,
            mtime: mtime.and_then(Value::as_int),
        })
    }

    /// Reads the `file tree` of a v2 info dictionary, and pads every file to whole pieces.
    ///
    /// Walks the encoding once, so that the cost does not depend on the depth.
    ///
    /// Where the tree is one file and nothing else, and there is no v1 list of files (`listed`) that would put it into a
    /// directory, the torrent is that file, whatever its name.
    pub(super) fn v2_tree(
        &mut self,
        tree: Value<'_>,
        piece_len: u64,
        listed: bool,
    ) -> Result<(), MetainfoError> {
        let mut walk = TreeWalk::new(tree).ok_or(MetainfoError::FileList)?;
        let mut path = vec![self.name.clone()];
        while let Some(step) = walk.next()? {
            match step {
                TreeStep::Enter(name) => self.push_element(&mut path, name)?,
                TreeStep::End => break,
                TreeStep::Leave => {
                    path.pop();
                }
                TreeStep::File { name, dict, alone } => {
                    let path = if alone && !listed {
                        self.name = safe_element(name);
                        vec![self.name.clone()]
                    } else {
                        let mut path = path.clone();
                        self.push_element(&mut path, name)?;
                        path
                    };
                    self.v2_file(dict, path)?;
                    self.pad_to(piece_len)?;
                }
            }
        }
        if self.files.is_empty() {
            return Err(MetainfoError::NoFiles);
        }
        Ok(())
    }

    fn v2_file(&mut self, dict: Dict<'_>, path: Vec<String>) -> Result<(), MetainfoError> {
        let [mtime, root, target] = dict.get_many([b"mtime", b"pieces root", b"symlink path"]);
        let mut attr = letters(dict.get(b"attr"));
        if attr.pad {
            return Err(MetainfoError::PadFile);
        }
        let (_, len) = size_of_file(dict)?;
        if len >= MAX_V2_LEN {
            return Err(MetainfoError::FileLength);
        }
        let root = if len > 0 {
            let root = root.and_then(Value::as_bytes);
            let root = root.and_then(|root| <[u8; 32]>::try_from(root).ok());
            let root = root.filter(|root| *root != [0; 32]);
            Some(root.ok_or(MetainfoError::PiecesRoot)?)
        } else {
            None
        };
        let symlink = self.target(&mut attr, target)?;
        self.push(FileEntry {
            path,
            renamed: None,
            len,
            offset: 0,
            attr,
            symlink,
            root,
            mtime: mtime.and_then(Value::as_int),
        })
    }

    /// Adds padding up to the next piece.
    fn pad_to(&mut self, piece_len: u64) -> Result<(), MetainfoError> {
        let over = self.offset.checked_rem(piece_len).unwrap_or(0);
        if over == 0 {
            return Ok(());
        }
        let len = piece_len.saturating_sub(over);
        self.push(FileEntry {
            path: vec![self.name.clone(), ".pad".to_owned(), len.to_string()],
            renamed: None,
            len,
            offset: 0,
            attr: FileAttr {
                pad: true,
                ..FileAttr::default()
            },
            symlink: None,
            root: None,
            mtime: None,
        })
    }

    /// The elements of a link's target; a link without target is no link.
    fn target(
        &mut self,
        attr: &mut FileAttr,
        target: Option<Value<'_>>,
    ) -> Result<Option<Vec<String>>, MetainfoError> {
        if !attr.symlink {
            return Ok(None);
        }
        let Some(elements) = target.and_then(Value::as_list) else {
            attr.symlink = false;
            return Ok(None);
        };
        let mut target = Vec::new();
        for element in elements.iter() {
            let raw = element.as_bytes().ok_or(MetainfoError::FileName)?;
            if !matches!(raw, b"." | b"..") {
                let element = safe_element(raw);
                self.charge(element.len())?;
                target.push(element);
            }
        }
        if target.is_empty() {
            attr.symlink = false;
            return Ok(None);
        }
        Ok(Some(target))
    }

    fn push_element(&self, path: &mut Vec<String>, raw: &[u8]) -> Result<(), MetainfoError> {
        if path.len() > self.limits.directory_depth {
            return Err(MetainfoError::DirectoryTooDeep);
        }
        path.push(safe_element(raw));
        Ok(())
    }

    /// Takes a path element's memory out of the budget.
    fn charge(&mut self, element_len: usize) -> Result<(), MetainfoError> {
        let cost = element_len.saturating_add(size_of::<String>());
        self.path_bytes = self
            .path_bytes
            .checked_sub(cost)
            .ok_or(MetainfoError::PathsTooLong)?;
        Ok(())
    }

    fn push(&mut self, mut file: FileEntry) -> Result<(), MetainfoError> {
        for element in &file.path {
            self.charge(element.len())?;
        }
        file.offset = self.offset;
        self.offset = self
            .offset
            .checked_add(file.len)
            .filter(|&end| end <= MAX_OFFSET)
            .ok_or(MetainfoError::FileLength)?;
        self.files.push(file);
        Ok(())
    }
}

fn letters(attr: Option<Value<'_>>) -> FileAttr {
    FileAttr::from_letters(attr.and_then(Value::as_bytes).unwrap_or_default())
}

/// Attributes and length; links have none.
fn size_of_file(dict: Dict<'_>) -> Result<(FileAttr, u64), MetainfoError> {
    let [attr, length] = dict.get_many([b"attr", b"length"]);
    let attr = letters(attr);
    if attr.symlink {
        return Ok((attr, 0));
    }
    let len = length
        .and_then(Value::as_int)
        .and_then(|len| u64::try_from(len).ok())
        .filter(|&len| len <= MAX_OFFSET)
        .ok_or(MetainfoError::FileLength)?;
    Ok((attr, len))
}
