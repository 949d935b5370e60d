//! Fills lanes with messages, runs the kernel that is fastest for their number, and refills lanes as messages end.

use crate::algorithm::Algorithm;
use crate::kernel::{BLOCK, Columns, Kernel, LANES};
use crate::message::{Cursor, Message, pad};
use crate::plan::Plan;

/// The messages under way: lane `i` of the state belongs to `cursors[i]`, whose digest goes to place `places[i]`. Lanes
/// `0..active` are busy, so that a kernel with fewer lanes takes the first ones and the others wait for a turn.
struct Table<'a, const W: usize> {
    state: Columns<W>,
    cursors: [Cursor<'a>; LANES],
    places: [usize; LANES],
    active: usize,
}

/// Hashes each message that `queue` gives, with its place, and hands place and digest to `done`.
///
/// Lanes stay full longest when long messages come first: then the short ones fill the gaps.
pub(crate) fn run<'a, const W: usize, A: Algorithm<W>>(
    plan: &Plan,
    mut queue: impl ExactSizeIterator<Item = (usize, Message<'a>)>,
    mut done: impl FnMut(usize, A::Digest),
) {
    let kernels = match plan {
        Plan::Kernels(kernels) => kernels,
        Plan::Library => return queue.for_each(|(i, message)| done(i, A::library(&message))),
    };
    if queue.len() == 1 {
        return queue.for_each(|(i, message)| done(i, one::<W, A>(kernels[0], message)));
    }
    let mut table = Table {
        state: [[0; LANES]; W],
        cursors: [const { Cursor::IDLE }; LANES],
        places: [0; LANES],
        active: 0,
    };
    loop {
        while table.active < LANES
            && let Some((place, message)) = queue.next()
        {
            table.admit::<A>(place, message);
        }
        if table.active == 0 {
            return;
        }
        table.step::<A>(kernels[table.active - 1], &mut done);
    }
}

/// The digest of one message, without a table to fill.
fn one<const W: usize, A: Algorithm<W>>(kernel: Kernel, message: Message<'_>) -> A::Digest {
    let mut state = A::INITIAL.map(|word| [word; LANES]);
    let mut cursor = Cursor::IDLE;
    cursor.start(message);
    loop {
        let run = cursor.run();
        let blocks = run.len() / BLOCK;
        A::compress(kernel, &mut state, &[run; LANES], blocks);
        if !cursor.advance(blocks) {
            return A::digest(state.map(|word| word[0]));
        }
    }
}

/// Hashes messages that are each one block long; `out` has one place per message.
pub(crate) fn blocks<const W: usize, A: Algorithm<W>>(
    plan: &Plan,
    messages: &[[u8; BLOCK]],
    out: &mut [A::Digest],
) {
    let kernels = match plan {
        Plan::Kernels(kernels) => kernels,
        Plan::Library => {
            for (message, out) in messages.iter().zip(out) {
                *out = A::library(&Message::whole(message));
            }
            return;
        }
    };
    let mut padding = [0; 2 * BLOCK];
    let padded = pad(&mut padding, 0, BLOCK as u64);
    let padding: [&[u8]; LANES] = [&padding[..padded]; LANES];
    let (mut messages, mut out) = (messages, out);
    while let Some(first) = messages.first() {
        let kernel = kernels[messages.len().min(LANES) - 1];
        let busy = kernel.width().min(messages.len());
        let mut inputs: [&[u8]; LANES] = [first; LANES];
        for (input, message) in inputs.iter_mut().zip(&messages[..busy]) {
            *input = message;
        }
        let mut state = A::INITIAL.map(|word| [word; LANES]);
        A::compress(kernel, &mut state, &inputs, 1);
        A::compress(kernel, &mut state, &padding, 1);
        let (digests, rest) = out.split_at_mut(busy);
        for (lane, digest) in digests.iter_mut().enumerate() {
            *digest = A::digest(state.map(|word| word[lane]));
        }
        (messages, out) = (&messages[busy..], rest);
    }
}

impl<'a, const W: usize> Table<'a, W> {
    /// Puts a message on the next free lane.
    fn admit<A: Algorithm<W>>(&mut self, place: usize, message: Message<'a>) {
        let lane = self.active;
        self.cursors[lane].start(message);
        self.places[lane] = place;
        for (word, initial) in self.state.iter_mut().zip(A::INITIAL) {
            word[lane] = initial;
        }
        self.active += 1;
    }

