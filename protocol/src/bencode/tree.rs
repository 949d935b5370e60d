//! Values that own their contents.

use std::collections::BTreeMap;

use super::{Encoder, Kind, Value};

/// An owned value. Encoding it gives the canonical form.
///
/// Its depth is that of the input it was read from, so at most [`MAX_DEPTH`](super::MAX_DEPTH); the recursion in
/// reading, encoding and dropping it is bounded by that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    /// A byte string.
    Bytes(Vec<u8>),
    /// A dictionary; of repeated keys the last one is kept.
    Dict(BTreeMap<Vec<u8>, Self>),
    /// An integer.
    Int(i64),
    /// A list.
    List(Vec<Self>),
}

impl From<Value<'_>> for Tree {
    fn from(value: Value<'_>) -> Self {
        match value.kind() {
            Kind::Bytes => Self::Bytes(value.as_bytes().unwrap_or_default().to_vec()),
            Kind::Int => Self::Int(value.as_int().unwrap_or_default()),
            Kind::List => {
                let elements = value.as_list().into_iter().flat_map(super::List::iter);
                Self::List(elements.map(Self::from).collect())
            }
            Kind::Dict => {
                let members = value.as_dict().into_iter().flatten();
                Self::Dict(members.map(|(k, v)| (k.to_vec(), Self::from(v))).collect())
            }
        }
    }
}

impl Tree {
    /// The canonical encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        self.encode(&mut encoder);
        encoder.finish()
    }

    /// Writes the canonical encoding.
    pub fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Bytes(bytes) => {
                encoder.bytes(bytes);
            }
            Self::Int(value) => {
                encoder.int(*value);
            }
            Self::List(elements) => {
                encoder.begin_list();
                for element in elements {
                    element.encode(encoder);
                }
                encoder.end();
            }
            Self::Dict(members) => {
                encoder.begin_dict();
                for (key, value) in members {
                    encoder.key(key);
                    value.encode(encoder);
                }
                encoder.end();
            }
        }
    }
}
