//! Two machines and a wire that cuts what goes over it anywhere.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::id::InfoHash;
use crate::mse::dh::{KeyPair, PRIVATE_LEN};
use crate::mse::{
    Acceptor, Choice, Established, Initiator, MOST_INITIAL, Method, Methods, MseError, Step, Tag,
};

const TORRENT: InfoHash = InfoHash([5; 20]);

/// One end of the wire.
#[derive(Default)]
struct End {
    /// What is on its way here.
    wire: Vec<u8>,
    established: Option<Established>,
    /// What came behind the handshake.
    left: Vec<u8>,
    told: bool,
}

impl End {
    /// Takes some of what is on its way.
    fn receive(&mut self, rng: &mut StdRng) -> Vec<u8> {
        let cut = rng.random_range(0..=self.wire.len());
        self.wire.drain(..cut).collect()
    }

    /// Sends to the other end: what the machine has, then, once, a payload.
    fn send(&mut self, output: &[u8], to: &mut Self) {
        to.wire.extend_from_slice(output);
        if let Some(established) = &mut self.established
            && !std::mem::replace(&mut self.told, true)
        {
            let mut payload = b"payload".to_vec();
            if let Some(ciphers) = &mut established.ciphers {
                ciphers.outgoing.apply(&mut payload);
            }
            to.wire.extend(payload);
        }
    }

    fn is_done(&self) -> bool {
        self.told && self.wire.is_empty()
    }
}

/// Runs both sides until all is there.
fn run(seed: u64, methods: Methods, choice: Choice, initial: &[u8]) -> Result<[End; 2], MseError> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut a = Initiator::new(TORRENT, methods, initial, &mut rng);
    let mut b = Acceptor::new(choice);
    let find = |tag| (tag == Tag::of(TORRENT)).then_some(TORRENT);
    let (mut at_a, mut at_b) = (End::default(), End::default());
    while !at_a.is_done() || !at_b.is_done() {
        at_a.send(a.output(), &mut at_b);
        a.consume_output(usize::MAX);
        at_b.send(b.output(), &mut at_a);
        b.consume_output(usize::MAX);
        let bytes = at_a.receive(&mut rng);
        let mut input = &bytes[..];
        if at_a.established.is_none() {
            at_a.established = a.handle(&mut input)?.map(|done| *done);
        }
        at_a.left.extend_from_slice(input);
        let bytes = at_b.receive(&mut rng);
        let mut input = &bytes[..];
        while at_b.established.is_none() {
            match b.handle(&mut input, find)? {
                Step::Agree => b.agree(&mut rng)?,
                Step::Done(done) => at_b.established = Some(*done),
                Step::More => break,
            }
        }
        at_b.left.extend_from_slice(input);
    }
    Ok([at_a, at_b])
}

fn choices() -> impl Strategy<Value = (Methods, Choice)> {
    let methods = || prop::sample::select(vec![Methods::PLAIN, Methods::RC4, Methods::BOTH]);
    let preferred = prop::sample::select(vec![Method::Plain, Method::Rc4]);
    (methods(), methods(), preferred)
        .prop_map(|(offered, allowed, preferred)| (offered, Choice { allowed, preferred }))
}

#[test]
fn no_key_begins_as_a_handshake_in_the_clear_does() {
    let begins_so = |seed: &u64| {
        let mut private = [0; PRIVATE_LEN];
        StdRng::seed_from_u64(*seed).fill_bytes(&mut private);
        KeyPair::new(private).public()[0] == 19
    };
    let seed = (0..10_000).find(begins_so).expect("one of 256");
    let pair = KeyPair::random(&mut StdRng::seed_from_u64(seed));
    assert_ne!(pair.public()[0], 19, "seed {seed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn two_sides_agree_whatever_the_cuts_and_choices(
        seed in any::<u64>(),
        (offered, choice) in choices(),
        initial in prop::collection::vec(any::<u8>(), 0..=MOST_INITIAL + 5),
    ) {
        let common = [choice.preferred, Method::Plain, Method::Rc4]
            .into_iter()
            .find(|method| offered.contains(*method) && choice.allowed.contains(*method));
        match (run(seed, offered, choice, &initial), common) {
            (Ok(ends), Some(method)) => {
                for (number, end) in ends.into_iter().enumerate() {
                    let established = end.established.expect("done");
                    prop_assert_eq!(established.method, method);
                    prop_assert_eq!(established.info_hash, TORRENT);
                    let sent = initial.len().min(MOST_INITIAL) * number;
                    prop_assert_eq!(&established.initial, &initial[..sent]);
                    let mut left = end.left;
                    if let Some(mut ciphers) = established.ciphers {
                        ciphers.incoming.apply(&mut left);
                    }
                    prop_assert_eq!(&left[..], b"payload");
                }
            }
            (Err(MseError::NoMethod { .. }), None) => {}
            (ends, common) => prop_assert!(false, "{:?} with {:?}", ends.err(), common),
        }
    }
}
