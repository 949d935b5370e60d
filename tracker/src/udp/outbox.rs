//! Answers of one batch, sent with as few system calls as there are runs of answers of one length to one address.

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Bytes of one call: what a datagram could have, less heads.
const MOST_BYTES: usize = 65_000;

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    /// Who asked.
    pub(super) to: SocketAddr,
    /// The address of ours that was asked, where the system would not choose it by itself.
    pub(super) from: Option<IpAddr>,
}

/// Answers that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// All answers, one behind the other.
    pub(super) text: Vec<u8>,
    answers: Vec<(Way, Range<usize>)>,
    /// Answers that lie together for one call.
    run: Vec<u8>,
}

impl Outbox {
    /// Takes what was added to [`text`](Self::text) since the last call as an answer.
    pub(super) fn push(&mut self, way: Way) {
        let begin = self.answers.last().map_or(0, |(_, range)| range.end);
        self.answers.push((way, begin..self.text.len()));
    }

    /// Calls `send` with each run of answers: their way, the bytes, and the length of each but the last, which may be shorter.
    /// Nothing waits then.
    pub(super) fn flush(&mut self, most: usize, mut send: impl FnMut(Way, &[u8], usize)) {
        let Self { text, answers, run } = self;
        if most > 1 {
            answers.sort_unstable_by_key(|(way, range)| (*way, Reverse(range.len())));
        }
        let mut rest = &answers[..];
        while let Some((way, first)) = rest.first() {
            let size = first.len();
            let most = most.min(MOST_BYTES / size.max(1)).max(1);
            // The last of a run is the one that is shorter.
            let mut whole = true;
            let fits = |(other, range): &&(Way, Range<usize>)| {
                let fits = other == way && whole;
                whole = range.len() == size;
                fits
            };
            let count = rest.iter().take(most).take_while(fits).count();
            let (now, later) = rest.split_at(count);
            if let [(_, range)] = now {
                send(*way, &text[range.clone()], size);
            } else {
                run.clear();
                for (_, range) in now {
                    run.extend_from_slice(&text[range.clone()]);
                }
                send(*way, run, size);
            }
            rest = later;
        }
        text.clear();
        answers.clear();
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers of the tests' own")]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    /// To one of a few ports, by whatever address the system chooses or by another.
    fn way(port: u16, from: u8) -> Way {
        Way {
            to: (Ipv4Addr::LOCALHOST, port + 1).into(),
            from: (from > 0).then(|| Ipv4Addr::new(127, 0, 0, from).into()),
        }
    }

    proptest! {
        #[test]
        fn every_answer_leaves_once_on_its_way(
            answers in proptest::collection::vec((0..4_u16, 0..2_u8, 1..40_usize), 0..100),
            most in 1..70_usize,
        ) {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for round in 0..2_u8 {
                for (number, (port, from, len)) in answers.iter().enumerate() {
                    let way = way(*port, *from);
                    let answer = vec![number as u8 ^ round; *len];
                    outbox.text.extend_from_slice(&answer);
                    outbox.push(way);
                    expected.push((way, answer));
                }
                let mut sent = Vec::new();
                outbox.flush(most, |way, bytes, size| {
                    let before = sent.len();
                    sent.extend(bytes.chunks(size).map(|answer| (way, answer.to_vec())));
                    assert!(sent.len() - before <= most);
                });
                sent.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(&sent, &expected);
                expected.clear();
            }
        }
    }

    #[test]
    fn answers_of_one_length_on_one_way_leave_together() {
        let mut outbox = Outbox::default();
        for number in 0..10_u16 {
            outbox.text.extend_from_slice(&[0; 20]);
            outbox.push(way(number % 2, 0));
        }
        let mut calls = 0;
        outbox.flush(64, |_, _, _| calls += 1);
        assert_eq!(calls, 2);
    }
}
