//! Any bytes, in any chunks.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What an event means, whatever the chunks: block data is counted, not shown.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Event(Box<Event<'static>>),
    Block(BlockRef, Vec<u8>, bool),
}

/// Feeds `wire` in chunks that end at `cuts`.
fn run(wire: &[u8], cuts: &[usize]) -> (Vec<Seen>, Option<SessionError>, usize) {
    let mut lone = Lone::fast();
    lone.session.unchoke();
    lone.peer(&[Message::Unchoke]).unwrap();
    for n in 0..10 {
        lone.session.request(block(n, 0)).unwrap();
    }
    let mut seen = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([wire.len()]) {
        let mut input = &wire[from..to];
        from = to;
        loop {
            match lone.session.handle(lone.now, &mut input) {
                Ok(None) => break,
                Err(error) => return (seen, Some(error), lone.session.in_flight()),
                Ok(Some(Event::BlockData {
                    block,
                    offset: 0,
                    data,
                    last,
                })) => seen.push(Seen::Block(block, data.to_vec(), last)),
                Ok(Some(Event::BlockData { data, last, .. })) => {
                    let Some(Seen::Block(_, joined, ended)) = seen.last_mut() else {
                        panic!("data without a start");
                    };
                    joined.extend_from_slice(data);
                    *ended = last;
                }
                Ok(Some(event)) => seen.push(Seen::Event(Box::new(own(event)))),
            }
        }
        assert!(input.is_empty());
    }
    (seen, None, lone.session.in_flight())
}

/// A plausible frame: a good one, or one with something wrong.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let request = |id| {
        (0_u32..12, 0_u32..4, 0_u32..3).prop_map(move |(piece, begin, len)| {
            let raw = RawRequest {
                piece,
                begin: begin * 8192,
                len: [16_384, 1, 200_000][len as usize],
            };
            raw.frame(id).to_vec()
        })
    };
    prop_oneof![
        8 => (0_u8..24, vec(any::<u8>(), 0..20)).prop_map(|(id, body)| {
            let mut out = Vec::new();
            crate::peer::message::long_frame(&mut out, &[id], &body);
            out
        }),
        3 => request(id::REQUEST),
        3 => request(id::CANCEL),
        3 => request(id::REJECT),
        4 => (0_u32..12, vec(any::<u8>(), 1)).prop_map(|(piece, fill)| {
            let mut out = piece_header(piece, 0, 16_384).to_vec();
            out.resize(out.len() + 16_384, fill[0]);
            out
        }),
        3 => (0_u32..12).prop_map(|n| {
            let mut out = Vec::new();
            Message::Have(n).encode(&mut out);
            out
        }),
        2 => (0_u8..10, "d(1:p|8:msg_type|5:piece)i[0-9]{1,5}e(e|x)").prop_map(|(id, text)| {
            let mut out = Vec::new();
            crate::peer::message::long_frame(&mut out, &[id::EXTENDED, id], text.as_bytes());
            out
        }),
        1 => vec(any::<u8>(), 0..30),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_stream_means_the_same_in_any_chunks(
        frames in vec(frame(), 0..30),
        seeds in vec(any::<u32>(), 0..60),
    ) {
        let wire = frames.concat();
        let mut cuts: Vec<usize> =
            seeds.iter().map(|s| *s as usize % (wire.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = run(&wire, &[]);
        prop_assert_eq!(&whole, &run(&wire, &cuts));
        let blocks = whole.0.iter().filter(|s| matches!(s, Seen::Block(..))).count();
        let rejected = whole.0.iter().filter(|s| {
            matches!(s, Seen::Event(e) if matches!(**e, Event::Rejected(_)))
        }).count();
        prop_assert!(whole.2 + blocks + rejected <= 10);
        if whole.1.is_none() && !matches!(whole.0.last(), Some(Seen::Block(_, _, false))) {
            prop_assert!(whole.2 + blocks + rejected >= 9);
        }
    }

    #[test]
    fn any_bytes_are_borne_from_the_first_one_on(
        wire in vec(any::<u8>(), 0..200),
        good in 0_usize..69,
        seeds in vec(any::<u32>(), 0..10),
    ) {
        let peer = Handshake {
            reserved: Reserved::FAST,
            info_hash: HASH,
            peer_id: PeerId([2; 20]),
        };
        let mut all = peer.encode()[..good].to_vec();
        all.extend_from_slice(&wire);
        let mut results = Vec::new();
        for seeds in [&seeds[..], &[]] {
            let now = Instant::now();
            let mut session = Session::initiator(config(1), params(), now);
            let mut cuts: Vec<usize> =
                seeds.iter().map(|s| *s as usize % (all.len() + 1)).collect();
            cuts.sort_unstable();
            let mut from = 0;
            let mut end = Ok(0);
            for to in cuts.into_iter().chain([all.len()]) {
                let mut input = &all[from..to];
                from = to;
                while end.is_ok() {
                    match session.handle(now, &mut input) {
                        Ok(None) => break,
                        Ok(Some(_)) => end = end.map(|n| n + 1),
                        Err(error) => end = Err(error),
                    }
                }
            }
            results.push(end);
        }
        prop_assert_eq!(results[0], results[1]);
    }
}
