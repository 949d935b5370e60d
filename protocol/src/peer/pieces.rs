//! Which pieces the peer has, also before the torrent's geometry is known.

use crate::bitfield::{Bitfield, BitfieldError};
use crate::geometry::{Geometry, MAX_PIECES, PieceIndex};

/// Haves, and haves that were taken back, that are remembered before the geometry is known.
const MAX_EARLY_CHANGES: usize = 4096;

/// The peer's pieces.
#[derive(Clone, Debug)]
pub(crate) enum Pieces {
    /// The geometry is unknown: what was said is kept as it came.
    Early {
        map: EarlyMap,
        /// Which pieces came (`true`) and went since, in turn.
        changes: Vec<(u32, bool)>,
    },
    /// The geometry is known.
    Known(Bitfield),
}

/// A map of pieces of an unknown torrent.
#[derive(Clone, Debug)]
pub(crate) enum EarlyMap {
    None,
    All,
    /// A bitfield, at most as long as that of the largest torrent.
    Raw(Box<[u8]>),
}

impl Pieces {
    pub(crate) const fn early() -> Self {
        Self::Early {
            map: EarlyMap::None,
            changes: Vec::new(),
        }
    }

    pub(crate) fn new(geometry: Option<&Geometry>) -> Self {
        geometry.map_or_else(Self::early, |g| Self::Known(Bitfield::new(g.pieces())))
    }

    pub(crate) const fn known(&self) -> Option<&Bitfield> {
        match self {
            Self::Known(set) => Some(set),
            Self::Early { .. } => None,
        }
    }

    /// Whether the peer said that it has everything.
    pub(crate) fn is_seed(&self) -> bool {
        match self {
            Self::Known(set) => set.is_full(),
            Self::Early { map, changes } => {
                matches!(map, EarlyMap::All) && changes.iter().all(|(_, there)| *there)
            }
        }
    }

    pub(crate) fn set_all(&mut self) {
        match self {
            Self::Known(set) => *set = Bitfield::full(set.len()),
            Self::Early { map, changes } => {
                *map = EarlyMap::All;
                changes.clear();
            }
        }
    }

    pub(crate) fn set_none(&mut self) {
        match self {
            Self::Known(set) => *set = Bitfield::new(set.len()),
            Self::Early { map, changes } => {
                *map = EarlyMap::None;
                changes.clear();
            }
        }
    }

    pub(crate) fn set_bits(&mut self, bits: &[u8]) -> Result<(), BitfieldError> {
        match self {
            Self::Known(set) => *set = Bitfield::from_bytes(bits, set.len())?,
            Self::Early { map, changes } => {
                *map = EarlyMap::Raw(bits.into());
                changes.clear();
            }
        }
        Ok(())
    }

    /// Notes before the geometry is known that a piece came, or went (BEP 54); `false` where no torrent has such a piece or
    /// the peer sends more of that than one who means it.
    pub(crate) fn early_change(&mut self, index: u32, there: bool) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Early { changes, .. } => {
                let ok = index < MAX_PIECES && changes.len() < MAX_EARLY_CHANGES;
                if ok {
                    changes.push((index, there));
                }
                ok
            }
        }
    }

    pub(crate) fn insert(&mut self, piece: PieceIndex) -> bool {
        match self {
            Self::Known(set) => set.insert(piece),
            Self::Early { .. } => false,
        }
    }

    pub(crate) fn remove(&mut self, piece: PieceIndex) -> bool {
        match self {
            Self::Known(set) => set.remove(piece),
            Self::Early { .. } => false,
        }
    }

    /// Reads what was remembered against the geometry.
    pub(crate) fn resolve(&mut self, geometry: &Geometry) -> Result<(), EarlyError> {
        let Self::Early { map, changes } = self else {
            return Ok(());
        };
        let mut set = match map {
            EarlyMap::None => Bitfield::new(geometry.pieces()),
            EarlyMap::All => Bitfield::full(geometry.pieces()),
            EarlyMap::Raw(bits) => Bitfield::from_bytes(bits, geometry.pieces())?,
        };
        for &(index, there) in changes.iter() {
            let piece = geometry.piece(index).ok_or(EarlyError::Have(index))?;
            if there {
                set.insert(piece);
            } else {
                set.remove(piece);
            }
        }
        *self = Self::Known(set);
        Ok(())
    }
}

/// Why what a peer said before the geometry was known does not fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlyError {
    Bitfield(BitfieldError),
    Have(u32),
}

impl From<BitfieldError> for EarlyError {
    fn from(error: BitfieldError) -> Self {
        Self::Bitfield(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten() -> Geometry {
        Geometry::new(10, 1).unwrap()
    }

    #[test]
    fn what_was_said_early_holds_once_the_geometry_is_known() {
        let mut pieces = Pieces::early();
        pieces.set_bits(&[0x80, 0]).unwrap();
        assert!(pieces.early_change(9, true));
        pieces.resolve(&ten()).unwrap();
        let set = pieces.known().unwrap();
        assert_eq!(set.ones().collect::<Vec<_>>(), [0, 9]);
    }

    #[test]
    fn an_early_lie_is_found_out() {
        let mut pieces = Pieces::early();
        pieces.set_bits(&[0x80]).unwrap();
        assert!(matches!(
            pieces.resolve(&ten()),
            Err(EarlyError::Bitfield(BitfieldError::Length { .. }))
        ));
        let mut pieces = Pieces::early();
        assert!(pieces.early_change(10, true));
        assert_eq!(pieces.resolve(&ten()), Err(EarlyError::Have(10)));
        assert!(!Pieces::early().early_change(MAX_PIECES, true));
    }

    #[test]
    fn early_changes_are_bounded() {
        let mut pieces = Pieces::early();
        let taken = (0..10_000)
            .filter(|n| pieces.early_change(*n, n % 2 == 0))
            .count();
        assert_eq!(taken, MAX_EARLY_CHANGES);
    }

    #[test]
    fn pieces_may_go_again_before_the_geometry_is_known() {
        let mut pieces = Pieces::early();
        pieces.set_all();
        for (piece, there) in [(3, false), (4, false), (4, true)] {
            assert!(pieces.early_change(piece, there));
        }
        assert!(!pieces.is_seed());
        pieces.resolve(&ten()).unwrap();
        let set = pieces.known().unwrap();
        assert_eq!(set.ones().collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_seed_is_a_seed_before_and_after() {
        let mut pieces = Pieces::early();
        pieces.set_all();
        assert!(pieces.is_seed());
        pieces.resolve(&ten()).unwrap();
        assert!(pieces.is_seed());
        pieces.set_none();
        assert!(!pieces.is_seed());
    }
}
