//! Watched folders. The system tells when something happens in them; who cannot be told, as of folders of other machines, looks now and
//! then.

mod ears;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::{Code, Refusal, Watch, Watched};
use engine::Category;
use habits::{Outcome, Stamp, Watcher};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use state::{Keeper, StateError};
use tokio::sync::Notify;

use self::ears::Ears;
use self::files::{look, origins, put_away};
use super::taking::take;
use crate::daemon::desk::Desk;
use crate::failure::reason;

/// What the names of folders begin with in the store, and of what was taken from them and stays.
const PREFIX: &str = "watch.";
const TAKEN: &str = "watched.";

/// Folders that may be watched.
const MOST: usize = 100;

/// How often folders are looked at of which the system tells, and of which it does not.
const SELDOM: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_secs(10);

/// How long it is waited for more, when something has happened.
const GATHER: Duration = Duration::from_millis(250);

/// The watched folders.
#[derive(Debug)]
pub(crate) struct Watching {
    keeper: Arc<Keeper>,
    all: Mutex<BTreeMap<PathBuf, Folder>>,
    /// Something is to be looked at.
    bell: Arc<Notify>,
}

/// A watched folder.
#[derive(Debug)]
struct Folder {
    watch: Watch,
    watcher: Watcher,
    /// What is kept of what was taken and stays.
    kept: BTreeSet<(String, Stamp)>,
    taken: u64,
    error: Option<String>,
}

impl Folder {
    fn new(watch: Watch, kept: Vec<(String, Stamp)>) -> Self {
        Self {
            watcher: Watcher::new(kept.clone()),
            kept: kept.into_iter().collect(),
            watch,
            taken: 0,
            error: None,
        }
    }
}

impl Watching {
    /// Those that were kept.
    ///
    /// # Errors
    /// [`StateError`].
    pub(crate) fn load(keeper: &Arc<Keeper>) -> Result<Self, StateError> {
        let mut taken: BTreeMap<String, Vec<(String, Stamp)>> =
            super::kept(keeper, TAKEN)?.into_iter().collect();
        let folders = super::kept::<Watch>(keeper, PREFIX)?.into_iter();
        let folders = folders.map(|(dir, watch)| {
            let kept = taken.remove(&dir).unwrap_or_default();
            (PathBuf::from(dir), Folder::new(watch, kept))
        });
        Ok(Self {
            all: Mutex::new(folders.collect()),
            keeper: Arc::clone(keeper),
            bell: Arc::default(),
        })
    }

    /// Watches a folder, or in another way than before.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) async fn set(&self, mut watch: Watch) -> Result<(), Refusal> {
        let dir = plain(&watch.dir);
        watch.dir = dir.display().to_string();
        if !dir.is_absolute() {
            let why = "a folder is named from the root";
            return Err(Refusal::new(Code::Wrong, why));
        }
        // The disk that it is on may stand still.
        let looked_at = dir.clone();
        let is_dir = tokio::task::spawn_blocking(move || looked_at.is_dir()).await;
        if !is_dir.unwrap_or(false) {
            let why = format!("{}: there is no such folder", dir.display());
            return Err(Refusal::new(Code::NotFound, why));
        }
        let failed = |why: String| Refusal::new(Code::Failed, why);
        let mut all = self.all.lock();
        if all.len() >= MOST && !all.contains_key(&dir) {
            return Err(failed(format!("{MOST} folders are watched already")));
        }
        super::keep(
            &self.keeper,
            &format!("{PREFIX}{}", watch.dir),
            Some(&watch),
        )
        .map_err(failed)?;
        match all.get_mut(&dir) {
            Some(folder) => folder.watch = watch,
            None => drop(all.insert(dir, Folder::new(watch, Vec::new()))),
        }
        self.bell.notify_one();
        Ok(())
    }

    /// Watches a folder no longer.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn remove(&self, dir: &str) -> Result<(), Refusal> {
        let path = plain(dir);
        let dir = path.display();
        let mut all = self.all.lock();
        if !all.contains_key(&path) {
            let why = format!("{dir}: this folder is not watched");
            return Err(Refusal::new(Code::NotFound, why));
        }
        for prefix in [PREFIX, TAKEN] {
            super::keep(&self.keeper, &format!("{prefix}{dir}"), None::<&Watch>)
                .map_err(|why| Refusal::new(Code::Failed, why))?;
        }
        all.remove(&path);
        self.bell.notify_one();
        Ok(())
    }

    /// How they all are.
    pub(crate) fn told(&self) -> Vec<Watched> {
        let all = self.all.lock();
        let told = all.values().map(|folder| Watched {
            dir: folder.watch.dir.clone(),
            then: folder.watch.then,
            add: folder.watch.add.clone(),
            taken: folder.taken,
            refused: folder.watcher.refused(),
            error: folder.error.clone(),
        });
        told.collect()
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.all.lock().keys().cloned().collect()
    }

    fn watch_of(&self, dir: &Path) -> Option<Watch> {
        self.all.lock().get(dir).map(|folder| folder.watch.clone())
    }

    /// A folder was looked at; what is to be taken from it now.
    fn looked(
        &self,
        dir: &Path,
        found: io::Result<BTreeMap<String, Stamp>>,
        now: Duration,
    ) -> Vec<String> {
        let mut all = self.all.lock();
        let Some(folder) = all.get_mut(dir) else {
            return Vec::new();
        };
        match found {
            Ok(found) => {
                folder.error = None;
                folder.watcher.look(&found, now)
            }
            Err(error) => {
                folder.error = Some(reason(&error));
                Vec::new()
            }
        }
    }

    /// What became of a file; why it is refused, where that has just been decided.
    fn done(&self, dir: &Path, name: &str, outcome: Outcome, now: Duration) -> Option<String> {
        let mut all = self.all.lock();
        let folder = all.get_mut(dir)?;
        folder.watcher.done(name, outcome, now)
    }

    fn count(&self, dir: &Path) {
        if let Some(folder) = self.all.lock().get_mut(dir) {
            folder.taken += 1;
        }
    }

    /// Keeps which files were taken and stay, where that has changed.
    fn keep_taken(&self, dir: &Path) {
        let mut all = self.all.lock();
        let Some(folder) = all.get_mut(dir) else {
            return;
        };
        if folder.error.is_some() || folder.kept == *folder.watcher.kept() {
            return;
        }
        folder.kept.clone_from(folder.watcher.kept());
        let name = format!("{TAKEN}{}", folder.watch.dir);
        if let Err(why) = super::keep(&self.keeper, &name, Some(&folder.kept)) {
            tracing::warn!(why, "what was taken from a folder is not kept");
        }
    }

    /// When the next file has settled.
    fn due(&self) -> Option<Duration> {
        let all = self.all.lock();
        let due = all.values().filter(|folder| folder.error.is_none());
        due.filter_map(|folder| folder.watcher.due()).min()
    }
}

