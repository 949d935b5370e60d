//! Vectors of RFC 8439, and the back ends beside each other.

use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn text(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed))
        .collect()
}

#[test]
fn both_ends_of_every_length_agree_with_each_other_and_with_every_back_end() {
    let (key, nonce) = ([0x42; KEY], *b"a nonce of 1");
    let keys = Key::available(&key);
    for len in (0..1700).chain([2900, 2944, 2945, 3007, 3008, 3009, 4543, 4544, 4545, 70_000]) {
        let message = text(len, 5);
        let sealed: Vec<_> = keys
            .iter()
            .map(|(_, key)| {
                let mut sealed = message.clone();
                let tag = key.seal(nonce, &mut sealed).unwrap();
                (sealed, tag)
            })
            .collect();
        for (other, (name, key)) in sealed.iter().zip(&keys) {
            assert_eq!(other, &sealed[0], "{name}, {len} bytes");
            let (mut opened, tag) = sealed[0].clone();
            assert!(key.open(nonce, &mut opened, tag), "{name}, {len} bytes");
            assert_eq!(opened, message, "{name}, {len} bytes");
        }
    }
}

/// RFC 8439, appendix A.1, vectors 2 and 3 of the block function, as the first bytes of enciphered zeros: block 0 makes the
/// key of the authenticator, so that the message begins with block 1.
#[test]
fn the_key_stream_is_that_of_the_specification() {
    let zero = [0; KEY];
    let mut one = zero;
    one[KEY - 1] = 1;
    let first = "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed
        29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";
    let second = "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a
        8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0";
    for (key, expected) in [(zero, first), (one, second)] {
        for (name, key) in Key::available(&key) {
            let mut message = [0; 64];
            key.seal([0; NONCE], &mut message).unwrap();
            assert_eq!(message[..], bytes(expected), "{name}");
        }
    }
}

#[test]
fn what_was_changed_is_not_opened_and_keeps_its_cipher() {
    let nonce = [9; NONCE];
    for (name, key) in Key::available(&[7; KEY]) {
        for len in [0, 1, 15, 16, 64, 191, 192, 193, 1400, 1472, 1473] {
            let mut sealed = text(len, 1);
            let tag = key.seal(nonce, &mut sealed).unwrap();
            for bit in 0..8 * TAG {
                let mut forged = tag;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    !key.open(nonce, &mut sealed.clone(), forged),
                    "{name}, {len} bytes, bit {bit}"
                );
            }
            for at in 0..len {
                let mut changed = sealed.clone();
                changed[at] ^= 0x10;
                assert!(
                    !key.open(nonce, &mut changed, tag),
                    "{name}, byte {at} of {len}"
                );
            }
            assert!(
                !key.open([8; NONCE], &mut sealed.clone(), tag),
                "{name}, another nonce"
            );
            assert!(key.open(nonce, &mut sealed, tag));
        }
    }
}

#[test]
fn the_fastest_back_end_is_the_first_that_the_machine_has() {
    let key = [1; KEY];
    let (first, _) = Key::available(&key).remove(0);
    assert_eq!(
        format!("{:?}", Key::new(&key).unwrap()),
        format!("Key({first})")
    );
}

proptest! {
    #[test]
    fn back_ends_agree(key: [u8; KEY], nonce: [u8; NONCE], message in prop::collection::vec(any::<u8>(), 0..5000)) {
        let sealed: Vec<_> = Key::available(&key)
            .into_iter()
            .map(|(_, key)| {
                let mut sealed = message.clone();
                let tag = key.seal(nonce, &mut sealed).unwrap();
                (sealed, tag)
            })
            .collect();
        for other in &sealed {
            prop_assert_eq!(other, &sealed[0]);
        }
        for (_, key) in Key::available(&key) {
            let (mut opened, tag) = sealed[0].clone();
            prop_assert!(key.open(nonce, &mut opened, tag));
            prop_assert_eq!(&opened, &message);
        }
    }
}
