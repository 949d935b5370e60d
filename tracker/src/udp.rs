//! The UDP tracker (BEP 15, BEP 41).
//!
//! [`UdpServer`] has a thread and a socket for each core, and nothing is handed from one thread to another. [`Answerer`] is pure: a datagram and where it came from in, an answer out. Nobody gets more bytes than came from there before its
//! address is proven by a connection id, and what is no request gets no answer.

mod answer;
mod connection;
mod outbox;
mod server;
mod stats;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use answer::report;
pub use answer::{Answer, Answerer, Silence};
pub use connection::ConnectionIds;
pub use server::UdpServer;
pub(crate) use server::must_be_free;
pub use stats::UdpCounts;
