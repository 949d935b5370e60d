//! The timers of a session.

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// A control message that began must be whole by then.
    Frame,
    /// The peer's handshake must be whole, and accepted, by then.
    Handshake,
    /// Something must have come from the peer by then.
    Idle,
    /// A keep-alive is due if nothing else was sent.
    KeepAlive,
}

impl Timer {
    /// The timer's name in traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::KeepAlive => "keep-alive",
        }
    }
}
