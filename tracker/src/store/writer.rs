//! The thread that talks to the database.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use protocol::id::InfoHash;

use super::database::{Change, Database, DatabaseError};
use super::list_file::read_list;
use super::state::StoreState;
use super::{Order, StoreError};
use crate::core::Core;
use crate::settings::Settings;

/// Torrents of one batch, or somewhat more.
const BATCH: usize = 10_000;

/// The shortest and the longest pause after the database has failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// How often it is written and read, and where the list lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    write: Duration,
    reload: Option<Duration>,
    list_file: Option<PathBuf>,
    keeps_completed: bool,
}

impl Pace {
    pub(super) fn of(settings: &Settings) -> Self {
        let database = &settings.database;
        let reload = Duration::from_secs(database.reload_seconds.into());
        Self {
            write: Duration::from_secs(database.write_seconds.max(1).into()),
            reload: Some(reload).filter(|reload| !reload.is_zero()),
            list_file: settings.access.list_file.clone(),
            keeps_completed: settings.keeps_completed(),
        }
    }
}

/// Completions that were taken and are not known to be written.
#[derive(Debug, Default)]
struct Batch {
    number: u64,
    completions: Vec<(InfoHash, u32)>,
}

pub(super) struct Writer {
    database: Box<dyn Database>,
    core: Arc<Core>,
    state: Arc<StoreState>,
    pace: Pace,
    batch: Batch,
    is_loaded: bool,
    /// The list in a file cannot be read, and that was told.
    list_is_stale: bool,
    /// After a failure, until when the database is left alone, and the pause after the next.
    rest: Option<(Instant, Duration)>,
    write_at: Instant,
    reload_at: Instant,
}

impl Writer {
    pub(super) fn new(
        database: Box<dyn Database>,
        core: Arc<Core>,
        state: Arc<StoreState>,
        pace: Pace,
    ) -> Self {
        let now = Instant::now();
        Self {
            database,
            core,
            state,
            batch: Batch::default(),
            is_loaded: false,
            list_is_stale: false,
            rest: None,
            write_at: now + pace.write,
            reload_at: now + pace.reload.unwrap_or_default(),
            pace,
        }
    }

    /// Takes over all that is kept.
    pub(super) fn load(&mut self) -> Result<(), StoreError> {
        let loaded = self.reload().and_then(|()| {
            if self.pace.keeps_completed {
                let swarms = &self.core.swarms;
                let read = self.database.completed(&mut |hash, completed| {
                    swarms.set_completed(hash, completed, true);
                });
                self.look(read)?;
            }
            Ok(())
        });
        if loaded.is_ok() {
            self.is_loaded = true;
            self.state.loaded();
        }
        loaded
    }

