//! Frames of the peer wire: the same in any chunks, and written back as they came.

use crate::steps::Steps;
use protocol::peer::{CodecError, Decoder, Frame, Message, RawRequest};

/// A frame that owns its bytes; payload is joined.
#[derive(Debug, PartialEq)]
enum Owned {
    Message(Message<'static>),
    Piece(RawRequest),
    Payload(Vec<u8>, bool),
}

fn pull(
    decoder: &mut Decoder,
    mut input: &[u8],
    frames: &mut Vec<Owned>,
) -> Result<(), CodecError> {
    while let Some(frame) = decoder.next(&mut input)? {
        match frame {
            Frame::Message(message) => frames.push(Owned::Message(message.into_static())),
            Frame::Piece(head) => frames.push(Owned::Piece(head)),
            Frame::Payload {
                offset: 0,
                data,
                last,
            } => frames.push(Owned::Payload(data.to_vec(), last)),
            Frame::Payload { offset, data, last } => match frames.last_mut() {
                Some(Owned::Payload(joined, ended)) => {
                    assert_eq!(joined.len(), offset as usize);
                    joined.extend_from_slice(data);
                    *ended = last;
                }
                other => panic!("payload behind {other:?}"),
            },
        }
    }
    assert!(input.is_empty());
    Ok(())
}

/// The frames as bytes, up to the first that is not whole.
fn encode(frames: &[Owned]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        match frame {
            Owned::Message(message) => message.encode(&mut out),
            Owned::Piece(head) => {
                out.extend(protocol::peer::message::piece_header(
                    head.piece, head.begin, head.len,
                ));
            }
            Owned::Payload(data, _) => out.extend_from_slice(data),
        }
    }
    out
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let (pieces, extended) = (steps.word() % 100_000, steps.word());
    let chunks = steps.take(8).to_vec();
    let wire = steps.rest();
    let decoder = || {
        let mut decoder = Decoder::new();
        decoder.set_pieces(pieces);
        decoder.set_extended(extended);
        decoder
    };

    let mut whole = Vec::new();
    let result = pull(&mut decoder(), wire, &mut whole);

    let (mut chunked, mut one) = (Vec::new(), decoder());
    let mut rest = wire;
    let mut chunked_result = Ok(());
    for len in chunks.iter().cycle().map(|len| usize::from(*len) + 1) {
        if rest.is_empty() || chunked_result.is_err() {
            break;
        }
        let (chunk, later) = rest.split_at(len.min(rest.len()));
        rest = later;
        chunked_result = pull(&mut one, chunk, &mut chunked);
        assert!(one.buffered() <= wire.len());
    }
    if !chunks.is_empty() {
        assert_eq!((&whole, result), (&chunked, chunked_result));
    }

    // What is not skipped comes back byte for byte.
    let mut again = Vec::new();
    let bytes = encode(&whole);
    pull(&mut decoder(), &bytes, &mut again).expect("own frames are good");
    assert_eq!(whole, again);
}
