//! What the tests of this crate share.

pub(crate) mod virtual_time;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

/// Golden vectors.
pub(crate) fn vectors(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Bytes that are given in hexadecimal.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    from_hex(value.as_str().expect("hexadecimal text"))
}

/// Bytes of a known number, given in hexadecimal.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().expect("so many bytes")
}

/// Bytes out of hexadecimal text.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).expect("hex"))
        .collect()
}

/// A number.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// A list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Randomness with a seed that is printed, so that a failure can be had again.
pub(crate) fn rng(seed: u64) -> StdRng {
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}
