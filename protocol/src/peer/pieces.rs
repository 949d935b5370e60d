//! Which pieces the peer has, also before the torrent's geometry is known.

use crate::bitfield::{Bitfield, BitfieldError};
use crate::geometry::{Geometry, MAX_PIECES, PieceIndex};

/// Haves that are remembered before the geometry is known.
const MAX_EARLY_HAVES: usize = 4096;

/// The peer's pieces.
#[derive(Clone, Debug)]
pub(crate) enum Pieces {
    /// The geometry is unknown: what was said is kept as it came.
    Early { map: EarlyMap, haves: Vec<u32> },
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
            haves: Vec::new(),
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
    pub(crate) const fn is_seed(&self) -> bool {
        match self {
            Self::Known(set) => set.is_full(),
            Self::Early { map, .. } => matches!(map, EarlyMap::All),
        }
    }

    pub(crate) fn set_all(&mut self) {
        match self {
            Self::Known(set) => *set = Bitfield::full(set.len()),
            Self::Early { map, haves } => {
                *map = EarlyMap::All;
                haves.clear();
            }
        }
    }

    pub(crate) fn set_none(&mut self) {
        match self {
            Self::Known(set) => *set = Bitfield::new(set.len()),
            Self::Early { map, haves } => {
                *map = EarlyMap::None;
                haves.clear();
            }
        }
    }

    pub(crate) fn set_bits(&mut self, bits: &[u8]) -> Result<(), BitfieldError> {
        match self {
            Self::Known(set) => *set = Bitfield::from_bytes(bits, set.len())?,
            Self::Early { map, haves } => {
                *map = EarlyMap::Raw(bits.into());
                haves.clear();
            }
        }
        Ok(())
    }

    /// Notes a have before the geometry is known; `false` where no torrent has such a piece or the peer sends more of
    /// them than one who means it.
    pub(crate) fn early_have(&mut self, index: u32) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Early { haves, .. } => {
                let ok = index < MAX_PIECES && haves.len() < MAX_EARLY_HAVES;
                if ok {
                    haves.push(index);
                }
                ok
            }
        }
    }

    /// Takes a have before the geometry is known back (BEP 54).
    pub(crate) fn early_dont_have(&mut self, index: u32) {
        if let Self::Early { haves, .. } = self {
            haves.retain(|have| *have != index);
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
        let Self::Early { map, haves } = self else {
            return Ok(());
        };
        let mut set = match map {
            EarlyMap::None => Bitfield::new(geometry.pieces()),
            EarlyMap::All => Bitfield::full(geometry.pieces()),
            EarlyMap::Raw(bits) => Bitfield::from_bytes(bits, geometry.pieces())?,
        };
        for &index in haves.iter() {
            set.insert(geometry.piece(index).ok_or(EarlyError::Have(index))?);
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
        assert!(pieces.early_have(9));
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
        assert!(pieces.early_have(10));
        assert_eq!(pieces.resolve(&ten()), Err(EarlyError::Have(10)));
        assert!(!Pieces::early().early_have(MAX_PIECES));
    }

    #[test]
    fn early_haves_are_bounded() {
        let mut pieces = Pieces::early();
        let taken = (0..10_000).filter(|n| pieces.early_have(*n)).count();
        assert_eq!(taken, MAX_EARLY_HAVES);
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
