//! Records come back, damage is noticed.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test data is known"
)]

use protocol::geometry::Geometry;

use super::*;

fn record() -> Record {
    let geometry = Geometry::new(1_000_000, 65_536).unwrap();
    let mut have = Bitfield::new(geometry.pieces());
    have.insert(geometry.piece(3).unwrap());
    have.insert(geometry.piece(15).unwrap());
    Record {
        info_hash: InfoHash([7; 20]),
        have,
        partial: [
            (
                0,
                BlockBits {
                    blocks: 4,
                    bits: vec![0b1010_0000],
                },
            ),
            (
                9,
                BlockBits {
                    blocks: 4,
                    bits: vec![0b0001_0000],
                },
            ),
        ]
        .into(),
        files: vec![
            FileStamp {
                len: Some(999_999),
                mtime: 1_700_000_000_123_456_789,
            },
            FileStamp {
                len: None,
                mtime: 0,
            },
        ],
        clean: true,
        extra: b"peers".to_vec(),
    }
}

#[test]
fn a_record_comes_back_as_it_went() {
    let record = record();
    assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.resume");
    assert!(Record::load(&path).unwrap().is_none());
    record.save(&path).unwrap();
    record.save(&path).unwrap();
    assert_eq!(Record::load(&path).unwrap(), Some(record));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_flipped_bit_or_a_cut_is_noticed_wherever_it_is() {
    let good = record().encode();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(Record::decode(&bad).is_err(), "bit in byte {at}");
        assert!(Record::decode(&good[..at]).is_err(), "cut at {at}");
    }
    assert!(Record::decode(&[good.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_count_that_the_bytes_do_not_justify_is_refused() {
    let mut bytes = record().encode();
    bytes.truncate(bytes.len() - DIGEST);
    // The number of files follows the bitfield of 16 pieces.
    bytes[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
    bytes.extend(hash::sha1(&bytes));
    assert!(matches!(
        Record::decode(&bytes),
        Err(ResumeError::Damaged(32))
    ));
}
