//! The piece store: writing in both modes, views, leases, verification, recheck.
//!
//! Writing is measured in CPU time of the process, in random piece order, onto new files after as many bytes were
//! written and deleted (memory that the host has to find first would cost more than the write). `cargo bench -p
//! tribler-benches --bench piece_store`; the files lie in the system's folder for temporary files and in `/dev/shm`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use benches::usage::cpu;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};
use storage::{
    Chunk, FileSpec, Limits, PieceHashes, Preallocate, RecheckOptions, Store, StoreOptions,
    StoreSpec, WriteMode,
};

const MIB: u64 = 1024 * 1024;
const TOTAL: u64 = 256 * MIB;
/// Bytes of a write call: what a busy connection has in its buffer.
const CALL: usize = 256 * 1024;

fn folders() -> Vec<(&'static str, PathBuf)> {
    let mut folders = vec![("tmp", std::env::temp_dir())];
    if Path::new("/dev/shm").is_dir() {
        folders.push(("shm", "/dev/shm".into()));
    }
    folders
}

fn spec(root: &Path, hashes: Vec<u8>) -> StoreSpec {
    StoreSpec {
        root: root.to_path_buf(),
        files: vec![FileSpec::new(["content"], TOTAL)],
        geometry: Geometry::new(TOTAL, MIB).expect("lengths in range"),
        hashes: PieceHashes::V1(hashes.into()),
        part_file: ".parts".into(),
    }
}

/// All pieces in an order that no readahead guesses.
fn shuffled(store: &Store) -> Vec<PieceIndex> {
    let mut pieces: Vec<_> = store.geometry().iter().collect();
    let mut seed = 0x2545_f491_u64;
    for at in (1..pieces.len()).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        pieces.swap(at, (seed % (at as u64 + 1)) as usize);
    }
    pieces
}

fn write_piece(store: &Store, piece: PieceIndex, buffer: &[u8]) {
    let offset = store.geometry().offset_of(piece);
    for from in (0..MIB).step_by(CALL) {
        let mut chunks = [Chunk {
            offset: 0,
            data: &[],
        }; CALL / BLOCK_LEN as usize];
        for (chunk, (block, data)) in chunks
            .iter_mut()
            .zip((0_u64..).zip(buffer.chunks(BLOCK_LEN as usize)))
        {
            *chunk = Chunk {
                offset: offset + from + block * u64::from(BLOCK_LEN),
                data,
            };
        }
        store.write(&chunks).expect("room on the disk");
    }
}

fn content_at(offset: u64) -> u8 {
    (offset.wrapping_mul(7) >> 3) as u8
}

/// Writes the whole torrent; gives the CPU time of the first time, and of doing it again.
fn fill(
    folder: &Path,
    write: WriteMode,
    preallocate: Preallocate,
    buffer: &[u8],
) -> (Duration, Duration) {
    let dir = tempfile::tempdir_in(folder).expect("a folder");
    let hashes = vec![0; (TOTAL / MIB * 20) as usize];
    let options = StoreOptions {
        write,
        preallocate,
        ..StoreOptions::default()
    };
    let store = Store::open(spec(dir.path(), hashes), options).expect("a sound specification");
    let pieces = shuffled(&store);
    let pass = || {
        let from = cpu();
        for piece in &pieces {
            write_piece(&store, *piece, buffer);
        }
        cpu().saturating_sub(from)
    };
    (pass(), pass())
}

fn writes(c: &mut Criterion) {
    let buffer: Vec<u8> = (0..CALL).map(|at| content_at(at as u64)).collect();
    let mut group = c.benchmark_group("write_cpu");
    group.throughput(Throughput::Bytes(TOTAL)).sample_size(10);
    for (name, folder) in folders() {
        for (mode, write, preallocate) in [
            ("pwrite_sparse", WriteMode::Pwrite, Preallocate::Sparse),
            ("pwrite_full", WriteMode::Pwrite, Preallocate::Full),
            ("map_full", WriteMode::Map, Preallocate::Full),
        ] {
            let fills = |times| (0..times).map(|_| fill(&folder, write, preallocate, &buffer));
            group.bench_function(format!("new_file/{mode}/{name}"), |b| {
                b.iter_custom(|times| fills(times).map(|(first, _)| first).sum());
            });
            group.bench_function(format!("cached_file/{mode}/{name}"), |b| {
                b.iter_custom(|times| fills(times).map(|(_, again)| again).sum());
            });
        }
    }
    group.finish();
}

