//! Writing what is bencoded, and small torrents to write it about.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::bencode::Encoder;
use protocol::id::InfoHash;
use protocol::metainfo::{LoadLimits, Metainfo};
use state::FileStamp;
use state::import::Imported;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Dict(BTreeMap<Vec<u8>, Self>),
    /// As it is.
    Raw(Vec<u8>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    pub(crate) fn texts(texts: &[&str]) -> Self {
        Self::List(texts.iter().map(|text| Self::text(text)).collect())
    }

    pub(crate) fn ints(ints: &[i64]) -> Self {
        Self::List(ints.iter().map(|int| Self::Int(*int)).collect())
    }

    pub(crate) fn dict(fields: &[(&str, Self)]) -> Self {
        let fields = fields.iter();
        Self::Dict(
            fields
                .map(|(key, value)| (key.as_bytes().to_vec(), value.clone()))
                .collect(),
        )
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        self.put(&mut encoder);
        encoder.finish()
    }

    fn put(&self, to: &mut Encoder) {
        match self {
            Self::Int(int) => drop(to.int(*int)),
            Self::Bytes(bytes) => drop(to.bytes(bytes)),
            Self::Raw(raw) => drop(to.raw(raw)),
            Self::List(list) => {
                to.begin_list();
                for value in list {
                    value.put(to);
                }
                to.end();
            }
            Self::Dict(dict) => {
                to.begin_dict();
                for (key, value) in dict {
                    to.key(key);
                    value.put(to);
                }
                to.end();
            }
        }
    }
}

/// Bytes in a piece of [`torrent`]: two blocks.
pub(crate) const PIECE: i64 = 32 << 10;

/// The info dictionary of a v1 torrent of the folder `top` with files of these names and lengths.
pub(crate) fn info(files: &[(&str, i64)]) -> Vec<u8> {
    let len: i64 = files.iter().map(|(_, len)| *len).sum();
    let pieces = ((len + PIECE - 1) / PIECE) as usize;
    let files = files.iter().map(|(path, len)| {
        let path: Vec<&str> = path.split('/').collect();
        Value::dict(&[("length", Value::Int(*len)), ("path", Value::texts(&path))])
    });
    Value::dict(&[
        ("files", Value::List(files.collect())),
        ("name", Value::text("top")),
        ("piece length", Value::Int(PIECE)),
        ("pieces", Value::Bytes(vec![7; 20 * pieces])),
    ])
    .encode()
}

/// A .torrent file with that dictionary and a tracker.
pub(crate) fn torrent(files: &[(&str, i64)]) -> Vec<u8> {
    Value::dict(&[
        ("announce", Value::text("http://tracker.example/announce")),
        ("info", Value::Raw(info(files))),
    ])
    .encode()
}

/// The info-hash of such a torrent.
pub(crate) fn hash(files: &[(&str, i64)]) -> InfoHash {
    let parsed =
        Metainfo::from_info(&info(files), &LoadLimits::default()).expect("an info dictionary");
    parsed.hashes().wire()
}

/// A file that is there.
pub(crate) const fn stamp(len: u64, seconds: i64) -> FileStamp {
    FileStamp {
        len: Some(len),
        mtime: seconds * 1_000_000_000,
    }
}

/// Looks at files that are where a list says, by their path from the root.
pub(crate) fn there<'a>(
    files: &'a [(&'a str, FileStamp)],
) -> impl FnMut(&Path, &[Vec<String>]) -> Vec<FileStamp> + 'a {
    move |dir, paths| {
        let stamps = paths.iter().map(|path| {
            let path = dir.join(path.iter().collect::<std::path::PathBuf>());
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map_or(
                FileStamp {
                    len: None,
                    mtime: 0,
                },
                |(_, stamp)| *stamp,
            )
        });
        stamps.collect()
    }
}

/// What was left out, by the names of the fields.
pub(crate) fn left_out(it: &Imported) -> Vec<&str> {
    it.left_out.iter().map(|left| left.field.as_str()).collect()
}
