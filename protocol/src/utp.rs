//! uTP (BEP 29): ordered, reliable streams over datagrams that give way to other traffic.
//!
//! One [`Connection`] is one stream. It has no socket and no clock: the caller brings packets and the time, and takes
//! packets to send, deadlines, and bytes.
//!
//! ```text
//! Connection::handle(now, packet)              a packet came
//! Connection::handle_timeout(now)              the deadline has passed
//! Connection::poll_transmit(now, &mut out)     a packet to send, until there is none
//! Connection::poll_timeout()                   the next deadline
//! Connection::write, read, close, detach       the stream's owner
//! ```
//!
//! # What deployed clients do, and we with them
//! - The initiator chooses a connection id `r`, receives with it and sends with `r + 1`; the SYN carries `r`.
//! - A STATE takes no sequence number; it bears that of the next packet. So the first packet after a SYN has the number
//!   that the STATE answering it showed.
//! - A FIN ends one direction. Many clients close altogether when they see one, and answer what comes later with a RESET.
//! - Extensions that nobody knows are skipped. Probes of the path are made longer by one.
//!
//! # What ours does for safety
//! - An acknowledgement of what was never sent closes the connection.
//! - Before the initiator has shown that it is where its SYN came from, nothing is sent but one STATE for each SYN, and
//!   the connection dies at the first timeout.
//! - Every buffer has a bound.

mod company;
mod config;
mod connection;
mod delay;
mod incoming;
mod ledbat;
mod mtu;
mod outgoing;
mod packet;
mod rtt;
mod sack;
mod seq;
mod tally;

pub use config::Config;
pub use connection::{CloseReason, Connection, Ids, Phase, Stats, Timer};
pub use packet::{HEADER_LEN, Header, Kind, MOST_PADDING, Packet, PacketError};
pub use sack::{MOST_MASK, SelectiveAck};
pub use seq::Seq;
pub use tally::Tally;

#[cfg(test)]
mod tests;
