//! The other side played by hand, with what it should not send.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

use crate::id::InfoHash;
use crate::mse::dh::{KeyPair, Secret};
use crate::mse::keys::Side;
use crate::mse::{
    Acceptor, Choice, Established, Initiator, KEY_LEN, MOST_PAD, Method, Methods, MseError, Step,
    Tag,
};

pub(super) const CHOICE: Choice = Choice {
    allowed: Methods::BOTH,
    preferred: Method::Rc4,
};

const TORRENT: InfoHash = InfoHash([9; 20]);

pub(super) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn find(tag: Tag) -> Option<InfoHash> {
    (tag == Tag::of(TORRENT)).then_some(TORRENT)
}

/// An acceptor that has sent its key, and the secret.
fn agreed() -> (Acceptor, Secret) {
    let own = KeyPair::new([3; 20]);
    let mut b = Acceptor::new(CHOICE);
    b.handle(&mut &own.public()[..], find).unwrap();
    b.agree(&mut rng(2)).unwrap();
    let theirs: [u8; KEY_LEN] = b.output()[..KEY_LEN].try_into().unwrap();
    b.consume_output(usize::MAX);
    (b, own.agree(&theirs).unwrap())
}

/// What comes under RC4: the methods and the length of a pad, and then such numbers.
pub(super) fn head(offered: u32, pad: u16, numbers: &[u16]) -> Vec<u8> {
    let mut head = vec![0; 8];
    head.extend(offered.to_be_bytes());
    head.extend(pad.to_be_bytes());
    head.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    head
}

/// What an acceptor makes of `clear`, sent under RC4 in the right place.
pub(super) fn acceptor_reads(clear: &[u8]) -> Result<Step, MseError> {
    let (mut b, secret) = agreed();
    let mut sealed = clear.to_vec();
    secret.cipher(Side::Initiator, TORRENT).apply(&mut sealed);
    let step = [&secret.mark()[..], &secret.cover(Tag::of(TORRENT)), &sealed].concat();
    b.handle(&mut &step[..], find)
}

/// What an acceptor that waits for the mark makes of bytes.
pub(super) fn acceptor_searches(bytes: &[u8]) -> Result<Step, MseError> {
    agreed().0.handle(&mut { bytes }, find)
}

/// What an initiator that offers both methods makes of an answer.
pub(super) fn initiator_reads(
    selected: u32,
    pad: u16,
) -> Result<Option<Box<Established>>, MseError> {
    let own = KeyPair::new([4; 20]);
    let mut a = Initiator::new(TORRENT, Methods::BOTH, b"", &mut rng(5));
    let secret = own
        .agree(a.output()[..KEY_LEN].try_into().unwrap())
        .unwrap();
    let mut sealed = head(selected, pad, &[]);
    secret.cipher(Side::Acceptor, TORRENT).apply(&mut sealed);
    a.handle(&mut &own.public()[..])?;
    a.handle(&mut &sealed[..])
}

#[test]
fn a_method_must_be_one_and_offered() {
    for selected in [0, 3, 4, 0x8000_0002] {
        let error = initiator_reads(selected, 0).unwrap_err();
        assert_eq!(error, MseError::Selected { selected });
    }
    assert!(initiator_reads(1, 0).unwrap().is_some());
    assert!(initiator_reads(2, 0).unwrap().is_some());
}

#[test]
fn bits_that_nobody_knows_are_no_methods() {
    let error = acceptor_reads(&head(!3, 0, &[0])).unwrap_err();
    assert_eq!(error, MseError::NoMethod { offered: !3 });
    let Step::Done(done) = acceptor_reads(&head(!2, 0, &[0])).unwrap() else {
        panic!("plain is there");
    };
    assert_eq!(done.method, Method::Plain);
}

#[test]
fn a_constant_of_other_bytes_is_refused() {
    let mut head = head(3, 0, &[0]);
    head[7] = 1;
    assert_eq!(acceptor_reads(&head).unwrap_err(), MseError::Constant);
}

#[test]
fn a_torrent_that_is_not_ours_is_refused() {
    let (mut b, secret) = agreed();
    let name = secret.cover(Tag::of(InfoHash([1; 20])));
    let step = [secret.mark(), name].concat();
    let error = b.handle(&mut &step[..], find).unwrap_err();
    assert_eq!(error, MseError::UnknownTorrent);
}

#[test]
fn the_mark_is_found_behind_the_longest_pad_and_no_further() {
    for (pad, found) in [
        (0, true),
        (1, true),
        (MOST_PAD, true),
        (MOST_PAD + 1, false),
    ] {
        let (mut b, secret) = agreed();
        let step = [&vec![7; pad], &secret.mark()[..]].concat();
        for (at, byte) in step.iter().enumerate() {
            match b.handle(&mut &[*byte][..], find) {
                Ok(step) => assert!(matches!(step, Step::More)),
                Err(error) => {
                    assert_eq!(error, MseError::NoSync);
                    assert!(!found && at + 1 == MOST_PAD + 20, "at {at} with {pad}");
                    break;
                }
            }
        }
    }
}

#[test]
fn our_key_is_never_longer_than_what_has_come() {
    let own = KeyPair::new([3; 20]);
    for spare in [0, 1, 100, MOST_PAD + 20, 10_000] {
        let mut longest = 0;
        for seed in 0..20 {
            let mut b = Acceptor::new(CHOICE);
            let came = [&own.public()[..], &vec![0; spare]].concat();
            let step = b.handle(&mut &came[..], find).unwrap();
            assert!(matches!(step, Step::Agree));
            assert!(b.output().is_empty(), "nothing goes out before");
            b.agree(&mut rng(seed)).unwrap();
            assert!(b.output().len() <= came.len().min(KEY_LEN + MOST_PAD));
            longest = longest.max(b.output().len());
        }
        assert!(spare == 0 || longest > KEY_LEN, "pads are used");
    }
}

#[test]
fn steps_out_of_turn_are_refused() {
    let mut b = Acceptor::new(CHOICE);
    assert_eq!(b.agree(&mut rng(1)), Err(MseError::OutOfTurn));
    let (mut b, _) = agreed();
    assert_eq!(b.agree(&mut rng(1)), Err(MseError::OutOfTurn));
    assert!(b.handle(&mut &[0; 1000][..], find).is_err());
    let again = b.handle(&mut &[0][..], find).unwrap_err();
    assert_eq!(again, MseError::OutOfTurn);
}

#[test]
fn a_flood_of_noise_is_refused_within_its_bounds() {
    for seed in 0..50 {
        let mut rng = rng(seed);
        let mut b = Acceptor::new(CHOICE);
        let mut taken = 0;
        let refused = loop {
            let mut noise = vec![0; rng.random_range(1..200)];
            rand::Rng::fill_bytes(&mut rng, &mut noise);
            let mut input = &noise[..];
            let step = b.handle(&mut input, find).and_then(|step| match step {
                Step::Agree => {
                    b.agree(&mut rng)?;
                    b.handle(&mut input, find)
                }
                step @ (Step::Done(_) | Step::More) => Ok(step),
            });
            taken += noise.len() - input.len();
            match step {
                Ok(Step::Done(_)) => panic!("seed {seed}: noise is no handshake"),
                Ok(Step::Agree | Step::More) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(refused, MseError::NoSync);
        assert_eq!(taken, KEY_LEN + MOST_PAD + 20, "seed {seed}");
    }
}
