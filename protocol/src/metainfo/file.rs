//! One file of a torrent.

use std::path::PathBuf;

/// A file as the torrent lists it, pad files included, in the order of the torrent's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The path as safe elements. The torrent's name comes first, but for a torrent of one file, where it is all.
    pub path: Vec<String>,
    /// The path to use on disk where another file already has [`FileEntry::path`]; also from the torrent's name on.
    pub renamed: Option<Vec<String>>,
    /// Length in bytes; 0 for a symbolic link.
    pub len: u64,
    /// First byte, counted from the start of the torrent.
    pub offset: u64,
    /// Attributes (BEP 47).
    pub attr: FileAttr,
    /// The target of a symbolic link, from the torrent's name on; always inside the torrent. A link that had no
    /// acceptable target points to itself.
    pub symlink: Option<Vec<String>>,
    /// Root of the file's hash tree (BEP 52), if the torrent has a v2 part and the file is not empty.
    pub root: Option<[u8; 32]>,
    /// Time of the last change in Unix seconds, where the torrent tells it.
    pub mtime: Option<i64>,
}

/// Attributes of a file (BEP 47).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags of BEP 47")]
pub struct FileAttr {
    /// Padding: zeros that only exist in the torrent's piece space, never on disk.
    pub pad: bool,
    /// Executable.
    pub executable: bool,
    /// Hidden.
    pub hidden: bool,
    /// Symbolic link.
    pub symlink: bool,
}

impl FileAttr {
    /// Reads the letters of an `attr` string; unknown ones are ignored.
    pub fn from_letters(letters: &[u8]) -> Self {
        Self {
            pad: letters.contains(&b'p'),
            executable: letters.contains(&b'x'),
            hidden: letters.contains(&b'h'),
            symlink: letters.contains(&b'l'),
        }
    }

    /// The letters of an `attr` string, empty where no attribute is set.
    pub fn letters(self) -> String {
        let all = [
            (self.pad, 'p'),
            (self.hidden, 'h'),
            (self.executable, 'x'),
            (self.symlink, 'l'),
        ];
        all.iter().filter(|(set, _)| *set).map(|(_, c)| c).collect()
    }
}

impl FileEntry {
    /// The elements of the path to use on disk: the new name where the file was renamed.
    pub fn components(&self) -> &[String] {
        self.renamed.as_deref().unwrap_or(&self.path)
    }

    /// The path to use on disk, relative to the download directory.
    pub fn relative_path(&self) -> PathBuf {
        self.components().iter().collect()
    }

    /// The path to use on disk with `/` between the elements, for people.
    pub fn display_path(&self) -> String {
        self.components().join("/")
    }

    /// Whether the file exists on disk as a file with bytes of its own: no padding and no link.
    pub const fn is_stored(&self) -> bool {
        !self.attr.pad && !self.attr.symlink
    }
}
