//! Web seeds (BEP 19, BEP 17): the actor of one, the task that fetches, and what they are made of.
//!
//! A web seed at work is a source like a connection: its torrent assigns blocks to it, its task writes them through the
//! same leases into the same store, and facts go back in batches. What it gets are stretches of neighbouring pieces, each
//! of which becomes one request for each file that it touches.

pub(crate) mod actor;
pub(crate) mod driver;
mod fetch;
mod landing;
mod lane;
pub(crate) mod messages;
mod pace;
mod queue;
mod reply;
pub(crate) mod shared;
mod words;