/// A complete store on cached pages; the content is one piece over and over.
fn complete(dir: &Path, limits: Limits) -> Store {
    let buffer: Vec<u8> = (0..CALL).map(|at| content_at(at as u64)).collect();
    let digest = hash::sha1(&buffer.repeat(MIB as usize / CALL));
    let options = StoreOptions {
        budget: storage::Budget::new(limits),
        ..StoreOptions::default()
    };
    let hashes = digest.repeat((TOTAL / MIB) as usize);
    let store = Store::open(spec(dir, hashes), options).expect("a sound specification");
    for piece in store.geometry().iter() {
        write_piece(&store, piece, &buffer);
    }
    store
}

/// The hashes of what [`complete`] writes, of a torrent with a v2 part.
fn v2_hashes(hybrid: bool) -> PieceHashes {
    let buffer: Vec<u8> = (0..CALL).map(|at| content_at(at as u64)).collect();
    let piece = buffer.repeat(MIB as usize / CALL);
    let leaves: Vec<[u8; 32]> = piece
        .chunks(BLOCK_LEN as usize)
        .map(protocol::merkle::leaf)
        .collect();
    let count = (TOTAL / MIB) as usize;
    let v2 = protocol::merkle::root_of_leaves(&leaves).repeat(count);
    if hybrid {
        PieceHashes::Both {
            v1: hash::sha1(&piece).repeat(count).into(),
            v2: v2.into(),
        }
    } else {
        PieceHashes::V2(v2.into())
    }
}

fn reads(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = complete(dir.path(), Limits::default());
    let pieces = shuffled(&store);
    let geometry = store.geometry();

    let mut group = c.benchmark_group("view");
    let mut turn = 0;
    group.bench_function("16_KiB_anywhere", |b| {
        b.iter(|| {
            turn = (turn + 1) % pieces.len();
            let offset = geometry.offset_of(pieces[turn]) + u64::from(BLOCK_LEN) * 5;
            black_box(store.view(offset, BLOCK_LEN).expect("a readable file"))
        });
    });
    group.finish();

    let mut group = c.benchmark_group("lease");
    let active = store.activate(pieces[0]);
    group.bench_function("lease_and_commit", |b| {
        let mut block = 0;
        b.iter(|| {
            block = (block + 1) % active.blocks();
            let done = active.lease(block, 1).map(storage::Lease::commit);
            active.reset_block(block);
            black_box(done)
        });
    });
    group.finish();

    verifies(c, dir.path(), &store, &pieces);
}

