//! Copies of the store: the previous generation, backups, and what is made of these.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use super::guard::{Held, guarded};
use super::opening::Place;
use super::{FILE, NEW_PREVIOUS, OpenOptions, PREVIOUS, Store, careful};
use crate::error::StateError;
use crate::medium::{Medium, split};
use crate::tables::{BY_HASH, BY_KEY, BY_NAME, META, META_GENERATION};

impl Store {
    /// When the previous generation was made: seconds since 1970; `None` if none was.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn generation(&self) -> Result<Option<i64>, StateError> {
        let made = self.meta(META_GENERATION)?;
        Ok(made.and_then(|made| i64::try_from(made).ok()))
    }

    /// Makes what is in the store now the previous generation; `now` is seconds since 1970. Others may read and write
    /// meanwhile; whatever happens, either the old generation or this one is there afterwards. It is given up, with `false`,
    /// once `stop` is set.
    ///
    /// # Errors
    /// [`StateError`]; the old generation stays as it is then.
    pub fn save_generation(&self, now: i64, stop: &AtomicBool) -> Result<bool, StateError> {
        let place = copying(&*self.medium);
        if !self.copy(&place, (NEW_PREVIOUS, PREVIOUS), now, stop)? {
            return Ok(false);
        }
        self.guard(|| {
            let mut txn = self.db.begin_write()?;
            careful(&mut txn);
            let mut meta = txn.open_table(META)?;
            meta.insert(META_GENERATION, now.unsigned_abs())?;
            drop(meta);
            Ok(txn.commit()?)
        })?;
        Ok(true)
    }

    /// Writes all that is in the store to a file of its own, which [`restore`](super::restore) makes a store of again; `now` is seconds since
    /// 1970. Others may read and write meanwhile. A file that has that name already is replaced once all is written.
    ///
    /// # Errors
    /// [`StateError::Living`] for the store's own files, and others; what has that name stays as it is then.
    pub fn backup(&self, to: &Path, now: i64) -> Result<(), StateError> {
        let io = |source| StateError::Io {
            path: to.to_path_buf(),
            source,
        };
        let (folder, name) = split(to).map_err(io)?;
        let mut own = [FILE, PREVIOUS]
            .map(|file| self.medium.path(file))
            .into_iter();
        if let Some(path) = own.find(|own| same(to, own)) {
            return Err(StateError::Living { path });
        }
        let new = format!(".{name}.unfinished");
        self.copy(
            &copying(&folder),
            (&new, name),
            now,
            &AtomicBool::new(false),
        )?;
        Ok(())
    }

    fn copy(
        &self,
        place: &Place<'_>,
        (new, name): (&str, &str),
        now: i64,
        stop: &AtomicBool,
    ) -> Result<bool, StateError> {
        let db = place.create(new)?;
        let from = self.begin_read()?;
        let filled = guarded(|| fill(&db, &from, now, stop));
        // Which of the two files an error is about is not told; the one that is written to is the likelier.
        let filled = filled.map_err(|error| error.about(place.medium.path(new)));
        let put = match filled {
            Ok(true) => place.put(db, new, name).map(|()| true),
            other => {
                drop(db);
                other
            }
        };
        if !matches!(put, Ok(true))
            && let Err(error) = place.remove(new)
        {
            tracing::debug!(%error, "an unfinished copy stays");
        }
        put
    }
}

/// Whether both lead to one file that is there.
fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Bytes of pages that are kept in memory while a copy is written.
const COPY_CACHE: usize = 4 << 20;

fn copying(medium: &dyn Medium) -> Place<'_> {
    Place {
        medium,
        options: OpenOptions {
            cache: COPY_CACHE,
            ..OpenOptions::default()
        },
    }
}

/// Says whether it came to the end.
fn fill(
    db: &Held,
    from: &ReadTransaction,
    now: i64,
    stop: &AtomicBool,
) -> Result<bool, redb::Error> {
    let mut txn = db.begin_write()?;
    careful(&mut txn);
    for table in BY_KEY {
        copy_table(&txn, from, table, stop)?;
    }
    for table in BY_HASH {
        copy_table(&txn, from, table, stop)?;
    }
    for table in BY_NAME {
        copy_table(&txn, from, table, stop)?;
    }
    copy_table(&txn, from, META, stop)?;
    if stop.load(Ordering::Relaxed) {
        txn.abort()?;
        return Ok(false);
    }
    let mut meta = txn.open_table(META)?;
    meta.insert(META_GENERATION, now.unsigned_abs())?;
    drop(meta);
    txn.commit()?;
    Ok(true)
}

fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    txn: &WriteTransaction,
    from: &ReadTransaction,
    definition: TableDefinition<'static, K, V>,
    stop: &AtomicBool,
) -> Result<(), redb::Error> {
    let mut to = txn.open_table(definition)?;
    for row in from.open_table(definition)?.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}
