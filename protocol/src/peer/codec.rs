//! Frames out of a byte stream.
//!
//! The [`Decoder`] pulls one [`Frame`] at a time out of slices of any size. Payload of piece messages comes as slices
//! of the input; a control message is parsed in place where it lies whole in the input, and is gathered inside the
//! decoder only where it does not. What is gathered is bounded by the message's kind before a byte of it is kept.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use crate::bitfield::Bitfield;
use crate::fault::Fault;
use crate::geometry::MAX_PIECES;
use crate::peer::message::{HashRequest, Message, RawRequest, id};

mod parse;

use parse::parse;

/// The longest payload of a piece message: 128 KiB, the longest request that deployed clients ever answered.
pub const MAX_BLOCK_LEN: u32 = 128 * 1024;

/// The longest extended message that is gathered: 128 KiB. A metadata message is a dictionary and 16 KiB; a peer
/// exchange of 50 + 50 addresses has 2 KiB.
pub const MAX_EXTENDED_LEN: u32 = 128 * 1024;

/// The longest hashes message that is gathered: 64 KiB, four times what libtorrent asks for at once.
pub const MAX_HASHES_LEN: u32 = 64 * 1024;

/// The longest message of an unknown kind that is skipped: 1 MiB, as libtorrent bounds any message.
pub const MAX_SKIPPED_LEN: u32 = 1024 * 1024;

/// Length of a hash request: the id and the body.
const HASH_REQUEST_LEN: u32 = HashRequest::LEN as u32 + 1;

/// A buffer that is kept between messages once it is empty; a larger one is given back.
const KEPT_CAPACITY: usize = 512;

/// What the stream holds next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// The head of a piece message; its payload follows as [`Frame::Payload`].
    Piece(RawRequest),
    /// Payload of the piece message whose head came before.
    Payload {
        /// Where `data` starts in the block.
        offset: u32,
        /// Bytes of the block, never empty.
        data: &'a [u8],
        /// Whether the block ends with `data`.
        last: bool,
    },
}

/// Why bytes are not frames of the peer wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A message of fixed size has another length.
    #[error("message {id} has length {len} where {expected} is due")]
    Length {
        /// The message's id.
        id: u8,
        /// The length it came with.
        len: u32,
        /// The length its kind has.
        expected: u32,
    },
    /// A message is longer than its kind may be.
    #[error("message {id} has length {len}, above {max}")]
    TooLong {
        /// The message's id.
        id: u8,
        /// The length it came with.
        len: u32,
        /// The longest of its kind.
        max: u32,
    },
    /// A message is too short for its kind.
    #[error("message {id} has length {len}, below {min}")]
    TooShort {
        /// The message's id.
        id: u8,
        /// The length it came with.
        len: u32,
        /// The shortest of its kind.
        min: u32,
    },
}

impl CodecError {
    /// Always the peer: the stream broke the protocol.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// Cuts a byte stream into frames.
#[derive(Clone, Debug)]
pub struct Decoder {
    partial: Vec<u8>,
    state: State,
    max_bitfield: u32,
    /// Bit `n` says that extended messages with sub-id `n` are gathered; others are skipped.
    extended: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Payload { len: u32, offset: u32 },
    Skip { left: u32 },
}

/// What the bytes at the start of a frame ask for.
enum Step {
    /// Decided only once this many bytes are there.
    Need(usize),
    KeepAlive,
    Piece(RawRequest),
    /// Not for us: this many bytes of the frame are its known head, `left` follow.
    Skip {
        head: usize,
        left: u32,
    },
    /// A message of this many bytes, length included.
    Whole(usize),
}

/// How a message's length is judged by its id.
enum Kind {
    Exact(u32),
    Between(u32, u32),
    Extended,
    Unknown,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a frame, that takes bitfields of any torrent and all extended messages.
    pub const fn new() -> Self {
        Self {
            partial: Vec::new(),
            state: State::Head,
            max_bitfield: Bitfield::byte_len(MAX_PIECES) as u32,
            extended: u32::MAX,
        }
    }

    /// Bounds bitfields by the number of pieces.
    pub const fn set_pieces(&mut self, pieces: u32) {
        self.max_bitfield = Bitfield::byte_len(pieces) as u32;
    }

    /// Says which extended messages are wanted: bit `n` stands for sub-id `n`; ids above 31 are always skipped.
    pub const fn set_extended(&mut self, ids: u32) {
        self.extended = ids;
    }

