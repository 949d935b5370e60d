//! The tree of one file, as far as it is known: at least the root, then the piece layer, and the leaves of a piece where
//! somebody has them at hand.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Hash, Proof, Tree, height_of, piece_height};

/// The most hashes that a request may ask for (libtorrent's bound); larger ones are refused.
pub const MAX_HASHES: u32 = 8192;

/// Some hashes of one layer of a file's tree, as a hash request names them (BEP 52).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Height of the layer; 0 is that of the leaves.
    pub base: u32,
    /// The first hash in the layer, a multiple of `length`.
    pub index: u32,
    /// How many hashes: a power of two.
    pub length: u32,
    /// On how many layers above `base` uncles are wanted; those that the hashes imply are left out.
    pub proof_layers: u32,
}

impl Span {
    /// Whether the numbers are as BEP 52 demands: `length` a power of two from 2 to [`MAX_HASHES`], `index` a multiple of
    /// it.
    pub const fn is_sound(&self) -> bool {
        self.length >= 2
            && self.length <= MAX_HASHES
            && self.length.is_power_of_two()
            && self.index.is_multiple_of(self.length)
    }

    /// Uncles that an answer has at most.
    pub const fn uncles(&self) -> u32 {
        match self.length.checked_ilog2() {
            Some(implied) => self.proof_layers.saturating_add(1).saturating_sub(implied),
            None => 0,
        }
    }
}

/// What is known of the tree of one file that is not empty.
///
/// A file no longer than a piece counts as one piece, whose node is the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTree {
    root: Hash,
    height: u32,
    /// Height of the nodes that stand for pieces.
    piece_height: u32,
    pieces: u32,
    /// The piece layer and all above it.
    above: Option<Tree>,
}

/// What is needed to answer a hash request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but what is known: [`FileTree::proof`] answers.
    Nothing,
    /// The leaves of this piece of the file, for [`FileTree::proof_within`].
    LeavesOf(u32),
}

impl FileTree {
    /// A tree of which nothing is known but its root; of a file within one piece that is all above its leaves.
    pub fn new(file_root: Hash, len: u64, piece_len: u32) -> Self {
        let height = height_of(len);
        let one = len <= u64::from(piece_len);
        let piece_height = if one { height } else { piece_height(piece_len) };
        let pieces = if one {
            1
        } else {
            len.div_ceil(u64::from(piece_len.max(1))) as u32
        };
        Self {
            root: file_root,
            height,
            piece_height,
            pieces,
            above: one.then(|| Tree::from_layer(vec![file_root], height)),
        }
    }

    /// The root.
    pub const fn root(&self) -> &Hash {
        &self.root
    }

    /// The height of the root.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The height of the nodes that stand for pieces.
    pub const fn piece_height(&self) -> u32 {
        self.piece_height
    }

    /// Number of the file's pieces.
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Whether the piece layer is known.
    pub const fn has_layer(&self) -> bool {
        self.above.is_some()
    }

    /// The node of a piece, where it is known.
    pub fn piece_node(&self, piece: u32) -> Option<Hash> {
        let above = self.above.as_ref().filter(|_| piece < self.pieces)?;
        Some(above.at(self.piece_height, piece))
    }

    /// Takes the piece layer, one node for each piece; says whether it leads to the root.
    pub fn set_layer(&mut self, layer: Vec<Hash>) -> bool {
        if layer.len() != self.pieces as usize {
            return false;
        }
        let tree = Tree::from_layer(layer, self.piece_height);
        let fits = tree.root() == self.root;
        if fits {
            self.above = Some(tree);
        }
        fits
    }

    /// The parts in which the piece layer is asked for, `most` hashes at a time (a power of two), each with what leads
    /// from it to the root. Missing nodes behind the last piece are asked for with it where they fill a part up.
    pub fn layer_spans(&self, most: u32) -> impl Iterator<Item = Span> + use<> {
        let width = self.pieces.checked_next_power_of_two().unwrap_or(0);
        let length = width.min(most);
        let (base, proof_layers) = (self.piece_height, self.layers_above(self.piece_height));
        let count = if length < 2 {
            0
        } else {
            self.pieces.div_ceil(length)
        };
        (0..count).map(move |part| Span {
            base,
            index: part.saturating_mul(length),
            length,
            proof_layers,
        })
    }

