//! The checking pass: one walk over the bytes, no heap, no recursion.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use smallvec::SmallVec;

use super::Value;

/// The deepest nesting that can be configured in [`Limits::depth`]: the scanner keeps one bit per open container.
pub const MAX_DEPTH: usize = 128;

/// What an encoded value may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nesting: fewer than this many containers may be open at once; values above [`MAX_DEPTH`] count as that.
    pub depth: usize,
    /// Number of integers, strings, keys, container starts and container ends.
    pub tokens: usize,
    /// Length of the input in bytes.
    pub bytes: usize,
}

/// Where and why bytes are not an acceptable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct Error {
    /// Offset of the offending byte, or of the end of the input.
    pub offset: usize,
    /// What is wrong there.
    pub kind: ErrorKind,
}

/// What can be wrong with an encoded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Two equal keys in one dictionary (canonical form only).
    #[error("duplicate dictionary key")]
    DuplicateKey,
    /// A string length is not followed by a colon.
    #[error("expected a colon")]
    ExpectedColon,
    /// Something other than a digit in a number or a dictionary key that is not a string.
    #[error("expected a digit")]
    ExpectedDigit,
    /// Something that starts no value.
    #[error("expected a value")]
    ExpectedValue,
    /// A number is written with needless zeros, or is minus zero (canonical form only).
    #[error("number is not in its shortest form")]
    LeadingZero,
    /// An integer outside `i64`, or a string length outside `usize`.
    #[error("number too large")]
    Overflow,
    /// Containers are nested deeper than [`Limits::depth`] allows.
    #[error("nested too deeply")]
    TooDeep,
    /// The input is longer than [`Limits::bytes`].
    #[error("input too long")]
    TooLong,
    /// There are more tokens than [`Limits::tokens`].
    #[error("too many tokens")]
    TooManyTokens,
    /// Bytes follow the value (canonical form only).
    #[error("bytes after the value")]
    TrailingBytes,
    /// The input ends inside a value.
    #[error("unexpected end of input")]
    UnexpectedEnd,
    /// The keys of a dictionary are not in byte order (canonical form only).
    #[error("dictionary keys out of order")]
    UnsortedKeys,
}

/// Limits of a .torrent file with libtorrent's defaults: 10 MB, 3 000 000 tokens, 99 open containers.
impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 100,
            tokens: 3_000_000,
            bytes: 10_000_000,
        }
    }
}

impl Limits {
    /// Limits of one datagram or extension message: 64 KiB, 4096 tokens, 31 open containers.
    pub const MESSAGE: Self = Self {
        depth: 32,
        tokens: 4096,
        bytes: 64 * 1024,
    };

    /// These limits with another bound on the input's length.
    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

/// Decodes the value at the start of `bytes`, leniently; what follows it is ignored.
///
/// # Errors
/// [`Error`] with the offset and the reason; the kinds marked "canonical form only" do not occur.
pub fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, Error> {
    decode_prefix(bytes, limits).map(|(value, _)| value)
}

/// Like [`decode`], and tells how many bytes the value takes: payload may follow it (BEP 9 "data" messages).
///
/// # Errors
/// As [`decode`].
pub fn decode_prefix<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(Value<'a>, usize), Error> {
    scan::<false>(bytes, limits)
}

/// Decodes a value whose encoding is the only possible one: sorted unique keys, shortest numbers, nothing after it.
///
/// # Errors
/// [`Error`] with the offset and the reason.
pub fn decode_canonical<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, Error> {
    let (value, used) = scan::<true>(bytes, limits)?;
    if used < bytes.len() {
        return Err(Error {
            offset: used,
            kind: ErrorKind::TrailingBytes,
        });
    }
    Ok(value)
}

/// Whether `bytes` is exactly one value in canonical form, within `limits`.
pub fn is_canonical(bytes: &[u8], limits: &Limits) -> bool {
    decode_canonical(bytes, limits).is_ok()
}

/// A cursor over unchecked bytes.
struct Scanner<'a, const CANONICAL: bool> {
    bytes: &'a [u8],
    at: usize,
}

fn scan<'a, const CANONICAL: bool>(
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(Value<'a>, usize), Error> {
    if bytes.len() > limits.bytes {
        return Err(Error {
            offset: limits.bytes,
            kind: ErrorKind::TooLong,
        });
    }
    let mut scanner = Scanner::<CANONICAL> { bytes, at: 0 };
    scanner.value(limits)?;
    let (span, _) = bytes
        .split_at_checked(scanner.at)
        .ok_or_else(|| scanner.error(ErrorKind::UnexpectedEnd))?;
    Ok((Value::checked(span), span.len()))
}

impl<'a, const CANONICAL: bool> Scanner<'a, CANONICAL> {
    fn error(&self, kind: ErrorKind) -> Error {
        Error {
            offset: self.at,
            kind,
        }
    }

