//! Bytes to values.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use thiserror::Error;

use super::Address;
use super::address::MAX_HOST;

/// Why bytes are not the message they were taken for. Offsets count from the front of what the outermost [`Reader`] was
/// given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end within a value.
    #[error("{what} at byte {at} needs {needed} bytes, and {left} are left")]
    Short {
        /// What was read.
        what: &'static str,
        /// Where it begins.
        at: usize,
        /// How long it is, in bytes.
        needed: usize,
        /// How many bytes there are.
        left: usize,
    },
    /// There are bytes behind the last value.
    #[error("{extra} bytes too many at byte {at}")]
    Extra {
        /// Where they begin.
        at: usize,
        /// How many they are.
        extra: usize,
    },
    /// A value that has no meaning.
    #[error("{what} at byte {at} cannot be")]
    Invalid {
        /// What was read.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
}

/// Takes values off the front of a message. What is read is named, so that an error can say what was missing.
///
/// ```
/// use overlay::wire::Reader;
/// let mut reader = Reader::new(&[0, 7, 0, 2, b'h', b'i']);
/// assert_eq!(reader.u16("identifier")?, 7);
/// assert_eq!(reader.var_u16("text")?, b"hi");
/// reader.finish()?;
/// # Ok::<(), overlay::wire::WireError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

macro_rules! numbers {
    ($($name:ident),*) => {$(
        #[doc = concat!("A big-endian `", stringify!($name), "`.")]
        ///
        /// # Errors
        /// [`WireError::Short`].
        pub fn $name(&mut self, what: &'static str) -> Result<$name, WireError> {
            self.array(what).map($name::from_be_bytes)
        }
    )*};
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the front.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    numbers!(u8, u16, u32, u64, i32, i64, f32, f64);

    /// A byte that is 0 or, for yes, anything else.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn bool(&mut self, what: &'static str) -> Result<bool, WireError> {
        self.u8(what).map(|byte| byte != 0)
    }

    /// `N` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                self.at = self.at.saturating_add(N);
                Ok(*array)
            }
            None => Err(self.short(what, N)),
        }
    }

    /// `len` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn bytes(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                self.at = self.at.saturating_add(len);
                Ok(bytes)
            }
            None => Err(self.short(what, len)),
        }
    }

    /// A `u16` length and so many bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn var_u16(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.u16(what)?;
        self.bytes(len.into(), what)
    }

    /// A `u32` length and so many bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn var_u32(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.u32(what)?;
        self.bytes(usize::try_from(len).unwrap_or(usize::MAX), what)
    }

    /// A `u16` length and so many bytes of text.
    ///
    /// # Errors
    /// [`WireError::Short`]; [`WireError::Invalid`] when it is not UTF-8.
    pub fn utf8_u16(&mut self, what: &'static str) -> Result<&'a str, WireError> {
        let at = self.at;
        let bytes = self.var_u16(what)?;
        std::str::from_utf8(bytes).map_err(|_| WireError::Invalid { what, at })
    }

    /// A `u16` count and so many items of 20 bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn list_20(&mut self, what: &'static str) -> Result<&'a [[u8; 20]], WireError> {
        let count = self.u16(what)?;
        let bytes = self.bytes(usize::from(count).saturating_mul(20), what)?;
        Ok(bytes.as_chunks().0)
    }

    /// A `u8` count and so many items of 2 bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn list_2(&mut self, what: &'static str) -> Result<&'a [[u8; 2]], WireError> {
        let count = self.u8(what)?;
        let bytes = self.bytes(usize::from(count).saturating_mul(2), what)?;
        Ok(bytes.as_chunks().0)
    }

    /// An IPv4 address and a `u16` port, 6 bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn ipv4(&mut self, what: &'static str) -> Result<SocketAddrV4, WireError> {
        let [a, b, c, d, high, low] = self.array(what)?;
        let port = u16::from_be_bytes([high, low]);
        Ok(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port))
    }

    /// An address of any kind.
    ///
    /// # Errors
    /// [`WireError::Short`]; [`WireError::Invalid`] for an unknown kind, or a name that is too long or no text.
    pub fn address(&mut self, what: &'static str) -> Result<Address, WireError> {
        let at = self.at;
        let invalid = WireError::Invalid { what, at };
        match self.u8(what)? {
            Address::V4 => self.ipv4(what).map(Address::from),
            Address::V6 => {
                let ip = Ipv6Addr::from(self.array::<16>(what)?);
                let port = self.u16(what)?;
                Ok(SocketAddr::from((ip, port)).into())
            }
            Address::HOST => {
                let host = self.utf8_u16(what)?;
                if host.len() > MAX_HOST {
                    return Err(invalid);
                }
                Ok(Address::Host(host.to_owned(), self.u16(what)?))
            }
            _ => Err(invalid),
        }
    }

    /// An address that is no name.
    ///
    /// # Errors
    /// As [`Reader::address`]; names are [`WireError::Invalid`].
    pub fn ip_address(&mut self, what: &'static str) -> Result<SocketAddr, WireError> {
        let at = self.at;
        match self.address(what)? {
            Address::Ip(addr) => Ok(addr),
            Address::Host(..) => Err(WireError::Invalid { what, at }),
        }
    }

    /// A `u16` length and a message of that length, read by `read` to its end.
    ///
    /// # Errors
    /// [`WireError::Short`]; [`WireError::Extra`] when `read` leaves some of it; and what `read` says.
    pub fn nested<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        let len = self.u16(what)?;
        let at = self.at;
        let rest = self.bytes(len.into(), what)?;
        let mut inner = Self { rest, at };
        let value = read(&mut inner)?;
        inner.finish()?;
        Ok(value)
    }

    /// All that is left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.at = self.at.saturating_add(rest.len());
        self.rest = &[];
        rest
    }

    /// Whether nothing is left, so that optional values at the end are absent.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// How many bytes have been read.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Says that a value that began at byte `at` has no meaning.
    pub const fn invalid(what: &'static str, at: usize) -> WireError {
        WireError::Invalid { what, at }
    }

    /// Sees to it that nothing is left.
    ///
    /// # Errors
    /// [`WireError::Extra`].
    pub const fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(WireError::Extra { at: self.at, extra }),
        }
    }

    const fn short(&self, what: &'static str, needed: usize) -> WireError {
        WireError::Short {
            what,
            at: self.at,
            needed,
            left: self.rest.len(),
        }
    }
}
