//! Making a store of a backup, where there is none or in place of one.

use std::path::{Path, PathBuf};

use super::opening::Place;
use super::{FILE, NEW, OpenOptions, PREVIOUS, REPLACED};
use crate::error::StateError;
use crate::medium::{Folder, Medium, split};

/// Makes a store in `dir` of a backup, which is read and checked whole first and stays as it is.
///
/// # Errors
/// [`StateError::Living`] where there is a store already: it is not touched. [`StateError::Absent`],
/// [`StateError::Damaged`] and [`StateError::Newer`] say what is wrong with the backup, [`StateError::InUse`] that another
/// process is at work there.
pub fn restore(backup: &Path, dir: &Path) -> Result<(), StateError> {
    let medium = Folder::new(dir.to_path_buf());
    let place = place(&medium);
    let lock = place.lock()?;
    for living in [FILE, PREVIOUS] {
        if is_there(&place, living)? {
            return Err(StateError::Living {
                path: medium.path(living),
            });
        }
    }
    let put = copy_in(&place, backup).and_then(|()| place.rename(NEW, FILE));
    clear_away(&place, &put);
    drop(lock);
    put
}

/// As [`restore`], in place of the store that is in `dir`: that is put aside, and its new path returned; `None` if there was
/// none. The backup becomes the previous generation as well. Whatever happens meanwhile, the store that is opened next is
/// the old one or that of the backup.
///
/// # Errors
/// As there, but for [`StateError::Living`].
pub fn replace(backup: &Path, dir: &Path) -> Result<Option<PathBuf>, StateError> {
    replace_in(backup, &Folder::new(dir.to_path_buf()))
}

pub(super) fn replace_in(
    backup: &Path,
    medium: &dyn Medium,
) -> Result<Option<PathBuf>, StateError> {
    let place = place(medium);
    let lock = place.lock()?;
    let put = put_in_place(&place, backup);
    clear_away(&place, &put);
    drop(lock);
    put
}

fn put_in_place(place: &Place<'_>, backup: &Path) -> Result<Option<PathBuf>, StateError> {
    copy_in(place, backup)?;
    // From here on a missing store is made of the backup.
    place.rename(NEW, PREVIOUS)?;
    let aside = is_there(place, FILE)?;
    if aside {
        place.rename(FILE, REPLACED)?;
    }
    place.copy_previous()?;
    place.rename(NEW, FILE)?;
    Ok(aside.then(|| place.medium.path(REPLACED)))
}

fn place(medium: &dyn Medium) -> Place<'_> {
    Place {
        medium,
        options: OpenOptions::default(),
    }
}

fn is_there(place: &Place<'_>, name: &str) -> Result<bool, StateError> {
    let file = place.medium.open(name);
    Ok(file.map_err(|source| place.io(name, source))?.is_some())
}

/// Copies a backup to [`NEW`], and checks all of it.
fn copy_in(place: &Place<'_>, backup: &Path) -> Result<(), StateError> {
    let at = |source| StateError::Io {
        path: backup.to_path_buf(),
        source,
    };
    let (folder, name) = split(backup).map_err(at)?;
    let from = folder.open_to_read(name).map_err(at)?;
    let from = from.ok_or_else(|| StateError::Absent {
        path: backup.to_path_buf(),
    })?;
    let copied = place.copy_file(&*from, NEW);
    copied
        .map(|_| ())
        .map_err(|error| about(error, backup.to_path_buf()))
}

/// Removes a copy that was not put to its place.
fn clear_away<T>(place: &Place<'_>, put: &Result<T, StateError>) {
    if put.is_err()
        && let Err(error) = place.remove(NEW)
    {
        tracing::debug!(%error, "an unfinished copy stays");
    }
}

/// What is wrong with the copy of a file is wrong with the file.
fn about(error: StateError, path: PathBuf) -> StateError {
    if let StateError::Damaged { what, .. } = error {
        return StateError::Damaged { path, what };
    }
    if let StateError::Newer { found, known, .. } = error {
        return StateError::Newer { path, found, known };
    }
    error
}
