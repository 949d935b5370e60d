//! The hash trees of a v2 torrent's files, out of which peers are answered (BEP 52).
//!
//! Trees are built when they are first needed: each costs twice the memory of its piece layer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use protocol::geometry::PieceIndex;
use protocol::merkle::{FileTree, Hash, Needs};
use protocol::metainfo::Metainfo;
use protocol::peer::HashRequest;
use smallvec::SmallVec;
use storage::Store;

use crate::content::HaveBoard;

/// The trees of all files that have one, by root.
pub(crate) struct Trees {
    metainfo: Arc<Metainfo>,
    files: BTreeMap<Hash, File>,
}

/// A file, or several of the same content.
struct File {
    len: u64,
    /// The first piece of each.
    first: SmallVec<[u32; 1]>,
    tree: OnceLock<Option<FileTree>>,
}

/// A piece of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The file's tree, whose piece layer is known.
    pub(crate) tree: &'a FileTree,
    /// The piece, counted from the file's first.
    pub(crate) piece: u32,
}

impl Trees {
    /// The trees of a torrent; none where it has no v2 part.
    pub(crate) fn of(metainfo: &Arc<Metainfo>) -> Option<Self> {
        if !metainfo.has_v2() {
            return None;
        }
        let geometry = metainfo.geometry();
        let mut files = BTreeMap::<Hash, File>::new();
        for file in metainfo.files().iter().filter(|file| file.len > 0) {
            let (Some(root), Some(first)) = (file.root, geometry.piece_at(file.offset)) else {
                continue;
            };
            let known = files.entry(root).or_insert_with(|| File {
                len: file.len,
                first: SmallVec::new(),
                tree: OnceLock::new(),
            });
            if known.len == file.len {
                known.first.push(first.get());
            }
        }
        Some(Self {
            metainfo: Arc::clone(metainfo),
            files,
        })
    }

    /// The tree with this root, if there is one whose piece layer is known.
    fn tree(&self, root: &Hash) -> Option<(&File, &FileTree)> {
        let file = self.files.get(root)?;
        let tree = file.tree.get_or_init(|| {
            let mut tree = FileTree::new(*root, file.len, self.metainfo.geometry().piece_len());
            if !tree.has_layer() {
                let layer = self.metainfo.piece_layer(root)?;
                tree.set_layer(layer.as_chunks::<32>().0.to_vec());
            }
            tree.has_layer().then_some(tree)
        });
        Some((file, tree.as_ref()?))
    }

    /// The bytes of content that must be hashed to answer; `None` where the answer is no.
    pub(crate) fn cost(&self, request: &HashRequest, have: &HaveBoard) -> Option<u64> {
        let file = self.files.get(&request.root)?;
        let piece_len = self.metainfo.geometry().piece_len();
        let span = request.span();
        let shape = FileTree::new(request.root, file.len, piece_len);
        let below = shape.piece_height().saturating_sub(span.base);
        if below == 0 {
            return Some(0);
        }
        // A span that reaches below the piece layer lies in one piece, or is refused.
        let piece = span.index.checked_shr(below)?;
        let within = span.is_sound() && span.length <= 1_u32.checked_shl(below)?;
        (within && self.held(file, piece, have).is_some())
            .then(|| file.len.min(u64::from(piece_len)))
    }

    /// A place of the torrent that holds a piece of a file, if it is there.
    fn held(&self, file: &File, piece: u32, have: &HaveBoard) -> Option<PieceIndex> {
        let geometry = self.metainfo.geometry();
        let mut places = file.first.iter().filter_map(|first| {
            let piece = geometry.piece(first.checked_add(piece)?)?;
            have.contains(piece).then_some(piece)
        });
        places.next()
    }

    /// Answers a request: hashes, then uncles. `None` where it must be refused.
    pub(crate) fn answer(
        &self,
        request: &HashRequest,
        store: &Store,
        have: &HaveBoard,
    ) -> Option<Vec<u8>> {
        let (file, tree) = self.tree(&request.root)?;
        let span = request.span();
        let proof = match tree.needs(span)? {
            Needs::Nothing => tree.proof(span)?,
            Needs::LeavesOf(piece) => {
                let piece = self.held(file, piece, have)?;
                tree.proof_within(span, store.leaves(piece).ok()?)?
            }
        };
        Some(proof.to_bytes())
    }

    /// Which piece of which file a piece of the torrent is; none for one whose hash is not known.
    pub(crate) fn place(&self, piece: PieceIndex) -> Option<Place<'_>> {
        let geometry = self.metainfo.geometry();
        let offset = geometry.offset_of(piece);
        let files = self.metainfo.files();
        let after = files.partition_point(|file| file.offset <= offset);
        let file = files.get(..after)?.last()?;
        let first = geometry.piece_at(file.offset)?;
        let (_, tree) = self.tree(&file.root?)?;
        Some(Place {
            tree,
            piece: piece.get().checked_sub(first.get())?,
        })
    }
}

impl fmt::Debug for Trees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trees")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}
