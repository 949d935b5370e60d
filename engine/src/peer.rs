//! One connection to a peer.

pub mod key;
pub mod pipeline;
