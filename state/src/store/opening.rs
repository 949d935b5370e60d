//! How a store is opened, made, and replaced by its previous generation.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use redb::{Builder, Durability, ReadableTable as _, StorageBackend};

use super::guard::{Held, guarded};
use super::{DAMAGED, FILE, NEW, NEW_PREVIOUS, PREVIOUS, Store, careful};
use crate::error::{Damage, StateError};
use crate::medium::Medium;
use crate::tables::{
    BY_HASH, BY_KEY, BY_NAME, META, META_GENERATION, META_NEXT, META_SCHEMA, SCHEMA, TORRENTS,
};

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Bytes of pages that are kept in memory.
    pub cache: usize,
    /// A file of at most so many bytes is read whole when it is opened, and all its checksums are compared; of a longer one
    /// only what a start needs is read, the short records of all torrents. What else is damaged is noticed when it is read.
    pub check_up_to: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cache: 2 << 20,
            check_up_to: 16 << 20,
        }
    }
}

/// What was found where the store belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// The store.
    Ready,
    /// Nothing: it was made.
    Made,
    /// A store that could not be read. It was put aside, and the previous generation has taken its place: what has happened
    /// since that was made is forgotten.
    Previous {
        /// Why; `None` if there was no store, only the previous generation.
        why: Option<Damage>,
        /// Where the unreadable one is now.
        aside: Option<PathBuf>,
        /// When the previous generation was made: seconds since 1970.
        made: i64,
    },
    /// A store that could not be read, nor could the previous generation. It was put aside and a new one made.
    Lost {
        /// Why.
        why: Damage,
        /// Where the unreadable one is now.
        aside: PathBuf,
    },
}

impl Store {
    /// Opens the store in a folder; where there is none, it is made. What is left of an interrupted start is cleared away.
    ///
    /// # Errors
    /// [`StateError::InUse`] where another process has it open, [`StateError::Newer`] for one of a later version of this
    /// program, [`StateError::Io`] where the system fails. A damaged store is no error: [`Opening`] tells of it.
    pub fn open(
        medium: Arc<dyn Medium>,
        options: OpenOptions,
    ) -> Result<(Self, Opening), StateError> {
        let place = Place {
            medium: &*medium,
            options,
        };
        let lock = place.lock()?;
        for left in [NEW, NEW_PREVIOUS] {
            place.remove(left)?;
        }
        let (db, opening) = match place.open(FILE) {
            Ok(Some(db)) => (db, Opening::Ready),
            Ok(None) => place.begin()?,
            Err(StateError::Damaged { what, .. }) => place.fall_back(what)?,
            Err(error) => return Err(error),
        };
        let store = Self { db, medium, lock };
        Ok((store, opening))
    }
}

impl Store {
    /// Opens the store in a folder, and neither makes nor replaces it.
    ///
    /// # Errors
    /// As [`open`](Self::open), [`StateError::Damaged`], and [`StateError::Absent`].
    pub fn open_as_it_is(
        medium: Arc<dyn Medium>,
        options: OpenOptions,
    ) -> Result<Self, StateError> {
        let place = Place {
            medium: &*medium,
            options,
        };
        let lock = place.lock()?;
        let db = place.reopen()?;
        Ok(Self { db, medium, lock })
    }
}

/// A folder, and how stores in it are opened.
pub(super) struct Place<'a> {
    pub(super) medium: &'a dyn Medium,
    pub(super) options: OpenOptions,
}

