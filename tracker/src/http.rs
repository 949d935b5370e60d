//! The HTTP tracker (BEP 3, 7, 23, 24, 48).
//!
//! A thread and a listening socket for each core; each connection is a task of its thread that reads what has come, answers all
//! requests in it and writes the answers at once. Heads are taken apart by `httparse`; what is answered is decided by
//! [`HttpAnswerer`], which is pure. Everything that concerns the protocol is status 200, failures included, because clients look at
//! the body alone.

mod answer;
mod connection;
mod fresh;
mod habit;
mod reply;
mod request;
mod server;
mod stats;
#[cfg(test)]
mod tests;

pub use answer::{HttpAnswer, HttpAnswerer, HttpRules, Who};
pub use connection::Patience;
pub use request::{Head, HeadError, MAX_HEAD, read_head};
pub(crate) use server::must_be_free;
pub use server::{HttpLimits, HttpServer};
pub use stats::HttpCounts;
