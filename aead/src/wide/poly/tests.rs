//! Against a plain Poly1305 that works byte by byte.

use proptest::prelude::*;

use super::*;

/// A number modulo 2^130 - 5 in 32-bit words, the lowest first.
type Plain = [u64; 5];

/// The polynomial as RFC 8439 says it: a block at a time, schoolbook multiplication, and division by repeated subtraction of
/// what lies above bit 130.
fn plain(r: u128, message: &[u8]) -> u128 {
    let mut blocks = message.to_vec();
    blocks.resize(message.len().next_multiple_of(16), 0);
    blocks.extend_from_slice(&[0; 8]);
    blocks.extend_from_slice(&(message.len() as u64).to_le_bytes());
    let words = |value: u128| [0, 32, 64, 96].map(|bit| u64::from((value >> bit) as u32));
    let r = words(r);
    let mut sum: Plain = [0; 5];
    for block in blocks.chunks(16) {
        let block = u128::from_le_bytes(block.try_into().unwrap());
        let words = words(block).into_iter().chain([1]);
        let mut product = [0_u64; 10];
        let mut carried = 0;
        for (word, more) in sum.iter_mut().zip(words) {
            carried += *word + more;
            (*word, carried) = (carried & 0xffff_ffff, carried >> 32);
        }
        for (i, x) in sum.iter().enumerate() {
            let mut carried = 0;
            for (j, y) in r.iter().enumerate() {
                let it = u128::from(product[i + j]) + u128::from(*x) * u128::from(*y) + carried;
                (product[i + j], carried) = (it as u64 & 0xffff_ffff, it >> 32);
            }
            product[i + 4] += carried as u64;
        }
        sum = reduce(&product);
    }
    let low = sum.iter().take(4).rev();
    low.fold(0, |value, word| value << 32 | u128::from(*word))
}

fn reduce(product: &[u64; 10]) -> Plain {
    let mut number = *product;
    loop {
        // Five times what is above bit 130 is added to the rest.
        let mut above = [0_u64; 10];
        for at in 4..10 {
            let next = number.get(at + 1).copied().unwrap_or(0);
            above[at - 4] = (number[at] >> 2 | next << 30) & 0xffff_ffff;
        }
        let mut rest = [0_u64; 10];
        rest[..5].copy_from_slice(&number[..5]);
        rest[4] &= 3;
        if above == [0; 10] {
            break;
        }
        let mut carried = 0;
        for at in 0..10 {
            carried += rest[at] + 5 * above[at];
            (number[at], carried) = (carried & 0xffff_ffff, carried >> 32);
        }
    }
    let prime = [0xffff_fffb, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 3];
    let mut number: Plain = [number[0], number[1], number[2], number[3], number[4]];
    if number[4] == 3 && number[1..4] == prime[1..4] && number[0] >= prime[0] {
        number = [number[0] - prime[0], 0, 0, 0, 0];
    }
    number
}

fn wide(r: u128, message: &[u8]) -> Option<u128> {
    let found = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512ifma");
    let low = |bit: u32| (r >> bit) as u64;
    let r = [low(0) & LOW, low(44) & LOW, low(88)];
    // SAFETY: what the function enables was found.
    found.then(|| unsafe { evaluate(r, message) })
}

#[test]
fn the_largest_numbers_are_carried_well() {
    for r in [
        0,
        1,
        2,
        u128::MAX,
        0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff,
    ] {
        for byte in [0, 1, 0x7f, 0x80, 0xfb, 0xff] {
            for len in 0..600 {
                let message = vec![byte; len];
                let Some(wide) = wide(r, &message) else {
                    return;
                };
                assert_eq!(wide, plain(r, &message), "{r:x}, {len} bytes of {byte}");
            }
        }
    }
}

proptest! {
    #[test]
    fn all_messages_have_the_sum_of_the_specification(
        r: u128,
        message in prop::collection::vec(prop_oneof![Just(0xff), any::<u8>()], 0..2000),
    ) {
        if let Some(wide) = wide(r, &message) {
            prop_assert_eq!(wide, plain(r, &message));
        }
    }
}
