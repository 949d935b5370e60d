//! Sequences of operations on a store and on a model of it in memory, which must agree after every step.
//!
//! [`run`] reads layout, options and operations from any bytes; property tests and a fuzz target feed it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use protocol::geometry::{Geometry, PieceIndex};
use storage::{
    ActivePiece, BlockState, Budget, Chunk, ErrorKind, FileSpec, Lease, Limits, PieceHashes,
    Preallocate, ReadMode, RecheckOptions, Store, StoreOptions, StoreSpec, Verdict, WriteMode,
};

/// Bytes read front to back; zeros after the end.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: u64) -> u64 {
        let wide = (0..4).fold(0, |n, _| n << 8 | u64::from(self.byte()));
        wide % bound.max(1)
    }
}

/// What a store should be like.
struct Model {
    geometry: Geometry,
    files: Vec<FileSpec>,
    starts: Vec<u64>,
    /// The right content.
    target: Vec<u8>,
    /// What was written.
    disk: Vec<u8>,
    /// Files that exist; unwanted ones exist when bytes of them reached the part file.
    made: Vec<bool>,
    wanted: Vec<bool>,
}

const LENGTHS: [u64; 8] = [0, 1, 100, 16_384, 20_000, 65_536, 70_001, 150_000];
const PIECE_LENGTHS: [u64; 4] = [16_384, 32_768, 65_536, 5_000];

impl Model {
    fn new(source: &mut Source<'_>) -> Self {
        let piece_len = PIECE_LENGTHS[source.below(4) as usize];
        let mut files = vec![FileSpec::new(["t", "first"], 1 + source.below(40_000))];
        for index in 0..source.below(6) {
            let kind = source.byte();
            let len = LENGTHS[source.below(8) as usize];
            let mut file = FileSpec::new(
                ["t".into(), format!("d{}", kind % 3), index.to_string()],
                len,
            );
            file.pad = kind & 0x80 != 0;
            file.wanted = kind & 0x60 != 0x60;
            files.push(file);
        }
        let mut starts = Vec::new();
        let mut target = Vec::new();
        for file in &files {
            starts.push(target.len() as u64);
            let from = target.len();
            target.extend((from..from + file.len as usize).map(|at| ((at * 31) >> 4) as u8));
            if file.pad {
                target[from..].fill(0);
            }
        }
        Self {
            geometry: Geometry::new(target.len() as u64, piece_len).expect("lengths in range"),
            starts,
            disk: vec![0; target.len()],
            target,
            made: vec![false; files.len()],
            wanted: files.iter().map(|file| file.wanted).collect(),
            files,
        }
    }

    fn spec(&self, root: &std::path::Path) -> StoreSpec {
        let hashes: Vec<u8> = self
            .target
            .chunks(self.geometry.piece_len() as usize)
            .flat_map(hash::sha1)
            .collect();
        let mut files = self.files.clone();
        for (file, wanted) in files.iter_mut().zip(&self.wanted) {
            file.wanted = *wanted;
        }
        StoreSpec {
            root: root.to_path_buf(),
            files,
            geometry: self.geometry,
            hashes: PieceHashes::V1(Bytes::from(hashes)),
            part_file: ".parts".into(),
        }
    }

    /// The stretches of a range: file and range in torrent space.
    fn stretches(&self, from: u64, to: u64) -> impl Iterator<Item = (usize, u64, u64)> + '_ {
        self.starts
            .iter()
            .zip(&self.files)
            .enumerate()
            .map(move |(index, (start, file))| {
                (index, (*start).max(from), (start + file.len).min(to))
            })
            .filter(|(_, from, to)| from < to)
    }

    fn write(&mut self, from: u64, data: &[u8]) {
        let stretches: Vec<_> = self.stretches(from, from + data.len() as u64).collect();
        for (file, start, end) in stretches {
            if !self.files[file].pad {
                self.disk[start as usize..end as usize]
                    .copy_from_slice(&data[(start - from) as usize..(end - from) as usize]);
                self.made[file] = true;
            }
        }
    }

    /// Whether every file of the range must be readable. A part file is readable as far as it was written, which the
    /// model does not follow: `None`.
    fn readable(&self, from: u64, to: u64) -> Option<bool> {
        let mut all = true;
        for (file, _, _) in self.stretches(from, to) {
            if !self.files[file].pad {
                if !self.wanted[file] {
                    return None;
                }
                all &= self.made[file];
            }
        }
        Some(all)
    }

    fn is_good(&self, piece: PieceIndex) -> bool {
        let from = self.geometry.offset_of(piece) as usize;
        let range = from..from + self.geometry.len_of(piece) as usize;
        self.disk[range.clone()] == self.target[range]
    }
}

