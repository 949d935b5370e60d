//! What a tracker keeps: its list of torrents, its keys, and how often torrents were completed.
//!
//! One thread talks to the database, and nobody who answers clients ever waits for it: completions are counted in memory and
//! written behind, in batches that are tried again until they are written, each once. What is changed by people is written first
//! and holds then.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::id::InfoHash;
use tokio::sync::oneshot;

mod database;
mod list_file;
mod none;
mod postgres;
mod sqlite;
mod state;
#[cfg(test)]
mod tests;
mod writer;

pub use database::{Change, Database, DatabaseError, Lists};
pub use list_file::{ListFileError, read_list};
pub use none::Nothing;
pub use postgres::{Postgres, TlsError, WordsError};
pub use sqlite::Sqlite;
pub use state::{StoreCounts, StoreState};

use crate::access::{Key, Unix};
use crate::core::Core;
use crate::settings::{DatabaseKind, Settings};
use writer::{Pace, Writer};

/// Orders that wait for the database.
const QUEUE: usize = 256;

/// How long a start waits for what is kept; after that it comes when it comes.
const FIRST: Duration = Duration::from_secs(10);

/// How long whoever changes something waits for the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a tracker keeps. The thread ends with this value, after what was not written yet has been tried once more.
#[derive(Debug)]
pub struct Store {
    orders: SyncSender<Order>,
    state: Arc<StoreState>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database cannot be used.
    #[error("the database: {0}")]
    Database(#[from] DatabaseError),
    /// The file with a list of torrents.
    #[error("access.list_file: {0}")]
    ListFile(#[from] ListFileError),
    /// There is no thread for it.
    #[error("a thread for the database: {0}")]
    Thread(io::Error),
}

/// Why something was not changed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Too many wait for the database, or it does not answer.
    #[error("the database does not answer")]
    Busy,
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The file with a list of torrents.
    #[error("access.list_file: {0}")]
    ListFile(#[from] ListFileError),
    /// The tracker ends.
    #[error("the tracker ends")]
    Ended,
}

/// What the thread is told to do, and whom it tells what came of it.
#[derive(Debug)]
enum Order {
    Change(Change, oneshot::Sender<Result<bool, StoreError>>),
    Reload(oneshot::Sender<Result<(), StoreError>>),
    /// Writes all completions that there are.
    Write(oneshot::Sender<Result<(), StoreError>>),
    Pace(Pace),
    End,
}

impl Store {
    /// Opens what the settings name, and takes over what is kept there: relative paths begin at `folder`. It waits up to ten
    /// seconds for that; a server that cannot be reached is asked again later.
    ///
    /// # Errors
    /// [`OpenError`]; not where a server cannot be reached.
    pub fn open(settings: &Settings, folder: &Path, core: &Arc<Core>) -> Result<Self, OpenError> {
        let database: Box<dyn Database> = match settings.database.kind {
            DatabaseKind::None => Box::new(Nothing::default()),
            DatabaseKind::Sqlite => Box::new(Sqlite::open(&folder.join(&settings.database.path))?),
            DatabaseKind::PostgreSql => Box::new(Postgres::new(&settings.database.url.0)?),
        };
        Self::with(database, settings, core)
    }

    /// Whether the files that the settings name can be read, and the URL of a server be understood; a file of SQLite is not opened.
    ///
    /// # Errors
    /// [`OpenError`] of the first problem.
    pub fn check(settings: &Settings) -> Result<(), OpenError> {
        if let Some(path) = &settings.access.list_file {
            read_list(path)?;
        }
        if settings.database.kind == DatabaseKind::PostgreSql {
            Postgres::new(&settings.database.url.0)?;
        }
        Ok(())
    }

    /// The same as [`open`](Self::open) with a database of one's own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with(
        database: Box<dyn Database>,
        settings: &Settings,
        core: &Arc<Core>,
    ) -> Result<Self, OpenError> {
        let (orders, queue) = sync_channel(QUEUE);
        let state = Arc::<StoreState>::default();
        let pace = Pace::of(settings);
        let mut writer = Writer::new(database, Arc::clone(core), Arc::clone(&state), pace);
        let (told, first) = sync_channel(1);
        let thread = std::thread::Builder::new().name("tracker-store".to_owned());
        let thread = thread.spawn(move || {
            let _ = told.send(writer.load());
            writer.run(&queue);
        });
        let store = Self {
            orders,
            state,
            thread: Some(thread.map_err(OpenError::Thread)?),
        };
        match first.recv_timeout(FIRST) {
            Ok(Err(StoreError::Database(error))) if !error.is_passing() => Err(error.into()),
            Ok(Err(StoreError::ListFile(error))) => Err(error.into()),
            Ok(Err(error)) => {
                tracing::error!(%error, "what is kept is not known yet; it is asked for again");
                Ok(store)
            }
            Ok(Ok(())) => Ok(store),
            Err(_) => {
                tracing::warn!("what is kept takes long to be read");
                Ok(store)
            }
        }
    }

    /// Whoever wants to know how it stands.
    pub const fn state(&self) -> &Arc<StoreState> {
        &self.state
    }

    /// A way to give orders that may be handed on.
    pub fn orders(&self) -> StoreOrders {
        StoreOrders {
            orders: self.orders.clone(),
        }
    }

    /// How often it writes and reads from now on, and where the list lies in a file.
    ///
    /// # Errors
    /// [`StoreError`] where too many orders wait; nothing is changed then.
    pub fn set_pace(&self, settings: &Settings) -> Result<(), StoreError> {
        let told = self.orders.try_send(Order::Pace(Pace::of(settings)));
        told.map_err(|error| unsent(&error))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever waits in the queue is answered first.
        let _ = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the database has failed");
        }
    }
}

