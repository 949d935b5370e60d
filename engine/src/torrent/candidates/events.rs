//! What becomes of addresses: where they come from, and how dials and connections end.

/// Where an address came from, the most trustworthy first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The user.
    Manual,
    /// A swarm inside the network of the route.
    Hidden,
    /// The local network (BEP 14).
    Lsd,
    /// The resume data: it was a peer before.
    Resume,
    /// The peer connected to us and told its listen port.
    Incoming,
    /// A tracker.
    Tracker,
    /// Another peer (BEP 11).
    Pex,
    /// The DHT (BEP 5).
    Dht,
}

/// Why an address could not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// Nobody listens there.
    Refused,
    /// No answer.
    Timeout,
    /// The network says that there is no way.
    Unreachable,
    /// We have no network: nothing is known about the peer.
    Offline,
    /// Connected, but the handshake failed.
    Handshake,
    /// Anything else, our own lack of sockets included.
    Other,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Closed by either side without blame, or broken by the network.
    Normal,
    /// The peer broke the protocol.
    ProtocolError,
    /// The peer is banned.
    Banned,
    /// Neither side needs anything from the other.
    BothSeeds,
    /// We had dialled ourselves.
    SelfConnection,
    /// There is another connection to the same peer.
    Duplicate,
    /// We ended it to dial the peer again at once.
    Renewed,
    /// The peer was silent for too long.
    Timeout,
}

impl Source {
    /// The share of the list, in percent, that addresses of this source may take.
    pub(super) const fn share(self) -> usize {
        match self {
            Self::Manual => 100,
            Self::Tracker => 75,
            Self::Hidden | Self::Lsd | Self::Resume | Self::Incoming | Self::Pex | Self::Dht => 50,
        }
    }
}
