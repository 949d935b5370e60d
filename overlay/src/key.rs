//! Who an identity is, and what it signs.
//!
//! An identity is a pair of keys: one of X25519, with which secrets are agreed, and one of Ed25519, with which packets are
//! signed. Ed25519 comes from `ring`, as all signatures of the workspace do; `ring` agrees only with keys that are thrown
//! away after one use, so X25519 comes from `x25519-dalek`. Both take the same time whatever the secret is.

mod file;
mod legacy;
mod public;
mod secret;

pub use file::{FileError, load, load_or_generate, save};
pub use legacy::Curve;
pub use public::{KeyError, Mid, PublicKey, VerifyError};
pub use secret::{LowOrder, SecretKey};

#[cfg(test)]
mod tests;
