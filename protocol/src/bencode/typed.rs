//! Serde behind the scanner: typed reading and writing for the control plane.
//!
//! The scanner bounds depth and size before serde sees a byte, so its recursion is bounded too.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Limits, decode};

/// Why bytes do not give the wanted type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// The bytes are not an acceptable value.
    #[error(transparent)]
    Bencode(#[from] super::Error),
    /// The value has not the wanted shape.
    #[error("unexpected shape: {0}")]
    Shape(#[source] serde_bencode::Error),
}

/// Reads a `T` from the value at the start of `bytes`, leniently, as [`decode`] does.
///
/// # Errors
/// [`TypedError`] where the bytes are no value within the limits or have not the shape of `T`.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, TypedError> {
    let value = decode(bytes, limits)?;
    serde_bencode::from_bytes(value.raw()).map_err(TypedError::Shape)
}

/// Writes a value; fields of structs come out in byte order of their names.
///
/// # Errors
/// Where `T` holds something that bencode cannot express (floats, maps with keys that are not strings).
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, TypedError> {
    serde_bencode::to_bytes(value).map_err(TypedError::Shape)
}
