//! What happens to a folder, and to the disk on which the session's store lies, change by change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use storage::{Call, Watcher};
use tokio::time::Instant;

use crate::sim::SimDisk;
use crate::tree::Tree;

/// A change that is about to be made.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// What is in the folder before it.
    pub(crate) tree: Arc<Tree>,
    /// Changes of the store's disk before it.
    pub(crate) ops: usize,
    /// Since the beginning, by the clock of the simulation.
    pub(crate) time: Duration,
    /// What is brought to the disk by it: a file or a folder, below the folder.
    pub(crate) sync: Option<PathBuf>,
    /// For people.
    pub(crate) what: String,
}

/// Writes down what happens. Clones share it.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Inner>>);

struct Inner {
    root: PathBuf,
    moments: Vec<Moment>,
    latest: Arc<Tree>,
    ops: usize,
    begin: Instant,
    /// What lies here is on a file system of its own, so that it cannot be renamed to anywhere else.
    apart: Option<PathBuf>,
}

impl Recorder {
    /// Watches a folder and a disk from now on.
    pub(crate) fn new(root: &Path, disk: &SimDisk, apart: Option<PathBuf>) -> Self {
        let tree = Tree::look(root, &Tree::default());
        let recorder = Self(Arc::new(Mutex::new(Inner {
            root: root.to_owned(),
            moments: Vec::new(),
            latest: Arc::new(tree),
            ops: disk.len(),
            begin: Instant::now(),
            apart,
        })));
        let inner = Arc::clone(&recorder.0);
        disk.tell(move |ops, op| {
            let mut inner = inner.lock();
            let mut what = format!("{op:?}");
            what.truncate(60);
            inner.ops = ops;
            inner.note(None, format!("the store: {what}"));
            inner.ops = ops + 1;
        });
        recorder
    }

    /// Who watches a piece store.
    pub(crate) fn watcher(&self) -> Watcher {
        let inner = Arc::clone(&self.0);
        Watcher::new(move |call, path| {
            if !call.changes() {
                return Ok(());
            }
            let mut inner = inner.lock();
            let below = path.strip_prefix(&inner.root).unwrap_or(path).to_owned();
            let sync = (call == Call::Sync).then_some(below);
            inner.note(sync, format!("{call:?} {}", path.display()));
            let apart = inner.apart.as_ref();
            // Files that get another name in their folder are linked there.
            if call == Call::Rename && apart.is_some_and(|apart| path.starts_with(apart)) {
                return Err(std::io::Error::from_raw_os_error(EXDEV));
            }
            Ok(())
        })
    }

    /// How many changes there were, and the one at hand, by now.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().moments.len()
    }

    /// The time since the beginning.
    pub(crate) fn time(&self) -> Duration {
        self.0.lock().begin.elapsed()
    }

    /// All that has happened.
    pub(crate) fn finish(&self) -> Vec<Moment> {
        let mut inner = self.0.lock();
        inner.note(None, "the end".into());
        std::mem::take(&mut inner.moments)
    }
}

const EXDEV: i32 = 18;

impl Inner {
    fn note(&mut self, sync: Option<PathBuf>, what: String) {
        self.latest = Arc::new(Tree::look(&self.root, &self.latest));
        self.moments.push(Moment {
            tree: Arc::clone(&self.latest),
            ops: self.ops,
            time: self.begin.elapsed(),
            sync,
            what,
        });
    }
}
