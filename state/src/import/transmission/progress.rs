//! Which pieces and blocks a resume file says are there, and when they were verified.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use protocol::bencode::Value;
use protocol::bitfield::Bitfield;
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};

use super::super::draft::bits;
use super::super::fault::{Fault, FaultKind};
use super::super::fields::Fields;
use super::super::{Claim, FileTime, Imported, Times};
use super::Keys;

/// Takes what is said to be on disk.
pub(super) fn take(fields: &mut Keys<'_>, it: &mut Imported) -> Result<(), Fault> {
    let Some(mut fields) = fields.inside("progress")? else {
        return Ok(());
    };
    let Some(parsed) = &it.parsed else {
        return Ok(());
    };
    let geometry = parsed.geometry();
    let Some(blocks) = fields.at("blocks", Fields::bytes)? else {
        return Ok(());
    };
    let (mut have, mut partial, mut whole) = pieces_of(blocks, geometry);
    let checked = fields.at("pieces", Fields::bytes)?;
    let mtimes = fields.at("mtimes", Fields::list)?;
    let time_checked = fields.at("time-checked", Fields::list)?;
    if let Some(checked) = checked {
        let (checked, _) = worded(checked, geometry.pieces());
        for piece in geometry.iter() {
            if have.get(piece) && !checked.get(piece) {
                // All of its blocks are there, and nobody has looked at them.
                have.remove(piece);
                partial.insert(piece.get(), Bitfield::full(geometry.blocks_in(piece)));
            }
        }
    }
    let wrong = |field: &str, what| Fault::new(format!("progress.{field}"), FaultKind::Kind(what));
    let mut times = Vec::with_capacity(parsed.files().len());
    if let Some(list) = mtimes {
        for value in list.iter().take(parsed.files().len()) {
            let time = value.as_int();
            let time = time.ok_or_else(|| wrong("mtimes", "a list of whole numbers"))?;
            // 0 stands for a file that was not there.
            times.push(if time > 0 {
                FileTime::Exactly(time)
            } else {
                FileTime::Unknown
            });
        }
    } else if let Some(list) = time_checked {
        for (value, file) in list.iter().zip(parsed.files()) {
            let first = geometry.piece_at(file.offset).map_or(0, PieceIndex::get);
            let claimed = |at: u32| {
                let piece = first
                    .checked_add(at)
                    .and_then(|index| geometry.piece(index));
                piece.is_some_and(|piece| have.get(piece))
            };
            let time = checked_at(value, claimed);
            times.push(time.ok_or_else(|| wrong("time-checked", "a list of times"))?);
        }
    } else {
        whole = false;
    }
    it.claim = Some(Claim {
        have,
        partial,
        whole,
        times: Times::Each(times),
    });
    Ok(())
}

/// The bits of a set, or the word for all or none of it; whether it says so of all.
fn worded(bytes: &[u8], len: u32) -> (Bitfield, bool) {
    match bytes {
        b"all" => (Bitfield::full(len), true),
        b"none" | b"" => (Bitfield::new(len), true),
        bytes => bits(bytes, len),
    }
}

/// The pieces of which all blocks are there, the blocks of others, and whether the record says so of all pieces.
fn pieces_of(bytes: &[u8], geometry: Geometry) -> (Bitfield, BTreeMap<u32, Bitfield>, bool) {
    let pieces = geometry.pieces();
    let per_piece = geometry.piece_len() / BLOCK_LEN;
    let words = matches!(bytes, b"all" | b"none" | b"");
    if words || !geometry.piece_len().is_multiple_of(BLOCK_LEN) {
        let (have, _) = worded(if words { bytes } else { b"" }, pieces);
        return (have, BTreeMap::new(), words);
    }
    let blocks = geometry.total_len().div_ceil(u64::from(BLOCK_LEN));
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    let (all, whole) = bits(bytes, blocks);
    let mut have = Bitfield::new(pieces);
    let mut begun: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut count = 0_u32;
    let mut last = None;
    for block in all.ones() {
        let index = block.checked_div(per_piece).unwrap_or(0);
        let Some(piece) = geometry.piece(index) else {
            continue;
        };
        if last != Some(index) {
            (last, count) = (Some(index), 0);
        }
        count = count.saturating_add(1);
        let within = block.checked_rem(per_piece).unwrap_or(0);
        let mask = begun
            .entry(index)
            .or_insert_with(|| vec![0; Bitfield::byte_len(geometry.blocks_in(piece))]);
        if let Some(byte) = mask.get_mut((within / 8) as usize) {
            *byte |= 0x80_u8.wrapping_shr(within % 8);
        }
        if count == geometry.blocks_in(piece) {
            have.insert(piece);
            begun.remove(&index);
        }
    }
    let begun = begun.into_iter().filter_map(|(index, mask)| {
        let piece = geometry.piece(index)?;
        let (blocks, _) = bits(&mask, geometry.blocks_in(piece));
        Some((index, blocks))
    });
    (have, begun.collect(), whole)
}

/// When the pieces of a file that are said to be there were verified, by `claimed` with their number in the file: the
/// earliest of these times. `None` if the value is none.
fn checked_at(value: Value<'_>, claimed: impl Fn(u32) -> bool) -> Option<FileTime> {
    let known = |time: i64| {
        if time > 0 {
            FileTime::NotAfter(time)
        } else {
            FileTime::Unknown
        }
    };
    if let Some(time) = value.as_int() {
        return Some(known(time));
    }
    let mut list = value.as_list()?.iter().map(Value::as_int);
    let base = list.next()??;
    let mut earliest = i64::MAX;
    for (at, added) in (0_u32..).zip(list) {
        let added = added?;
        if claimed(at) {
            let time = if added > 0 {
                base.saturating_add(added)
            } else {
                0
            };
            earliest = earliest.min(time);
        }
    }
    Some(if earliest == i64::MAX {
        FileTime::Unknown
    } else {
        known(earliest)
    })
}
