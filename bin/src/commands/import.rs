//! `import`: takes over the torrents of another program. Without `--apply` it only tells what that would come to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::id::InfoHash;
use state::import::{ImportError, Imported, Settled, Source, Standing};
use state::{Batch, FILE, FileStamp, Folder, Hops, OpenOptions, Opening, Store, TorrentKey};

use crate::cli::ImportArgs;
use crate::commands::kept;
use crate::failure::{Failure, plain};
use crate::screen::Screen;

mod row;

use row::{Row, Total};

/// Torrents that are written together.
const AT_ONCE: usize = 200;
/// Bytes that are written together, about.
const MOST_AT_ONCE: usize = 16 << 20;

pub(crate) fn run(args: &ImportArgs, screen: &Screen) -> Result<(), Failure> {
    let program = args.from.map(crate::cli::From::program);
    let source = Source::find(&args.path, program).map_err(|error| {
        if let ImportError::Io { path, source } = &error {
            return Failure::on_file(path, source);
        }
        let words = plain(&error.to_string());
        if matches!(error, ImportError::Nothing { .. }) {
            Failure::NotFound(words)
        } else {
            Failure::Failed(words)
        }
    })?;
    let dir = kept::directory(args.state.as_deref())?;
    let mut session = Session::open(&dir, args.apply, screen)?;
    let mut total = Total::new(&source, args.apply, &dir);
    for at in 0..source.len() {
        let Some(read) = source.read(at) else {
            break;
        };
        let row = match read {
            Ok(it) => take(it, args, &mut session)?,
            Err(error) => Row::failed(plain(&error.to_string())),
        };
        total.count(&row);
        row.tell(screen)?;
    }
    session.finish()?;
    total.tell(screen)?;
    if total.failed > 0 {
        return Err(Failure::Told);
    }
    Ok(())
}

/// Takes one torrent, if it is not there yet.
fn take(mut it: Imported, args: &ImportArgs, session: &mut Session) -> Result<Row, Failure> {
    let Some(place) = place(&it.torrent.dir, args.data.as_deref())? else {
        let why = "its record does not say where the content is; say so with --data".to_owned();
        return Ok(Row::refused(&it, why));
    };
    it.torrent.dir = place;
    if let Some(other) = it.elsewhere.take() {
        it.elsewhere = self::place(&other, args.data.as_deref())?;
    }
    let names: Vec<InfoHash> = it.torrent.hashes.names().collect();
    if names.iter().any(|name| session.known.contains(name)) {
        return Ok(Row::known(&it));
    }
    if let Err(why) = session.put_hops(&mut it)? {
        return Ok(Row::refused(&it, why));
    }
    it.torrent.switches.paused |= args.paused;
    if it.torrent.added == 0 {
        it.torrent.added = kept::now();
    }
    let mut settled = it.settle(&mut look);
    if args.apply {
        secure(&it, &mut settled);
    }
    session.known.extend(names);
    let row = Row::taken(&it, &settled);
    session.add(it, settled)?;
    Ok(row)
}

/// Where content is, from a beginning; `None` where a record names no folder and nobody else did.
fn place(dir: &Path, data: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let dir = match data {
        None if dir.as_os_str().is_empty() => return Ok(None),
        None => dir.to_path_buf(),
        Some(data) => data.join(dir),
    };
    let whole = std::path::absolute(&dir);
    let whole = whole.map_err(|error| Failure::on_file(&dir, &error))?;
    // Some programs write a slash at the end.
    Ok(Some(whole.components().collect()))
}

/// Lengths and times of files.
fn look(dir: &Path, paths: &[Vec<String>]) -> Vec<FileStamp> {
    let stamps = storage::stamps_below(dir, paths).into_iter();
    let stamps = stamps.map(|stamp| FileStamp {
        len: stamp.len,
        mtime: stamp.mtime,
    });
    stamps.collect()
}

