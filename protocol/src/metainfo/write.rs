//! Writing a torrent file.

use crate::bencode::Encoder;

use super::{Metainfo, WriteError, layers, signature};

/// Writes a torrent file: see [`Metainfo::to_bytes`].
pub(super) fn to_bytes(metainfo: &Metainfo) -> Result<Vec<u8>, WriteError> {
    let wanted = layers::wanted(&metainfo.files, metainfo.geometry.piece_len());
    if !metainfo.has_piece_layers() {
        return Err(if metainfo.layers.is_empty() {
            WriteError::MissingPieceLayer
        } else {
            WriteError::PartialPieceLayers
        });
    }
    let mut e = Encoder::new();
    e.begin_dict();
    announce(&mut e, &metainfo.trackers);
    strings(&mut e, b"collections", &metainfo.collections_outside);
    if let Some(comment) = &metainfo.comment {
        e.key(b"comment").str(comment);
    }
    if let Some(created_by) = &metainfo.created_by {
        e.key(b"created by").str(created_by);
    }
    if let Some(created) = metainfo.created {
        e.key(b"creation date").int(created);
    }
    e.key(b"info").raw(&metainfo.info);
    if metainfo.has_v2() {
        e.key(b"piece layers").begin_dict();
        for root in wanted.keys() {
            if let Some(layer) = metainfo.layers.get(root) {
                e.key(root).bytes(layer);
            }
        }
        e.end();
    }
    signature::write(&mut e, &metainfo.signatures);
    if !metainfo.similar_outside.is_empty() {
        e.key(b"similar").begin_list();
        for hash in &metainfo.similar_outside {
            e.bytes(hash.as_bytes());
        }
        e.end();
    }
    strings(&mut e, b"url-list", &metainfo.web_seeds);
    e.end();
    Ok(e.finish())
}

/// Writes `announce`, and `announce-list` where there is more than one tracker.
pub(super) fn announce(e: &mut Encoder, tiers: &[Vec<String>]) {
    if let Some(first) = tiers.iter().flatten().next() {
        e.key(b"announce").str(first);
    }
    if tiers.iter().flatten().nth(1).is_some() {
        e.key(b"announce-list").begin_list();
        for tier in tiers.iter().filter(|tier| !tier.is_empty()) {
            e.begin_list();
            for url in tier {
                e.str(url);
            }
            e.end();
        }
        e.end();
    }
}

/// Writes a list of texts, or nothing if it is empty.
pub(super) fn strings(e: &mut Encoder, key: &[u8], texts: &[String]) {
    if !texts.is_empty() {
        e.key(key).begin_list();
        for text in texts {
            e.str(text);
        }
        e.end();
    }
}
