//! Files of a torrent that no store is open for: how long they are, when they have changed, and bringing them to the disk.

use std::path::{Path, PathBuf};

use crate::error::{Op, StoreError};
use crate::layout;
use crate::platform::{Access, Root};
use crate::resume::FileStamp;
use crate::watch::Watcher;

/// Lengths and times of files below a folder, as many as there are paths. What is no plain file, or has a path that leads
/// anywhere else, is not there; no symbolic link below the folder is followed.
pub fn stamps_below(root: &Path, paths: &[Vec<String>]) -> Vec<FileStamp> {
    let root = Root::open(root, false, &Watcher::default()).ok();
    let stamp = |path: &Vec<String>| {
        let stat = root.as_ref()?.stat(&below(path)?).ok()?;
        Some(FileStamp {
            len: Some(stat.len),
            mtime: i64::try_from(stat.mtime).unwrap_or(i64::MAX),
        })
    };
    let absent = FileStamp {
        len: None,
        mtime: 0,
    };
    paths
        .iter()
        .map(|path| stamp(path).unwrap_or(absent))
        .collect()
}

/// Brings those files to the disk that are there, whoever has written them. They are opened to be read.
///
/// # Errors
/// Names the first file that could not be opened, or whose bytes did not arrive.
pub fn sync_below(root: &Path, paths: &[Vec<String>]) -> Result<(), StoreError> {
    let Ok(folder) = Root::open(root, false, &Watcher::default()) else {
        return Ok(());
    };
    for path in paths.iter().filter_map(|path| below(path)) {
        let failed = |op, cause| StoreError::new(op, &root.join(&path), cause);
        if folder.stat(&path).is_err() {
            continue;
        }
        let file = folder.open_file(&path, Access::Read);
        let file = file.map_err(|cause| failed(Op::Read, cause))?;
        file.sync_all()
            .map_err(|error| failed(Op::Sync, error.into()))?;
    }
    Ok(())
}

/// The path, if each component is one plain name.
fn below(path: &[String]) -> Option<PathBuf> {
    layout::join(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn files_have_lengths_and_times_and_all_else_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("sub/folder")).unwrap();
        std::fs::write(root.join("sub/a"), b"12345").unwrap();
        std::fs::write(dir.path().join("outside"), b"1").unwrap();
        std::os::unix::fs::symlink("sub/a", root.join("link")).unwrap();
        std::os::unix::fs::symlink("sub", root.join("way")).unwrap();
        let paths = ["sub/a", "sub/folder", "link", "way/a", "../outside", "gone"].map(path);
        let stamps = stamps_below(&root, &paths);
        let lens: Vec<_> = stamps.iter().map(|stamp| stamp.len).collect();
        assert_eq!(lens, [Some(5), None, None, None, None, None]);
        let mtime = std::fs::metadata(root.join("sub/a")).unwrap().modified();
        let since = mtime
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert_eq!(i128::from(stamps[0].mtime), since.as_nanos().cast_signed());
        sync_below(&root, &paths).unwrap();

        let none = stamps_below(&dir.path().join("nowhere"), &paths);
        assert!(none.iter().all(|stamp| stamp.len.is_none()));
        sync_below(&dir.path().join("nowhere"), &paths).unwrap();
        assert_eq!(stamps_below(&root, &[Vec::new()])[0].len, None);
    }
}
