//! Signatures of a torrent, as they stand in its file (BEP 35). [`crate::signing`] checks and makes them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::Bytes;

use crate::bencode::{self, Dict, Encoder, Value};

use super::path;

/// Signatures that are read from one file, at most.
const MOST: usize = 64;

/// The longest name, certificate, dictionary and signature that are read, in bytes.
const LONGEST: usize = 64 * 1024;

/// A signature in a torrent file. Nothing is known of it before it was [checked](crate::signing::check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who signs, in reverse DNS notation, as the file has it.
    pub name: Bytes,
    /// The X.509 certificate of the key, DER; `None` where readers are to have it already.
    pub certificate: Option<Bytes>,
    /// The encoding of a dictionary that is signed with the info dictionary.
    pub info: Option<Bytes>,
    /// Over the info dictionary, and [`Signature::info`] behind it.
    pub signature: Bytes,
}

impl Signature {
    /// Who signs, as text.
    pub fn display_name(&self) -> String {
        path::text(&self.name)
    }

    /// Where newer versions are found, by the word of who signs (BEP 39).
    pub fn update_url(&self) -> Option<String> {
        let limits = bencode::Limits::default();
        let info = bencode::decode(self.info.as_ref()?, &limits).ok()?;
        let url = info.as_dict()?.bytes(b"update-url")?;
        (!url.is_empty()).then(|| path::text(url))
    }
}

/// Reads the `signatures` of a torrent file, by name. What is malformed or absurdly long is left out, and of several under one
/// name all but the first.
pub(super) fn read(signatures: Option<Value<'_>>) -> Vec<Signature> {
    let dict = signatures.and_then(Value::as_dict);
    let each = dict.into_iter().flat_map(Dict::iter);
    let read = each.filter_map(|(name, value)| {
        let [certificate, info, signature] =
            value
                .as_dict()?
                .get_many([b"certificate", b"info", b"signature"]);
        let short = |bytes: &[u8]| bytes.len() <= LONGEST;
        let info = info.filter(|info| info.as_dict().is_some());
        let info = info.map(Value::raw);
        let certificate = certificate.and_then(Value::as_bytes);
        let signature = signature.and_then(Value::as_bytes)?;
        let parts = [Some(name), certificate, info, Some(signature)];
        let fits = parts.into_iter().flatten().all(short);
        fits.then(|| Signature {
            name: Bytes::copy_from_slice(name),
            certificate: certificate.map(Bytes::copy_from_slice),
            info: info.map(Bytes::copy_from_slice),
            signature: Bytes::copy_from_slice(signature),
        })
    });
    let mut all: Vec<Signature> = read.take(MOST).collect();
    in_order(&mut all);
    all
}

/// Sorts signatures by name, and keeps the first under each.
fn in_order(signatures: &mut Vec<Signature>) {
    signatures.sort_by(|a, b| a.name.cmp(&b.name));
    signatures.dedup_by(|a, b| a.name == b.name);
}

/// Writes `signatures`, or nothing where there is none.
pub(super) fn write(e: &mut Encoder, signatures: &[Signature]) {
    if signatures.is_empty() {
        return;
    }
    let mut sorted = signatures.to_vec();
    in_order(&mut sorted);
    e.key(b"signatures").begin_dict();
    for signature in sorted {
        e.key(&signature.name).begin_dict();
        if let Some(certificate) = &signature.certificate {
            e.key(b"certificate").bytes(certificate);
        }
        if let Some(info) = &signature.info {
            e.key(b"info").raw(info);
        }
        e.key(b"signature").bytes(&signature.signature);
        e.end();
    }
    e.end();
}
