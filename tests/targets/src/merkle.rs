//! Hash trees: an answer to a hash request is taken exactly if it is what the whole tree says, whatever was asked for.

use crate::steps::Steps;
use protocol::merkle::{
    BLOCK_LEN, FileTree, Hash, MAX_HASHES, Needs, Proof, Span, Tree, leaf, piece_layer,
    root_of_leaves,
};

/// A file whose whole tree is known.
struct File {
    known: FileTree,
    whole: Tree,
    leaves: Vec<Hash>,
    piece_len: u32,
}

impl File {
    fn new(steps: &mut Steps<'_>) -> Self {
        let blocks = 1 + steps.below(600) as usize;
        let leaves: Vec<Hash> = (0..blocks).map(|at| leaf(&at.to_be_bytes())).collect();
        let piece_len = BLOCK_LEN << (steps.byte() % 6);
        let len = (blocks as u64) * u64::from(BLOCK_LEN) - u64::from(steps.byte());
        let mut known = FileTree::new(root_of_leaves(&leaves), len, piece_len);
        if !known.has_layer() {
            assert!(known.set_layer(piece_layer(&leaves, piece_len)));
        }
        let whole = Tree::from_leaves(leaves.clone());
        assert_eq!(whole.root(), *known.root());
        Self {
            known,
            whole,
            leaves,
            piece_len,
        }
    }

    fn span(&self, steps: &mut Steps<'_>) -> Span {
        let number = |steps: &mut Steps<'_>, most: u32| match steps.byte() % 4 {
            0 => steps.word(),
            _ => steps.below(most + 2),
        };
        let base = number(steps, self.known.height());
        let shift = u32::from(steps.byte() % 14);
        let length = match steps.byte() % 8 {
            0 => steps.word(),
            _ => 1 << shift,
        };
        let index = number(steps, 1 << (self.known.height() + 1)).checked_div(length.max(1));
        Span {
            base,
            index: index.unwrap_or(0).saturating_mul(length),
            length,
            proof_layers: number(steps, self.known.height()),
        }
    }

    /// What the file answers, which must be what the whole tree says.
    fn answer(&self, span: Span) -> Option<Proof> {
        let answer = match self.known.needs(span) {
            Some(Needs::Nothing) => self.known.proof(span),
            Some(Needs::LeavesOf(piece)) => {
                assert_eq!(self.known.proof(span), None);
                let per_piece = (self.piece_len / BLOCK_LEN) as usize;
                let own = self.leaves.chunks(per_piece).nth(piece as usize);
                let own = own.expect("a piece of the file").to_vec();
                self.known.proof_within(span, own)
            }
            None => return None,
        };
        let answer = answer.expect("what is needed is there");
        let whole = self
            .whole
            .proof(span.base, span.index, span.length, span.proof_layers);
        assert_eq!(whole.as_ref(), Some(&answer));
        assert!(answer.hashes.len() <= MAX_HASHES as usize);
        assert!(answer.uncles.len() as u32 <= span.uncles());
        Some(answer)
    }

    /// Whether hashes that somebody sends are taken: only if they are what the tree says.
    fn judge(&self, span: Span, sent: &Proof) {
        let right = self.answer(span);
        if self.known.admits_layer(span, sent) {
            assert_eq!(right.as_ref(), Some(sent), "as a layer");
        }
        if self.known.admits_leaves(span, sent) && span.base == 0 {
            let right = right.expect("leaves of one piece can be asked for");
            assert_eq!(right.hashes, sent.hashes, "as leaves");
        }
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let file = File::new(&mut steps);
    while !steps.is_empty() {
        let span = file.span(&mut steps);
        let Some(mut sent) = file.answer(span) else {
            let hashes = steps.byte();
            if let Some(sent) = Proof::parse(steps.take(64), u32::from(hashes % 3)) {
                file.judge(span, &sent);
            }
            continue;
        };
        file.judge(span, &sent);
        let bytes = sent.to_bytes();
        assert_eq!(Proof::parse(&bytes, span.length).as_ref(), Some(&sent));
        // A change somewhere, or hashes more or less.
        let count = sent.hashes.len() + sent.uncles.len();
        let at = steps.below(count as u32) as usize;
        match steps.byte() % 4 {
            0 => sent.uncles.truncate(at),
            1 => sent.uncles.push([steps.byte(); 32]),
            2 => sent.hashes.truncate(at),
            _ => {
                let mut all = sent.hashes.iter_mut().chain(&mut sent.uncles);
                let node = all.nth(at).expect("below the count");
                node[usize::from(steps.byte() % 32)] ^= steps.byte();
            }
        }
        file.judge(span, &sent);
    }
}
