//! Where the nodes of a test network keep their state.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// How the temporary folders are called, before the number of the process.
const NAME: &str = "tribler-rs-testnet-";

/// The file in a temporary folder that is locked as long as its network lives.
const LOCK: &str = "lock";

/// A folder for the nodes; one that was made for them goes with this value.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    /// Of a temporary folder.
    lock: Option<File>,
}

impl Home {
    /// The folder that was asked for, or a temporary one. What networks have left behind that were killed is removed before.
    ///
    /// # Errors
    /// [`Failure`] where it cannot be made.
    pub(super) fn new(asked: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = asked {
            folder(path, true).map_err(|error| Failure::on_file(path, &error))?;
            return Ok(Self {
                path: path.to_owned(),
                lock: None,
            });
        }
        let above = std::env::temp_dir();
        sweep(&above);
        Self::temporary(&above, std::process::id())
    }

    fn temporary(above: &Path, pid: u32) -> Result<Self, Failure> {
        let path = above.join(format!("{NAME}{pid}"));
        let made = folder(&path, false).and_then(|()| {
            // Nobody sees it before it is locked.
            let fresh = path.join("lock.new");
            let lock = File::create_new(&fresh)?;
            lock.lock()?;
            fs::rename(fresh, path.join(LOCK)).map(|()| lock)
        });
        let lock = made.map_err(|error| Failure::on_file(&path, &error))?;
        Ok(Self {
            path,
            lock: Some(lock),
        })
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What is left behind is removed by the next network.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn folder(path: &Path, may_be_there: bool) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(may_be_there).mode(0o700).create(path)
}

/// Removes temporary folders of this user whose network has ended without doing so.
fn sweep(above: &Path) {
    let Ok(entries) = fs::read_dir(above) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME));
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else {
            continue;
        };
        let path = entry.path();
        if let Err(error) = remove_unused(&path, pid) {
            tracing::debug!(path = %path.display(), %error, "not swept");
        }
    }
}

/// Removes a folder that nobody uses any more.
fn remove_unused(path: &Path, pid: u32) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    // Held until all is removed, so that nobody begins to use it meanwhile.
    let _lock = match File::open(path.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Some(lock),
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        },
        // Its process was killed before it locked anything, or is just about to.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !runs(pid) => None,
        Err(error) => return Err(error),
    };
    fs::remove_dir_all(path)
}

/// Whether there is a process of this number; of a number that none can have there is none.
fn runs(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_networks_left_is_removed_and_what_is_in_use_or_of_others_stays() {
        let above = tempfile::tempdir().unwrap();
        let at = |name: &str| above.path().join(name);
        let pid = std::process::id();
        // Of a living network, though no process has the number in its name.
        let living = Home::temporary(above.path(), u32::MAX).unwrap();
        fs::create_dir(living.path().join("node-1")).unwrap();
        // Of a killed one, though a process has the number: the lock went with who had it.
        let killed = at(&format!("{NAME}{pid}"));
        fs::create_dir_all(killed.join("node-1/control")).unwrap();
        fs::write(killed.join(LOCK), "").unwrap();
        // Killed and living before there was a lock.
        let early = at(&format!("{NAME}{}", u32::MAX - 1));
        fs::create_dir(&early).unwrap();
        let begins = at(&format!("{NAME}1"));
        fs::create_dir(&begins).unwrap();
        // Others.
        let others = [
            at("tribler-rs-testnet-mine"),
            at("something"),
            at(&format!("{NAME}2")),
        ];
        fs::create_dir(&others[0]).unwrap();
        fs::create_dir(&others[1]).unwrap();
        std::os::unix::fs::symlink(&others[1], &others[2]).unwrap();
        fs::write(others[1].join(LOCK), "").unwrap();

        sweep(above.path());
        assert!(!killed.exists() && !early.exists());
        assert!(living.path().join("node-1").exists() && begins.exists());
        assert!(others.iter().all(|path| path.exists()));
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