/// Brings to the disk what is believed to be there: another program may have written it a moment ago. What cannot be, is
/// checked.
fn secure(it: &Imported, settled: &mut Settled) {
    let believed = settled.standing == Standing::Believed;
    let Some(progress) = settled.progress.as_mut().filter(|_| believed) else {
        return;
    };
    if let Err(error) = storage::sync_below(&it.torrent.dir, &it.paths()) {
        tracing::warn!(%error, "the torrent will be checked");
        progress.clean = false;
        settled.standing = Standing::ToCheck;
    }
}

/// The store that torrents go to, or that says which are there.
struct Session {
    /// `None` where nothing is to be written and there is nothing yet, or nobody else may look.
    store: Option<Store>,
    apply: bool,
    known: BTreeSet<InfoHash>,
    next: u64,
    /// The first place in the queue that nobody has.
    queue: u32,
    batch: Batch,
    waiting: usize,
}

impl Session {
    fn open(dir: &Path, apply: bool, screen: &Screen) -> Result<Self, Failure> {
        let store = if apply {
            Some(open_to_write(dir, screen)?)
        } else if dir.join(FILE).exists() {
            let existing = kept::existing(dir);
            if let Err(why) = &existing {
                let line = format!("it is not known which torrents are there already: {why}");
                screen.warn("warning", line);
            }
            existing.ok()
        } else {
            None
        };
        let mut session = Self {
            store: None,
            apply,
            known: BTreeSet::new(),
            next: 0,
            queue: 0,
            batch: Batch::new(),
            waiting: 0,
        };
        if let Some(store) = &store {
            let there = store.summaries().map_err(|error| kept::failed(&error))?;
            for (_, torrent) in &there.torrents {
                session.known.extend(torrent.hashes.names());
                let behind = torrent.queue.map_or(0, |place| place.saturating_add(1));
                session.queue = session.queue.max(behind);
            }
            session.next = store.next_key().map_err(|error| kept::failed(&error))?.0;
        }
        session.store = store;
        Ok(session)
    }

    /// By how many hops it goes, if that was said before. The inner error says why it cannot be taken over.
    fn put_hops(&self, it: &mut Imported) -> Result<Result<(), String>, Failure> {
        let Some(store) = &self.store else {
            return Ok(Ok(()));
        };
        for name in it.torrent.hashes.names() {
            match store.hops(name.0).map_err(|error| kept::failed(&error))? {
                None => {}
                Some(Hops::Said(hops)) => it.torrent.hops = it.torrent.hops.max(hops),
                Some(Hops::Unknown) => {
                    let why = "it was said through how many others it goes, and that is not known any more";
                    return Ok(Err(why.to_owned()));
                }
            }
        }
        Ok(Ok(()))
    }

    fn add(&mut self, mut it: Imported, settled: Settled) -> Result<(), Failure> {
        if !self.apply {
            return Ok(());
        }
        if let Some(place) = &mut it.torrent.queue {
            *place = place.saturating_add(self.queue);
        }
        it.add_to(&mut self.batch, TorrentKey(self.next), settled.progress);
        self.next += 1;
        self.waiting += 1;
        if self.waiting >= AT_ONCE || self.batch.weight() >= MOST_AT_ONCE {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.waiting = 0;
        match &self.store {
            Some(store) => store.commit(&batch).map_err(|error| kept::failed(&error)),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.commit()?;
        match self.store {
            Some(store) => store.close().map_err(|error| kept::failed(&error)),
            None => Ok(()),
        }
    }
}

/// Opens the store, and makes it where there is none.
fn open_to_write(dir: &Path, screen: &Screen) -> Result<Store, Failure> {
    kept::make(dir)?;
    let medium = Arc::new(Folder::new(dir.to_path_buf()));
    let opened = Store::open(medium, OpenOptions::default());
    let (store, opening) = opened.map_err(|error| kept::failed(&error))?;
    let line = if let Opening::Previous { why: Some(why), .. } = &opening {
        format!("the session's state was damaged ({why}); an earlier one takes its place")
    } else if let Opening::Lost { why, aside } = &opening {
        let aside = aside.display();
        format!("the session's state was damaged ({why}), and is {aside} now")
    } else {
        return Ok(store);
    };
    screen.warn("warning", line);
    Ok(store)
}
