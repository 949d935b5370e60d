//! The door to a running tracker.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Listening, ReloadError, Reloaded, Statistics};
use crate::core::Core;
use crate::settings::Settings;
use crate::store::StoreOrders;

/// Gives commands to a tracker; its clones do the same. A tracker whose last handle is gone ends.
#[derive(Clone, Debug)]
pub struct TrackerHandle {
    commands: mpsc::Sender<Command>,
    core: Arc<Core>,
    store: StoreOrders,
    pub(super) listening: Arc<Listening>,
}

/// The same for servers of the tracker's own, which do not keep it running.
#[derive(Clone, Debug)]
pub(crate) struct WeakHandle {
    commands: mpsc::WeakSender<Command>,
    pub(crate) core: Arc<Core>,
    pub(crate) store: StoreOrders,
}

/// What the actor is told, by handles; a few a second.
#[derive(Debug)]
pub(super) enum Command {
    Reload(
        Box<Settings>,
        oneshot::Sender<Result<Reloaded, ReloadError>>,
    ),
    Statistics(oneshot::Sender<Statistics>),
    Stop(oneshot::Sender<()>),
}

/// The tracker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tracker has ended")]
pub struct TrackerGone;

impl TrackerHandle {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        core: &Arc<Core>,
        store: StoreOrders,
    ) -> Self {
        Self {
            commands,
            core: Arc::clone(core),
            store,
            listening: Arc::default(),
        }
    }

    pub(crate) fn downgrade(&self) -> WeakHandle {
        WeakHandle {
            commands: self.commands.downgrade(),
            core: Arc::clone(&self.core),
            store: self.store.clone(),
        }
    }

    /// The swarms and all that the servers share, to be looked at.
    pub const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Changes lists and keys.
    pub const fn store(&self) -> &StoreOrders {
        &self.store
    }

    /// Where the servers listen, in the order of the settings.
    pub fn listening(&self) -> &Listening {
        &self.listening
    }

    /// The figures of this moment.
    ///
    /// # Errors
    /// [`TrackerGone`].
    pub async fn statistics(&self) -> Result<Statistics, TrackerGone> {
        ask(&self.commands, Command::Statistics).await
    }

    /// Takes other settings, certificates and lists; what is only read at the start is told, and stays as it is.
    ///
    /// # Errors
    /// [`ReloadError`]: all stays as it was, except that lists that cannot be read leave the new settings in force.
    pub async fn reload(&self, settings: Settings) -> Result<Reloaded, ReloadError> {
        let settings = Box::new(settings);
        let reloaded = ask(&self.commands, |told| Command::Reload(settings, told)).await;
        let reloaded = reloaded.map_err(ReloadError::Gone)??;
        self.store.reload().await?;
        Ok(reloaded)
    }

    /// Ends the tracker: no more clients are answered, and what was not written is. Returns when that is done.
    pub async fn stop(&self) {
        // It may have ended already.
        let _ = ask(&self.commands, Command::Stop).await;
    }
}

impl WeakHandle {
    /// The figures of this moment.
    pub(crate) async fn statistics(&self) -> Result<Statistics, TrackerGone> {
        let commands = self.commands.upgrade().ok_or(TrackerGone)?;
        ask(&commands, Command::Statistics).await
    }
}

async fn ask<T>(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, TrackerGone> {
    let (tell, told) = oneshot::channel();
    let sent = commands.send(command(tell)).await;
    sent.map_err(|_| TrackerGone)?;
    told.await.map_err(|_| TrackerGone)
}
