//! Whether connections to peers are encrypted, and how a connection turned out to be.

use protocol::mse::{Choice, Method, Methods};

/// What to do about the stream encryption ([`protocol::mse`]), for connections of both directions.
///
/// | | dials | takes | selects |
/// |---|---|---|---|
/// | `Off` | plain | plain | |
/// | `Allow` | plain, then encrypted | both | plain where both are offered |
/// | `Prefer` | encrypted, then plain | both | RC4 where both are offered |
/// | `Require` | encrypted | encrypted | RC4 |
///
/// Where there are two ways to dial, the second one is tried at once when the peer ends the first connection before
/// its handshake, and what worked is remembered for the next time. It is not tried at once where the
/// first one worked the last time: the peer may just not want the connection. `Allow` dials those encrypted first of whom other peers
/// say that they prefer it (BEP 11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Plain streams only.
    Off,
    /// Whatever the peer wants.
    #[default]
    Allow,
    /// RC4 where the peer can.
    Prefer,
    /// RC4 only.
    Require,
}

/// How the bytes of a connection go over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// As they are.
    #[default]
    Plain,
    /// As they are, after a handshake of the stream encryption.
    Obfuscated,
    /// Under RC4.
    Rc4,
}

impl Encryption {
    /// Whether a peer of whom nothing is known is dialled with the stream encryption.
    pub(crate) const fn covers_first(self) -> bool {
        matches!(self, Self::Prefer | Self::Require)
    }

    /// Whether there are two ways to dial.
    pub(crate) const fn has_two_ways(self) -> bool {
        matches!(self, Self::Allow | Self::Prefer)
    }

    /// Whether a peer that is said to prefer the stream encryption is dialled with it.
    pub(crate) const fn heeds_hints(self) -> bool {
        matches!(self, Self::Allow)
    }

    /// Whether connections are taken that begin without the stream encryption.
    pub(crate) const fn takes_plain(self) -> bool {
        !matches!(self, Self::Require)
    }

    /// Which methods are taken and offered; none where the stream encryption is not spoken.
    pub(crate) const fn choice(self) -> Option<Choice> {
        let (allowed, preferred) = match self {
            Self::Off => return None,
            Self::Allow => (Methods::BOTH, Method::Plain),
            Self::Prefer => (Methods::BOTH, Method::Rc4),
            Self::Require => (Methods::RC4, Method::Rc4),
        };
        Some(Choice { allowed, preferred })
    }
}

impl Wire {
    /// One word for programs: `plain`, `obfuscated` or `rc4`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Obfuscated => "obfuscated",
            Self::Rc4 => "rc4",
        }
    }
}