    /// Runs the first lanes as far as the shortest run among them reaches.
    fn step<A: Algorithm<W>>(&mut self, kernel: Kernel, done: &mut impl FnMut(usize, A::Digest)) {
        let busy = kernel.width().min(self.active);
        // A lane without a message computes what lane 0 does, out of the same cache lines.
        let mut inputs = [self.cursors[0].run(); LANES];
        for (input, cursor) in inputs.iter_mut().zip(&self.cursors[..busy]) {
            *input = cursor.run();
        }
        let shortest = inputs.iter().map(|input| input.len()).min().unwrap_or(0);
        let blocks = shortest / BLOCK;
        A::compress(kernel, &mut self.state, &inputs, blocks);
        // From the last lane down, because a lane that ends takes over the last one.
        for lane in (0..busy).rev() {
            if !self.cursors[lane].advance(blocks) {
                done(
                    self.places[lane],
                    A::digest(self.state.map(|word| word[lane])),
                );
                self.retire(lane);
            }
        }
    }

    /// Frees `lane` by moving the last busy lane into it.
    fn retire(&mut self, lane: usize) {
        self.active -= 1;
        let last = self.active;
        for word in &mut self.state {
            word[lane] = word[last];
        }
        self.cursors.swap(lane, last);
        self.places.swap(lane, last);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        /// The width of the kernel and the number of blocks of each call.
        static CALLS: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
    }

    /// Its digest is the number of blocks of the message, padding included.
    struct CountBlocks;

    impl Algorithm<1> for CountBlocks {
        type Digest = u32;

        const INITIAL: [u32; 1] = [0];

        fn plan<'a>(sha1: &'a Plan, _: &'a Plan) -> &'a Plan {
            sha1
        }

        fn library(message: &Message<'_>) -> u32 {
            (message.len() / BLOCK as u64) as u32 + 1
        }

        fn compress(
            kernel: Kernel,
            state: &mut Columns<1>,
            inputs: &[&[u8]; LANES],
            blocks: usize,
        ) {
            CALLS.with_borrow_mut(|calls| calls.push((kernel.width(), blocks)));
            for (count, input) in state[0][..kernel.width()].iter_mut().zip(inputs) {
                assert!(
                    blocks > 0 && input.len() >= blocks * BLOCK,
                    "a run is long enough"
                );
                *count += blocks as u32;
            }
        }

        fn digest([count]: [u32; 1]) -> u32 {
            count
        }
    }

    /// Runs messages of these lengths, in blocks without the padding, and returns the calls that were made.
    fn calls(plan: &Plan, lengths: &[usize]) -> Vec<(usize, usize)> {
        let data = vec![0; 1 << 16];
        let messages = lengths
            .iter()
            .map(|len| Message::whole(&data[..len * BLOCK]))
            .enumerate();
        let mut digests = vec![0; lengths.len()];
        CALLS.take();
        run::<1, CountBlocks>(plan, messages, |place, digest| digests[place] = digest);
        let want: Vec<u32> = lengths.iter().map(|len| *len as u32 + 1).collect();
        assert_eq!(digests, want, "every message got all its blocks");
        CALLS.take()
    }

    /// What the calls took, in blocks one after the other.
    fn depth(calls: &[(usize, usize)]) -> usize {
        calls.iter().map(|(_, blocks)| blocks).sum()
    }

    #[test]
    fn a_lane_whose_message_ends_takes_the_next_one() {
        let plan = Plan::Kernels([Kernel::Portable; LANES]);
        // 14 long messages and 6 of half the length: the short ones share lanes, nobody waits for the long ones to end.
        let mut lengths = [99; 20];
        lengths[14..].fill(49);
        assert_eq!(
            depth(&calls(&plan, &lengths)),
            150,
            "6 short messages on 2 lanes"
        );
        lengths[4..].fill(49);
        assert_eq!(
            depth(&calls(&plan, &lengths)),
            100,
            "16 short messages on 12 lanes"
        );
    }

    #[test]
    fn the_kernel_is_chosen_anew_as_messages_end() {
        let mut kernels = [Kernel::Portable; LANES];
        kernels[..2].fill(Kernel::Scalar);
        let calls = calls(&Plan::Kernels(kernels), &[100, 100, 10, 10, 10]);
        let wide: Vec<_> = calls
            .iter()
            .filter(|(width, _)| *width == LANES)
            .copied()
            .collect();
        assert_eq!(
            depth(&wide),
            11,
            "side by side while there are 5 messages: {calls:?}"
        );
        let narrow: Vec<_> = calls
            .iter()
            .filter(|(width, _)| *width == 1)
            .copied()
            .collect();
        assert_eq!(
            depth(&narrow),
            180,
            "the last 2 one after the other: {calls:?}"
        );
    }

    #[test]
    fn messages_of_one_length_take_two_calls() {
        let plan = Plan::Kernels([Kernel::Portable; LANES]);
        assert_eq!(
            calls(&plan, &[64; LANES]),
            [(LANES, 64), (LANES, 1)],
            "data, then padding"
        );
        assert_eq!(calls(&plan, &[64]), [(LANES, 64), (LANES, 1)]);
    }
}
