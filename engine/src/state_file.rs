//! Files of the state directory: each is replaced whole, or stays as it was.

use std::fs;
use std::io;
use std::path::Path;

use storage::{Call, Watcher};

/// Writes `bytes` to `new` and lets that take the place of `path`. `between` runs in between, where the old file may have to
/// go first. Nothing is synced; `watch` is asked first.
///
/// # Errors
/// What the system says; `new` is gone then, for a part of a file is of use to nobody.
pub(crate) fn replace(
    (path, new): (&Path, &Path),
    bytes: &[u8],
    watch: &Watcher,
    between: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let written = watch
        .ask(Call::Create, new)
        .and_then(|()| fs::write(new, bytes))
        .and_then(|()| between())
        .and_then(|()| watch.ask(Call::Rename, new))
        .and_then(|()| fs::rename(new, path));
    if written.is_err() {
        // It may not even have come into being.
        let _ = fs::remove_file(new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_saved_leaves_the_old_file_and_no_part_of_the_new_one() {
        let (dir, nobody) = (tempfile::tempdir().unwrap(), Watcher::default());
        let [path, new] = ["a.resume", "a.new"].map(|name| dir.path().join(name));
        replace((&path, &new), b"old", &nobody, || Ok(())).unwrap();
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
        let error = replace((&path, &new), b"newer", &nobody, full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(!new.exists());
        replace((&path, &new), b"newer", &nobody, || Ok(())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert!(!new.exists());
    }
}
