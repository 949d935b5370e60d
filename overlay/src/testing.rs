//! What the tests of this crate share.

use serde_json::Value;

/// Golden vectors.
pub(crate) fn vectors(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Bytes that are given in hexadecimal.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal text");
    from_hex(text)
}

/// Bytes out of hexadecimal text.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).expect("hex"))
        .collect()
}

/// A string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// A number.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// A list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