fn options(source: &mut Source<'_>) -> StoreOptions {
    let flags = source.byte();
    StoreOptions {
        write: if flags & 1 == 0 {
            WriteMode::Pwrite
        } else {
            WriteMode::Map
        },
        read: if flags & 6 == 6 {
            ReadMode::Pread
        } else {
            ReadMode::Map
        },
        follow_links: false,
        watch: storage::Watcher::default(),
        preallocate: if flags & 8 == 0 {
            Preallocate::Sparse
        } else {
            Preallocate::Full
        },
        budget: Budget::new(Limits {
            open_files: 1 + usize::from(flags >> 6),
            mapped: 64 * 1024 * u64::from(flags >> 4 & 3),
            window: 64 * 1024,
            unsynced: 50_000,
        }),
    }
}

/// One run: the store, its model, and who holds which lease.
struct Run {
    model: Model,
    store: Store,
    options: StoreOptions,
    active: BTreeMap<u32, (Arc<ActivePiece>, Vec<BlockState>)>,
    leases: Vec<Lease>,
    root: std::path::PathBuf,
}

/// Runs the operations that `input` stands for.
///
/// # Panics
/// When store and model disagree.
pub(crate) fn run(input: &[u8], root: &std::path::Path) {
    let mut source = Source(input);
    let options = options(&mut source);
    let model = Model::new(&mut source);
    let mut run = Run {
        store: Store::open(model.spec(root), options.clone()).expect("a sound specification"),
        active: BTreeMap::new(),
        leases: Vec::new(),
        root: root.to_path_buf(),
        model,
        options,
    };
    let mut steps = 0;
    while !source.0.is_empty() && steps < 200 {
        steps += 1;
        run.step(&mut source);
        let usage = run.options.budget.usage();
        assert!(usage.mapped <= run.options.budget.limits().mapped);
        assert!(usage.open_files <= run.options.budget.limits().open_files + 1);
    }
}

impl Run {
    fn step(&mut self, source: &mut Source<'_>) {
        match source.byte() % 12 {
            0..=2 => self.write(source),
            3 => self.write_piece(source),
            4 => self.view(source),
            5 => self.verify(source),
            6 => self.recheck(source),
            7 => self.store.flush().expect("a disk"),
            8 => self.restart(source),
            9 => self.lease(source),
            10 => self.want(source),
            _ => self.prepare(),
        }
    }

    fn piece(&self, source: &mut Source<'_>) -> PieceIndex {
        let pieces = u64::from(self.model.geometry.pieces());
        let index = source.below(pieces) as u32;
        self.model
            .geometry
            .piece(index)
            .expect("below the number of pieces")
    }

    /// A few chunks, right or wrong, neighbours or not.
    fn write(&mut self, source: &mut Source<'_>) {
        let total = self.model.geometry.total_len();
        let mut from = source.below(total);
        let mut owned = Vec::new();
        for _ in 0..=source.below(5) {
            let len = (1 + source.below(20_000)).min(total - from);
            let mut data = self.model.target[from as usize..(from + len) as usize].to_vec();
            if source.byte().is_multiple_of(8) {
                data[0] ^= 0x55;
            }
            owned.push((from, data));
            from = match source.byte() & 3 {
                0 => source.below(total),
                _ => (from + len) % total,
            };
        }
        let chunks: Vec<Chunk<'_>> = owned
            .iter()
            .map(|(offset, data)| Chunk {
                offset: *offset,
                data,
            })
            .collect();
        self.store.write(&chunks).expect("room on the disk");
        for (from, data) in &owned {
            self.model.write(*from, data);
        }
    }

    fn write_piece(&mut self, source: &mut Source<'_>) {
        let piece = self.piece(source);
        let from = self.model.geometry.offset_of(piece);
        let len = u64::from(self.model.geometry.len_of(piece));
        let data = self.model.target[from as usize..(from + len) as usize].to_vec();
        self.store
            .write(&[Chunk {
                offset: from,
                data: &data,
            }])
            .expect("room on the disk");
        self.model.write(from, &data);
    }

