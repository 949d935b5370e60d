//! What the servers of web seeds answer, where it is more than bytes.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// The range that a reply with status 206 brings (RFC 9110, "Content-Range").
///
/// # Format
/// `bytes FIRST-LAST/LENGTH`, where the length of the whole may be `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, not before the first.
    pub last: u64,
    /// Bytes of the whole file, where the server tells; more than `last`.
    pub whole: Option<u64>,
}

/// Why a `Content-Range` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// It is not of the form `bytes FIRST-LAST/LENGTH`.
    #[error("the server names the range in no known form")]
    Form,
    /// The range ends before it begins, or beyond the end of the file.
    #[error("the server names a range that cannot be")]
    Impossible,
}

impl ContentRange {
    /// Reads the value of the header.
    ///
    /// # Errors
    /// See [`RangeError`].
    pub fn parse(value: &[u8]) -> Result<Self, RangeError> {
        let text = std::str::from_utf8(value).map_err(|_| RangeError::Form)?;
        let (unit, rest) = text.trim().split_once(' ').ok_or(RangeError::Form)?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return Err(RangeError::Form);
        }
        let (range, whole) = rest.trim().split_once('/').ok_or(RangeError::Form)?;
        let (first, last) = range.split_once('-').ok_or(RangeError::Form)?;
        let first = number(first).ok_or(RangeError::Form)?;
        let last = number(last).ok_or(RangeError::Form)?;
        let whole = match whole.trim() {
            "*" => None,
            digits => Some(number(digits).ok_or(RangeError::Form)?),
        };
        if last < first || last == u64::MAX || whole.is_some_and(|whole| last >= whole) {
            return Err(RangeError::Impossible);
        }
        Ok(Self { first, last, whole })
    }

    /// Number of bytes, at least 1.
    pub const fn len(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// A range always has bytes.
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// Decimal digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}
