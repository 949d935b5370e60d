//! Values to bytes.

use std::net::{SocketAddr, SocketAddrV4};

use super::Address;
use super::address::MAX_HOST;

/// Puts values behind each other. Every method gives the writer back, so that a message reads as its layout.
///
/// Lengths are bounded by their prefix: what is longer than that can say is cut off there, and since a datagram takes
/// 65,507 bytes at most, only a mistake of the caller gets there (debug builds panic).
///
/// ```
/// use overlay::wire::Writer;
/// let mut writer = Writer::new();
/// writer.u16(7).var_u16(b"hi");
/// assert_eq!(writer.finish(), [0, 7, 0, 2, b'h', b'i']);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

macro_rules! numbers {
    ($($name:ident),*) => {$(
        #[doc = concat!("A big-endian `", stringify!($name), "`.")]
        pub fn $name(&mut self, value: $name) -> &mut Self {
            self.raw(&value.to_be_bytes())
        }
    )*};
}

impl Writer {
    /// An empty message.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// A message that continues `bytes`, so that a buffer can be used again.
    pub const fn onto(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    numbers!(u8, u16, u32, u64, i32, i64, f32, f64);

    /// A byte, 1 for yes.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(value.into())
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A `u16` length and the bytes.
    pub fn var_u16(&mut self, bytes: &[u8]) -> &mut Self {
        let bytes = at_most(bytes, usize::from(u16::MAX));
        self.u16(bytes.len() as u16).raw(bytes)
    }

    /// A `u32` length and the bytes.
    pub fn var_u32(&mut self, bytes: &[u8]) -> &mut Self {
        let bytes = at_most(bytes, u32::MAX as usize);
        self.u32(bytes.len() as u32).raw(bytes)
    }

    /// A `u16` count and the items.
    pub fn list_20(&mut self, items: &[[u8; 20]]) -> &mut Self {
        let items = at_most(items, usize::from(u16::MAX));
        self.u16(items.len() as u16).raw(items.as_flattened())
    }

    /// A `u8` count and the items.
    pub fn list_2(&mut self, items: &[[u8; 2]]) -> &mut Self {
        let items = at_most(items, usize::from(u8::MAX));
        self.u8(items.len() as u8).raw(items.as_flattened())
    }

    /// An IPv4 address and its port, 6 bytes.
    pub fn ipv4(&mut self, addr: SocketAddrV4) -> &mut Self {
        self.raw(&addr.ip().octets()).u16(addr.port())
    }

    /// An address of any kind; of the name of a host, the first 255 bytes.
    pub fn address(&mut self, addr: &Address) -> &mut Self {
        match addr {
            Address::Ip(SocketAddr::V4(addr)) => self.u8(Address::V4).ipv4(*addr),
            Address::Ip(SocketAddr::V6(addr)) => self
                .u8(Address::V6)
                .raw(&addr.ip().octets())
                .u16(addr.port()),
            Address::Host(host, port) => {
                let host = at_most(host.as_bytes(), MAX_HOST);
                self.u8(Address::HOST).var_u16(host).u16(*port)
            }
        }
    }

    /// A `u16` length and the message that `write` makes.
    pub fn nested(&mut self, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new();
        write(&mut inner);
        self.var_u16(&inner.bytes)
    }

    /// How many bytes have been written.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

fn at_most<T>(items: &[T], most: usize) -> &[T] {
    debug_assert!(items.len() <= most, "longer than its prefix can say");
    items.get(..most).unwrap_or(items)
}
