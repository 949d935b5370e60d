//! Whole trees, and proofs for parts of them (BEP 52, "hash request" and "hashes").
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Hash, node, pad, parents};

/// Every node of one file's tree; missing nodes are computed, not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The layers from the lowest known one to the root.
    layers: Vec<Vec<Hash>>,
    /// Height of the lowest known layer.
    base: u32,
}

/// The contents of a "hashes" message: nodes of one layer, and what leads from them to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The nodes asked for.
    pub hashes: Vec<Hash>,
    /// The sibling on every layer above that the hashes themselves do not imply, from below.
    pub uncles: Vec<Hash>,
}

impl Proof {
    /// Takes an answer apart: `length` hashes, then uncles. `None` where there are fewer hashes or half ones.
    pub fn parse(bytes: &[u8], length: u32) -> Option<Self> {
        let (all, rest) = bytes.as_chunks::<32>();
        let (hashes, uncles) = all.split_at_checked(length as usize)?;
        rest.is_empty().then(|| Self {
            hashes: hashes.to_vec(),
            uncles: uncles.to_vec(),
        })
    }

    /// The bytes as they stand in a message: hashes, then uncles.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.hashes.as_flattened(), self.uncles.as_flattened()].concat()
    }
}

impl Tree {
    /// A tree over a file's leaves.
    pub fn from_leaves(leaves: Vec<Hash>) -> Self {
        Self::from_layer(leaves, 0)
    }

    /// A tree over the layer at this height, such as a piece layer; nothing below it is known.
    pub fn from_layer(layer: Vec<Hash>, height: u32) -> Self {
        let mut filler = pad(height);
        let mut layers = vec![layer];
        while let Some(top) = layers.last().filter(|top| top.len() > 1) {
            let above = parents(top, &filler);
            filler = node(&filler, &filler);
            layers.push(above);
        }
        Self {
            layers,
            base: height,
        }
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let top = self.layers.last().and_then(|top| top.first());
        top.copied().unwrap_or_else(|| pad(self.base))
    }

    /// The height of the root.
    pub fn height(&self) -> u32 {
        let above = self.layers.len().saturating_sub(1);
        self.base.saturating_add(above as u32)
    }

    /// Answers a hash request: `length` nodes from `index` on in the layer at height `base`, and the uncles on
    /// `proof_layers` layers, as far as they are not implied and lie below the root.
    ///
    /// `None` where the request is not as BEP 52 demands (`length` a power of two of at least 2, `index` a multiple
    /// of it, not wholly beyond the tree) or the layer is not known.
    pub fn proof(&self, base: u32, index: u32, length: u32, proof_layers: u32) -> Option<Proof> {
        if length < 2 || !length.is_power_of_two() || !index.is_multiple_of(length) {
            return None;
        }
        let width = 1u32.checked_shl(self.height().checked_sub(base)?)?;
        if index.checked_add(length)? > width {
            return None;
        }
        let layer = self.layers.get(base.checked_sub(self.base)? as usize)?;
        let hashes = (index..index.saturating_add(length))
            .map(|at| layer.get(at as usize).copied().unwrap_or_else(|| pad(base)))
            .collect();
        // The proof layers count from the one above `base`; the nodes asked for imply all below their common parent.
        let from = base.saturating_add(length.ilog2());
        let to = base
            .saturating_add(proof_layers)
            .min(self.height().saturating_sub(1));
        let uncles = (from..=to)
            .map(|height| {
                let position = index.checked_shr(height.saturating_sub(base)).unwrap_or(0);
                self.at(height, position ^ 1)
            })
            .collect();
        Some(Proof { hashes, uncles })
    }

    /// The node at this height and place; that of missing content where none is known.
    pub(super) fn at(&self, height: u32, index: u32) -> Hash {
        let layer = height.checked_sub(self.base);
        layer
            .and_then(|layer| self.layers.get(layer as usize)?.get(index as usize))
            .copied()
            .unwrap_or_else(|| pad(height))
    }
}

/// Whether `proof`, the answer to a request for the nodes from `index` on in the layer at height `base`, leads to `root`
/// of a tree this high (see [`height_of`](super::height_of)).
///
/// The number of hashes must be a power of two and `index` a multiple of it. The uncles must lead all the way up: nodes
/// of another layer, which would also hash to the root, do not pass.
pub fn verify(root: &Hash, height: u32, base: u32, index: u32, proof: &Proof) -> bool {
    let Ok(count) = u32::try_from(proof.hashes.len()) else {
        return false;
    };
    if !count.is_power_of_two() || !index.is_multiple_of(count) {
        return false;
    }
    let climbed = count.ilog2().saturating_add(proof.uncles.len() as u32);
    if base.checked_add(climbed) != Some(height) {
        return false;
    }
    let mut hash = super::root(&proof.hashes, [0; 32]);
    let mut position = index.checked_shr(count.ilog2()).unwrap_or(0);
    for uncle in &proof.uncles {
        hash = if position & 1 == 0 {
            node(&hash, uncle)
        } else {
            node(uncle, &hash)
        };
        position >>= 1;
    }
    position == 0 && hash == *root
}
