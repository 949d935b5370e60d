//! The body of a reply: unpacked as it comes in, within limits.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::{Error, Limits};

/// How a body is packed (RFC 9110, "Content Codings").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    /// Reads a `Content-Encoding` header; `None` for one that was not offered.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        [
            ("", Self::Identity),
            ("identity", Self::Identity),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
        ]
        .into_iter()
        .find(|(name, _)| value.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, encoding)| encoding)
    }
}

/// Takes the body in chunks, and gives it back whole and unpacked.
pub(super) struct Body {
    unpacker: Unpacker,
    /// Bytes that may still come over the wire.
    left: usize,
    limits: Limits,
}

enum Unpacker {
    Plain(Capped),
    Gzip {
        decoder: Box<GzDecoder<Capped>>,
        ended: bool,
    },
    Deflate(Inflater),
}

impl Body {
    pub(super) fn new(encoding: Encoding, limits: Limits) -> Self {
        let out = Capped {
            bytes: Vec::new(),
            cap: limits.unpacked,
            full: false,
        };
        let unpacker = match encoding {
            Encoding::Identity => Unpacker::Plain(out),
            Encoding::Gzip => Unpacker::Gzip {
                decoder: Box::new(GzDecoder::new(out)),
                ended: false,
            },
            Encoding::Deflate => Unpacker::Deflate(Inflater {
                decoder: None,
                out,
                ended: false,
            }),
        };
        Self {
            unpacker,
            left: limits.body,
            limits,
        }
    }

    /// Takes the next chunk.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.left = self
            .left
            .checked_sub(chunk.len())
            .ok_or(Error::BodyTooLarge {
                limit: self.limits.body,
            })?;
        let outcome = self.unpacker.push(chunk);
        self.judge(outcome)
    }

    /// The unpacked body, after its last chunk.
    pub(super) fn finish(mut self) -> Result<Bytes, Error> {
        let outcome = self.unpacker.finish();
        self.judge(outcome)?;
        Ok(Bytes::from(std::mem::take(
            &mut self.unpacker.output().bytes,
        )))
    }

    fn judge(&mut self, outcome: io::Result<()>) -> Result<(), Error> {
        outcome.map_err(|_| {
            if self.unpacker.output().full {
                Error::BodyTooLarge {
                    limit: self.limits.unpacked,
                }
            } else {
                Error::Corrupt
            }
        })
    }
}

impl Unpacker {
    fn output(&mut self) -> &mut Capped {
        match self {
            Self::Plain(out) => out,
            Self::Gzip { decoder, .. } => decoder.get_mut(),
            Self::Deflate(inflater) => &mut inflater.out,
        }
    }

    fn push(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(chunk),
            Self::Gzip { decoder, ended } => {
                // What follows the end is ignored, as browsers do.
                while !*ended && !chunk.is_empty() {
                    let taken = decoder.write(chunk)?;
                    *ended = taken == 0;
                    chunk = chunk.get(taken..).unwrap_or_default();
                }
                Ok(())
            }
            Self::Deflate(inflater) => inflater.push(chunk),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip { decoder, .. } => decoder.try_finish(),
            Self::Deflate(inflater) if inflater.ended => Ok(()),
            Self::Deflate(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Unpacks a deflate stream, with or without a zlib header.
struct Inflater {
    /// `None` until the first byte shows whether there is a header.
    decoder: Option<Decompress>,
    out: Capped,
    ended: bool,
}

impl Inflater {
    fn push(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        let Some(first) = chunk.first() else {
            return Ok(());
        };
        let zlib = is_zlib_header(*first);
        let decoder = self.decoder.get_or_insert_with(|| Decompress::new(zlib));
        let mut buf = [0; 8 * 1024];
        // What follows the end is ignored here too.
        while !self.ended {
            let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
            let status = decoder.decompress(chunk, &mut buf, FlushDecompress::None)?;
            let taken = (decoder.total_in() - before_in) as usize;
            let given = (decoder.total_out() - before_out) as usize;
            self.out.write_all(buf.get(..given).unwrap_or_default())?;
            self.ended = status == Status::StreamEnd;
            chunk = chunk.get(taken..).unwrap_or_default();
            if taken == 0 && given == 0 {
                // With room in the output, only a lack of input stops a decoder.
                break;
            }
        }
        Ok(())
    }
}

/// Whether "deflate" means what the standard says (a zlib stream) and not the bare deflate stream that some servers
/// send. The method, 8, stands in the low half of the first byte; a bare stream that begins so would be a stored block
/// with its padding not zero.
fn is_zlib_header(first: u8) -> bool {
    first & 0x0f == 8
}

/// A buffer that takes no more than its cap.
struct Capped {
    bytes: Vec<u8>,
    cap: usize,
    full: bool,
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.cap.saturating_sub(self.bytes.len()) {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
