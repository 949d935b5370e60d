//! How the payload is sent: `crypto_provide` and `crypto_select`.

/// How everything after the handshake is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// As it is.
    Plain,
    /// Under RC4.
    Rc4,
}

/// A set of methods.
///
/// # Format
/// A big-endian u32: bit 0 is plain, bit 1 is RC4, all others mean nothing to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Methods(u32);

/// Which methods one side takes, and which it would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Those that are taken.
    pub allowed: Methods,
    /// The one that is selected where both sides take both.
    pub preferred: Method,
}

impl Method {
    const fn bit(self) -> u32 {
        match self {
            Self::Plain => 1,
            Self::Rc4 => 2,
        }
    }

    /// The method of a `crypto_select`, which must name exactly one of those `offered`.
    pub(super) fn selected(bits: u32, offered: Methods) -> Option<Self> {
        [Self::Plain, Self::Rc4]
            .into_iter()
            .find(|method| method.bit() == bits && offered.contains(*method))
    }

    /// The bytes of a `crypto_select`.
    pub(super) const fn encode(self) -> [u8; 4] {
        self.bit().to_be_bytes()
    }
}

impl Methods {
    /// Plain or RC4.
    pub const BOTH: Self = Self(3);
    /// Only plain.
    pub const PLAIN: Self = Self(1);
    /// Only RC4.
    pub const RC4: Self = Self(2);

    /// Those of a `crypto_provide`.
    pub(super) const fn offered(bits: u32) -> Self {
        Self(bits & Self::BOTH.0)
    }

    /// The bytes of a `crypto_provide`.
    pub(super) const fn encode(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Whether a method is one of them.
    pub const fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }
}

impl Choice {
    /// The method to select of those offered.
    pub(super) fn select(self, offered: Methods) -> Option<Method> {
        [self.preferred, Method::Plain, Method::Rc4]
            .into_iter()
            .find(|method| self.allowed.contains(*method) && offered.contains(*method))
    }
}
