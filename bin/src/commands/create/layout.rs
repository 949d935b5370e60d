//! Where the files of a new torrent lie in its piece space.

use protocol::metainfo::build::Plan;

/// One stretch of a file, or of padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// Bytes of the file with this index.
    File { file: usize, at: u64, len: u64 },
    /// Zeros that stand in no file (BEP 47).
    Pad { len: u64 },
}

impl Stretch {
    /// Bytes.
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::File { len, .. } | Self::Pad { len } => len,
        }
    }
}

/// All files and padding in torrent order.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Each stretch with its first byte in piece space; no empty ones.
    stretches: Vec<(u64, Stretch)>,
    total: u64,
    piece_len: u64,
}

impl Layout {
    /// The layout of a planned torrent.
    pub(crate) fn of(plan: &Plan) -> Self {
        let entries = plan.entries().iter();
        let entries = entries.map(|entry| (entry.source, entry.offset, entry.len));
        Self::new(entries, plan.geometry().piece_len().into())
    }

    /// From the number, first byte and length of each file; padding has no number. What lies between is padding too.
    fn new(entries: impl Iterator<Item = (Option<usize>, u64, u64)>, piece_len: u64) -> Self {
        let mut layout = Self {
            stretches: Vec::new(),
            total: 0,
            piece_len,
        };
        for (source, offset, len) in entries {
            layout.push(Stretch::Pad {
                len: offset.saturating_sub(layout.total),
            });
            layout.push(match source {
                Some(file) => Stretch::File { file, at: 0, len },
                None => Stretch::Pad { len },
            });
        }
        layout
    }

    fn push(&mut self, stretch: Stretch) {
        if stretch.len() > 0 {
            self.stretches.push((self.total, stretch));
            self.total += stretch.len();
        }
    }

    /// Number of pieces.
    pub(crate) fn pieces(&self) -> u64 {
        self.total.div_ceil(self.piece_len)
    }

    /// Bytes of every piece but the last.
    pub(crate) fn piece_len(&self) -> u64 {
        self.piece_len
    }

    /// The stretches that make up the pieces `from..to`, in order.
    pub(crate) fn pieces_in(&self, from: u64, to: u64) -> Vec<Stretch> {
        let (start, end) = (from * self.piece_len, (to * self.piece_len).min(self.total));
        let first = self
            .stretches
            .partition_point(|(at, s)| at + s.len() <= start);
        self.stretches[first..]
            .iter()
            .take_while(|(at, _)| *at < end)
            .map(|&(at, stretch)| {
                let skipped = start.saturating_sub(at);
                let len = stretch.len().min(end - at) - skipped;
                match stretch {
                    Stretch::File { file, .. } => Stretch::File {
                        file,
                        at: skipped,
                        len,
                    },
                    Stretch::Pad { .. } => Stretch::Pad { len },
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stretch::{File, Pad};

    fn file(file: usize, at: u64, len: u64) -> Stretch {
        File { file, at, len }
    }

    #[test]
    fn a_piece_may_hold_parts_of_several_files() {
        let entries = [(0, 0, 5), (1, 5, 0), (2, 5, 25), (3, 30, 10)];
        let entries = entries.map(|(file, offset, len)| (Some(file), offset, len));
        let layout = Layout::new(entries.into_iter(), 10);
        assert_eq!(layout.pieces(), 4);
        assert_eq!(layout.pieces_in(0, 1), [file(0, 0, 5), file(2, 0, 5)]);
        assert_eq!(layout.pieces_in(1, 4), [file(2, 5, 20), file(3, 0, 10)]);
        assert_eq!(layout.pieces_in(2, 3), [file(2, 15, 10)]);
    }

    #[test]
    fn padding_and_gaps_are_zeros() {
        let entries = [
            (Some(0), 0, 5),
            (None, 5, 5),
            (Some(1), 20, 3),
            (None, 23, 7),
        ];
        let layout = Layout::new(entries.into_iter(), 10);
        assert_eq!(layout.pieces(), 3);
        let pad = |len| Pad { len };
        assert_eq!(layout.pieces_in(0, 1), [file(0, 0, 5), pad(5)]);
        assert_eq!(layout.pieces_in(1, 2), [pad(10)]);
        assert_eq!(layout.pieces_in(2, 3), [file(1, 0, 3), pad(7)]);
    }
}
