//! The store: a torrent's content on disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use protocol::bitfield::Bitfield;
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};

use crate::active::{ActivePiece, Lease};
use crate::error::{Cause, Op, StoreError};
use crate::inner::Inner;
use crate::layout::{FileKind, Layout};
use crate::recheck::{Progress, RecheckOptions};
use crate::resume::FileStamp;
use crate::spec::{PieceHashes, Preallocate, StoreOptions, StoreSpec};
use crate::verify::{Origin, Verdict};
use crate::view::PieceView;
use crate::write::Chunk;

/// A torrent's content on disk. Clones are the same store; every method may be called from any thread, and all of them
/// are synchronous.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Inner>);

impl Store {
    /// Checks the specification and opens the store. Makes nothing on disk: files come into being when their first
    /// byte is written or by [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if lengths or paths contradict each other,
    /// [`UnsafePath`](crate::ErrorKind::UnsafePath) if a path has a component that no file may have.
    pub fn open(spec: StoreSpec, options: StoreOptions) -> Result<Self, StoreError> {
        let layout = Layout::new(&spec)?;
        check_hashes(&spec, &layout)
            .map_err(|cause| StoreError::new(Op::Open, &spec.root, cause))?;
        let inner = Inner::new(
            spec.root,
            layout,
            spec.geometry,
            spec.hashes,
            (spec.part_file, options),
        );
        let root = inner.open_root(false);
        for (index, file) in spec.files.iter().enumerate() {
            inner.note_wanted(index as u32, file.wanted);
            if file.wanted || file.pad || file.symlink.is_some() {
                continue;
            }
            // What the user has already is used where it lies.
            let path = inner.layout.files()[index].path();
            let there = root.as_ref().is_ok_and(|root| root.stat(&path).is_ok());
            inner.set_in_part(index as u32, !there);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// The lengths of pieces.
    pub fn geometry(&self) -> Geometry {
        self.0.geometry
    }

    /// The folder that the user chose.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// The options, with the shared budget.
    pub fn options(&self) -> &StoreOptions {
        &self.0.options
    }

    /// The download state of a piece, shared by all who ask for it while someone holds it. Blocks that lie in padding
    /// are written from the start.
    pub fn activate(&self, piece: PieceIndex) -> Arc<ActivePiece> {
        self.activate_with(piece, |_| false)
    }

    /// As [`activate`](Self::activate), with those blocks written from the start that `present` says, such as a
    /// [`resume::Record`](crate::resume::Record) does. Has no effect on a piece that is active already.
    pub fn activate_with(
        &self,
        piece: PieceIndex,
        present: impl Fn(u32) -> bool,
    ) -> Arc<ActivePiece> {
        let blocks = self.0.geometry.blocks_in(piece);
        let leaves = self.0.has_leaves();
        self.0.active.activate(piece, (blocks, leaves), |block| {
            present(block) || self.is_padding(piece, block)
        })
    }

    /// Writes chunks; neighbours in the slice that are neighbours in a file go into one system call. Bytes of padding
    /// are dropped. Files and folders are made as needed. May wait for the disk when it has fallen behind by
    /// [`Limits::unsynced`](crate::Limits).
    ///
    /// # Errors
    /// Names the file that could not be made or written; some of the chunks may have been written. Also where bytes of
    /// earlier calls could not be brought to the disk since.
    pub fn write(&self, chunks: &[Chunk<'_>]) -> Result<(), StoreError> {
        self.0.write(chunks)
    }

    /// A view of a range of the torrent, for verified pieces.
    ///
    /// # Errors
    /// Names the file that can't be opened or is too short.
    pub fn view(&self, offset: u64, len: u32) -> Result<PieceView, StoreError> {
        self.0.view(offset, u64::from(len))
    }

    /// Copies a range of the torrent.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), StoreError> {
        self.0.read(offset, out)
    }

    /// Whether [`note_leaves`](Self::note_leaves) may be of use.
    pub fn has_leaves(&self) -> bool {
        self.0.has_leaves()
    }

    /// Hashes blocks whose bytes are at hand because they came a moment ago, and notes the digests with their leases: each
    /// is given with the lease under which just these bytes were written. [`verify_arrived`](Self::verify_arrived) knows
    /// them once they are committed. Leaves out blocks that are no whole leaf of a v2 torrent (BEP 52), and all of them
    /// where there are too few to be hashed side by side. Returns how many were hashed.
    pub fn note_leaves<'a>(
        &self,
        blocks: impl Iterator<Item = (&'a mut Lease, &'a [u8])>,
    ) -> usize {
        self.0.note_leaves(blocks)
    }

    /// Checks pieces against their digests as they stand on disk, the more at once the cheaper; replaces `out` by their
    /// verdicts, in order.
    pub fn verify(&self, pieces: &[PieceIndex], out: &mut Vec<Verdict>) {
        self.0.verify(pieces, Origin::Fresh, out);
    }

    /// As [`verify`](Self::verify), for pieces whose blocks have just been committed: where what
    /// [`note_leaves`](Self::note_leaves) noted of a piece leads to its v2 root, those blocks are not read again. Files must
    /// still be there, with their length. Any verdict other than [`Good`](Verdict::Good) is about what stands on disk.
    pub fn verify_arrived(&self, pieces: &[PieceIndex], out: &mut Vec<Verdict>) {
        self.0.verify(pieces, Origin::Leases, out);
    }

    /// Checks the whole torrent, or some of its pieces, on several threads. `progress` is called on the calling thread.
    /// Pieces of missing or short files count as bad. When `cancel` turns true, gives what was found by then.
    ///
    /// # Errors
    /// Names the file that can't be read although it is there.
    pub fn recheck(
        &self,
        options: &RecheckOptions,
        progress: &dyn Fn(Progress),
        cancel: &AtomicBool,
    ) -> Result<Bitfield, StoreError> {
        self.0.recheck(options, progress, cancel)
    }

    /// SHA-1 of every block of a piece as it stands on disk, to find out later who sent the bad one.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn block_digests(&self, piece: PieceIndex) -> Result<Vec<[u8; 20]>, StoreError> {
        self.0.block_digests(piece)
    }

