//! What is at both folders before anything is moved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;

use super::{MoveError, MoveExisting, MoveNote, MoveStage, MoveWay, Relocation};
use crate::error::{Cause, Op, StoreError};
use crate::inner::Inner;
use crate::layout::FileKind;
use crate::platform::{Root, Standing, StandingKind};
use crate::resume::BlockBits;
use crate::{RecheckOptions, Store};

/// Bytes that are compared at a time.
const COMPARED: u64 = 256 * 1024;

pub(super) fn survey(
    from: &Store,
    to: &Path,
    existing: MoveExisting,
    have: &Bitfield,
    cancel: &AtomicBool,
) -> Result<(Relocation, Bitfield), MoveError> {
    let inner = &from.0;
    let none = Bitfield::new(inner.geometry.pieces());
    let mut relocation = Relocation {
        from: from.clone(),
        to: Store(Arc::new(inner.elsewhere(absolute(to)))),
        note: MoveNote {
            from: absolute(&inner.root),
            to: absolute(to),
            stage: MoveStage::UnderWay,
            way: MoveWay::Copy,
            theirs: BTreeSet::new(),
            left: BTreeSet::new(),
        },
    };
    relocation.must_not_meet()?;
    let here = match inner.open_root(false) {
        Ok(root) => Some(root),
        Err(cause) if cause.is_not_found() => None,
        Err(cause) => return Err(StoreError::new(Op::Rename, &inner.root, cause).into()),
    };
    let sources = relocation.sources(here.as_ref(), have)?;
    let there = relocation.targets(here.as_ref(), &sources)?;
    relocation.note.theirs = there.keys().copied().collect();
    if let (MoveExisting::Fail, Some(first)) = (existing, there.keys().next()) {
        return Err(MoveError::Exists(relocation.target_path(*first)));
    }
    // Bytes of a file that is there go to it, wanted or not.
    for file in there.keys().filter(|file| **file < inner.part()) {
        relocation.to.0.set_in_part(*file, false);
    }
    let near = nearest(to);
    let open = |at: &Path| Root::open(at, false, &inner.options.watch);
    let ground = open(&near).map_err(|cause| StoreError::new(Op::Rename, &near, cause))?;
    let device = ground.device();
    let device = device.map_err(|cause| StoreError::new(Op::Rename, &near, cause))?;
    let one_disk = sources.values().all(|standing| standing.id.0 == device);
    if there.is_empty() && one_disk {
        relocation.note.way = MoveWay::Rename;
        return Ok((relocation, none));
    }
    let adopted = if there.is_empty() {
        none
    } else {
        relocation.adoptable(existing, &there, (have, cancel))?
    };
    relocation.must_have_room(&ground, have, &adopted)?;
    Ok((relocation, adopted))
}

impl Relocation {
    pub(super) fn target_path(&self, file: u32) -> PathBuf {
        self.to.path_of(file as usize)
    }

    /// No file's new place may be a file's old one.
    fn must_not_meet(&self) -> Result<(), MoveError> {
        let [old, new] = [&self.note.from, &self.note.to].map(|root| real(root));
        if old == new {
            return Err(MoveError::Same(self.note.to.clone()));
        }
        let places: BTreeSet<PathBuf> = self.files().map(|(_, path)| old.join(path)).collect();
        let mut new_places = self.files().map(|(_, path)| new.join(path));
        match new_places.find(|place| places.contains(place)) {
            Some(place) => Err(MoveError::Overlap(place)),
            None => Ok(()),
        }
    }

