//! The addresses under which programs know hidden peers.

use std::net::{Ipv4Addr, SocketAddrV4};

/// The port of every address that stands for a hidden peer.
const PORT: u16 = 1024;

/// An address that stands for the peer at the far end of a link: drawn by chance, with port 1024. It is known on this machine
/// and nowhere else; nobody on the circuit can name it, or tell from it which circuit that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(u32);

impl Alias {
    /// That of a number.
    pub(crate) const fn of(number: u32) -> Self {
        Self(number)
    }

    /// The address.
    pub const fn addr(self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from_bits(self.0), PORT)
    }

    /// What stands for a hidden peer, if an address looks like that. Whoever is really there is reached by nobody through
    /// circuits.
    pub const fn at(addr: SocketAddrV4) -> Option<Self> {
        if addr.port() == PORT {
            Some(Self(addr.ip().to_bits()))
        } else {
            None
        }
    }
}
