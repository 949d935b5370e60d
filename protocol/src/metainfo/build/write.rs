//! The bytes of a torrent that is being made.

use std::collections::BTreeMap;

use crate::bencode::Encoder;
use crate::id::{InfoHash, InfoHashes};

use super::super::{FileAttr, Signature, Version, feed, load, signature, write};
use super::{BuildError, Entry, Extras, FileHashes, Hashes, Layout, Plan, SourceFile};

/// The hashes of the content, matched to the entries they belong to.
struct Content<'a> {
    plan: &'a Plan,
    extras: &'a Extras,
    hashes: &'a Hashes,
    /// The v2 hashes by index of the source file.
    files: BTreeMap<usize, &'a FileHashes>,
}

impl Plan {
    /// Writes the .torrent file, and tells its info-hashes.
    ///
    /// # Errors
    /// [`BuildError::Hashes`] where `hashes` are not as many as the plan has pieces and files, or of a piece layer as
    /// the file has pieces.
    pub fn write(
        &self,
        hashes: &Hashes,
        extras: &Extras,
    ) -> Result<(Vec<u8>, InfoHashes), BuildError> {
        self.write_signed(hashes, extras, |_| Vec::new())
    }

    /// As [`Plan::write`], with the signatures that `sign` makes of the info dictionary (BEP 35).
    ///
    /// # Errors
    /// As [`Plan::write`].
    pub fn write_signed(
        &self,
        hashes: &Hashes,
        extras: &Extras,
        sign: impl FnOnce(&[u8]) -> Vec<Signature>,
    ) -> Result<(Vec<u8>, InfoHashes), BuildError> {
        let content = Content::new(self, hashes, extras)?;
        let info = content.info();
        let found = load::hashes_of(&info, self.has_v1(), self.has_v2());
        Ok((content.torrent(&info, &sign(&info)), found))
    }

    const fn has_v1(&self) -> bool {
        !matches!(self.version, Version::V2)
    }

    const fn has_v2(&self) -> bool {
        !matches!(self.version, Version::V1)
    }
}

impl<'a> Content<'a> {
    fn new(plan: &'a Plan, hashes: &'a Hashes, extras: &'a Extras) -> Result<Self, BuildError> {
        let pieces = if plan.has_v1() {
            plan.geometry().pieces() as usize
        } else {
            0
        };
        let entries = plan.entries().iter().filter(|entry| entry.len > 0);
        let sources: Vec<(usize, u64)> = entries
            .filter_map(|entry| Some((entry.source?, entry.len)))
            .collect();
        let files = if plan.has_v2() { sources.len() } else { 0 };
        let piece_len = u64::from(plan.geometry().piece_len());
        let fits = |file: &FileHashes, len: u64| {
            let pieces = if len > piece_len {
                len.div_ceil(piece_len)
            } else {
                0
            };
            file.layer.len() as u64 == pieces
        };
        let pairs = sources.iter().zip(&hashes.files);
        if hashes.pieces.len() != pieces
            || hashes.files.len() != files
            || pairs.clone().any(|(&(_, len), file)| !fits(file, len))
        {
            return Err(BuildError::Hashes);
        }
        Ok(Self {
            plan,
            extras,
            hashes,
            files: pairs.map(|(&(source, _), file)| (source, file)).collect(),
        })
    }

    /// The info dictionary.
    fn info(&self) -> Vec<u8> {
        let (plan, extras) = (self.plan, self.extras);
        let single = match plan.layout {
            Layout::SingleFile if plan.has_v1() => plan.files.first(),
            Layout::SingleFile | Layout::Directory => None,
        };
        let mut e = Encoder::new();
        e.begin_dict();
        if let Some(file) = single {
            attr(&mut e, file.attr);
        }
        let feed = extras.feed.as_ref();
        feed::write(&mut e, feed.filter(|_| plan.layout == Layout::Directory));
        write::strings(&mut e, b"collections", &extras.collections);
        if plan.has_v2() {
            self.tree(&mut e);
        }
        if plan.has_v1() && plan.layout == Layout::Directory {
            e.key(b"files").begin_list();
            for entry in plan.entries() {
                self.v1_file(&mut e, entry);
            }
            e.end();
        }
        if let Some(file) = single {
            e.key(b"length").int(file.len.cast_signed());
        }
        if plan.has_v2() {
            e.key(b"meta version").int(2);
        }
        if let Some(mtime) = single.and_then(|file| file.mtime) {
            e.key(b"mtime").int(mtime);
        }
        e.key(b"name").str(&plan.name);
        optional(&mut e, b"originator", extras.originator.as_deref());
        e.key(b"piece length")
            .int(i64::from(plan.geometry().piece_len()));
        if plan.has_v1() {
            e.key(b"pieces").bytes(self.hashes.pieces.as_flattened());
        }
        if extras.private {
            e.key(b"private").int(1);
        }
        similar(&mut e, &extras.similar);
        optional(
            &mut e,
            b"source",
            extras.source.as_deref().map(str::as_bytes),
        );
        optional(&mut e, b"ssl-cert", extras.ssl_cert.as_deref());
        optional(
            &mut e,
            b"update-url",
            extras.update_url.as_deref().map(str::as_bytes),
        );
        e.end();
        e.finish()
    }

