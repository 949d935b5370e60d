//! Messages of `ut_metadata`: the info dictionary in pieces of 16 KiB (BEP 9).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use crate::bencode::{self, Encoder, Limits};
use crate::peer::extension::{ExtensionError, MAX_METADATA_SIZE};

/// Bytes in every piece of the metadata but the last: 16 KiB (BEP 9).
pub const METADATA_PIECE_LEN: u32 = 16 * 1024;

/// A message of `ut_metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMessage<'a> {
    /// Asks for a piece.
    Request {
        /// Index of the piece.
        piece: u32,
    },
    /// Brings a piece.
    Data {
        /// Index of the piece.
        piece: u32,
        /// Bytes of the whole metadata.
        total_size: u32,
        /// The piece, exactly as long as `total_size` makes it.
        data: Cow<'a, [u8]>,
    },
    /// Refuses a piece.
    Reject {
        /// Index of the piece.
        piece: u32,
    },
}

/// Number of pieces of a metadata of this size.
pub const fn metadata_pieces(size: u32) -> u32 {
    size.div_ceil(METADATA_PIECE_LEN)
}

/// Bytes of one piece of a metadata of this size; 0 past the end.
pub const fn metadata_piece_len(size: u32, piece: u32) -> u32 {
    let rest = size.saturating_sub(piece.saturating_mul(METADATA_PIECE_LEN));
    if rest < METADATA_PIECE_LEN {
        rest
    } else {
        METADATA_PIECE_LEN
    }
}

impl<'a> MetadataMessage<'a> {
    /// Reads the payload of a `ut_metadata` message; `None` for a `msg_type` that BEP 9 does not know, which is to be
    /// ignored.
    ///
    /// # Errors
    /// [`ExtensionError::Metadata`] where it is not bencode, [`ExtensionError::MetadataEntry`] where an entry is
    /// missing or the piece has not the length that `total_size` gives it.
    pub fn parse(payload: Cow<'a, [u8]>) -> Result<Option<Self>, ExtensionError> {
        let limits = Limits::MESSAGE.with_bytes(usize::MAX);
        let (value, used) =
            bencode::decode_prefix(&payload, &limits).map_err(ExtensionError::Metadata)?;
        let dict = value
            .as_dict()
            .ok_or(ExtensionError::MetadataEntry("msg_type"))?;
        let number = |key: &'static str| {
            let value = dict.int(key.as_bytes());
            value
                .and_then(|n| u32::try_from(n).ok())
                .ok_or(ExtensionError::MetadataEntry(key))
        };
        let kind = dict
            .int(b"msg_type")
            .ok_or(ExtensionError::MetadataEntry("msg_type"))?;
        match kind {
            0 => Ok(Some(Self::Request {
                piece: number("piece")?,
            })),
            1 => {
                let (piece, total_size) = (number("piece")?, number("total_size")?);
                if total_size > MAX_METADATA_SIZE {
                    return Err(ExtensionError::MetadataEntry("total_size"));
                }
                let len = metadata_piece_len(total_size, piece) as usize;
                let data = after(payload, used);
                if len == 0 || data.len() != len {
                    return Err(ExtensionError::MetadataEntry("piece"));
                }
                Ok(Some(Self::Data {
                    piece,
                    total_size,
                    data,
                }))
            }
            2 => Ok(Some(Self::Reject {
                piece: number("piece")?,
            })),
            _ => Ok(None),
        }
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.begin_dict().key(b"msg_type");
        match self {
            Self::Request { piece } => {
                e.int(0).key(b"piece").int((*piece).into()).end();
                e.finish()
            }
            Self::Reject { piece } => {
                e.int(2).key(b"piece").int((*piece).into()).end();
                e.finish()
            }
            Self::Data {
                piece,
                total_size,
                data,
            } => {
                e.int(1).key(b"piece").int((*piece).into());
                e.key(b"total_size").int((*total_size).into()).end();
                let mut out = e.finish();
                out.extend_from_slice(data);
                out
            }
        }
    }
}

fn after(payload: Cow<'_, [u8]>, used: usize) -> Cow<'_, [u8]> {
    match payload {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(used..).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.drain(..used.min(bytes.len()));
            Cow::Owned(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(payload: &[u8]) -> Result<Option<MetadataMessage<'_>>, ExtensionError> {
        MetadataMessage::parse(Cow::Borrowed(payload))
    }

    #[test]
    fn messages_come_back_as_they_went() {
        for message in [
            MetadataMessage::Request { piece: 3 },
            MetadataMessage::Reject { piece: 0 },
            MetadataMessage::Data {
                piece: 1,
                total_size: 16_400,
                data: Cow::Owned(vec![0xab; 16]),
            },
        ] {
            let bytes = message.encode();
            assert_eq!(parse(&bytes), Ok(Some(message.clone())));
            assert_eq!(MetadataMessage::parse(Cow::Owned(bytes)), Ok(Some(message)));
        }
    }

    #[test]
    fn a_piece_of_the_wrong_length_is_refused() {
        for text in [
            &b"d8:msg_typei1e5:piecei1e10:total_sizei16400eeshort"[..],
            b"d8:msg_typei1e5:piecei2e10:total_sizei16400ee",
            b"d8:msg_typei1e5:piecei0e10:total_sizei0ee",
        ] {
            assert_eq!(parse(text), Err(ExtensionError::MetadataEntry("piece")));
        }
        assert_eq!(
            parse(b"d8:msg_typei1e5:piecei0e10:total_sizei31457281eex"),
            Err(ExtensionError::MetadataEntry("total_size"))
        );
    }

    #[test]
    fn unknown_kinds_are_ignored_and_missing_entries_are_not() {
        assert_eq!(parse(b"d8:msg_typei9ee"), Ok(None));
        assert_eq!(
            parse(b"d8:msg_typei0ee"),
            Err(ExtensionError::MetadataEntry("piece"))
        );
        assert_eq!(
            parse(b"d5:piecei0ee"),
            Err(ExtensionError::MetadataEntry("msg_type"))
        );
        assert_eq!(
            parse(b"d8:msg_typei0e5:piecei-1ee"),
            Err(ExtensionError::MetadataEntry("piece"))
        );
        assert!(matches!(parse(b"d8:msg"), Err(ExtensionError::Metadata(_))));
    }

    #[test]
    fn the_last_piece_takes_the_rest() {
        assert_eq!(metadata_pieces(16_384), 1);
        assert_eq!(metadata_pieces(16_385), 2);
        assert_eq!(metadata_piece_len(16_385, 0), 16_384);
        assert_eq!(metadata_piece_len(16_385, 1), 1);
        assert_eq!(metadata_piece_len(16_385, 2), 0);
        assert_eq!(metadata_piece_len(16_385, u32::MAX), 0);
    }
}
