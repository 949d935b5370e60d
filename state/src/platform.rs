//! What depends on the platform: paths that are no text, and who may read a file.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

/// The bytes of a path: those that the system has, where paths are bytes; UTF-8 elsewhere.
#[cfg(unix)]
pub(crate) fn path_bytes(path: &Path) -> Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt as _;
    Cow::Borrowed(path.as_os_str().as_bytes())
}

/// The bytes of a path: those that the system has, where paths are bytes; UTF-8 elsewhere.
#[cfg(not(unix))]
pub(crate) fn path_bytes(path: &Path) -> Cow<'_, [u8]> {
    Cow::Owned(path.to_string_lossy().into_owned().into_bytes())
}

/// The path that has these bytes, if the platform can have it.
#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other platforms have no path for some bytes"
)]
pub(crate) fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

/// The path that has these bytes, if the platform can have it.
#[cfg(not(unix))]
pub(crate) fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// Lets nobody but the owner read what is created: records name passkeys of trackers, and what somebody downloads.
#[cfg(unix)]
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

/// Leaves to the folder who may read what is created.
#[cfg(not(unix))]
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Brings to the disk which names the folder has.
#[cfg(unix)]
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::File::open(dir)?.sync_all()
}

/// The system brings names to the disk by itself.
#[cfg(not(unix))]
pub(crate) fn sync_dir(_: &Path) -> std::io::Result<()> {
    Ok(())
}
