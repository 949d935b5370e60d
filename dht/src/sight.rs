//! What a node sees others do and does itself, for those who watch it.

use std::net::SocketAddr;

use protocol::id::InfoHash;

/// Something that passed at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sight {
    /// Somebody announced a peer to us, which is stored.
    Announced {
        /// Who did.
        from: SocketAddr,
        /// Of which torrent.
        info_hash: InfoHash,
        /// At which port the peer is; its address is that of who announced it.
        port: u16,
    },
    /// Somebody asks us for peers.
    Asked {
        /// Who does.
        from: SocketAddr,
        /// Of which torrent.
        info_hash: InfoHash,
    },
    /// We ask somebody for peers.
    Asking {
        /// Whom.
        to: SocketAddr,
        /// Of which torrent.
        info_hash: InfoHash,
    },
}