    /// What is there of the old files. Those that hold something, and nothing of the torrent, and that nobody wants, stay.
    fn sources(
        &mut self,
        here: Option<&Root>,
        have: &Bitfield,
    ) -> Result<BTreeMap<u32, Standing>, MoveError> {
        let Some(here) = here else {
            return Ok(BTreeMap::new());
        };
        let mut sources = BTreeMap::new();
        for (file, path) in self.files() {
            let look = here.look(&path);
            let standing = match look {
                Ok(None) => continue,
                Ok(Some(standing)) => standing,
                Err(Cause::Symlink) => {
                    return Err(MoveError::Linked(self.from.path_of(file as usize)));
                }
                Err(cause) => return Err(self.error(file, cause).into()),
            };
            let link = self.is_link(file);
            match standing.kind {
                StandingKind::File if !link => {}
                StandingKind::Link if link => {}
                // What stands in the place of a link is none of ours.
                _ if link => continue,
                StandingKind::Link => {
                    return Err(MoveError::Linked(self.from.path_of(file as usize)));
                }
                StandingKind::File | StandingKind::Other => {
                    return Err(self.error(file, Cause::NotAFile).into());
                }
            }
            sources.insert(file, standing);
        }
        let inner = Arc::clone(&self.from.0);
        let ours = |file: u32, standing: &Standing| {
            let plain = |file: u32| matches!(inner.layout.file(file).kind, FileKind::Plain { .. });
            let empty = || standing.len == 0 && inner.layout.file(file).len == 0;
            file == inner.part()
                || !plain(file)
                || inner.is_wanted(file)
                || empty()
                || inner.pieces_in(file).any(|piece| have.get(piece))
        };
        let left = sources.iter().filter(|(file, at)| !ours(**file, at));
        self.note.left = left.map(|(file, _)| *file).collect();
        sources.retain(|file, _| !self.note.left.contains(file));
        Ok(sources)
    }

    /// Has those files move, too, that were to stay because they held nothing, and in which pieces lie by now that are verified or
    /// begun. Says whether there are any, for then the note has to be kept again. Nobody may be writing.
    ///
    /// # Errors
    /// [`MoveError::Exists`] where something stands in the way of such a file; and why it could not be looked for.
    pub fn take_along(
        &mut self,
        have: Option<&Bitfield>,
        partial: &BTreeMap<u32, BlockBits>,
    ) -> Result<bool, MoveError> {
        let inner = &self.from.0;
        let holds = |piece: PieceIndex| {
            have.is_some_and(|have| have.get(piece)) || partial.contains_key(&piece.get())
        };
        let left = self.note.left.iter().copied();
        let more: Vec<u32> = left
            .filter(|file| inner.pieces_in(*file).any(holds))
            .collect();
        if more.is_empty() {
            return Ok(false);
        }
        let there = match self.to.0.open_root(false) {
            Err(cause) if cause.is_not_found() => None,
            other => {
                Some(other.map_err(|cause| StoreError::new(Op::Rename, &self.note.to, cause))?)
            }
        };
        for file in more {
            let path = inner.relative(file);
            let stands = there.as_ref().map_or(Ok(None), |there| there.look(&path));
            let stands = stands.map_err(|cause| self.to.0.error(Op::Rename, file, cause))?;
            if stands.is_some() {
                return Err(MoveError::Exists(self.target_path(file)));
            }
            self.note.left.remove(&file);
        }
        Ok(true)
    }

    fn is_link(&self, file: u32) -> bool {
        let meta = self.from.0.layout.files().get(file as usize);
        meta.is_some_and(|meta| matches!(meta.kind, FileKind::Link(_)))
    }

    /// What is at the new folder already.
    fn targets(
        &self,
        here: Option<&Root>,
        sources: &BTreeMap<u32, Standing>,
    ) -> Result<BTreeMap<u32, Standing>, MoveError> {
        let mut targets = BTreeMap::new();
        let there = match self.to.0.open_root(false) {
            Err(cause) if cause.is_not_found() => return Ok(targets),
            other => other.map_err(|cause| StoreError::new(Op::Rename, &self.note.to, cause))?,
        };
        let fail = |file, cause| self.to.0.error(Op::Rename, file, cause);
        let ids: BTreeMap<(u64, u64), u32> =
            sources.iter().map(|(file, at)| (at.id, *file)).collect();
        for (file, path) in self.moved() {
            let Some(standing) = there.look(&path).map_err(|cause| fail(file, cause))? else {
                continue;
            };
            let link = self.is_link(file);
            let fits = match standing.kind {
                StandingKind::File => !link,
                StandingKind::Link => link,
                StandingKind::Other => false,
            };
            if !fits {
                return Err(fail(file, Cause::NotAFile).into());
            }
            if let Some(same) = ids.get(&standing.id) {
                // Another name of the file is as good as another file; the same name by another way is not.
                let folder = there.folder_of(&path).map_err(|cause| fail(file, cause))?;
                let old = here.map(|here| here.folder_of(&path)).transpose();
                let old = old.map_err(|cause| fail(file, cause))?.flatten();
                if *same != file || folder == old {
                    return Err(MoveError::Overlap(self.target_path(file)));
                }
            }
            targets.insert(file, standing);
        }
        Ok(targets)
    }

