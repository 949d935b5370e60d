//! The UDP tracker (BEP 15, BEP 41).
//!
//! [`Answerer`] is pure: a datagram and where it came from in, an answer out. Nobody gets more bytes than came from there before its
//! address is proven by a connection id, and what is no request gets no answer.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod answer;
mod connection;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Answerer, Silence};
pub use connection::ConnectionIds;
