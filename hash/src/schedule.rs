//! Fills lanes with messages, runs the kernel that is fastest for their number, and refills lanes as messages end.

use crate::algorithm::Algorithm;
use crate::kernel::{BLOCK, Columns, LANES};
use crate::lanes::Lanes;
use crate::message::{Cursor, Message};

/// The messages under way: lane `i` of the state belongs to `cursors[i]`, the digest of which goes to place `places[i]`.
/// Lanes `0..active` are busy, so that a kernel with fewer lanes takes the first ones and the others wait for a place.
struct Table<'a, const W: usize> {
    state: Columns<W>,
    cursors: [Cursor<'a>; LANES],
    places: [usize; LANES],
    active: usize,
}

/// Hashes each message that `queue` gives, with its place, and hands place and digest to `done`.
///
/// Lanes stay full when long messages come first: then the short ones fill the gaps.
pub(crate) fn run<'a, const W: usize, A: Algorithm<W>>(
    lanes: &Lanes,
    mut queue: impl Iterator<Item = (usize, Message<'a>)>,
    mut done: impl FnMut(usize, A::Digest),
) {
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
        table.step::<A>(lanes, &mut done);
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
    fn step<A: Algorithm<W>>(&mut self, lanes: &Lanes, done: &mut impl FnMut(usize, A::Digest)) {
        let kernel = A::kernel(lanes, self.active);
        let busy = kernel.width().min(self.active);
        // A lane without a message computes what lane 0 does, out of the same cache lines.
        let mut inputs = [self.cursors[0].run(); LANES];
        for (input, cursor) in inputs.iter_mut().zip(&self.cursors[..busy]) {
            *input = cursor.run();
        }
        let blocks = inputs
            .iter()
            .map(|input| input.len() / BLOCK)
            .min()
            .unwrap_or(0);
        A::compress(kernel, &mut self.state, &inputs, blocks);
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
        if lane != last {
            for word in &mut self.state {
                word[lane] = word[last];
            }
            self.cursors.swap(lane, last);
            self.places.swap(lane, last);
        }
    }
}
