//! Bounds on memory, measured in processes of their own: this binary runs one of its tests again as a child.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use protocol::geometry::Geometry;
use storage::{
    Budget, FileSpec, Limits, PieceHashes, RecheckOptions, Store, StoreOptions, StoreSpec,
};

use crate::support::alone;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The bound on heap memory. A sanitizer keeps freed memory back, so that it can't be held to one.
fn heap_bound() -> u64 {
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    if flags.contains("sanitizer") {
        u64::MAX
    } else {
        4 * MIB
    }
}

/// A line of `/proc/self/status`, in bytes.
fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = status
        .lines()
        .find_map(|found| found.strip_prefix(line))
        .unwrap();
    value
        .trim_matches([':', '\t', ' ', 'k', 'B'])
        .parse::<u64>()
        .unwrap()
        * 1024
}

fn zeros(root: &Path, len: u64, piece_len: u64, limits: Limits) -> Store {
    let geometry = Geometry::new(len, piece_len).unwrap();
    let digest = hash::sha1(&vec![0; piece_len as usize]);
    let spec = StoreSpec {
        root: root.to_path_buf(),
        files: vec![FileSpec::new(["f"], len)],
        geometry,
        hashes: PieceHashes::V1(Bytes::from(digest.repeat(geometry.pieces() as usize))),
        part_file: ".parts".into(),
    };
    std::fs::File::create(root.join("f"))
        .unwrap()
        .set_len(len)
        .unwrap();
    let options = StoreOptions {
        budget: Budget::new(limits),
        ..StoreOptions::default()
    };
    Store::open(spec, options).unwrap()
}

/// Checks zeros without skipping holes; gives the largest resident size of files seen, less what was there before.
fn peak_of_check(len: u64, mapped: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        mapped,
        window: MIB,
        ..Limits::default()
    };
    let store = zeros(dir.path(), len, MIB, limits);
    let before = status("RssFile");
    let peak = Cell::new(0);
    let options = RecheckOptions {
        threads: 2,
        skip_holes: false,
        ..RecheckOptions::default()
    };
    let watch = |_| peak.set(peak.get().max(status("RssFile") - before));
    let have = store
        .recheck(&options, &watch, &AtomicBool::new(false))
        .unwrap();
    assert!(have.is_full());
    peak.get()
}

#[test]
fn checking_keeps_resident_memory_under_the_bound() {
    alone("memory::child_checks_512_mib", "");
}

#[test]
#[ignore = "run by its parent in a process of its own"]
fn child_checks_512_mib() {
    let peak = peak_of_check(512 * MIB, 24 * MIB);
    assert!(peak <= 25 * MIB, "{} MiB resident", peak / MIB);
    assert!(peak >= MIB, "the check read through the map");
}

#[test]
#[ignore = "takes minutes: 200 GiB are read"]
fn checking_200_gib_keeps_resident_memory_under_the_bound() {
    if std::env::var_os("STORE_TEST_ALONE").is_none() {
        return alone(
            "memory::checking_200_gib_keeps_resident_memory_under_the_bound",
            "",
        );
    }
    let peak = peak_of_check(200 * GIB, 64 * MIB);
    assert!(peak <= 65 * MIB, "{} MiB resident", peak / MIB);
}

#[test]
fn a_sparse_torrent_of_200_gib_is_checked_without_reading_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = zeros(dir.path(), 200 * GIB, 4 * MIB, Limits::default());
    let have = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert!(have.is_full());
    assert_eq!(store.options().budget.usage().mapped, 0);
}

#[test]
fn seeding_1_tb_stays_small() {
    alone("memory::child_seeds_1_tb", "");
}

#[test]
#[ignore = "run by its parent in a process of its own"]
fn child_seeds_1_tb() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        mapped: 32 * MIB,
        window: MIB,
        ..Limits::default()
    };
    let heap = status("RssAnon");
    let store = zeros(dir.path(), 1000 * GIB, 16 * MIB, limits);
    let files = status("RssFile");
    let geometry = store.geometry();
    let mut seed = 1_u64;
    let mut held = std::collections::VecDeque::new();
    for _ in 0..5_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let piece = geometry
            .piece((seed >> 33) as u32 % geometry.pieces())
            .unwrap();
        let view = store.view(
            geometry.offset_of(piece) + (seed >> 20) % 900 * 16_384,
            16_384,
        );
        let view = view.unwrap();
        assert!(
            view.segments()
                .all(|bytes| bytes.iter().all(|byte| *byte == 0))
        );
        // Some requests are still being answered: more than fit into the map.
        held.push_back(view);
        if held.len() > 64 {
            held.pop_front();
        }
        assert!(store.options().budget.usage().mapped <= 32 * MIB);
    }
    let files = status("RssFile").saturating_sub(files);
    assert!(files <= 33 * MIB, "{} KiB of files", files / 1024);
    drop(held);
    let heap = status("RssAnon").saturating_sub(heap);
    // The digests are 1.3 MB of it.
    assert!(heap <= heap_bound(), "{} KiB of heap", heap / 1024);
}

#[test]
fn a_store_of_1_tb_takes_little_memory() {
    alone("memory::child_opens_1_tb", "");
}

#[test]
#[ignore = "run by its parent in a process of its own"]
fn child_opens_1_tb() {
    let dir = tempfile::tempdir().unwrap();
    let before = status("RssAnon");
    let store = zeros(dir.path(), 1000 * GIB, MIB * 16, Limits::default());
    let active: Vec<_> = store
        .geometry()
        .iter()
        .take(16)
        .map(|piece| store.activate(piece))
        .collect();
    let after = status("RssAnon").saturating_sub(before);
    assert_eq!(active.len(), 16);
    assert!(after <= heap_bound(), "{} KiB", after / 1024);
}
