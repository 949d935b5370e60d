//! Bodies of messages.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use crate::peer::message::{HashRequest, Message, RawRequest, id};

/// Reads the body of a message whose length was checked against its id; `None` only for ids that
/// [`Decoder`](super::Decoder) never gathers and lengths that it never lets through.
pub(super) fn parse(id: u8, body: Cow<'_, [u8]>) -> Option<Message<'_>> {
    let index = || body.first_chunk::<4>().map(|at| u32::from_be_bytes(*at));
    let request = || body.first_chunk::<12>().map(RawRequest::parse);
    let hash_request = || HashRequest::parse(&body).map(|(request, _)| request);
    Some(match id {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(index()?),
        id::BITFIELD => Message::Bitfield(body),
        id::REQUEST => Message::Request(request()?),
        id::CANCEL => Message::Cancel(request()?),
        id::PORT => Message::Port(u16::from_be_bytes(*body.first_chunk::<2>()?)),
        id::SUGGEST => Message::Suggest(index()?),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT => Message::Reject(request()?),
        id::ALLOWED_FAST => Message::AllowedFast(index()?),
        id::EXTENDED => Message::Extended {
            id: *body.first()?,
            payload: tail(body, 1),
        },
        id::HASH_REQUEST => Message::HashRequest(hash_request()?),
        id::HASHES => Message::Hashes {
            request: hash_request()?,
            hashes: tail(body, HashRequest::LEN),
        },
        id::HASH_REJECT => Message::HashReject(hash_request()?),
        _ => return None,
    })
}

/// `body` without its first `n` bytes.
fn tail(body: Cow<'_, [u8]>, n: usize) -> Cow<'_, [u8]> {
    match body {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(n..).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.drain(..n.min(bytes.len()));
            Cow::Owned(bytes)
        }
    }
}