/// A path as it is kept: without what does not count in it.
fn plain(dir: &str) -> PathBuf {
    Path::new(dir).components().collect()
}

/// Watches the folders of a desk; does not return.
pub(super) async fn run(desk: Arc<Desk>) {
    let watching = desk.watching();
    let begun = Instant::now();
    let mut ears = Ears::new(&watching.bell);
    loop {
        let dirs = watching.dirs();
        // System calls, perhaps to another machine.
        let heard = tokio::task::spawn_blocking(move || {
            let all = ears.listen(&dirs);
            let looked: Vec<_> = dirs.iter().map(|dir| (dir.clone(), look(dir))).collect();
            (ears, all, looked)
        });
        let Ok((back, all_heard, looked)) = heard.await else {
            return;
        };
        ears = back;
        for (dir, found) in looked {
            for name in watching.looked(&dir, found, begun.elapsed()) {
                deal_with(&desk, &dir, &name, begun).await;
            }
            watching.keep_taken(&dir);
        }
        let wait = if all_heard { SELDOM } else { OFTEN };
        let wait = watching
            .due()
            .map_or(wait, |due| due.saturating_sub(begun.elapsed()).min(wait));
        let none = watching.dirs().is_empty();
        tokio::select! {
            biased;
            () = watching.bell.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(wait), if !none => {}
        }
    }
}

/// Takes the torrents of a file.
async fn deal_with(desk: &Arc<Desk>, dir: &Path, name: &str, begun: Instant) {
    let watching = desk.watching();
    let Some(watch) = watching.watch_of(dir) else {
        return;
    };
    let outcome = match taken_from(desk, dir, name, &watch).await {
        Ok(added) => {
            for added in added.into_iter().flatten() {
                watching.count(dir);
                let line = json!({"event": "watch_taken", "file": dir.join(name), "info_hash": added.info_hash, "name": added.name});
                tell(desk, "watch_taken", Category::Status, line);
            }
            let path = dir.join(name);
            let done = tokio::task::spawn_blocking(move || put_away(&path, watch.then));
            match done.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => {
                    tracing::warn!(name, %error, "a file that was taken stays where it is");
                    Outcome::Kept
                }
                Err(_) => return,
            }
        }
        Err(outcome) => outcome,
    };
    if let Some(why) = watching.done(dir, name, outcome, begun.elapsed()) {
        let line = json!({"event": "watch_failed", "file": dir.join(name), "error": why});
        tell(desk, "watch_failed", Category::Errors, line);
    }
}

/// Adds the torrents of a file; those that were not there before.
async fn taken_from(
    desk: &Arc<Desk>,
    dir: &Path,
    name: &str,
    watch: &Watch,
) -> Result<Vec<Option<control::Added>>, Outcome> {
    let path = dir.join(name);
    let later = |why: String| Outcome::Later(why);
    let read = tokio::task::spawn_blocking(move || origins(&path));
    let origins = read.await.map_err(|error| later(error.to_string()))?;
    let mut all = Vec::new();
    for origin in origins? {
        let added = take(desk, origin, &watch.add).await;
        all.push(added.map_err(|refusal| match refusal.code {
            Code::Wrong | Code::NotFound => Outcome::Bad(refusal.message),
            Code::Ambiguous
            | Code::Busy
            | Code::Duplicate
            | Code::Failed
            | Code::NoRoom
            | Code::NoRoute
            | Code::Other
            | Code::Stopped
            | Code::Unknown => later(refusal.message),
        })?);
    }
    Ok(all)
}

/// Puts a line of ours among the events.
pub(super) fn tell(desk: &Desk, word: &'static str, about: Category, line: Value) {
    let line: Map<String, Value> = match line {
        Value::Object(line) => line,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return;
        }
    };
    desk.bulletin().tell((word, about.into()), line);
}
