//! By how many hops something goes: what was said of it, or what was kept.

use std::sync::mpsc;

use protocol::id::InfoHashes;
use protocol::krpc::item::mutable_target;
use state::{Batch, Health, Hops, Keeper};
use storage::Watcher;
use storage::hops::{self as notes, NoteError};

use super::{Memory, Trouble};
use crate::{AddTorrent, Choices, Source, choices};

/// Of a note that is there and says nothing.
const UNREADABLE: &str = "it does not say how many hops";

/// What torrents are named by in the memory: the hashes in handshakes, and places in the DHT.
pub(crate) type Names = Vec<[u8; 20]>;

/// What a torrent is named by that is to be added.
pub(crate) fn names_of(add: &AddTorrent, hashes: &InfoHashes) -> Names {
    let mut names: Names = hashes.names().map(|name| name.0).collect();
    if let Source::Magnet(magnet) = &add.source
        && let Some(named) = &magnet.mutable
    {
        names.push(mutable_target(&named.public_key, &named.salt).0);
    }
    names
}

/// By how many hops it goes.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) hops: u8,
    /// Nobody has said so now: it is what was kept.
    pub(crate) kept: bool,
    /// Why it could not be kept.
    pub(crate) unsaved: Option<Trouble>,
    /// What was decided about its files in an earlier life, where that is in a folder of files.
    pub(crate) choices: Option<Choices>,
}

impl Settled {
    pub(crate) const fn new(hops: u8, kept: bool) -> Self {
        Self {
            hops,
            kept,
            unsaved: None,
            choices: None,
        }
    }
}

/// Finds out by how many hops it goes what has these names, of which that was said. In a folder of files it is kept at once; a store
/// is only read. Waits for the disk; `watch` is asked first.
///
/// # Errors
/// [`Trouble`]: something was kept, and it is not known what.
pub(crate) fn settle(
    memory: &Memory,
    names: &[[u8; 20]],
    said: Option<u8>,
    watch: &Watcher,
) -> Result<Settled, Trouble> {
    match memory {
        Memory::None => Ok(Settled::new(said.unwrap_or_default(), false)),
        Memory::Files(dir) => {
            let kept = match said {
                Some(_) => None,
                None => notes::load(dir, names).map_err(Trouble::from)?,
            };
            let settled = Settled::new(said.or(kept).unwrap_or_default(), kept.is_some());
            let saved = notes::save(dir, names, settled.hops, watch);
            Ok(Settled {
                unsaved: saved.err().map(Trouble::from),
                choices: choices::load(dir, names),
                ..settled
            })
        }
        Memory::Store(keeper) => {
            if let Some(hops) = said {
                return Ok(Settled::new(hops, false));
            }
            write_again(keeper);
            let kept = load(keeper, names)?;
            Ok(Settled::new(kept.unwrap_or_default(), kept.is_some()))
        }
    }
}

/// A store that was closed by a failure is opened again here, as soon as that can be, for somebody waits for it.
fn write_again(keeper: &Keeper) {
    if matches!(keeper.health(), Health::Well) {
        return;
    }
    let (done, told) = mpsc::channel();
    keeper.flush(move |_| {
        let _ = done.send(());
    });
    // Whether it was of use shows when it is read.
    let _ = told.recv();
}

/// What a store has of these names; where it says different things of them, the most.
pub(crate) fn load(keeper: &Keeper, names: &[[u8; 20]]) -> Result<Option<u8>, Trouble> {
    let mut most = None;
    for name in names {
        let hops = keeper.hops(*name);
        match hops.map_err(|error| Trouble::of(keeper, &error))? {
            Some(Hops::Said(hops)) => most = most.max(Some(hops)),
            Some(Hops::Unknown) => {
                return Err(Trouble::of(keeper, &UNREADABLE));
            }
            None => {}
        }
    }
    Ok(most)
}

/// Adds to a batch that what has these names goes by so many hops. Of the direct way nothing has to be kept.
pub(crate) fn note(batch: &mut Batch, names: &[[u8; 20]], hops: u8) {
    for name in names {
        batch.hops(*name, (hops > 0).then_some(Hops::Said(hops)));
    }
}

/// Forgets what has these names, as far as the memory lets it.
pub(crate) fn forget(memory: &Memory, names: &[[u8; 20]]) {
    match memory {
        Memory::None => {}
        Memory::Files(dir) => notes::remove(dir, names),
        Memory::Store(keeper) => {
            let mut batch = Batch::new();
            note(&mut batch, names, 0);
            if let Err(error) = keeper.offer(batch) {
                tracing::warn!(%error, "by how many hops it went could not be forgotten");
            }
        }
    }
}

impl From<NoteError> for Trouble {
    fn from(error: NoteError) -> Self {
        let (path, reason) = match error {
            NoteError::Io { path, source } => (path, source.to_string()),
            NoteError::Damaged(path) => (path, UNREADABLE.to_owned()),
            other => (std::path::PathBuf::new(), other.to_string()),
        };
        Self { path, reason }
    }
}
