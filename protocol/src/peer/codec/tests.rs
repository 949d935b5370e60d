#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A frame that owns its bytes, payload joined.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Message(Message<'static>),
    Piece(RawRequest),
    Payload(Vec<u8>, bool),
}

/// Decodes `bytes` fed in pieces that end at `cuts`, and joins payload that the cuts took apart.
fn decode(
    decoder: &mut Decoder,
    bytes: &[u8],
    cuts: &[usize],
) -> (Vec<Owned>, Result<(), CodecError>) {
    let mut frames = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        let mut input = &bytes[from..to];
        from = to;
        loop {
            match decoder.next(&mut input) {
                Err(error) => return (frames, Err(error)),
                Ok(None) => break,
                Ok(Some(Frame::Message(message))) => {
                    frames.push(Owned::Message(message.into_static()));
                }
                Ok(Some(Frame::Piece(head))) => frames.push(Owned::Piece(head)),
                Ok(Some(Frame::Payload { offset, data, last })) => {
                    assert!(!data.is_empty());
                    if offset == 0 {
                        frames.push(Owned::Payload(data.to_vec(), last));
                    } else if let Some(Owned::Payload(joined, ended)) = frames.last_mut() {
                        assert_eq!(joined.len(), offset as usize);
                        joined.extend_from_slice(data);
                        *ended = last;
                    } else {
                        panic!("payload without a start");
                    }
                }
            }
        }
        assert!(input.is_empty(), "None means that all input is taken");
    }
    (frames, Ok(()))
}

fn whole(bytes: &[u8]) -> (Vec<Owned>, Result<(), CodecError>) {
    decode(&mut Decoder::new(), bytes, &[])
}

fn raw_request() -> impl Strategy<Value = RawRequest> {
    any::<(u32, u32, u32)>().prop_map(|(piece, begin, len)| RawRequest { piece, begin, len })
}

fn hash_request() -> impl Strategy<Value = HashRequest> {
    any::<([u8; 32], u32, u32, u32, u32)>().prop_map(
        |(root, base_layer, index, length, proof_layers)| HashRequest {
            root,
            base_layer,
            index,
            length,
            proof_layers,
        },
    )
}

fn bytes(max: usize) -> impl Strategy<Value = Cow<'static, [u8]>> {
    vec(any::<u8>(), 0..max).prop_map(Cow::Owned)
}

fn message() -> impl Strategy<Value = Message<'static>> {
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        any::<u32>().prop_map(Message::Have),
        any::<u32>().prop_map(Message::Suggest),
        any::<u32>().prop_map(Message::AllowedFast),
        any::<u16>().prop_map(Message::Port),
        raw_request().prop_map(Message::Request),
        raw_request().prop_map(Message::Cancel),
        raw_request().prop_map(Message::Reject),
        bytes(600).prop_map(Message::Bitfield),
        (0_u8..32, bytes(600)).prop_map(|(id, payload)| Message::Extended { id, payload }),
        hash_request().prop_map(Message::HashRequest),
        hash_request().prop_map(Message::HashReject),
        (hash_request(), bytes(600))
            .prop_map(|(request, hashes)| Message::Hashes { request, hashes }),
    ]
}