/// Verification of pieces, and checks of the whole.
fn verifies(c: &mut Criterion, dir: &Path, store: &Store, pieces: &[PieceIndex]) {
    let mut group = c.benchmark_group("verify");
    group
        .throughput(Throughput::Bytes(16 * MIB))
        .sample_size(20);
    let mut verdicts = Vec::new();
    let mut turn = 0;
    group.bench_function("16_pieces_of_1_MiB", |b| {
        b.iter(|| {
            turn = (turn + 16) % pieces.len();
            store.verify(&pieces[turn..turn + 16], &mut verdicts);
            assert!(verdicts.iter().all(storage::Verdict::is_good));
        });
    });
    // The same pieces by their hash trees (BEP 52), and as a hybrid's, by both hashes.
    for (name, hashes) in [("v2", v2_hashes(false)), ("hybrid", v2_hashes(true))] {
        let other = Store::open(
            StoreSpec {
                hashes,
                ..spec(dir, Vec::new())
            },
            StoreOptions::default(),
        );
        let other = other.expect("a sound specification");
        group.bench_function(format!("16_pieces_of_1_MiB_{name}"), |b| {
            b.iter(|| {
                turn = (turn + 16) % pieces.len();
                other.verify(&pieces[turn..turn + 16], &mut verdicts);
                assert!(verdicts.iter().all(storage::Verdict::is_good));
            });
        });
    }
    // What of it is hashing alone.
    let content: Vec<u8> = (0..16 * MIB).map(content_at).collect();
    let messages: Vec<&[u8]> = content.chunks(MIB as usize).collect();
    let mut digests = vec![[0; 20]; 16];
    group.bench_function("16_MiB_of_memory_hashed", |b| {
        b.iter(|| hash::sha1_many(black_box(&messages), &mut digests));
    });
    // Nearly every window is mapped anew, as in a torrent far larger than the budget.
    let tight = Limits {
        mapped: 160 * MIB,
        ..Limits::default()
    };
    let other = tempfile::tempdir().expect("a folder");
    let cold = complete(other.path(), tight);
    group.bench_function("16_pieces_of_1_MiB_mapped_anew", |b| {
        b.iter(|| {
            turn = (turn + 16) % pieces.len();
            cold.verify(&pieces[turn..turn + 16], &mut verdicts);
            assert!(verdicts.iter().all(storage::Verdict::is_good));
        });
    });
    group.finish();

    let mut group = c.benchmark_group("recheck");
    group.throughput(Throughput::Bytes(TOTAL)).sample_size(10);
    for threads in [1, 2] {
        let options = RecheckOptions {
            threads,
            ..RecheckOptions::default()
        };
        group.bench_function(format!("256_MiB_{threads}_threads"), |b| {
            b.iter(|| {
                let have = cold.recheck(&options, &|_| (), &AtomicBool::new(false));
                assert!(have.is_ok_and(|have| have.is_full()));
            });
        });
    }
    group.finish();
}

/// A thousand files of 100 KiB: what the files cost, not the bytes.
fn small_files(c: &mut Criterion) {
    const LEN: u64 = 100 * 1024;
    let dir = tempfile::tempdir().expect("a folder");
    let geometry = Geometry::new(1000 * LEN, MIB).expect("lengths in range");
    let content: Vec<u8> = (0..1000 * LEN).map(content_at).collect();
    let hashes: Vec<u8> = content.chunks(MIB as usize).flat_map(hash::sha1).collect();
    let spec = StoreSpec {
        files: (0..1000)
            .map(|index| FileSpec::new(["t".to_owned(), index.to_string()], LEN))
            .collect(),
        geometry,
        hashes: PieceHashes::V1(hashes.into()),
        ..spec(dir.path(), Vec::new())
    };
    let open =
        || Store::open(spec.clone(), StoreOptions::default()).expect("a sound specification");
    let mut group = c.benchmark_group("small_files_cpu");
    group
        .throughput(Throughput::Bytes(1000 * LEN))
        .sample_size(10);
    let time = |work: &dyn Fn(&Store)| {
        let store = open();
        let from = cpu();
        work(&store);
        cpu().saturating_sub(from)
    };
    let write = |store: &Store| {
        for (piece, data) in geometry.iter().zip(content.chunks(MIB as usize)) {
            let offset = geometry.offset_of(piece);
            store
                .write(&[Chunk { offset, data }])
                .expect("room on the disk");
        }
    };
    group.bench_function("write", |b| {
        b.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    open().remove_files().expect("removable files");
                    time(&write)
                })
                .sum()
        });
    });
    let options = RecheckOptions {
        threads: 1,
        ..RecheckOptions::default()
    };
    write(&open());
    group.bench_function("recheck", |b| {
        b.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    time(&|store| {
                        let have = store.recheck(&options, &|_| (), &AtomicBool::new(false));
                        assert!(have.is_ok_and(|have| have.is_full()));
                    })
                })
                .sum()
        });
    });
    group.finish();
}

criterion_group!(benches, writes, reads, small_files);
criterion_main!(benches);
