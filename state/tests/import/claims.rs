//! What is believed of a record, and what is to be checked.

use std::path::Path;

use state::import::{DoubtKind, Imported, Settled, Standing, libtorrent};
use state::{Amount, FileStamp, Progress, Record as _};

use super::bencoded::{PIECE, Value, info, left_out, stamp, there};

/// A second of the clock at which the record was written.
const WRITTEN: i64 = 1_700_000_000;
/// `a` has the first piece and a half, `b` the other half and a whole one.
const FILES: [(&str, i64); 2] = [("a", PIECE + PIECE / 2), ("b", PIECE + PIECE / 2)];
const A: u64 = (PIECE + PIECE / 2) as u64;

fn record(pieces: &[u8], more: &[(&str, Value)]) -> Imported {
    let mut fields = vec![
        ("file-format", Value::text("libtorrent resume file")),
        ("file-version", Value::Int(2)),
        ("info", Value::Raw(info(&FILES))),
        (
            "info-hash",
            Value::Bytes(super::bencoded::hash(&FILES).0.to_vec()),
        ),
        ("pieces", Value::Bytes(pieces.to_vec())),
        ("save_path", Value::text("/content")),
    ];
    fields.extend(more.iter().cloned());
    let written = Some(WRITTEN * 1_000_000_000);
    libtorrent::parse(&Value::dict(&fields).encode(), None, written).expect("a record")
}

fn settle(it: &mut Imported, files: &[(&str, FileStamp)]) -> Settled {
    let settled = it.settle(&mut there(files));
    if let Some(progress) = &settled.progress {
        let again = Progress::decode(&progress.encode());
        assert_eq!(again.as_ref(), Ok(progress), "it can be kept");
        assert_eq!(progress.clean, settled.doubts.is_empty());
    }
    settled
}

fn kinds(settled: &Settled) -> Vec<(Option<u32>, DoubtKind)> {
    let doubts = settled.doubts.iter();
    doubts.map(|doubt| (doubt.file, doubt.kind)).collect()
}

#[test]
fn what_fits_in_length_and_time_is_believed_without_a_check() {
    let mut it = record(b"\xe0", &[]);
    let files = [
        ("/content/top/a", stamp(A, WRITTEN)),
        ("/content/top/b", stamp(A, 5)),
    ];
    let settled = settle(&mut it, &files);
    assert_eq!(settled.standing, Standing::Believed);
    assert_eq!((settled.claimed, settled.missing), (2 * A, 0));
    let rested = Amount {
        wanted: 2 * A,
        done: 2 * A,
    };
    assert_eq!(it.torrent.rested, Some(rested));
    let progress = settled.progress.expect("progress");
    assert!(progress.clean && progress.have.is_full());
    assert_eq!(progress.files, [files[0].1, files[1].1]);
    assert_eq!((progress.start, progress.wanted), (Vec::new(), None));
}

#[test]
fn a_file_need_only_reach_as_far_as_what_is_claimed_in_it() {
    let mut it = record(b"\x80", &[]);
    let short = [("/content/top/a", stamp(PIECE as u64, 1))];
    assert_eq!(settle(&mut it, &short).standing, Standing::Believed);
    let shorter = [("/content/top/a", stamp(PIECE as u64 - 1, 1))];
    let settled = settle(&mut it, &shorter);
    assert_eq!(settled.standing, Standing::ToCheck);
    assert_eq!(kinds(&settled), [(Some(0), DoubtKind::Short)]);
}

#[test]
fn what_is_missing_longer_or_newer_than_the_record_is_checked() {
    let good = ("/content/top/a", stamp(A, 1));
    let cases = [
        (vec![good], DoubtKind::Missing, 1),
        (
            vec![good, ("/content/top/b", stamp(A + 1, 1))],
            DoubtKind::Long,
            0,
        ),
        (
            vec![good, ("/content/top/b", stamp(A - 1, 1))],
            DoubtKind::Short,
            0,
        ),
        (
            vec![good, ("/content/top/b", stamp(A, WRITTEN + 1))],
            DoubtKind::Changed,
            0,
        ),
    ];
    for (files, kind, missing) in cases {
        let settled = settle(&mut record(b"\xe0", &[]), &files);
        assert_eq!(settled.standing, Standing::ToCheck);
        assert_eq!(kinds(&settled), [(Some(1), kind)]);
        assert_eq!(settled.missing, missing);
        let progress = settled.progress.expect("a hint");
        assert!(!progress.clean);
    }
}

