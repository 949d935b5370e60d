//! What all communities have in common for those who drive them.

use std::net::SocketAddrV4;
use std::time::Instant;

use crate::introducer::Transmit;
use crate::packet::{Packet, PacketError, Prefix};

/// A community as a machine: packets and time go in, datagrams come out.
///
/// Drive it so: after each call fetch [`Community::poll_transmit`] and [`Community::poll_event`] until they give nothing, and
/// call [`Community::handle_timeout`] at [`Community::poll_timeout`].
pub trait Community {
    /// What it tells.
    type Event;

    /// The front of its packets; `None` for who takes all that nobody else does.
    fn prefix(&self) -> Option<Prefix>;

    /// A packet with this prefix has come.
    ///
    /// # Errors
    /// What is wrong with it; it is dropped then.
    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError>;

    /// Time has passed.
    fn handle_timeout(&mut self, now: Instant);

    /// When [`Community::handle_timeout`] is to be called, and why.
    fn poll_timeout(&self) -> Option<(Instant, &'static str)>;

    /// The next datagram that is to be sent.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// The next event.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// Servers to ask when nobody is known have been found.
    fn add_bootstrap(&mut self, servers: Vec<SocketAddrV4>);
}
