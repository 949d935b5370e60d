//! Whose fault an error is: what the caller maps to a reaction.

/// The party that a protocol error is put down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Our own code or configuration: worth a bug report, not a ban.
    Local,
    /// The path between us: silence, a broken connection. Worth a back-off.
    Network,
    /// The other side broke the protocol: worth a ban score.
    Peer,
    /// The disk under us.
    Storage,
}