    /// The parts in which the leaves of a piece are asked for, `most` of them at a time (a power of two), each with what
    /// leads from it to the piece's node. None where the piece is one block, whose leaf is that node.
    pub fn leaf_spans(&self, piece: u32, most: u32) -> impl Iterator<Item = Span> + use<> {
        let width = 1_u32.checked_shl(self.piece_height).unwrap_or(0);
        let length = width.min(most);
        let count = if length < 2 || piece >= self.pieces {
            0
        } else {
            width.checked_div(length).unwrap_or(0)
        };
        let proof_layers = self.piece_height.saturating_sub(1);
        let first = piece.saturating_mul(width);
        (0..count).map(move |part| Span {
            base: 0,
            index: first.saturating_add(part.saturating_mul(length)),
            length,
            proof_layers,
        })
    }

    /// Layers between the one at this height and the root.
    fn layers_above(&self, base: u32) -> u32 {
        self.height.saturating_sub(base).saturating_sub(1)
    }

    /// Whether an answer to one of [`FileTree::layer_spans`] leads to the root.
    pub fn admits_layer(&self, span: Span, proof: &Proof) -> bool {
        proof.hashes.len() == span.length as usize
            && super::verify(&self.root, self.height, span.base, span.index, proof)
    }

    /// Whether an answer to one of [`FileTree::leaf_spans`] leads to the piece's node, which must be known.
    pub fn admits_leaves(&self, span: Span, proof: &Proof) -> bool {
        let piece = span.index.checked_shr(self.piece_height).unwrap_or(0);
        let Some(node) = self.piece_node(piece) else {
            return false;
        };
        let first = piece.checked_shl(self.piece_height).unwrap_or(0);
        proof.hashes.len() == span.length as usize
            && span.index >= first
            && super::verify(
                &node,
                self.piece_height,
                span.base,
                span.index.saturating_sub(first),
                proof,
            )
    }

    /// What is needed to answer this request. `None` where it must be refused: it is not sound, lies outside the tree,
    /// the piece layer is not known, or it asks for hashes below the piece layer of more than one piece.
    pub fn needs(&self, span: Span) -> Option<Needs> {
        let width = 1_u32.checked_shl(self.height.checked_sub(span.base)?)?;
        let end = span.index.checked_add(span.length)?;
        if !span.is_sound() || end > width || self.above.is_none() {
            return None;
        }
        let Some(below) = self.piece_height.checked_sub(span.base) else {
            return Some(Needs::Nothing);
        };
        if below == 0 {
            return Some(Needs::Nothing);
        }
        let piece = span.index.checked_shr(below)?;
        let within = span.length <= 1_u32.checked_shl(below)?;
        (within && piece < self.pieces).then_some(Needs::LeavesOf(piece))
    }

    /// Answers a request that needs nothing more than what is known.
    pub fn proof(&self, span: Span) -> Option<Proof> {
        let above = self.above.as_ref()?;
        (self.needs(span)? == Needs::Nothing)
            .then(|| self.collect(span, |height, index| above.at(height, index)))
    }

    /// Answers a request that needs the leaves of a piece: of all its blocks, the last of a file's as short as it is.
    /// `None` also where these leaves are not the piece's.
    pub fn proof_within(&self, span: Span, mut leaves: Vec<Hash>) -> Option<Proof> {
        let above = self.above.as_ref()?;
        let Needs::LeavesOf(piece) = self.needs(span)? else {
            return None;
        };
        let width = 1_usize.checked_shl(self.piece_height)?;
        if leaves.len() > width || leaves.is_empty() {
            return None;
        }
        leaves.resize(width, [0; 32]);
        let own = Tree::from_leaves(leaves);
        if Some(own.root()) != self.piece_node(piece) {
            return None;
        }
        let node = |height: u32, index: u32| {
            if height >= self.piece_height {
                return above.at(height, index);
            }
            let first = piece.checked_shl(self.piece_height.saturating_sub(height));
            own.at(height, index.saturating_sub(first.unwrap_or(0)))
        };
        Some(self.collect(span, node))
    }

    fn collect(&self, span: Span, node: impl Fn(u32, u32) -> Hash) -> Proof {
        let end = span.index.saturating_add(span.length);
        let hashes = (span.index..end).map(|at| node(span.base, at)).collect();
        let from = span
            .base
            .saturating_add(span.length.checked_ilog2().unwrap_or(0));
        let to = span
            .base
            .saturating_add(span.proof_layers)
            .min(self.height.saturating_sub(1));
        let uncle = |height: u32| {
            let up = height.saturating_sub(span.base);
            node(height, span.index.checked_shr(up).unwrap_or(0) ^ 1)
        };
        Proof {
            hashes,
            uncles: (from..=to).map(uncle).collect(),
        }
    }
}