    /// The leaves of a piece of a v2 torrent as it stands on disk (BEP 52): SHA-256 of every block, without padding.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn leaves(&self, piece: PieceIndex) -> Result<Vec<[u8; 32]>, StoreError> {
        self.0.leaves(piece)
    }

    /// Makes empty files and symbolic links, and all wanted files if their room is to be reserved. Files that have
    /// their length already are left alone, so that what lies on a read-only disk can be prepared to be seeded. A link
    /// that can't be made is logged and left out: no byte of the torrent depends on it.
    ///
    /// # Errors
    /// Names the file that can't be made.
    pub fn prepare(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        let all = inner.options.preallocate == Preallocate::Full;
        let root = inner.open_root(false).ok();
        for (index, meta) in inner.layout.files().iter().enumerate() {
            let file = index as u32;
            match &meta.kind {
                FileKind::Plain { .. } if inner.in_part(file) => {}
                FileKind::Plain { .. } if meta.len == 0 || all => {
                    let stat = root.as_ref().and_then(|root| root.stat(&meta.path()).ok());
                    if stat.is_none_or(|stat| stat.len < meta.len) {
                        inner.writer(file)?;
                    }
                }
                FileKind::Link(text) => {
                    let made = inner
                        .open_root(true)
                        .and_then(|root| root.symlink(&meta.path(), text));
                    if let Err(cause) = made {
                        let error = inner.error(Op::Create, file, cause);
                        tracing::warn!(%error, "going on without the link");
                    }
                }
                FileKind::Plain { .. } | FileKind::Pad => {}
            }
        }
        Ok(())
    }

    /// Brings every written byte to the disk.
    ///
    /// # Errors
    /// Names a file whose bytes did not arrive, now or since the last call.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.0.flush()
    }

    /// Closes all files and unmaps all windows that no view holds. They open again when needed.
    pub fn close_files(&self) {
        self.0.forget_all();
    }

    /// Removes the torrent's files, links, part file and the folders that are empty then; the chosen folder stays.
    ///
    /// # Errors
    /// Names the first file that could not be removed; the others are removed nevertheless.
    pub fn remove_files(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        inner.forget_all();
        let root = match inner.open_root(false) {
            Err(cause) if cause.is_not_found() => return Ok(()),
            other => other.map_err(|cause| StoreError::new(Op::Remove, &inner.root, cause))?,
        };
        let mut folders = BTreeSet::new();
        let mut first = Ok(());
        for file in 0..=inner.part() {
            let path = inner.relative(file);
            if *path == *Path::new("") {
                continue;
            }
            let above = path.ancestors().skip(1);
            folders.extend(
                above
                    .filter(|path| *path != Path::new(""))
                    .map(Path::to_path_buf),
            );
            if let Err(cause) = root.remove(&path)
                && first.is_ok()
            {
                first = Err(inner.error(Op::Remove, file, cause));
            }
        }
        if let Err(error) = inner.remove_taken(&root)
            && first.is_ok()
        {
            first = Err(error);
        }
        // Folders sort before what they hold.
        for folder in folders.into_iter().rev() {
            root.remove_dir(&folder);
        }
        first
    }

    /// Says whether a file is wanted, by its index in the specification. A file that becomes wanted takes its bytes
    /// over from the part file; one that is no longer wanted stays if it is there already. Those who read and write
    /// meanwhile wait. Not to be called during a [`recheck`](Self::recheck).
    ///
    /// # Errors
    /// Names the file that could not be made, read or written; the choice has not changed then.
    pub fn set_wanted(&self, file: usize, wanted: bool) -> Result<(), StoreError> {
        self.0.set_wanted(file as u32, wanted)
    }

    /// Takes over from the part file what wanted files that are not there have in it: they were not wanted when it came.
    ///
    /// # Errors
    /// Names the file that could not be made, read or written.
    pub fn reclaim(&self) -> Result<(), StoreError> {
        self.0.reclaim()
    }

    /// Lengths and times of all files as they are now, in the order of the specification, for a
    /// [`resume::Record`](crate::resume::Record).
    pub fn stamps(&self) -> Vec<FileStamp> {
        let inner = &self.0;
        let root = inner.open_root(false);
        let absent = FileStamp {
            len: None,
            mtime: 0,
        };
        inner
            .layout
            .files()
            .iter()
            .map(|meta| match (&meta.kind, &root) {
                (FileKind::Plain { .. }, Ok(root)) => {
                    root.stat(&meta.path()).map_or(absent, |stat| FileStamp {
                        len: Some(stat.len),
                        mtime: stat.mtime as i64,
                    })
                }
                _ => absent,
            })
            .collect()
    }

    /// Whether a block consists of padding, which nobody needs to send.
    pub fn is_padding(&self, piece: PieceIndex, block: u32) -> bool {
        let geometry = &self.0.geometry;
        geometry.block(piece, block).is_some_and(|block| {
            self.0
                .layout
                .segments(
                    geometry.block_offset(block),
                    u64::from(geometry.block_len(block)),
                )
                .all(|segment| matches!(self.0.layout.file(segment.file).kind, FileKind::Pad))
        })
    }

    /// Bytes of each file that lie in the given pieces, in file order; pads count like files.
    pub fn file_progress(&self, have: &Bitfield) -> Vec<u64> {
        self.0.layout.progress(&self.0.geometry, have)
    }

    /// The files that have bytes in a piece, by their index in the specification; pads and links are none.
    pub fn files_in(&self, piece: PieceIndex) -> impl Iterator<Item = usize> {
        let (layout, geometry) = (&self.0.layout, &self.0.geometry);
        let len = u64::from(geometry.len_of(piece));
        let segments = layout.segments(geometry.offset_of(piece), len);
        let plain = |file: &usize| matches!(layout.files()[*file].kind, FileKind::Plain { .. });
        segments.map(|segment| segment.file as usize).filter(plain)
    }

    /// The path of a file on disk, by its index in the specification; of the part file, for the index after the last.
    pub fn path_of(&self, file: usize) -> PathBuf {
        self.0.root.join(self.0.relative(file as u32))
    }
}

