//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::downloads::{Ledger, Pieces};
use crate::drift::Lateness;
use crate::events::Board;
use crate::health::Checks;
use crate::problem::Problem;
use crate::stream::Watchers;
use crate::{Daemon, routes};

/// Torrents that are held whole at a time, which takes many times their length: of those that are here, and of those that other servers
/// give, for which nobody else waits.
const WHOLE: usize = 8;

/// How long it is waited for a turn.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a torrent comes from that is held whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// A client, or this machine.
    Here,
    /// Another server.
    There,
}

/// The turn of whoever holds a torrent whole. It is over when this goes.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

/// What all requests share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) daemon: Arc<dyn Daemon>,
    /// What is known of torrents beside their status.
    pub(crate) ledger: Ledger,
    /// What was written of the list.
    pub(crate) pieces: Pieces,
    /// Turns of whoever holds a torrent whole.
    whole: [Arc<Semaphore>; 2],
    /// Turns of checks of torrents.
    pub(crate) checks: Checks,
    /// What the API itself has to tell.
    pub(crate) board: Board,
    /// How late the runtime is, while somebody wants to know.
    pub(crate) lateness: Lateness,
    /// The description of the API.
    pub(crate) document: Value,
    /// Who reads files.
    pub(crate) watchers: Watchers,
    /// The port of the API.
    pub(crate) port: u16,
    /// How long whoever reads a file waits for its metadata.
    pub(crate) patience: Duration,
    /// Whether the server ends.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Shared {
    pub(crate) fn new(
        daemon: Arc<dyn Daemon>,
        port: u16,
        patience: Duration,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let ledger = Ledger::new(daemon.engine());
        Self(Arc::new(Inner {
            daemon,
            ledger,
            pieces: Pieces::default(),
            whole: [(); 2].map(|()| Arc::new(Semaphore::new(WHOLE))),
            checks: Checks::default(),
            board: Board::default(),
            lateness: Lateness::default(),
            document: routes::document(),
            watchers: Watchers::default(),
            port,
            patience,
            stopping,
        }))
    }

    pub(crate) fn daemon(&self) -> &dyn Daemon {
        &*self.0.daemon
    }

    pub(crate) fn engine(&self) -> &engine::EngineHandle {
        self.0.daemon.engine()
    }

    /// Waits until a torrent may be held whole.
    ///
    /// # Errors
    /// 503 where that is not in time.
    ///
    /// # Cancel safety
    /// Whoever does not wait on has no turn, and comes last when it asks again.
    pub(crate) async fn turn(&self, of: Whole) -> Result<Turn, Problem> {
        let [here, there] = &self.0.whole;
        let turns = match of {
            Whole::Here => here,
            Whole::There => there,
        };
        let turn = Arc::clone(turns).acquire_owned();
        match timeout(PATIENCE, turn).await {
            Ok(Ok(turn)) => Ok(Turn(turn)),
            Ok(Err(_)) => Err(Problem::stopping()),
            Err(_) => {
                let why = format!("{WHOLE} torrents are being read already: ask again later");
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))
            }
        }
    }

    /// Does what may wait for the disk, which may stand still, where no other request waits for that.
    ///
    /// # Errors
    /// 500 where it has failed.
    ///
    /// # Cancel safety
    /// What was begun goes on.
    pub(crate) async fn apart<T: Send + 'static>(
        what: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let done = tokio::task::spawn_blocking(what).await;
        done.map_err(|error| Problem::failed(error.to_string()))
    }

    /// Whether the server ends.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }
}

/// Waits until the server ends, or whoever could say so is gone.
///
/// # Cancel safety
/// Nothing is lost.
pub(crate) async fn ends(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await.is_ok();
}