    /// The pieces that are right at the new folder. Refuses to touch files that hold nothing of the torrent.
    fn adoptable(
        &self,
        existing: MoveExisting,
        there: &BTreeMap<u32, Standing>,
        (have, cancel): (&Bitfield, &AtomicBool),
    ) -> Result<Bitfield, MoveError> {
        let options = RecheckOptions::default();
        let adopted = self.to.recheck(&options, &|_| (), cancel)?;
        if existing == MoveExisting::Replace || cancel.load(Ordering::Relaxed) {
            return Ok(adopted);
        }
        let inner = &self.to.0;
        for (file, standing) in there {
            let own = *file == inner.part() || self.is_link(*file) || standing.len == 0;
            if own || inner.pieces_in(*file).any(|piece| adopted.get(piece)) {
                continue;
            }
            let whole = inner.pieces_in(*file).all(|piece| have.get(piece));
            if !(whole && self.same_bytes(*file, standing.len)?) {
                return Err(MoveError::Foreign(self.target_path(*file)));
            }
        }
        Ok(adopted)
    }

    /// Whether a file is the same at both folders. A small file may share its only piece with others that are not there.
    fn same_bytes(&self, file: u32, len: u64) -> Result<bool, StoreError> {
        let layout = &self.from.0.layout;
        if len != layout.file(file).len {
            return Ok(false);
        }
        let start = layout.start(file);
        let mut buffers = [const { Vec::new() }; 2];
        for at in (0..len).step_by(COMPARED as usize) {
            let part = COMPARED.min(len - at) as usize;
            for (buffer, store) in buffers.iter_mut().zip([&self.from, &self.to]) {
                buffer.resize(part, 0);
                store.read(start + at, buffer)?;
            }
            if buffers[0] != buffers[1] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn must_have_room(
        &self,
        ground: &Root,
        have: &Bitfield,
        adopted: &Bitfield,
    ) -> Result<(), MoveError> {
        let inner = &self.from.0;
        let due = inner.geometry.iter();
        let due = due.filter(|piece| have.get(*piece) && !adopted.get(*piece));
        let needed = due.map(|piece| inner.content_in(piece)).sum();
        let free = ground.room();
        let free = free.map_err(|cause| StoreError::new(Op::Rename, &self.note.to, cause))?;
        if needed > free {
            return Err(MoveError::NoRoom {
                dir: self.note.to.clone(),
                needed,
                free,
            });
        }
        Ok(())
    }
}

impl Inner {
    /// The pieces that a file has bytes in.
    pub(super) fn pieces_in(&self, file: u32) -> impl Iterator<Item = PieceIndex> + use<> {
        let geometry = self.geometry;
        let files = self.layout.files();
        let span = files.get(file as usize).filter(|meta| meta.len > 0);
        let span = span.and_then(|meta| {
            let start = self.layout.start(file);
            let last = geometry.piece_at(start + meta.len - 1)?;
            Some((geometry.piece_at(start)?.get(), last.get()))
        });
        let (first, end) = span.map_or((0, 0), |(first, last)| (first, last + 1));
        (first..end).filter_map(move |piece| geometry.piece(piece))
    }
}

/// A folder by a name that another working folder does not change.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A folder by its real name, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = absolute(path);
    let near = nearest(&path);
    match (near.canonicalize(), path.strip_prefix(&near)) {
        (Ok(real), Ok(rest)) => real.join(rest),
        _ => path,
    }
}

/// The folder itself, or the first one above it that is there.
pub(crate) fn nearest(path: &Path) -> PathBuf {
    let path = absolute(path);
    let mut above = path.ancestors();
    let there = above.find(|path| path.exists());
    there.map_or_else(|| path.clone(), Path::to_owned)
}
