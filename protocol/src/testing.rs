//! What the tests of this crate share.

use serde_json::Value;

/// The bytes of a JSON string of hexadecimal digits.
pub(crate) fn hex(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().unwrap();
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

/// A file of golden vectors.
pub(crate) fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