/// Gives orders to a [`Store`].
#[derive(Clone, Debug)]
pub struct StoreOrders {
    orders: SyncSender<Order>,
}

impl StoreOrders {
    /// Puts a torrent on the list; tells whether it was not there.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then, unless the database was at it and did it after all.
    pub async fn list(&self, info_hash: InfoHash) -> Result<bool, StoreError> {
        self.change(Change::List(info_hash)).await
    }

    /// Takes a torrent from the list; tells whether it was there.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn unlist(&self, info_hash: InfoHash) -> Result<bool, StoreError> {
        self.change(Change::Unlist(info_hash)).await
    }

    /// Makes a key good until the end of a second, or for ever; tells whether it was not known.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn add_key(&self, key: Key, until: Option<Unix>) -> Result<bool, StoreError> {
        self.change(Change::AddKey(key, until)).await
    }

    /// Makes a key bad; tells whether it was known.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn remove_key(&self, key: Key) -> Result<bool, StoreError> {
        self.change(Change::RemoveKey(key)).await
    }

    /// Reads lists and keys again.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn reload(&self) -> Result<(), StoreError> {
        self.ask(Order::Reload).await
    }

    /// Writes all completions that there are now.
    ///
    /// # Errors
    /// As [`list`](Self::list); none is lost, they are written later.
    pub async fn write(&self) -> Result<(), StoreError> {
        self.ask(Order::Write).await
    }

    async fn change(&self, change: Change) -> Result<bool, StoreError> {
        self.ask(|told| Order::Change(change, told)).await
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Order,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let sent = self.orders.try_send(order(tell));
        sent.map_err(|error| unsent(&error))?;
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Ended),
            Err(_) => Err(StoreError::Busy),
        }
    }
}

/// Why an order is not taken.
const fn unsent(error: &TrySendError<Order>) -> StoreError {
    match error {
        TrySendError::Full(_) => StoreError::Busy,
        TrySendError::Disconnected(_) => StoreError::Ended,
    }
}
