//! Values as bytes: the formats of IPv8's serializer, all big-endian.
//!
//! | format of py-ipv8 | here |
//! |---|---|
//! | `?` `B` `c` `H` `I` `L` `Q` `q` `l` `f` `d` | [`Reader::bool`], [`u8`](Reader::u8), [`u16`](Reader::u16), [`u32`](Reader::u32), [`u64`](Reader::u64), [`i64`](Reader::i64), [`i32`](Reader::i32), [`f32`](Reader::f32), [`f64`](Reader::f64) |
//! | `4SH`, `ipv4` | [`Reader::ipv4`]: 4 bytes of address, `u16` port |
//! | `20s`, `32s`, `64s`, `74s` | [`Reader::array`] |
//! | `bits` | [`Reader::u8`], most significant bit first |
//! | `raw` | [`Reader::rest`] |
//! | `varlenH`, `doublevarlenH` | [`Reader::var_u16`]: `u16` length, bytes |
//! | `varlenI` | [`Reader::var_u32`]: `u32` length, bytes |
//! | `varlenHx20` | [`Reader::list_20`]: `u16` count, items of 20 bytes |
//! | `varlenBx2` | [`Reader::list_2`]: `u8` count, items of 2 bytes |
//! | `payload` | [`Reader::nested`]: `u16` length, another message, which must end there |
//! | `varlenHutf8` | [`Reader::utf8_u16`] |
//! | `address`, `ip_address` | [`Reader::address`], [`Reader::ip_address`]: see [`Address`] |
//!
//! Formats of several letters are their letters one after the other; [`Writer`] has the same names.

mod address;
mod reader;
mod writer;

pub use address::{Address, NO_ADDRESS};
pub use reader::{Reader, WireError};
pub use writer::Writer;

#[cfg(test)]
mod tests;
