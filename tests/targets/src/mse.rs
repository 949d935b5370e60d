//! Both sides of the stream encryption's handshake, and a wire that cuts, changes, adds and loses bytes.
//!
//! What goes under RC4 is reached by changing bits on the wire, which changes the same bits of the clear text.

use crate::steps::Steps;
use protocol::id::InfoHash;
use protocol::mse::{
    Acceptor, Choice, Established, Initiator, KEY_LEN, MOST_INITIAL, MOST_PAD, Method, Methods,
    MseError, Step, Tag,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;

const TORRENT: InfoHash = InfoHash([5; 20]);

/// What one side sends at most: its key and pad, then three fields, two pads and the initial payload.
const MOST_OUTPUT: usize = KEY_LEN + MOST_PAD + 20 + 20 + 14 + MOST_PAD + 2 + MOST_INITIAL;

/// What one side takes at most.
const MOST_INPUT: usize = MOST_OUTPUT;

/// One direction of the wire.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    sent: usize,
    taken: usize,
    intact: bool,
}

struct World {
    a: Initiator,
    b: Acceptor,
    to_a: Wire,
    to_b: Wire,
    at_a: Result<Option<Established>, MseError>,
    at_b: Result<Option<Established>, MseError>,
    rng: SmallRng,
}

impl World {
    fn new(steps: &mut Steps<'_>) -> Self {
        let of = |byte: u8| match byte % 3 {
            0 => Methods::PLAIN,
            1 => Methods::RC4,
            _ => Methods::BOTH,
        };
        let mut rng = SmallRng::seed_from_u64(u64::from(steps.byte()));
        let choice = Choice {
            allowed: of(steps.byte()),
            preferred: if steps.byte() & 1 == 0 {
                Method::Plain
            } else {
                Method::Rc4
            },
        };
        let methods = of(steps.byte());
        let len = usize::from(steps.byte());
        let initial = steps.take(len);
        let wire = || Wire {
            intact: true,
            ..Wire::default()
        };
        Self {
            a: Initiator::new(TORRENT, methods, initial, &mut rng),
            b: Acceptor::new(choice),
            to_a: wire(),
            to_b: wire(),
            at_a: Ok(None),
            at_b: Ok(None),
            rng,
        }
    }

    /// Puts what both want to send on the wire.
    fn send(&mut self) {
        self.to_b.put(self.a.output());
        self.a.consume_output(usize::MAX);
        self.to_a.put(self.b.output());
        self.b.consume_output(usize::MAX);
        assert!(self.to_a.sent <= MOST_OUTPUT && self.to_b.sent <= MOST_OUTPUT);
    }

    fn deliver_to_a(&mut self, len: usize) {
        let bytes = self.to_a.take(len);
        let mut input = &bytes[..];
        match &self.at_a {
            Ok(None) => self.at_a = self.a.handle(&mut input).map(|done| done.map(|done| *done)),
            Ok(Some(_)) => {}
            Err(_) => assert!(matches!(
                self.a.handle(&mut input),
                Err(MseError::OutOfTurn)
            )),
        }
        self.to_a.taken += bytes.len() - input.len();
        assert!(self.to_a.taken <= MOST_INPUT);
    }

    fn deliver_to_b(&mut self, len: usize) {
        let bytes = self.to_b.take(len);
        let mut input = &bytes[..];
        let find = |tag| (tag == Tag::of(TORRENT)).then_some(TORRENT);
        while let Ok(None) = &self.at_b {
            match self.b.handle(&mut input, find) {
                Ok(Step::Agree) => {
                    let came = self.to_b.taken + bytes.len();
                    if let Err(error) = self.b.agree(&mut self.rng) {
                        self.at_b = Err(error);
                    }
                    assert!(self.b.output().len() <= came, "no more than has come");
                }
                Ok(Step::Done(done)) => {
                    assert!(done.initial.len() <= MOST_INITIAL);
                    self.at_b = Ok(Some(*done));
                }
                Ok(Step::More) => break,
                Err(error) => self.at_b = Err(error),
            }
        }
        if self.at_b.is_err() {
            assert!(self.b.handle(&mut &[0][..], find).is_err());
        }
        self.to_b.taken += bytes.len() - input.len();
        assert!(self.to_b.taken <= MOST_INPUT);
    }

    fn step(&mut self, steps: &mut Steps<'_>) {
        self.send();
        let what = steps.byte();
        let wire = if what & 1 == 0 {
            &mut self.to_a
        } else {
            &mut self.to_b
        };
        match what >> 1 & 7 {
            0 | 1 => {
                let len = steps.below(2048) as usize;
                if what & 1 == 0 {
                    self.deliver_to_a(len);
                } else {
                    self.deliver_to_b(len);
                }
            }
            2 => wire.change(steps.below(2048) as usize, steps.byte()),
            3 => {
                let len = usize::from(steps.byte());
                let noise = steps.take(len);
                wire.intact &= noise.is_empty();
                wire.bytes.extend_from_slice(noise);
            }
            4 => {
                let len = usize::from(steps.byte()).min(wire.bytes.len());
                wire.intact &= len == 0;
                wire.bytes.drain(..len);
            }
            _ => {
                self.deliver_to_b(usize::MAX);
                self.send();
                self.deliver_to_a(usize::MAX);
            }
        }
    }

    /// A wire that did nothing to the bytes brings both to the same end.
    fn check(mut self) {
        if !self.to_a.intact || !self.to_b.intact {
            return;
        }
        for _ in 0..4 {
            self.send();
            self.deliver_to_b(usize::MAX);
            self.deliver_to_a(usize::MAX);
        }
        match (self.at_a, self.at_b) {
            (Ok(Some(a)), Ok(Some(b))) => {
                assert_eq!(a.method, b.method);
                if let (Some(mut a), Some(mut b)) = (a.ciphers, b.ciphers) {
                    let mut bytes = *b"payload";
                    a.outgoing.apply(&mut bytes);
                    b.incoming.apply(&mut bytes);
                    b.outgoing.apply(&mut bytes);
                    a.incoming.apply(&mut bytes);
                    assert_eq!(&bytes, b"payload");
                }
            }
            (Ok(None), Err(error)) => assert!(matches!(error, MseError::NoMethod { .. })),
            (a, b) => panic!("{a:?} and {b:?}"),
        }
    }
}

impl Wire {
    fn put(&mut self, bytes: &[u8]) {
        self.sent += bytes.len();
        self.bytes.extend_from_slice(bytes);
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let len = len.min(self.bytes.len());
        self.bytes.drain(..len).collect()
    }

    fn change(&mut self, at: usize, by: u8) {
        if let Some(byte) = self.bytes.get_mut(at) {
            *byte ^= by;
            self.intact &= by == 0;
        }
    }
}

/// Bytes of the fuzzer as they are, to either side.
fn raw(data: &[u8]) {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut a = Initiator::new(TORRENT, Methods::BOTH, b"", &mut rng);
    let _ = a.handle(&mut { data });
    let choice = Choice {
        allowed: Methods::BOTH,
        preferred: Method::Rc4,
    };
    let mut b = Acceptor::new(choice);
    let mut input = data;
    if let Ok(Step::Agree) = b.handle(&mut input, |_| None)
        && b.agree(&mut rng).is_ok()
    {
        assert!(b.output().len() <= data.len());
        assert!(!matches!(b.handle(&mut input, |_| None), Ok(Step::Done(_))));
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    if steps.byte() == 0 {
        raw(steps.rest());
        return;
    }
    let mut world = World::new(&mut steps);
    while !steps.is_empty() {
        world.step(&mut steps);
    }
    world.check();
}
