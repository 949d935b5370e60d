//! Which pieces and blocks resume data says are there.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use protocol::bencode::{List, Value};
use protocol::bitfield::Bitfield;
use protocol::geometry::Geometry;

use super::super::draft::bits;
use super::super::fault::{Fault, FaultKind};
use super::super::fields::Fields;
use super::super::{Claim, Imported, Times};

/// Takes what is said to be on disk.
pub(super) fn take(
    fields: &mut Fields<'_>,
    it: &mut Imported,
    version: i64,
    written: Option<i64>,
) -> Result<(), Fault> {
    let pieces = fields.bytes("pieces")?;
    let unfinished = fields.list("unfinished")?;
    fields.take("trees");
    let pieces = match (pieces, unfinished) {
        (Some(pieces), _) => pieces,
        (None, Some(_)) => &[],
        (None, None) => return Ok(()),
    };
    let Some(parsed) = &it.parsed else {
        if pieces.iter().any(|byte| *byte != 0) {
            it.leave_out(
                "pieces",
                "there is no metadata that says which pieces these are",
            );
        }
        return Ok(());
    };
    let geometry = parsed.geometry();
    let (have, whole) = if version == 1 {
        let packed: Vec<u8> = pieces.chunks(8).map(pack).collect();
        let (have, _) = bits(&packed, geometry.pieces());
        (have, pieces.len() >= geometry.pieces() as usize)
    } else {
        bits(pieces, geometry.pieces())
    };
    let mut partial = BTreeMap::new();
    if let Some(list) = unfinished {
        partial = partials(list, geometry, &have)?;
    }
    it.claim = Some(Claim {
        have,
        partial,
        whole,
        times: written.map_or(Times::Unknown, Times::NotAfter),
    });
    Ok(())
}

/// Up to eight bytes of version 1 as a byte of version 2.
fn pack(bytes: &[u8]) -> u8 {
    let bits = [0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1].into_iter().zip(bytes);
    bits.filter(|(_, byte)| **byte & 1 == 1)
        .fold(0, |packed, (bit, _)| packed | bit)
}

/// Blocks of pieces that are not there as a whole.
fn partials(
    list: List<'_>,
    geometry: Geometry,
    have: &Bitfield,
) -> Result<BTreeMap<u32, Bitfield>, Fault> {
    let wrong = |what| Fault::new("unfinished", FaultKind::Kind(what));
    let mut partial = BTreeMap::new();
    for entry in list.iter() {
        let entry = entry
            .as_dict()
            .ok_or_else(|| wrong("a list of dictionaries"))?;
        let [piece, mask] = entry.get_many([b"piece", b"bitmask"]);
        let piece = piece.and_then(Value::as_int);
        let mask = mask.and_then(Value::as_bytes);
        let (Some(piece), Some(mask)) = (piece, mask) else {
            return Err(wrong("a list of `piece` and `bitmask`"));
        };
        let index = u32::try_from(piece).ok();
        let piece = index.and_then(|index| geometry.piece(index));
        let Some(piece) = piece else {
            let why = FaultKind::Value("names a piece that the torrent does not have");
            return Err(Fault::new("unfinished", why));
        };
        let (blocks, _) = bits(mask, geometry.blocks_in(piece));
        if blocks.count() > 0 && !have.get(piece) {
            partial.insert(piece.get(), blocks);
        }
    }
    Ok(partial)
}