    /// Bytes gathered of a message that is not whole yet.
    pub const fn buffered(&self) -> usize {
        self.partial.len()
    }

    /// Whether the stream stands in the middle of a message other than a piece's payload.
    pub const fn in_control(&self) -> bool {
        !self.partial.is_empty() || matches!(self.state, State::Skip { .. })
    }

    /// Pulls the next frame out of `input`, advancing it past what was consumed. `Ok(None)`: all of `input` is taken.
    ///
    /// # Errors
    /// [`CodecError`] where a length does not fit the message's kind; the stream is of no use afterwards.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, CodecError> {
        loop {
            if input.is_empty() {
                return Ok(None);
            }
            match self.state {
                State::Payload { len, offset } => {
                    return Ok(Some(self.payload(input, len, offset)));
                }
                State::Skip { left } => {
                    let taken = take(input, left as usize).len() as u32;
                    self.state = match left.saturating_sub(taken) {
                        0 => State::Head,
                        left => State::Skip { left },
                    };
                }
                State::Head if self.partial.is_empty() => {
                    if let Some(frame) = self.direct(input)? {
                        return Ok(Some(frame));
                    }
                }
                State::Head => {
                    if let Some(frame) = self.gathered(input)? {
                        return Ok(Some(frame));
                    }
                }
            }
        }
    }

