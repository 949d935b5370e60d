//! What is done to torrents.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use control::{Code, Existing, HopsOf, MoveOf, Refusal, Removal, Which};
use engine::{CommandError, TorrentId};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use storage::MoveExisting;

use super::adding::{LOOK, LOOKS};
use super::{Desk, refused};
use crate::daemon::kept;
use crate::daemon::told::hash_of;

/// Torrents to which something is done at a time.
const AT_A_TIME: usize = 64;

impl Desk {
    pub(super) async fn pause(&self, which: Which) -> Result<Value, Refusal> {
        let torrents = self.which(which.torrents, which.all)?;
        self.each(torrents, |id| self.engine.pause(id)).await
    }

    pub(super) async fn resume(&self, which: Which) -> Result<Value, Refusal> {
        let torrents = self.which(which.torrents, which.all)?;
        self.each(torrents, |id| self.engine.resume(id)).await
    }

    pub(super) async fn check(&self, which: Which) -> Result<Value, Refusal> {
        let torrents = self.which(which.torrents, which.all)?;
        self.each(torrents, |id| self.engine.recheck(id)).await
    }

    pub(super) async fn reannounce(&self, which: Which) -> Result<Value, Refusal> {
        let torrents = self.which(which.torrents, which.all)?;
        self.each(torrents, |id| self.engine.reannounce(id)).await
    }

    pub(super) async fn remove(&self, removal: Removal) -> Result<Value, Refusal> {
        let torrents = self.which(removal.torrents, removal.all)?;
        let removed = self
            .each(torrents.clone(), |id| self.engine.remove(id, removal.data))
            .await?;
        self.are_unlisted(&torrents).await;
        // Whoever is told so does not expect them back. Where the disk does not take it now, it does later.
        if let Err(why) = kept::on_disk(&self.keeper).await {
            tracing::warn!(%why, "what was removed is there again if the daemon ends now");
        }
        Ok(removed)
    }

    /// Waits a second at most until torrents that are removed are off the list: where there is content to delete, it may take longer.
    async fn are_unlisted(&self, torrents: &[TorrentId]) {
        for _ in 0..LOOKS {
            if torrents.iter().all(|id| self.engine.status(*id).is_none()) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) async fn set_hops(&self, of: HopsOf) -> Result<Value, Refusal> {
        let torrents = self.which(of.torrents, false)?;
        self.each(torrents, |id| self.engine.set_hops(id, of.hops))
            .await
    }

    /// Begins to move content, or takes that back.
    pub(super) async fn relocate(&self, of: MoveOf) -> Result<Value, Refusal> {
        let torrents = self.which(of.torrents, false)?;
        if of.cancel {
            return self.each(torrents, |id| self.engine.cancel_move(id)).await;
        }
        let dir = of.dir.map(PathBuf::from).filter(|dir| dir.is_absolute());
        let dir =
            dir.ok_or_else(|| Refusal::new(Code::Wrong, "a folder is named from the root"))?;
        let existing = match of.existing {
            Existing::Adopt => MoveExisting::Adopt,
            Existing::Fail => MoveExisting::Fail,
            Existing::Replace => MoveExisting::Replace,
        };
        self.each(torrents, |id| {
            self.engine.move_storage(id, dir.clone(), existing)
        })
        .await
    }

    /// Does something to each torrent, and tells to which it was done and which refused it. Where there is only one, its refusal
    /// is the answer.
    pub(super) async fn each<F>(
        &self,
        torrents: Vec<TorrentId>,
        change: impl Fn(TorrentId) -> F,
    ) -> Result<Value, Refusal>
    where
        F: Future<Output = Result<(), CommandError>>,
    {
        let change = &change;
        let done = stream::iter(torrents).map(|id| async move {
            // What is removed is not known any more afterwards.
            let hash = hash_of(&self.engine, id).unwrap_or_default();
            (hash, change(id).await)
        });
        let done: Vec<_> = done.buffered(AT_A_TIME).collect().await;
        if let [(_, Err(error))] = done.as_slice() {
            return Err(refused(error));
        }
        let (mut well, mut failed) = (Vec::new(), Vec::new());
        for (hash, outcome) in done {
            match outcome {
                Ok(()) => well.push(hash),
                Err(error) => failed.push(json!({"info_hash": hash, "error": refused(&error)})),
            }
        }
        Ok(json!({"torrents": well, "failed": failed}))
    }

    /// Opens the direct way anew; says where it listens now.
    pub(super) async fn reopen(&self) -> Result<Value, Refusal> {
        let reopened = self.engine.reopen_network().await;
        reopened.map_err(|error| refused(&error))?;
        let listen = self.engine.snapshot().listen;
        Ok(json!({"listen": listen.map(|at| at.to_string())}))
    }

    /// Writes all that is kept to a file of its own.
    pub(super) async fn backup(&self, file: &str) -> Result<Value, Refusal> {
        let failed = |why: String| Refusal::new(Code::Failed, why);
        let path = Path::new(file).to_owned();
        if !path.is_absolute() {
            return Err(Refusal::new(Code::Wrong, "the file is named from the root"));
        }
        kept::on_disk(&self.keeper).await.map_err(failed)?;
        let keeper = Arc::clone(&self.keeper);
        let written = tokio::task::spawn_blocking(move || {
            keeper.with_store(|store| store.backup(&path, kept::now()))
        });
        let written = written.await.map_err(|error| failed(error.to_string()))?;
        written.map_err(|error| failed(error.to_string()))?;
        Ok(json!({"file": file}))
    }
}
