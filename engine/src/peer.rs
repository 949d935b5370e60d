//! Connections: the Peer actor, its driver, and what they are made of.

pub(crate) mod actor;
pub(crate) mod assigned;
pub(crate) mod bell;
pub(crate) mod driver;
pub(crate) mod intake;
pub mod key;
pub(crate) mod messages;
pub(crate) mod opening;
pub(crate) mod pace;
pub mod pipeline;
pub(crate) mod upload;
pub(crate) mod watch;
