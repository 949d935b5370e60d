//! Answers of one batch, sent with as few system calls as there are runs of answers of one length to one address.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::ops::Range;

/// Bytes of one call: what a datagram could have, less heads.
const MOST_BYTES: usize = 65_000;

/// Answers that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// All answers, one behind the other.
    pub(super) text: Vec<u8>,
    answers: Vec<(SocketAddr, Range<usize>)>,
    /// Answers that lie together for one call.
    run: Vec<u8>,
}

impl Outbox {
    /// Takes what was added to [`text`](Self::text) since the last call as an answer.
    pub(super) fn push(&mut self, to: SocketAddr) {
        let from = self.answers.last().map_or(0, |(_, range)| range.end);
        self.answers.push((to, from..self.text.len()));
    }

    /// Calls `send` with each run of answers: whom to, the bytes, and the length of each but the last, which may be shorter.
    /// Nothing waits then.
    pub(super) fn flush(&mut self, most: usize, mut send: impl FnMut(SocketAddr, &[u8], usize)) {
        let Self { text, answers, run } = self;
        if most > 1 {
            answers.sort_unstable_by_key(|(to, range)| (*to, Reverse(range.len())));
        }
        let mut rest = &answers[..];
        while let Some((to, first)) = rest.first() {
            let size = first.len();
            let most = most.min(MOST_BYTES / size.max(1)).max(1);
            // The last of a run is the one that is shorter.
            let mut whole = true;
            let fits = |(other, range): &&(SocketAddr, Range<usize>)| {
                let fits = other == to && whole;
                whole = range.len() == size;
                fits
            };
            let count = rest.iter().take(most).take_while(fits).count();
            let (now, later) = rest.split_at(count);
            if let [(_, range)] = now {
                send(*to, &text[range.clone()], size);
            } else {
                run.clear();
                for (_, range) in now {
                    run.extend_from_slice(&text[range.clone()]);
                }
                send(*to, run, size);
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

    proptest! {
        #[test]
        fn every_answer_leaves_once_to_its_address(
            answers in proptest::collection::vec((0..4_u16, 1..40_usize), 0..100),
            most in 1..70_usize,
        ) {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for round in 0..2_u8 {
                for (number, (to, len)) in answers.iter().enumerate() {
                    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, to + 1));
                    let answer = vec![number as u8 ^ round; *len];
                    outbox.text.extend_from_slice(&answer);
                    outbox.push(to);
                    expected.push((to, answer));
                }
                let mut sent = Vec::new();
                outbox.flush(most, |to, bytes, size| {
                    let before = sent.len();
                    sent.extend(bytes.chunks(size).map(|answer| (to, answer.to_vec())));
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
    fn answers_of_one_length_to_one_address_leave_together() {
        let mut outbox = Outbox::default();
        for number in 0..10_u16 {
            outbox.text.extend_from_slice(&[0; 20]);
            outbox.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 1 + number % 2)));
        }
        let mut calls = 0;
        outbox.flush(64, |_, _, _| calls += 1);
        assert_eq!(calls, 2);
    }
}