    fn payload<'a>(&mut self, input: &mut &'a [u8], len: u32, offset: u32) -> Frame<'a> {
        let data = take(input, len.saturating_sub(offset) as usize);
        let end = offset.saturating_add(data.len() as u32);
        let last = end >= len;
        self.state = if last {
            State::Head
        } else {
            State::Payload { len, offset: end }
        };
        Frame::Payload { offset, data, last }
    }

    /// A frame that begins in `input`.
    fn direct<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, CodecError> {
        match self.step(input)? {
            Step::KeepAlive => {
                take(input, 4);
                Ok(Some(Frame::Message(Message::KeepAlive)))
            }
            Step::Piece(head) => {
                take(input, 13);
                Ok(Some(self.start_payload(head)))
            }
            Step::Skip { head, left } => {
                take(input, head);
                self.start_skip(left);
                Ok(None)
            }
            Step::Whole(len) if input.len() >= len => {
                let frame = take(input, len);
                let (id, body) = split_frame(frame);
                Ok(parse(id, Cow::Borrowed(body)).map(Frame::Message))
            }
            Step::Whole(_) | Step::Need(_) => {
                self.partial.extend_from_slice(take(input, usize::MAX));
                Ok(None)
            }
        }
    }

    /// A frame that began in an earlier input.
    fn gathered<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, CodecError> {
        match self.step(&self.partial)? {
            Step::KeepAlive => {
                self.partial.clear();
                Ok(Some(Frame::Message(Message::KeepAlive)))
            }
            Step::Piece(head) => {
                self.partial.clear();
                Ok(Some(self.start_payload(head)))
            }
            Step::Skip { left, .. } => {
                self.partial.clear();
                self.start_skip(left);
                Ok(None)
            }
            Step::Whole(len) if self.partial.len() >= len => Ok(self.finish().map(Frame::Message)),
            Step::Whole(len) | Step::Need(len) => {
                let missing = len.saturating_sub(self.partial.len());
                self.partial.extend_from_slice(take(input, missing));
                // What is now decided needs no further byte of the input.
                match self.step(&self.partial)? {
                    Step::Need(_) => Ok(None),
                    Step::Whole(len) if self.partial.len() < len => Ok(None),
                    Step::Whole(_) | Step::KeepAlive | Step::Piece(_) | Step::Skip { .. } => {
                        self.gathered(&mut &[][..])
                    }
                }
            }
        }
    }

    /// Turns the gathered frame into a message that owns what it needs.
    fn finish<'a>(&mut self) -> Option<Message<'a>> {
        let mut frame = std::mem::take(&mut self.partial);
        let (id, _) = split_frame(&frame);
        if matches!(id, id::BITFIELD | id::EXTENDED | id::HASHES) {
            frame.drain(..5.min(frame.len()));
            return parse(id, Cow::Owned(frame));
        }
        let (_, body) = split_frame(&frame);
        let message = parse(id, Cow::Borrowed(body)).map(Message::into_static);
        frame.clear();
        if frame.capacity() <= KEPT_CAPACITY {
            self.partial = frame;
        }
        message
    }

    const fn start_payload<'a>(&mut self, head: RawRequest) -> Frame<'a> {
        if head.len > 0 {
            self.state = State::Payload {
                len: head.len,
                offset: 0,
            };
        }
        Frame::Piece(head)
    }

    const fn start_skip(&mut self, left: u32) {
        if left > 0 {
            self.state = State::Skip { left };
        }
    }

    fn step(&self, bytes: &[u8]) -> Result<Step, CodecError> {
        let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
            return Ok(Step::Need(4));
        };
        let len = u32::from_be_bytes(*len);
        if len == 0 {
            return Ok(Step::KeepAlive);
        }
        let Some((&id, body)) = rest.split_first() else {
            return Ok(Step::Need(5));
        };
        let whole = (len as usize).saturating_add(4);
        match self.kind(id) {
            Kind::Exact(expected) if len != expected => {
                Err(CodecError::Length { id, len, expected })
            }
            Kind::Between(min, _) if len < min => Err(CodecError::TooShort { id, len, min }),
            Kind::Between(_, max) if len > max => Err(CodecError::TooLong { id, len, max }),
            Kind::Between(..) if id == id::PIECE => Ok(body.first_chunk::<8>().map_or(
                Step::Need(13),
                |&[p0, p1, p2, p3, b0, b1, b2, b3]| {
                    Step::Piece(RawRequest {
                        piece: u32::from_be_bytes([p0, p1, p2, p3]),
                        begin: u32::from_be_bytes([b0, b1, b2, b3]),
                        len: len.saturating_sub(9),
                    })
                },
            )),
            Kind::Exact(_) | Kind::Between(..) => Ok(Step::Whole(whole)),
            Kind::Extended => self.extended_step(len, body),
            Kind::Unknown if len > MAX_SKIPPED_LEN => Err(CodecError::TooLong {
                id,
                len,
                max: MAX_SKIPPED_LEN,
            }),
            Kind::Unknown => Ok(Step::Skip {
                head: 5,
                left: len.saturating_sub(1),
            }),
        }
    }

    fn extended_step(&self, len: u32, body: &[u8]) -> Result<Step, CodecError> {
        let id = id::EXTENDED;
        if len < 2 {
            return Err(CodecError::TooShort { id, len, min: 2 });
        }
        let Some(&sub) = body.first() else {
            return Ok(Step::Need(6));
        };
        let wanted = self.extended.checked_shr(sub.into()).unwrap_or(0) & 1 == 1;
        let max = if wanted {
            MAX_EXTENDED_LEN
        } else {
            MAX_SKIPPED_LEN
        };
        if len > max {
            return Err(CodecError::TooLong { id, len, max });
        }
        Ok(if wanted {
            Step::Whole((len as usize).saturating_add(4))
        } else {
            Step::Skip {
                head: 6,
                left: len.saturating_sub(2),
            }
        })
    }

    const fn kind(&self, id: u8) -> Kind {
        match id {
            id::CHOKE
            | id::UNCHOKE
            | id::INTERESTED
            | id::NOT_INTERESTED
            | id::HAVE_ALL
            | id::HAVE_NONE => Kind::Exact(1),
            id::HAVE | id::SUGGEST | id::ALLOWED_FAST => Kind::Exact(5),
            id::BITFIELD => Kind::Between(1, self.max_bitfield.saturating_add(1)),
            id::REQUEST | id::CANCEL | id::REJECT => Kind::Exact(13),
            id::PIECE => Kind::Between(9, MAX_BLOCK_LEN.saturating_add(9)),
            id::PORT => Kind::Exact(3),
            id::EXTENDED => Kind::Extended,
            id::HASH_REQUEST | id::HASH_REJECT => Kind::Exact(HASH_REQUEST_LEN),
            id::HASHES => Kind::Between(HASH_REQUEST_LEN, MAX_HASHES_LEN),
            _ => Kind::Unknown,
        }
    }
}

/// Cuts at most `max` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], max: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(max.min(input.len()));
    *input = rest;
    taken
}

/// The id and the body of a whole frame.
fn split_frame(frame: &[u8]) -> (u8, &[u8]) {
    match frame {
        [_, _, _, _, id, body @ ..] => (*id, body),
        _ => (0, &[]),
    }
}

#[cfg(test)]
mod tests;
