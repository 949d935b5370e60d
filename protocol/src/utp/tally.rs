//! What a connection has done and met, in numbers.

/// What happened since it was asked for last: [`Connection::take_tally`](super::Connection::take_tally).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Packets that came, of whatever kind.
    pub received: u32,
    /// Of these, packets with payload.
    pub payload_received: u32,
    /// Of these, packets that were here already, or for which there was no room.
    pub redundant: u32,
    /// Packets that went out, those that went out again included.
    pub sent: u32,
    /// Of these, packets with payload.
    pub payload_sent: u32,
    /// Packets that went out again.
    pub resent: u32,
    /// Packets that counted as lost, for what reason ever.
    pub lost: u32,
    /// Of these, packets of which acknowledgements of later ones told before their time was over.
    pub lost_early: u32,
    /// Times that nothing came back in time.
    pub timeouts: u32,
    /// Acknowledgements that told of a longer queue than is aimed at.
    pub above_target: u32,
    /// Acknowledgements that told of no longer queue than is aimed at.
    pub below_target: u32,
}
