//! A file of SQLite. Its tables are those of Torrust's tracker, whose file may be taken over as it is.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use protocol::id::InfoHash;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::database::{
    Change, Database, DatabaseError, Lists, count, hex, moment, parse_hash, parse_key, unix,
};

/// How long it is waited for others who hold the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tables; in `writers` stands which batch of each run was written last.
const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS whitelist (id INTEGER PRIMARY KEY AUTOINCREMENT, info_hash TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS torrents
        (id INTEGER PRIMARY KEY AUTOINCREMENT, info_hash TEXT NOT NULL UNIQUE, completed INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS keys (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, valid_until INTEGER);
    CREATE TABLE IF NOT EXISTS writers (writer TEXT PRIMARY KEY, batch INTEGER NOT NULL);
";

/// A file of SQLite.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    /// This run.
    writer: String,
    /// Tells other trackers that the file is taken.
    _lock: File,
}

impl Sqlite {
    /// Opens a file, and makes it and its folder where they are not there. Until this value goes, no other tracker has it.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let wrong = |path: &Path| {
            let path = path.display().to_string();
            |source| DatabaseError::Folder { path, source }
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(wrong(folder))?;
        }
        let lock = lock(path)?;
        // There are keys in it. What SQLite makes beside it has the same rights.
        private(path).map_err(wrong(path))?;
        // SQLite names the file here.
        let connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        let made = connection.execute_batch(TABLES);
        // The file is of one tracker at a time: what earlier runs wrote last, they will not write again.
        let made = made.and_then(|()| connection.execute("DELETE FROM writers", []));
        made.map_err(|source| DatabaseError::File {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self {
            connection,
            writer: format!("{:032x}", rand::random::<u128>()),
            _lock: lock,
        })
    }
}

/// Takes the file beside that of SQLite, whose own locks hold for as long as a transaction takes: so that people may look into it
/// while a tracker has it.
fn lock(path: &Path) -> Result<File, DatabaseError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = Path::new(&name);
    let told = |source| DatabaseError::Folder {
        path: name.display().to_string(),
        source,
    };
    let file = private(name).map_err(told)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::Taken(path.display().to_string())),
        Err(TryLockError::Error(source)) => Err(told(source)),
    }
}

/// Opens a file; where it is not there, one for its owner alone is made.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}

impl Database for Sqlite {
    fn is_shared(&self) -> bool {
        false
    }

    fn lists(&mut self) -> Result<Lists, DatabaseError> {
        let mut lists = Lists::default();
        let mut query = self.connection.prepare("SELECT info_hash FROM whitelist")?;
        for text in query.query_map([], |row| row.get::<_, String>(0))? {
            lists.torrents.push(parse_hash("whitelist", &text?)?);
        }
        let mut query = self
            .connection
            .prepare("SELECT key, valid_until FROM keys")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        for row in rows {
            let (key, until) = row?;
            lists.keys.push((parse_key(&key)?, unix(until)));
        }
        Ok(lists)
    }

    fn completed(&mut self, each: &mut dyn FnMut(InfoHash, u32)) -> Result<(), DatabaseError> {
        let text = "SELECT info_hash, completed FROM torrents WHERE completed > 0";
        let mut query = self.connection.prepare(text)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let hash = parse_hash("torrents", row.get_ref(0)?.as_str().unwrap_or_default())?;
            each(hash, count(row.get(1)?));
        }
        Ok(())
    }

    fn add_completed(
        &mut self,
        batch: u64,
        completions: &[(InfoHash, u32)],
        each: &mut dyn FnMut(InfoHash, u32),
    ) -> Result<(), DatabaseError> {
        let all = self.connection.transaction()?;
        if !notes_batch(&all, &self.writer, batch)? {
            return Ok(());
        }
        let mut sums = Vec::with_capacity(completions.len());
        {
            let mut add = all.prepare(
                "INSERT INTO torrents (info_hash, completed) VALUES (?1, ?2) ON CONFLICT (info_hash) \
                 DO UPDATE SET completed = completed + excluded.completed RETURNING completed",
            )?;
            for (hash, completed) in completions {
                let sum = add.query_row(params![hex(hash), completed], |row| row.get(0))?;
                sums.push((*hash, count(sum)));
            }
        }
        all.commit()?;
        for (hash, sum) in sums {
            each(hash, sum);
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<bool, DatabaseError> {
        let db = &self.connection;
        let changed = match change {
            Change::List(hash) => db.execute(
                "INSERT INTO whitelist (info_hash) VALUES (?1) ON CONFLICT (info_hash) DO NOTHING",
                [hex(hash)],
            )?,
            Change::Unlist(hash) => {
                db.execute("DELETE FROM whitelist WHERE info_hash = ?1", [hex(hash)])?
            }
            Change::AddKey(key, until) => {
                let known = "SELECT 1 FROM keys WHERE key = ?1";
                let known = db.query_row(known, [key.as_str()], |_| Ok(())).optional()?;
                db.execute(
                    "INSERT INTO keys (key, valid_until) VALUES (?1, ?2) ON CONFLICT (key) \
                     DO UPDATE SET valid_until = excluded.valid_until",
                    params![key.as_str(), moment(*until)],
                )?;
                usize::from(known.is_none())
            }
            Change::RemoveKey(key) => {
                db.execute("DELETE FROM keys WHERE key = ?1", [key.as_str()])?
            }
        };
        Ok(changed > 0)
    }
}

/// Notes that a batch is written; `false` where it was already.
fn notes_batch(all: &Transaction<'_>, writer: &str, batch: u64) -> Result<bool, DatabaseError> {
    let batch = i64::try_from(batch).unwrap_or(i64::MAX);
    let text = "SELECT batch FROM writers WHERE writer = ?1";
    let last = all.query_row(text, [writer], |row| row.get::<_, i64>(0));
    if last.optional()?.is_some_and(|last| last >= batch) {
        return Ok(false);
    }
    all.execute(
        "INSERT INTO writers (writer, batch) VALUES (?1, ?2) ON CONFLICT (writer) \
         DO UPDATE SET batch = excluded.batch",
        params![writer, batch],
    )?;
    Ok(true)
}