impl Place<'_> {
    pub(super) fn lock(&self) -> Result<Box<dyn fmt::Debug + Send + Sync>, StateError> {
        let path = || self.medium.path(FILE);
        let locked = self.medium.lock();
        let locked = locked.map_err(|source| StateError::Io {
            path: path(),
            source,
        })?;
        locked.ok_or_else(|| StateError::InUse { path: path() })
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), StateError> {
        let removed = self.medium.remove(name);
        removed.map_err(|source| self.io(name, source))
    }

    pub(super) fn io(&self, name: &str, source: std::io::Error) -> StateError {
        StateError::Io {
            path: self.medium.path(name),
            source,
        }
    }

    /// Opens a store that was made; `None` if it is not there.
    pub(super) fn open(&self, name: &str) -> Result<Option<Held>, StateError> {
        let file = self.medium.open(name);
        let Some(file) = file.map_err(|source| self.io(name, source))? else {
            return Ok(None);
        };
        let damaged = |what| StateError::Damaged {
            path: self.medium.path(name),
            what,
        };
        let len = file.len().map_err(|source| self.io(name, source))?;
        if len == 0 {
            return Err(damaged(Damage::Foreign));
        }
        let db = self.start(name, file, len <= self.options.check_up_to)?;
        let schema = || -> Result<Option<u64>, redb::Error> {
            let txn = db.begin_read()?;
            for row in txn.open_table(TORRENTS)?.iter()? {
                row?;
            }
            let table = txn.open_table(META)?;
            Ok(table.get(META_SCHEMA)?.map(|schema| schema.value()))
        };
        let schema = guarded(schema).map_err(|error| error.about(self.medium.path(name)))?;
        match schema.and_then(|schema| u32::try_from(schema).ok()) {
            Some(found) if found > SCHEMA => Err(StateError::Newer {
                path: self.medium.path(name),
                found,
                known: SCHEMA,
            }),
            Some(1..) => Ok(Some(db)),
            Some(0) | None => Err(damaged(Damage::Foreign)),
        }
    }

    /// Makes an empty store under a name.
    pub(super) fn create(&self, name: &str) -> Result<Held, StateError> {
        let file = self.medium.create(name);
        let file = file.map_err(|source| self.io(name, source))?;
        let db = self.start(name, file, false)?;
        let fill = || -> Result<(), redb::Error> {
            let mut txn = db.begin_write()?;
            careful(&mut txn);
            txn.set_durability(Durability::Immediate)?;
            for table in BY_KEY {
                txn.open_table(table)?;
            }
            for table in BY_HASH {
                txn.open_table(table)?;
            }
            for table in BY_NAME {
                txn.open_table(table)?;
            }
            let mut meta = txn.open_table(META)?;
            meta.insert(META_SCHEMA, u64::from(SCHEMA))?;
            meta.insert(META_NEXT, 1)?;
            drop(meta);
            Ok(txn.commit()?)
        };
        guarded(fill).map_err(|error| error.about(self.medium.path(name)))?;
        Ok(db)
    }

    /// Closes a store and gives it its name.
    pub(super) fn put(&self, db: Held, from: &str, to: &str) -> Result<(), StateError> {
        db.close(self.medium.path(from))?;
        self.rename(from, to)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), StateError> {
        let renamed = self.medium.rename(from, to);
        renamed
            .and_then(|()| self.medium.sync())
            .map_err(|source| self.io(to, source))
    }

    fn start(
        &self,
        name: &str,
        file: Box<dyn StorageBackend>,
        check: bool,
    ) -> Result<Held, StateError> {
        let build = || {
            let mut builder = Builder::new();
            builder.set_cache_size(self.options.cache);
            builder.set_check_integrity_on_open(check);
            builder.create_with_backend(Boxed(file)).map(Held::new)
        };
        guarded(build).map_err(|error| error.about(self.medium.path(name)))
    }

    /// Makes the store, or takes what the previous generation has where a fall back to it was interrupted.
    fn begin(&self) -> Result<(Held, Opening), StateError> {
        let Some(made) = self.copy_previous()? else {
            return Ok((self.make()?, Opening::Made));
        };
        self.rename(NEW, FILE)?;
        let opening = Opening::Previous {
            why: None,
            aside: None,
            made,
        };
        Ok((self.reopen()?, opening))
    }

    fn fall_back(&self, why: Damage) -> Result<(Held, Opening), StateError> {
        let previous = self.copy_previous()?;
        self.rename(FILE, DAMAGED)?;
        let aside = self.medium.path(DAMAGED);
        let Some(made) = previous else {
            return Ok((self.make()?, Opening::Lost { why, aside }));
        };
        self.rename(NEW, FILE)?;
        let opening = Opening::Previous {
            why: Some(why),
            aside: Some(aside),
            made,
        };
        Ok((self.reopen()?, opening))
    }

    fn make(&self) -> Result<Held, StateError> {
        self.put(self.create(NEW)?, NEW, FILE)?;
        self.reopen()
    }

    fn reopen(&self) -> Result<Held, StateError> {
        self.open(FILE)?.ok_or_else(|| StateError::Absent {
            path: self.medium.path(FILE),
        })
    }

    /// Copies the previous generation to [`NEW`] and says when it was made; `None` if there is none that can be read.
    pub(super) fn copy_previous(&self) -> Result<Option<i64>, StateError> {
        let file = self.medium.open(PREVIOUS);
        let Some(from) = file.map_err(|source| self.io(PREVIOUS, source))? else {
            return Ok(None);
        };
        match self.copy_file(&*from, NEW) {
            Ok(made) => Ok(Some(made)),
            Err(StateError::Damaged { what, .. }) => {
                tracing::warn!(path = %self.medium.path(PREVIOUS).display(), %what, "the previous generation cannot be read");
                self.remove(NEW)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Copies a closed store, checks all of the copy, and says when it was made.
    pub(super) fn copy_file(
        &self,
        from: &dyn StorageBackend,
        name: &str,
    ) -> Result<i64, StateError> {
        let copy = || {
            let to = self.medium.create(name)?;
            let len = from.len()?;
            to.set_len(len)?;
            let mut buffer = vec![0; COPY];
            let mut at = 0;
            while at < len {
                let take = (len - at).min(COPY as u64) as usize;
                let part = buffer.get_mut(..take).unwrap_or_default();
                from.read(at, part)?;
                to.write(at, part)?;
                at += take as u64;
            }
            to.sync_data()?;
            to.close()
        };
        copy().map_err(|source: std::io::Error| self.io(name, source))?;
        let whole = Place {
            medium: self.medium,
            options: OpenOptions {
                check_up_to: u64::MAX,
                ..self.options
            },
        };
        let absent = || StateError::Absent {
            path: self.medium.path(name),
        };
        let db = whole.open(name)?.ok_or_else(absent)?;
        let made = || -> Result<i64, redb::Error> {
            let table = db.begin_read()?.open_table(META)?;
            let made = table.get(META_GENERATION)?.map(|made| made.value());
            Ok(made.map_or(0, |made| i64::try_from(made).unwrap_or(0)))
        };
        let made = guarded(made).map_err(|error| error.about(self.medium.path(name)))?;
        db.close(self.medium.path(name))?;
        Ok(made)
    }
}

/// Bytes that are copied at a time.
const COPY: usize = 1 << 20;

/// A file behind a pointer.
#[derive(Debug)]
struct Boxed(Box<dyn StorageBackend>);

impl StorageBackend for Boxed {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> std::io::Result<()> {
        self.0.close()
    }
}