#[test]
fn a_record_without_pieces_or_with_too_few_claims_nothing_of_the_others() {
    let files = [
        ("/content/top/a", stamp(A, 1)),
        ("/content/top/b", stamp(A, 1)),
    ];
    let settled = settle(&mut record(b"", &[]), &files);
    assert_eq!(settled.standing, Standing::ToCheck);
    assert!(kinds(&settled).contains(&(None, DoubtKind::Unsaid)));

    let mut it = record(b"\xe0", &[]);
    it.claim = None;
    let settled = settle(&mut it, &files);
    assert_eq!(
        (settled.standing, settled.progress),
        (Standing::ToCheck, None)
    );
    assert_eq!(settle(&mut it, &[]).standing, Standing::Empty);
}

#[test]
fn what_lies_where_a_record_knows_of_nothing_is_checked_and_nothing_is_nothing() {
    let files = [("/content/top/b", stamp(A, 1))];
    let settled = settle(&mut record(b"\x00", &[]), &files);
    assert_eq!(kinds(&settled), [(Some(1), DoubtKind::Surplus)]);
    let settled = settle(&mut record(b"\x00", &[]), &[]);
    assert_eq!(settled.standing, Standing::Empty);
    assert!(settled.progress.expect("progress").clean);
}

#[test]
fn bytes_of_unwanted_files_that_lie_nowhere_are_not_claimed() {
    let unwanted = [("file_priority", Value::ints(&[4, 0]))];
    let mut it = record(b"\xe0", &unwanted);
    let settled = settle(&mut it, &[("/content/top/a", stamp(A, 1))]);
    assert_eq!(settled.standing, Standing::Believed);
    let progress = settled.progress.expect("progress");
    assert_eq!(progress.have.ones().collect::<Vec<_>>(), [0]);
    assert_eq!(progress.wanted, Some(vec![0]));
    assert_eq!(left_out(&it), ["pieces"]);

    // One that is there as a whole is as good as a wanted one.
    let mut it = record(b"\xe0", &unwanted);
    let files = [
        ("/content/top/a", stamp(A, 1)),
        ("/content/top/b", stamp(A, 1)),
    ];
    let settled = settle(&mut it, &files);
    assert!(settled.progress.expect("progress").have.is_full());
    assert_eq!(settled.claimed, A);
}

#[test]
fn blocks_of_unfinished_pieces_are_kept_and_those_of_whole_ones_are_not() {
    let block = |piece: i64, mask: &[u8]| {
        Value::dict(&[
            ("bitmask", Value::Bytes(mask.to_vec())),
            ("piece", Value::Int(piece)),
        ])
    };
    let list = Value::List(vec![
        block(0, b"\xc0"),
        block(1, b"\x40"),
        block(2, b"\x00"),
    ]);
    let mut it = record(b"\x80", &[("unfinished", list)]);
    let settled = settle(
        &mut it,
        &[
            ("/content/top/a", stamp(A, 1)),
            ("/content/top/b", stamp(A, 1)),
        ],
    );
    let partial = settled.progress.expect("progress").partial;
    assert_eq!(partial.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(partial[&1].ones().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_record_of_which_nobody_knows_when_it_was_written_is_checked() {
    let mut it = record(b"\xe0", &[]);
    if let Some(claim) = &mut it.claim {
        claim.times = state::import::Times::Unknown;
    }
    let files = [
        ("/content/top/a", stamp(A, 1)),
        ("/content/top/b", stamp(A, 1)),
    ];
    let settled = settle(&mut it, &files);
    let no_time = DoubtKind::NoTime;
    assert_eq!(kinds(&settled), [(Some(0), no_time), (Some(1), no_time)]);
}

#[test]
fn renamed_files_are_looked_for_under_their_new_names_and_never_outside_the_folder() {
    let names = Value::texts(&["else/where", "../../etc/passwd"]);
    let mut it = record(b"\xe0", &[("mapped_files", names)]);
    assert_eq!(left_out(&it), ["mapped_files"]);
    let files = [
        ("/content/else/where", stamp(A, 1)),
        ("/content/top/b", stamp(A, 1)),
    ];
    assert_eq!(settle(&mut it, &files).standing, Standing::Believed);

    for bad in ["/etc/passwd", "a//b", "a/./b", "..", "x\0y", "a\\b"] {
        let it = record(b"\xe0", &[("mapped_files", Value::texts(&[bad]))]);
        assert_eq!(left_out(&it), ["mapped_files"], "{bad:?}");
        assert!(it.details.files.is_empty());
    }
    // Two files of one name, and a file that is the folder of another.
    for clash in [["same", "same"], ["top", "top/b"], ["top/b", ""]] {
        let it = record(b"\xe0", &[("mapped_files", Value::texts(&clash))]);
        assert_eq!(left_out(&it), ["mapped_files"], "{clash:?}");
        assert_eq!(it.paths()[0], ["top", "a"]);
    }
    assert_eq!(it.torrent.dir, Path::new("/content"));
}
