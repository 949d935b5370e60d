//! Identities in files, each of one process at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use overlay::key::{FileError, SecretKey, load, load_or_generate};

use crate::failure::{Failure, reason};

/// Bits of a file's mode that let others than its owner at it.
const OTHERS: u32 = 0o077;

/// How often it is begun anew where another process has just put another file in the place.
const TRIES: usize = 3;

/// An identity; one of a file is kept from other processes until this is gone.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The identity.
    pub(crate) key: SecretKey,
    /// The file, locked.
    _held: Option<File>,
}

impl Identity {
    /// A new one that is kept nowhere.
    pub(crate) fn generate() -> Self {
        Self {
            key: SecretKey::generate(&mut rand::rng()),
            _held: None,
        }
    }
}

/// The identity in a file, which is made where it is not there.
///
/// # Errors
/// [`Failure`] where the file cannot be read or written, holds something else, can be read by others (as `ssh` judges keys:
/// only of its owner that is asked), or is the identity of another process that runs.
pub(crate) fn identity_of(file: &Path) -> Result<Identity, Failure> {
    let wrong = |error: FileError| {
        if let FileError::Io(error) = &error {
            return Failure::on_file(file, error);
        }
        Failure::Failed(format!("{}: {error}", file.display()))
    };
    let on = |error: io::Error| Failure::on_file(file, &error);
    load_or_generate(file, &mut rand::rng()).map_err(wrong)?;
    for _ in 0..TRIES {
        let held = File::open(file).map_err(on)?;
        hold(&held, file)?;
        // Who had no file either may have put another one here before this one was locked.
        let (ours, there) = (held.metadata(), std::fs::metadata(file));
        let (ours, there) = (ours.map_err(on)?, there.map_err(on)?);
        if ours.ino() != there.ino() {
            continue;
        }
        must_be_private(&held, file)?;
        return Ok(Identity {
            key: load(file).map_err(wrong)?,
            _held: Some(held),
        });
    }
    Err(Failure::Failed(format!(
        "{}: other processes change it all the time",
        file.display()
    )))
}

/// Refuses a secret of ours that others can read or change, as `ssh` does.
///
/// # Errors
/// [`Failure::Failed`] where they can, or the system does not tell.
pub(super) fn must_be_private(open: &File, file: &Path) -> Result<(), Failure> {
    let meta = open
        .metadata()
        .map_err(|error| Failure::on_file(file, &error))?;
    let mode = meta.mode() & 0o777;
    // What belongs to somebody else, as what a service manager lends, is in their care.
    if mode & OTHERS == 0 || meta.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let path = file.display();
    Err(Failure::Failed(format!(
        "{path}: others can read or change this secret (mode {mode:04o}), so it is not used; `chmod 600 {path}` mends that"
    )))
}

/// Locks a file.
fn hold(open: &File, file: &Path) -> Result<(), Failure> {
    match open.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let who = holder(open).map_or_else(
                || "another process".to_owned(),
                |pid| format!("the process with id {pid}"),
            );
            Err(Failure::Failed(format!(
                "{}: {who} has this identity already; give each a --state or an --overlay-key of its own",
                file.display()
            )))
        }
        Err(TryLockError::Error(error)) => Err(Failure::Failed(format!(
            "{}: cannot be locked: {}",
            file.display(),
            reason(&error)
        ))),
    }
}

/// Who has locked a file, as far as the system tells.
fn holder(open: &File) -> Option<u32> {
    let inode = open.metadata().ok()?.ino();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_in(line, inode))
}

/// The process in a line of `/proc/locks`, where the line is about the lock of this file:
/// `1: FLOCK  ADVISORY  WRITE 4242 fe:00:131 0 EOF`.
fn holder_in(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let mut words = words.skip(2);
    let pid: u32 = words.next()?.parse().ok()?;
    let of = words.next()?.rsplit(':').next()?;
    (of.parse() == Ok(inode) && pid != 0).then_some(pid)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_identity_is_of_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.key");
        let first = identity_of(&file).unwrap();
        let refused = identity_of(&file).unwrap_err().to_string();
        // Of a file system that tells inodes otherwise than the list of locks the number is not known.
        let pid = format!("the process with id {} has", std::process::id());
        let told = refused.contains(&pid) || refused.contains("another process has");
        assert!(told, "{refused}");
        let public = first.key.public().clone();
        drop(first);
        assert_eq!(*identity_of(&file).unwrap().key.public(), public);
    }

    #[test]
    fn the_process_that_holds_a_lock_is_read_from_the_list() {
        let line = "12: FLOCK  ADVISORY  WRITE 4242 fe:00:131 0 EOF";
        assert_eq!(holder_in(line, 131), Some(4242));
        assert_eq!(holder_in(line, 132), None);
        for other in [
            "",
            "3:",
            "3: -> FLOCK  ADVISORY  WRITE 7 fe:00:131 0 EOF",
            "3: POSIX  ADVISORY  WRITE 7 fe:00:131 0 EOF",
            "3: FLOCK  ADVISORY  WRITE 0 fe:00:131 0 EOF",
            "3: FLOCK  ADVISORY  WRITE",
        ] {
            assert_eq!(holder_in(other, 131), None, "{other}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.key");
        drop(identity_of(&file).unwrap());
        for (mode, good) in [
            (0o644, false),
            (0o660, false),
            (0o601, false),
            (0o400, true),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            match identity_of(&file) {
                Ok(_) => assert!(good, "{mode:o}"),
                Err(why) => {
                    let why = why.to_string();
                    assert!(!good && why.contains("chmod 600"), "{why}");
                    assert!(why.contains(&format!("mode {mode:04o}")), "{why}");
                }
            }
        }
    }
}
