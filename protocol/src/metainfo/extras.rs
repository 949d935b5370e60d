//! What a torrent says beside its layout: trackers, seeds, comments and the like. Nothing here makes a torrent invalid.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::bencode::{Dict, List, Value};
use crate::id::InfoHash;

use super::{Metainfo, feed, path, signature, url};

/// Reads what the info dictionary says beside the layout.
pub(super) fn inside(metainfo: &mut Metainfo, info: Dict<'_>) {
    let [
        private,
        source,
        ssl_cert,
        update_url,
        originator,
        similar,
        collections,
    ] = info.get_many([
        b"private",
        b"source",
        b"ssl-cert",
        b"update-url",
        b"originator",
        b"similar",
        b"collections",
    ]);
    metainfo.private = private
        .and_then(Value::as_int)
        .is_some_and(|flag| flag != 0);
    metainfo.source = text(source);
    metainfo.ssl_cert = ssl_cert
        .and_then(Value::as_bytes)
        .map(Bytes::copy_from_slice);
    metainfo.update_url = text(update_url);
    metainfo.originator = originator
        .and_then(Value::as_bytes)
        .map(Bytes::copy_from_slice);
    metainfo.feed = feed::read(info.get(b"bep49")).filter(|_| !metainfo.single_file);
    metainfo.similar_inside = similar_list(similar);
    metainfo.collections_inside = strings(collections);
}

/// Reads what a torrent file says outside its info dictionary.
pub(super) fn outside(metainfo: &mut Metainfo, top: Dict<'_>) {
    let [announce, announce_list, url_list, http_seeds, nodes] = top.get_many([
        b"announce",
        b"announce-list",
        b"url-list",
        b"httpseeds",
        b"nodes",
    ]);
    let [
        comment_utf8,
        comment,
        created_utf8,
        created_by,
        date,
        encoding,
    ] = top.get_many([
        b"comment.utf-8",
        b"comment",
        b"created by.utf-8",
        b"created by",
        b"creation date",
        b"encoding",
    ]);
    metainfo.trackers = tiers(announce_list, announce);
    metainfo.web_seeds = web_seeds(url_list, !metainfo.single_file);
    metainfo.http_seeds = strings(http_seeds);
    metainfo.nodes = node_list(nodes);
    metainfo.comment = text(comment_utf8).or_else(|| text(comment));
    metainfo.created_by = text(created_utf8).or_else(|| text(created_by));
    metainfo.created = date.and_then(Value::as_int).filter(|&date| date != 0);
    metainfo.encoding = text(encoding);
    let [similar, collections] = top.get_many([b"similar", b"collections"]);
    metainfo.similar_outside = similar_list(similar);
    metainfo.collections_outside = strings(collections);
    metainfo.signatures = signature::read(top.get(b"signatures"));
}

/// A string as text; what is not UTF-8 becomes `_`. `None` where it is missing or empty.
fn text(value: Option<Value<'_>>) -> Option<String> {
    let bytes = value?.as_bytes()?;
    (!bytes.is_empty()).then(|| path::text(bytes))
}

/// A list of strings, or a single string, without empty ones.
fn strings(value: Option<Value<'_>>) -> Vec<String> {
    let single = text(value);
    let list = value.and_then(Value::as_list).into_iter();
    let many = list.flat_map(List::iter).filter_map(|v| text(Some(v)));
    single.into_iter().chain(many).collect()
}

/// A list of v1 info-hashes; elements of other lengths are ignored.
fn similar_list(value: Option<Value<'_>>) -> Vec<InfoHash> {
    let list = value.and_then(Value::as_list).into_iter();
    let hashes = list.flat_map(List::iter).filter_map(Value::as_bytes);
    hashes
        .filter_map(|hash| hash.try_into().ok().map(InfoHash))
        .collect()
}

/// The tiers of trackers (BEP 12); `announce` counts where `announce-list` holds no tracker.
fn tiers(list: Option<Value<'_>>, announce: Option<Value<'_>>) -> Vec<Vec<String>> {
    let tracker = |value: Value<'_>| {
        let url = value.as_str()?.trim_start();
        url::is_tracker(url).then(|| url.to_owned())
    };
    let list = list.and_then(Value::as_list).into_iter();
    let mut tiers: Vec<Vec<String>> = list
        .flat_map(List::iter)
        .map(|tier| {
            let urls = tier.as_list().into_iter().flat_map(List::iter);
            urls.filter_map(tracker).collect()
        })
        .collect();
    if tiers.iter().all(Vec::is_empty) {
        tiers = announce
            .and_then(tracker)
            .into_iter()
            .map(|url| vec![url])
            .collect();
    }
    tiers
}

/// Web seeds (BEP 19) without repetition; of a torrent with directories they name a directory.
fn web_seeds(list: Option<Value<'_>>, directory: bool) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut seeds = Vec::new();
    for mut seed in strings(list) {
        seed = url::encode(seed.trim_start());
        if directory && !seed.ends_with('/') {
            seed.push('/');
        }
        if seen.insert(seed.clone()) {
            seeds.push(seed);
        }
    }
    seeds
}

/// DHT nodes (BEP 5): pairs of host and port.
fn node_list(nodes: Option<Value<'_>>) -> Vec<(String, u16)> {
    let list = nodes.and_then(Value::as_list).into_iter();
    list.flat_map(List::iter)
        .filter_map(|node| {
            let mut pair = node.as_list()?.iter();
            let host = text(pair.next())?;
            let port = u16::try_from(pair.next()?.as_int()?).ok()?;
            (port > 0).then_some((host, port))
        })
        .collect()
}
