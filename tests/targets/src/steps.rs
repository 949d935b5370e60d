//! Reading a sequence of operations out of fuzzer bytes.

/// A cursor over the fuzzer's input that never runs dry: past the end it gives zeros.
///
/// Targets that drive a state machine take one number to choose the operation and further numbers for its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Steps<'a> {
    rest: &'a [u8],
}

impl<'a> Steps<'a> {
    /// Starts reading at the front of `input`.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// True when no input is left; the loop over operations ends here.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes one byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Takes a big-endian 32-bit number.
    pub(crate) fn word(&mut self) -> u32 {
        self.take(4).iter().fold(0, |n, b| n << 8 | u32::from(*b))
    }

    /// Takes a number below `bound`, or 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.word().checked_rem(bound).unwrap_or(0)
    }

    /// Takes up to `len` bytes; fewer at the end of the input.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = tail;
        head
    }

    /// Takes everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }
}
