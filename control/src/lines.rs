//! Lines of a stream of bytes.

/// Gathers bytes as they come, and gives lines.
#[derive(Debug)]
pub struct Lines {
    most: usize,
    bytes: Vec<u8>,
    /// There is no line feed before this.
    searched: usize,
}

/// A line is longer than lines may be. What follows it cannot be told from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {most} bytes")]
pub struct TooLong {
    /// Bytes that a line may have.
    pub most: usize,
}

impl Lines {
    /// Lines of at most so many bytes, their line feeds not counted.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            bytes: Vec::new(),
            searched: 0,
        }
    }

    /// Takes what has come. To be called when [`line`](Self::line) has nothing to give: only then is it bounded what is gathered.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line without its line feed; `None` while it is not whole.
    ///
    /// # Errors
    /// [`TooLong`], from then on.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let fresh = self.bytes.get(self.searched..).unwrap_or_default();
        let found = fresh.iter().position(|byte| *byte == b'\n');
        let end = found.map(|at| at.saturating_add(self.searched));
        let len = end.unwrap_or(self.bytes.len());
        if len > self.most {
            return Err(TooLong { most: self.most });
        }
        let Some(end) = end else {
            self.searched = len;
            return Ok(None);
        };
        let rest = self.bytes.split_off(end.saturating_add(1));
        let mut line = std::mem::replace(&mut self.bytes, rest);
        self.searched = 0;
        line.truncate(end);
        Ok(Some(line))
    }

    /// Bytes that have come and were not given.
    pub const fn gathered(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(lines: &mut Lines, into: &mut Vec<Vec<u8>>) -> Result<(), TooLong> {
        while let Some(line) = lines.line()? {
            into.push(line);
        }
        Ok(())
    }

    #[test]
    fn a_line_that_is_too_long_is_told_before_it_is_whole() {
        let mut lines = Lines::new(3);
        lines.push(b"abc\nabcd");
        assert_eq!(lines.line(), Ok(Some(b"abc".to_vec())));
        assert_eq!(lines.line(), Err(TooLong { most: 3 }));
        lines.push(b"\n");
        assert_eq!(lines.line(), Err(TooLong { most: 3 }));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut_when_they_come(
            whole in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20),
            cuts in prop::collection::vec(1_usize..9, 1..20),
        ) {
            let clean = |line: &Vec<u8>| line.iter().copied().filter(|byte| *byte != b'\n').collect();
            let whole: Vec<Vec<u8>> = whole.iter().map(clean).collect();
            let mut stream = whole.join(&b'\n');
            if !whole.is_empty() {
                stream.push(b'\n');
            }
            let (mut lines, mut given) = (Lines::new(20), Vec::new());
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (first, others) = rest.split_at((*cut).min(rest.len()));
                lines.push(first);
                all(&mut lines, &mut given).unwrap();
                rest = others;
            }
            prop_assert_eq!(given, whole);
            prop_assert_eq!(lines.gathered(), 0);
        }
    }
}
