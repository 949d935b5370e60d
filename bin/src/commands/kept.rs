//! `backup` and `restore`: the state of a session as one file. What both and `import` need of a state directory.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use state::{FILE, Folder, OpenOptions, StateError, Store};

use crate::cli::{BackupArgs, RestoreArgs};
use crate::failure::{Failure, plain};
use crate::screen::{Screen, Style};
use crate::units::Size;
use crate::wire::default_state_dir;

/// What came of it; the JSON object has these fields.
#[derive(Debug, Serialize)]
struct Done<'a> {
    file: &'a Path,
    state: &'a Path,
    torrents: usize,
    size: u64,
    /// Where the state is now that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<&'a Path>,
}

pub(crate) fn backup(args: &BackupArgs, screen: &Screen) -> Result<(), Failure> {
    let dir = directory(args.state.as_deref())?;
    let there = args.file.symlink_metadata().is_ok();
    let known = state::is_store(&args.file);
    let known = known.map_err(|error| Failure::on_file(&args.file, &error))?;
    if there && !known && !args.force {
        let file = args.file.display();
        let line = format!("{file} is there already and is no backup; --force replaces it");
        return Err(Failure::Failed(line));
    }
    let store = existing(&dir)?;
    store
        .backup(&args.file, now())
        .map_err(|error| failed(&error))?;
    let torrents = store.summaries().map_err(|error| failed(&error))?;
    let torrents = torrents.torrents.len() + torrents.unreadable.len();
    store.close().map_err(|error| failed(&error))?;
    let size = std::fs::metadata(&args.file);
    let size = size.map_err(|error| Failure::on_file(&args.file, &error))?;
    let done = Done {
        file: &args.file,
        state: &dir,
        torrents,
        size: size.len(),
        replaced: None,
    };
    if screen.style() == Style::Json {
        return screen.json(&done);
    }
    screen.say(format_args!(
        "{}: {torrents} torrents, {}",
        args.file.display(),
        Size(done.size)
    ))
}

pub(crate) fn restore(args: &RestoreArgs, screen: &Screen) -> Result<(), Failure> {
    let dir = directory(args.state.as_deref())?;
    make(&dir)?;
    let replaced = if args.force {
        state::replace(&args.file, &dir).map_err(|error| failed(&error))?
    } else {
        state::restore(&args.file, &dir).map_err(|error| {
            let StateError::Living { path } = &error else {
                return failed(&error);
            };
            Failure::Failed(format!(
                "{} is there already; --force puts it aside and the backup in its place",
                path.display()
            ))
        })?;
        None
    };
    let store = existing(&dir)?;
    let torrents = store.summaries().map_err(|error| failed(&error))?;
    let torrents = torrents.torrents.len() + torrents.unreadable.len();
    let done = Done {
        file: &args.file,
        state: &dir,
        torrents,
        size: store.file_len().map_err(|error| failed(&error))?,
        replaced: replaced.as_deref(),
    };
    store.close().map_err(|error| failed(&error))?;
    if screen.style() == Style::Json {
        return screen.json(&done);
    }
    let aside = replaced.as_ref().map_or_else(String::new, |path| {
        format!("; what was there is {} now", path.display())
    });
    screen.say(format_args!(
        "{}: {torrents} torrents{aside}",
        dir.display()
    ))
}

/// The state directory.
pub(super) fn directory(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let dir = asked.map(Path::to_path_buf).or_else(default_state_dir);
    dir.ok_or_else(|| {
        Failure::Usage("there is no home for the session's state: say --state".to_owned())
    })
}

/// Makes a state directory that nobody else can look into.
pub(super) fn make(dir: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Failure::on_file(dir, &error))
}

/// The store of a state directory, as it is.
pub(super) fn existing(dir: &Path) -> Result<Store, Failure> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Err(Failure::NotFound(format!(
            "{} does not exist: no session has kept anything there",
            path.display()
        )));
    }
    let medium = Arc::new(Folder::new(dir.to_path_buf()));
    Store::open_as_it_is(medium, OpenOptions::default()).map_err(|error| failed(&error))
}

/// What to do about what is wrong with a store.
pub(super) fn failed(error: &StateError) -> Failure {
    if let StateError::InUse { path } = error {
        return Failure::Failed(format!(
            "{} is in use: end the daemon that has it open, and try again",
            path.display()
        ));
    }
    if let StateError::Absent { .. } = error {
        return Failure::NotFound(error.to_string());
    }
    Failure::Failed(plain(&error.to_string()))
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