fn check_hashes(spec: &StoreSpec, layout: &Layout) -> Result<(), Cause> {
    let pieces = spec.geometry.pieces() as usize;
    match &spec.hashes {
        PieceHashes::V1(hashes) if hashes.len() == pieces * 20 => Ok(()),
        PieceHashes::Both { v1, .. } if v1.len() != pieces * 20 => Err(Cause::Lengths),
        PieceHashes::V2(roots) | PieceHashes::Both { v2: roots, .. }
            if roots.len() == pieces * 32 =>
        {
            let piece_len = spec.geometry.piece_len();
            let aligned = (0_u32..).zip(layout.files()).all(|(file, meta)| {
                meta.len == 0
                    || matches!(meta.kind, FileKind::Pad)
                    || layout.start(file).is_multiple_of(u64::from(piece_len))
            });
            // Pieces begin with a file's bytes: padding only fills what a file leaves of its last piece.
            let begun = spec.geometry.iter().all(|piece| {
                let first = layout.file_at(spec.geometry.offset_of(piece));
                let unknown = matches!(spec.hashes, PieceHashes::Both { .. })
                    && roots.as_chunks::<32>().0.get(piece.index()) == Some(&[0; 32]);
                unknown || matches!(layout.file(first).kind, FileKind::Plain { .. })
            });
            if aligned && begun && piece_len.is_power_of_two() && piece_len >= BLOCK_LEN {
                Ok(())
            } else {
                Err(Cause::Lengths)
            }
        }
        PieceHashes::V1(_) | PieceHashes::V2(_) | PieceHashes::Both { .. } => Err(Cause::Lengths),
    }
}