    fn view(&mut self, source: &mut Source<'_>) {
        let total = self.model.geometry.total_len();
        let from = source.below(total);
        let len = source.below((total - from).min(100_000) + 1);
        let right = &self.model.disk[from as usize..(from + len) as usize];
        let view = self.store.view(from, len as u32);
        let mut copy = vec![0; len as usize];
        let read = self.store.read(from, &mut copy);
        let readable = self.model.readable(from, from + len);
        match (view, read) {
            (Ok(view), Ok(())) if readable != Some(false) => {
                assert_eq!(view.len() as u64, len);
                assert!(view.to_vec() == right && copy == right);
                if let Some(slice) = view.contiguous() {
                    assert!(slice == right);
                }
                view.check().expect("nobody cut the file");
            }
            (Err(error), Err(_)) if readable != Some(true) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Vanished | ErrorKind::TooShort),
                    "{error}"
                );
            }
            (view, read) => panic!("{from}+{len}: {view:?} {read:?} but readable {readable:?}"),
        }
        let outside = self.store.view(total - from, (from + 1) as u32);
        assert_eq!(
            outside.expect_err("past the end").kind(),
            ErrorKind::Invalid
        );
    }

    fn verify(&mut self, source: &mut Source<'_>) {
        let pieces: Vec<_> = (0..source.below(20)).map(|_| self.piece(source)).collect();
        let mut verdicts = Vec::new();
        self.store.verify(&pieces, &mut verdicts);
        assert_eq!(verdicts.len(), pieces.len());
        for (piece, verdict) in pieces.iter().zip(verdicts) {
            let from = self.model.geometry.offset_of(*piece);
            let to = from + u64::from(self.model.geometry.len_of(*piece));
            let readable = self.model.readable(from, to);
            let agree = match &verdict {
                Verdict::Io(_) => readable != Some(true),
                Verdict::Good => readable != Some(false) && self.model.is_good(*piece),
                Verdict::Bad => readable != Some(false) && !self.model.is_good(*piece),
                Verdict::Inconsistent => false,
            };
            assert!(agree, "{piece:?} {verdict:?} {readable:?}");
            if verdict.is_good() {
                let digests = self.store.block_digests(*piece).expect("readable");
                let right: Vec<_> = self.model.target[from as usize..to as usize]
                    .chunks(16_384)
                    .map(hash::sha1)
                    .collect();
                assert_eq!(digests, right);
            }
        }
    }

    fn recheck(&mut self, source: &mut Source<'_>) {
        let options = RecheckOptions {
            threads: 1 + source.below(2) as usize,
            only: None,
            skip_holes: source.byte() & 1 == 0,
        };
        let have = self
            .store
            .recheck(&options, &|_| (), &AtomicBool::new(false))
            .expect("a readable disk");
        for piece in self.model.geometry.iter() {
            let from = self.model.geometry.offset_of(piece);
            let to = from + u64::from(self.model.geometry.len_of(piece));
            let good = match self.model.readable(from, to) {
                Some(readable) => readable && self.model.is_good(piece),
                None if self.model.is_good(piece) => continue,
                None => false,
            };
            assert_eq!(have.get(piece), good, "{piece:?}");
        }
        let progress = self.store.file_progress(&have);
        assert!(
            progress
                .iter()
                .zip(&self.model.files)
                .all(|(done, file)| *done <= file.len)
        );
    }

    /// Closes files, or opens the store anew.
    fn restart(&mut self, source: &mut Source<'_>) {
        self.store.close_files();
        assert_eq!(self.options.budget.usage().open_files, 0);
        if source.byte() & 1 == 0 {
            self.leases.clear();
            self.active.clear();
            let spec = self.model.spec(&self.root);
            self.store = Store::open(spec, self.options.clone()).expect("a sound specification");
        }
    }

    /// Takes, commits or drops a lease.
    fn lease(&mut self, source: &mut Source<'_>) {
        let piece = self.piece(source);
        let (active, states) = self.active.entry(piece.get()).or_insert_with(|| {
            let active = self.store.activate(piece);
            let states = (0..active.blocks())
                .map(|block| active.state(block))
                .collect();
            (active, states)
        });
        let block = source.below(u64::from(active.blocks()) + 1) as u32;
        let before = states.get(block as usize).copied();
        let lease = active.lease(block, 5);
        assert_eq!(lease.is_some(), before == Some(BlockState::Missing));
        if let Some(lease) = lease {
            states[block as usize] = BlockState::Receiving;
            self.leases.push(lease);
        }
        if source.byte() & 1 == 0 && !self.leases.is_empty() {
            let at = source.below(self.leases.len() as u64) as usize;
            let lease = self.leases.swap_remove(at);
            let (active, states) = self
                .active
                .get_mut(&lease.active().piece().get())
                .expect("leases are of active pieces");
            let state = &mut states[lease.block() as usize];
            if source.byte().is_multiple_of(4) {
                *state = BlockState::Missing;
                drop(lease);
            } else {
                *state = BlockState::Written;
                let complete = states.iter().all(|state| *state == BlockState::Written);
                assert_eq!(lease.commit().piece_complete, complete);
                assert_eq!(active.is_complete(), complete);
            }
        }
        for (active, states) in self.active.values() {
            for (block, state) in (0..).zip(states) {
                assert_eq!(active.state(block), *state);
            }
        }
    }

    fn want(&mut self, source: &mut Source<'_>) {
        let file = source.below(self.model.files.len() as u64) as usize;
        let wanted = source.byte() & 1 == 0;
        self.store
            .set_wanted(file, wanted)
            .expect("room on the disk");
        if self.model.files[file].pad {
            return;
        }
        // A file that is there stays where it is.
        let stays = !wanted && self.root.join(path(&self.model.files[file])).exists();
        self.model.wanted[file] = wanted || stays;
        if wanted {
            self.model.made[file] = self.root.join(path(&self.model.files[file])).exists();
        }
    }

    fn prepare(&mut self) {
        self.store.prepare().expect("room on the disk");
        for (index, file) in self.model.files.iter().enumerate() {
            let full = self.options.preallocate == Preallocate::Full || file.len == 0;
            if full && !file.pad && self.model.wanted[index] {
                self.model.made[index] = true;
                assert!(self.root.join(path(file)).exists());
            }
        }
    }
}

fn path(file: &FileSpec) -> std::path::PathBuf {
    file.path.iter().collect()
}