    /// Does what it is told and what is due, until it is told to end.
    pub(super) fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            let now = Instant::now();
            let order = match orders.recv_timeout(self.due().saturating_duration_since(now)) {
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
            };
            match order {
                // Whoever has been told that nothing was changed is right.
                Some(Order::Change(_, told)) if told.is_closed() => {}
                Some(Order::Reload(told)) if told.is_closed() => {}
                Some(Order::Change(change, told)) => {
                    let _ = told.send(self.change(change));
                }
                Some(Order::Reload(told)) => {
                    let read = self.reload();
                    self.tell_of_list(&read);
                    let _ = told.send(read);
                }
                Some(Order::Write(told)) => {
                    let _ = told.send(self.write());
                }
                Some(Order::Pace(pace)) => {
                    self.write_at = self.write_at.min(now + pace.write);
                    if let Some(reload) = pace.reload {
                        self.reload_at = now + reload;
                    }
                    self.pace = pace;
                }
                Some(Order::End) | None => {}
            }
            self.look_around();
        }
        // The last try; what fails has been told.
        let _ = self.write();
    }

    /// When there is something to do next.
    fn due(&self) -> Instant {
        let due = match self.pace.reload.filter(|_| self.database.is_shared()) {
            Some(_) => self.write_at.min(self.reload_at),
            None => self.write_at,
        };
        match self.rest {
            Some((until, _)) => due.max(until),
            None => due,
        }
    }

    /// Does what is due, unless the database has to be left alone.
    fn look_around(&mut self) {
        let now = Instant::now();
        if self.rest.is_some_and(|(until, _)| now < until) {
            return;
        }
        if !self.is_loaded {
            let loaded = self.load();
            self.tell_of_list(&loaded);
            // Completions are written whatever has become of a file.
            if !matches!(loaded, Ok(()) | Err(StoreError::ListFile(_))) {
                return;
            }
        }
        if now >= self.write_at {
            self.write_at = now + self.pace.write;
            if self.write().is_err() {
                return;
            }
        }
        let reload = self.pace.reload.filter(|_| self.database.is_shared());
        let is_due = reload.is_some() && now >= self.reload_at;
        // Whether it is back is asked even where there is nothing to write.
        if is_due || self.rest.is_some() {
            self.reload_at = now + reload.unwrap_or_default();
            let read = self.reload();
            self.tell_of_list(&read);
            if let Err(error) = read {
                tracing::debug!(%error, "lists and keys stay what they were");
            }
        }
    }

    /// Tells once that the list in a file cannot be read, and once that it can again.
    fn tell_of_list(&mut self, read: &Result<(), StoreError>) {
        match read {
            Err(StoreError::ListFile(error)) if !self.list_is_stale => {
                tracing::error!(%error, "the list of torrents and the keys stay what they were");
                self.list_is_stale = true;
            }
            Ok(()) if self.list_is_stale => {
                tracing::warn!("the list of torrents can be read again");
                self.list_is_stale = false;
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Writes all completions that there are; those that come meanwhile wait for the next time, so that orders have their turn.
    fn write(&mut self) -> Result<(), StoreError> {
        if !self.pace.keeps_completed {
            return Ok(());
        }
        let mut is_last = false;
        loop {
            if self.batch.completions.is_empty() {
                if is_last {
                    self.state.waits(0);
                    return Ok(());
                }
                self.core
                    .swarms
                    .take_completed(BATCH, &mut self.batch.completions);
                self.batch.number += 1;
                is_last = self.batch.completions.len() < BATCH;
            }
            if self.batch.completions.is_empty() {
                self.state.waits(0);
                return Ok(());
            }
            let Batch {
                number,
                completions,
            } = &self.batch;
            let swarms = &self.core.swarms;
            let written = self
                .database
                .add_completed(*number, completions, &mut |hash, sum| {
                    swarms.set_completed(hash, sum, false);
                });
            let count = completions.iter().map(|(_, count)| u64::from(*count)).sum();
            if let Err(error) = self.look(written) {
                self.state.waits(count);
                return Err(error);
            }
            self.state.wrote(count);
            self.batch.completions.clear();
        }
    }

    /// Reads lists and keys again.
    fn reload(&mut self) -> Result<(), StoreError> {
        let in_file = self.pace.list_file.as_deref().map(read_list).transpose()?;
        let read = self.database.lists();
        let lists = self.look(read)?;
        let in_file = in_file.unwrap_or_default();
        let access = &self.core.access;
        access.replace_list(lists.torrents.into_iter().chain(in_file));
        access.replace_keys(lists.keys);
        tracing::debug!(
            torrents = access.listed(),
            keys = access.keys(),
            "lists were read"
        );
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<bool, StoreError> {
        let written = self.database.change(&change);
        let changed = self.look(written)?;
        let access = &self.core.access;
        match change {
            Change::List(hash) => _ = access.list(hash),
            Change::Unlist(hash) => _ = access.unlist(&hash),
            Change::AddKey(key, until) => access.add_key(key, until),
            Change::RemoveKey(key) => _ = access.remove_key(&key),
        }
        Ok(changed)
    }

    /// Notes whether the database did what it was asked to; each time that it stops or begins to is told once.
    fn look<T>(&mut self, outcome: Result<T, DatabaseError>) -> Result<T, StoreError> {
        match outcome {
            Ok(done) => {
                self.rest = None;
                if self.state.is_back() {
                    tracing::warn!("the database is back");
                }
                Ok(done)
            }
            Err(error) => {
                let pause = self.rest.map_or(PAUSE.0, |(_, next)| next);
                self.rest = Some((Instant::now() + pause, (pause * 2).min(PAUSE.1)));
                // What was due is tried as soon as the pause is over.
                self.write_at = self.write_at.min(Instant::now() + pause);
                if self.state.is_away(&error) {
                    tracing::error!(%error, "the database fails; clients are answered, and completions wait");
                }
                Err(error.into())
            }
        }
    }
}
