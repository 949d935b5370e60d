//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::downloads::{Inventories, Ledger, Pieces};
use crate::drift::Lateness;
use crate::events::Board;
use crate::problem::Problem;
use crate::stream::watching::Watchers;
use crate::turns::Turns;
use crate::{Daemon, Limits, routes};

/// What all requests share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) daemon: Arc<dyn Daemon>,
    /// What is known of torrents beside their status.
    pub(crate) ledger: Ledger,
    /// What was written of the list.
    pub(crate) pieces: Pieces,
    /// What is known of files of torrents that are told slice by slice.
    pub(crate) inventories: Inventories,
    /// Turns of whoever holds a torrent whole, which takes many times its length: one of a client or of this machine, or one that another
    /// server gives, for which nobody else waits.
    pub(crate) whole: Turns,
    pub(crate) fetched: Turns,
    /// Turns of checks of torrents.
    pub(crate) checks: Turns,
    /// Turns of looks for peers that nobody waits for.
    pub(crate) looks: Turns,
    /// Connections of those who are sent what may never end, so that some are left for others: events, and files that are still fetched.
    pub(crate) followers: Turns,
    pub(crate) readers: Turns,
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
        limits: &Limits,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (followers, readers) = (limits.followers(), limits.readers());
        let busy = |what, most| {
            let all = limits.connections;
            format!("of {all} connections {most} may {what}, and so many do")
        };
        let ledger = Ledger::new(daemon.engine());
        Self(Arc::new(Inner {
            daemon,
            ledger,
            pieces: Pieces::default(),
            inventories: Inventories::default(),
            whole: Turns::new(8, "8 torrents are being read"),
            fetched: Turns::new(8, "8 torrents are being fetched"),
            checks: Turns::new(32, "32 torrents are being checked"),
            looks: Turns::new(32, "32 peers are being looked for"),
            followers: Turns::new(followers, busy("follow events", followers)),
            readers: Turns::new(readers, busy("read files", readers)),
            board: Board::default(),
            lateness: Lateness::default(),
            document: routes::document(),
            watchers: Watchers::default(),
            port,
            patience: limits.metadata,
            stopping,
        }))
    }

    pub(crate) fn daemon(&self) -> &dyn Daemon {
        &*self.0.daemon
    }

    pub(crate) fn engine(&self) -> &engine::EngineHandle {
        self.0.daemon.engine()
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
