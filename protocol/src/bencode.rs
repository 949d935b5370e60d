//! Bencode (BEP 3): the scanner that every byte from outside passes first, borrowed values, and the encoder.
//!
//! [`decode`] checks a whole value once, iteratively and without heap, against [`Limits`]; the [`Value`] it returns is
//! a checked span of the input that is read in place. Torrent files, resume data, tracker replies, DHT and extension
//! messages are read leniently, as deployed clients do: unsorted or repeated keys, leading zeros and bytes after the
//! value pass. [`decode_canonical`] refuses all four, for data whose encoding must be unique (v2 info dictionaries,
//! BEP 44 values). Neither accepts an integer outside `i64`.
//!
//! [`typed`] puts serde behind the same scanner; [`Tree`] is the owned form, for keys that must survive a round trip.

mod encode;
mod scan;
mod tree;
pub mod typed;
mod value;

pub use encode::Encoder;
pub use scan::{
    Error, ErrorKind, Limits, MAX_DEPTH, decode, decode_canonical, decode_prefix, is_canonical,
};
pub use tree::Tree;
pub use value::{Dict, DictIter, Kind, List, ListIter, Value};
pub(crate) use value::{take_string, take_value};

#[cfg(test)]
mod tests;