    /// The v2 file tree. Entries are in byte order of their path elements, so that directories open and close in turn.
    fn tree(&self, e: &mut Encoder) {
        e.key(b"file tree").begin_dict();
        let mut open: &[String] = &[];
        let name = std::slice::from_ref(&self.plan.name);
        for source in self.plan.entries().iter().filter_map(|entry| entry.source) {
            let file = &self.plan.files[source];
            let path = match self.plan.layout {
                Layout::Directory => &file.path,
                Layout::SingleFile => name,
            };
            let Some((last, directory)) = path.split_last() else {
                continue;
            };
            let shared = open
                .iter()
                .zip(directory)
                .take_while(|(a, b)| a == b)
                .count();
            for _ in shared..open.len() {
                e.end();
            }
            for element in &directory[shared..] {
                e.key(element.as_bytes()).begin_dict();
            }
            open = directory;
            e.key(last.as_bytes()).begin_dict().key(b"").begin_dict();
            attr(e, file.attr);
            if !file.attr.symlink {
                e.key(b"length").int(file.len.cast_signed());
            }
            if let Some(mtime) = file.mtime {
                e.key(b"mtime").int(mtime);
            }
            if let Some(hashes) = self.files.get(&source) {
                e.key(b"pieces root").bytes(&hashes.root);
            }
            symlink(e, file);
            e.end().end();
        }
        for _ in open {
            e.end();
        }
        e.end();
    }

    /// An entry of the v1 list of files.
    fn v1_file(&self, e: &mut Encoder, entry: &Entry) {
        e.begin_dict();
        if let Some(source) = entry.source {
            let file = &self.plan.files[source];
            attr(e, file.attr);
            e.key(b"length").int(entry.len.cast_signed());
            if let Some(mtime) = file.mtime {
                e.key(b"mtime").int(mtime);
            }
            write::strings(e, b"path", &file.path);
            optional(e, b"sha1", file.sha1.as_ref().map(<[u8; 20]>::as_slice));
            symlink(e, file);
        } else {
            e.key(b"attr").bytes(b"p");
            e.key(b"length").int(entry.len.cast_signed());
            e.key(b"path").begin_list();
            e.bytes(b".pad").str(&entry.len.to_string()).end();
        }
        e.end();
    }

    /// The whole file around the info dictionary.
    fn torrent(&self, info: &[u8], signatures: &[Signature]) -> Vec<u8> {
        let extras = self.extras;
        let mut e = Encoder::new();
        e.begin_dict();
        write::announce(&mut e, &extras.trackers);
        optional(
            &mut e,
            b"comment",
            extras.comment.as_deref().map(str::as_bytes),
        );
        optional(
            &mut e,
            b"created by",
            extras.created_by.as_deref().map(str::as_bytes),
        );
        if let Some(created) = extras.created {
            e.key(b"creation date").int(created);
        }
        seeds(&mut e, b"httpseeds", &extras.http_seeds);
        e.key(b"info").raw(info);
        if !extras.nodes.is_empty() {
            e.key(b"nodes").begin_list();
            for (host, port) in &extras.nodes {
                e.begin_list().str(host).int(i64::from(*port)).end();
            }
            e.end();
        }
        if self.plan.has_v2() {
            e.key(b"piece layers").begin_dict();
            let layers = self.files.values().filter(|file| !file.layer.is_empty());
            let layers: BTreeMap<_, _> = layers.map(|file| (file.root, &file.layer)).collect();
            for (root, layer) in layers {
                e.key(&root).bytes(layer.as_flattened());
            }
            e.end();
        }
        signature::write(&mut e, signatures);
        seeds(&mut e, b"url-list", &extras.web_seeds);
        e.end();
        e.finish()
    }
}

fn attr(e: &mut Encoder, attr: FileAttr) {
    let letters = FileAttr { pad: false, ..attr }.letters();
    if !letters.is_empty() {
        e.key(b"attr").str(&letters);
    }
}

fn symlink(e: &mut Encoder, file: &SourceFile) {
    if let Some(target) = file.symlink.as_ref().filter(|_| file.attr.symlink) {
        write::strings(e, b"symlink path", target);
    }
}

fn similar(e: &mut Encoder, hashes: &[InfoHash]) {
    if !hashes.is_empty() {
        e.key(b"similar").begin_list();
        for hash in hashes {
            e.bytes(hash.as_bytes());
        }
        e.end();
    }
}

fn optional(e: &mut Encoder, key: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        e.key(key).bytes(value);
    }
}

/// A single URL as string, several as list.
fn seeds(e: &mut Encoder, key: &[u8], urls: &[String]) {
    match urls {
        [url] => {
            e.key(key).str(url);
        }
        urls => write::strings(e, key, urls),
    }
}