    fn peek(&self) -> Result<u8, Error> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or_else(|| self.error(ErrorKind::UnexpectedEnd))
    }

    /// Steps over a byte that [`Scanner::peek`] has seen.
    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// Checks one whole value. The open containers are a stack of bits, set for a dictionary.
    fn value(&mut self, limits: &Limits) -> Result<(), Error> {
        let max_open = limits.depth.min(MAX_DEPTH).saturating_sub(1);
        let mut tokens = limits.tokens;
        let mut dicts: u128 = 0;
        let mut open: usize = 0;
        // The last key of every open dictionary, for the canonical form; lists hold their place.
        let mut keys: SmallVec<[Option<&'a [u8]>; 16]> = SmallVec::new();
        loop {
            let byte = self.peek()?;
            tokens = tokens
                .checked_sub(1)
                .ok_or_else(|| self.error(ErrorKind::TooManyTokens))?;
            if byte == b'e' && open > 0 {
                self.step();
                open = open.saturating_sub(1);
                dicts >>= 1;
                if CANONICAL {
                    keys.pop();
                }
            } else {
                if dicts & 1 == 1 {
                    let start = self.at;
                    let key = self.string()?;
                    if CANONICAL {
                        Self::check_order(keys.last_mut(), key, start)?;
                    }
                    tokens = tokens
                        .checked_sub(1)
                        .ok_or_else(|| self.error(ErrorKind::TooManyTokens))?;
                }
                match self.peek()? {
                    b'i' => self.int()?,
                    b'0'..=b'9' => {
                        self.string()?;
                    }
                    kind @ (b'd' | b'l') => {
                        if open >= max_open {
                            return Err(self.error(ErrorKind::TooDeep));
                        }
                        self.step();
                        open = open.saturating_add(1);
                        dicts = dicts << 1 | u128::from(kind == b'd');
                        if CANONICAL {
                            keys.push(None);
                        }
                    }
                    _ => return Err(self.error(ErrorKind::ExpectedValue)),
                }
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn check_order(
        last: Option<&mut Option<&'a [u8]>>,
        key: &'a [u8],
        offset: usize,
    ) -> Result<(), Error> {
        let Some(last) = last else { return Ok(()) };
        match last.map(|last| last.cmp(key)) {
            Some(std::cmp::Ordering::Equal) => Err(Error {
                offset,
                kind: ErrorKind::DuplicateKey,
            }),
            Some(std::cmp::Ordering::Greater) => Err(Error {
                offset,
                kind: ErrorKind::UnsortedKeys,
            }),
            Some(std::cmp::Ordering::Less) | None => {
                *last = Some(key);
                Ok(())
            }
        }
    }

    /// Steps over an integer; the cursor stands on its `i`.
    fn int(&mut self) -> Result<(), Error> {
        self.step();
        let start = self.at;
        let negative = self.peek()? == b'-';
        if negative {
            self.step();
        }
        let first = self.at;
        let mut value: u64 = 0;
        loop {
            match self.peek()? {
                digit @ b'0'..=b'9' => {
                    value = value
                        .checked_mul(10)
                        .and_then(|v| v.checked_add(u64::from(digit & 15)))
                        .ok_or_else(|| self.error(ErrorKind::Overflow))?;
                    self.step();
                }
                b'e' if self.at > first => break,
                _ => return Err(self.error(ErrorKind::ExpectedDigit)),
            }
        }
        let largest = i64::MAX.unsigned_abs();
        if value > largest && !(negative && value == i64::MIN.unsigned_abs()) {
            return Err(Error {
                offset: start,
                kind: ErrorKind::Overflow,
            });
        }
        if CANONICAL {
            let digits = self.at.saturating_sub(first);
            let padded = digits > 1 && self.bytes.get(first) == Some(&b'0');
            if padded || (negative && value == 0) {
                return Err(Error {
                    offset: start,
                    kind: ErrorKind::LeadingZero,
                });
            }
        }
        self.step();
        Ok(())
    }

    /// Steps over a string and returns its contents; the cursor stands where its length should.
    fn string(&mut self) -> Result<&'a [u8], Error> {
        let start = self.at;
        let mut len: usize = 0;
        loop {
            match self.bytes.get(self.at) {
                Some(digit @ b'0'..=b'9') => {
                    len = len
                        .checked_mul(10)
                        .and_then(|len| len.checked_add(usize::from(digit & 15)))
                        .ok_or_else(|| self.error(ErrorKind::Overflow))?;
                    self.step();
                }
                Some(b':') if self.at > start => break,
                Some(_) => return Err(self.error(ErrorKind::ExpectedDigit)),
                None if self.at > start => return Err(self.error(ErrorKind::ExpectedColon)),
                None => return Err(self.error(ErrorKind::UnexpectedEnd)),
            }
        }
        if CANONICAL && self.at.saturating_sub(start) > 1 && self.bytes.get(start) == Some(&b'0') {
            return Err(Error {
                offset: start,
                kind: ErrorKind::LeadingZero,
            });
        }
        self.step();
        let contents = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.get(..len))
            .ok_or_else(|| self.error(ErrorKind::UnexpectedEnd))?;
        self.at = self.at.saturating_add(len);
        Ok(contents)
    }
}
