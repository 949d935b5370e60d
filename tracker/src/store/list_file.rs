//! Lists of torrents in files: 40 hexadecimal digits a line; `#` begins a comment.

use std::path::{Path, PathBuf};

use protocol::id::InfoHash;

/// Why a file is no list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListFileError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is no info-hash.
    #[error("{path}: line {line} is no info-hash")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
    },
}

/// Reads the info-hashes of a file.
///
/// # Errors
/// [`ListFileError`].
pub fn read_list(path: &Path) -> Result<Vec<InfoHash>, ListFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| ListFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let lines = text.lines().zip(1..);
    let lines = lines.map(|(line, number)| (line.split('#').next().unwrap_or_default(), number));
    let hashes = lines.filter(|(line, _)| !line.trim().is_empty());
    let hashes = hashes.map(|(line, number)| {
        crate::hex::info_hash(line.trim()).ok_or_else(|| ListFileError::Line {
            path: path.to_owned(),
            line: number,
        })
    });
    hashes.collect()
}