fn cuts(len: usize, seeds: &[u32]) -> Vec<usize> {
    let mut cuts: Vec<usize> = seeds.iter().map(|s| *s as usize % (len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn messages_come_back_as_they_went(
        messages in vec(message(), 1..20),
        seeds in vec(any::<u32>(), 0..30),
    ) {
        let mut wire = Vec::new();
        for message in &messages {
            message.encode(&mut wire);
        }
        let (frames, result) = decode(&mut Decoder::new(), &wire, &cuts(wire.len(), &seeds));
        prop_assert_eq!(result, Ok(()));
        let expected: Vec<Owned> = messages.into_iter().map(Owned::Message).collect();
        prop_assert_eq!(frames, expected);
    }

    #[test]
    fn any_bytes_mean_the_same_in_any_chunks(
        mut wire in vec(any::<u8>(), 0..4000),
        lens in vec((0..4000_usize, 0_u32..40), 0..40),
        seeds in vec(any::<u32>(), 0..40),
    ) {
        // Sprinkle plausible lengths, so that streams get past their first frame.
        for (at, len) in lens {
            if let Some(place) = wire.get_mut(at..at + 4) {
                place.copy_from_slice(&len.to_be_bytes());
            }
        }
        let chunked = decode(&mut Decoder::new(), &wire, &cuts(wire.len(), &seeds));
        prop_assert_eq!(whole(&wire), chunked);
    }
}

#[test]
fn payload_is_a_slice_of_the_input() {
    let mut wire = crate::peer::message::piece_header(1, 2, 5).to_vec();
    wire.extend_from_slice(b"hello");
    let mut decoder = Decoder::new();
    let mut input = &wire[..];
    decoder.next(&mut input).unwrap();
    let Ok(Some(Frame::Payload { offset, data, last })) = decoder.next(&mut input) else {
        panic!("payload is due");
    };
    assert_eq!((offset, data, last), (0, &b"hello"[..], true));
    assert!(std::ptr::eq(data, &raw const wire[13..]));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn an_empty_block_has_a_head_and_no_payload() {
    let mut wire = crate::peer::message::piece_header(1, 2, 0).to_vec();
    wire.extend_from_slice(&[0; 4]);
    let (frames, result) = whole(&wire);
    assert_eq!(result, Ok(()));
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1], Owned::Message(Message::KeepAlive));
}

#[test]
fn wrong_lengths_are_refused_before_anything_is_kept() {
    for (wire, expected) in [
        (
            &[0, 0, 0, 2, id::CHOKE][..],
            CodecError::Length {
                id: 0,
                len: 2,
                expected: 1,
            },
        ),
        (
            &[0xff, 0xff, 0xff, 0xff, 99],
            CodecError::TooLong {
                id: 99,
                len: u32::MAX,
                max: MAX_SKIPPED_LEN,
            },
        ),
        (
            &[0, 0, 0, 8, id::PIECE],
            CodecError::TooShort {
                id: 7,
                len: 8,
                min: 9,
            },
        ),
        (
            &[0, 2, 0, 10, id::PIECE],
            CodecError::TooLong {
                id: 7,
                len: 0x2000a,
                max: MAX_BLOCK_LEN + 9,
            },
        ),
        (
            &[0, 0, 0, 1, id::EXTENDED],
            CodecError::TooShort {
                id: 20,
                len: 1,
                min: 2,
            },
        ),
        (
            &[0, 2, 0, 1, id::EXTENDED, 0],
            CodecError::TooLong {
                id: 20,
                len: 0x20001,
                max: MAX_EXTENDED_LEN,
            },
        ),
        (
            &[0, 0, 0, 10, id::HASHES],
            CodecError::TooShort {
                id: 22,
                len: 10,
                min: 49,
            },
        ),
    ] {
        let mut decoder = Decoder::new();
        let (frames, result) = decode(&mut decoder, wire, &[]);
        assert_eq!((frames, result), (vec![], Err(expected)));
        assert_eq!(decoder.buffered(), 0);
        assert_eq!(expected.fault(), Fault::Peer);
    }
}

#[test]
fn a_bitfield_is_bounded_by_the_number_of_pieces() {
    let mut decoder = Decoder::new();
    decoder.set_pieces(10);
    let (_, result) = decode(&mut decoder, &[0, 0, 0, 4, id::BITFIELD], &[]);
    assert_eq!(
        result,
        Err(CodecError::TooLong {
            id: 5,
            len: 4,
            max: 3
        })
    );
}

#[test]
fn unknown_messages_are_skipped_without_being_kept() {
    let mut wire = Vec::new();
    for id in [10, 11, 12, 18, 19, 24, 200] {
        crate::peer::message::long_frame(&mut wire, &[id], &[1; 1000]);
    }
    crate::peer::message::long_frame(&mut wire, &[id::EXTENDED, 9], &vec![1; 100_000]);
    Message::Unchoke.encode(&mut wire);
    let mut decoder = Decoder::new();
    decoder.set_extended(0b11);
    let mut frames = Vec::new();
    for chunk in wire.chunks(7) {
        let mut input = chunk;
        while let Some(frame) = decoder.next(&mut input).unwrap() {
            frames.push(frame);
        }
        assert!(decoder.buffered() < 7);
    }
    assert_eq!(frames, [Frame::Message(Message::Unchoke)]);
}

#[test]
fn a_large_message_leaves_no_memory_behind() {
    let mut wire = Vec::new();
    Message::Bitfield(Cow::Owned(vec![0; 100_000])).encode(&mut wire);
    let mut decoder = Decoder::new();
    let cut = wire.len() - 1;
    let (frames, result) = decode(&mut decoder, &wire, &[cut]);
    assert_eq!((frames.len(), result), (1, Ok(())));
    assert!(decoder.partial.capacity() <= KEPT_CAPACITY);
}
