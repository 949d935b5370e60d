//! What is done with the database, and survives it: redb takes what it finds in a file that was closed cleanly as its own, and may
//! panic over what is not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use redb::{Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};

use crate::error::{Damage, StateError, from_redb};

/// Why something was not done.
pub(super) enum Failed<E> {
    With(E),
    Panicked,
}

/// Does something with the database.
pub(super) fn guarded<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<T, Failed<E>> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failed::With),
        Err(_) => Err(Failed::Panicked),
    }
}

impl<E: Into<redb::Error>> Failed<E> {
    /// The error, with the file that it is about.
    pub(super) fn about(self, path: PathBuf) -> StateError {
        match self {
            Self::With(error) => from_redb(path, error),
            Self::Panicked => StateError::Damaged {
                path,
                what: Damage::Structure("it could not be made sense of".to_owned()),
            },
        }
    }
}

/// A database that is closed without a panic.
pub(super) struct Held(Option<Database>);

impl Held {
    pub(super) const fn new(db: Database) -> Self {
        Self(Some(db))
    }

    fn get(&self) -> Result<&Database, redb::Error> {
        self.0.as_ref().ok_or(redb::Error::DatabaseClosed)
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        Ok(self.get()?.begin_read()?)
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        Ok(self.get()?.begin_write()?)
    }

    pub(super) fn compact(&mut self) -> Result<bool, redb::Error> {
        let db = self.0.as_mut().ok_or(redb::Error::DatabaseClosed)?;
        Ok(db.compact()?)
    }

    pub(super) fn close(mut self, path: PathBuf) -> Result<(), StateError> {
        let Some(db) = self.0.take() else {
            return Ok(());
        };
        guarded(|| db.close()).map_err(|error| error.about(path))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let db = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::warn!("a damaged store could not be closed in order");
        }
    }
}
