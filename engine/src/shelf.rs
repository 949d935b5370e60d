//! Which torrent has which files whole, so that others need not fetch them again (BEP 38).
//!
//! Files are the same for sure where both torrents tell the root of their hash trees (BEP 52), or where the pieces that lie
//! in them have the same hashes. Where neither can be told, a file of the same length, or of the same name, is worth a try
//! in torrents that name each other, or one collection: what is taken is compared with hashes in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use protocol::geometry::{BLOCK_LEN, PieceIndex};
use protocol::id::InfoHash;
use protocol::metainfo::{FileEntry, Metainfo};

use crate::content::HaveBoard;
use crate::{LocalFile, TorrentId};

/// Files by which torrents are found that share some, over all torrents; beyond them only hints help.
const MOST_FILES: usize = 2_000_000;

/// Hints that are taken from one torrent.
const MOST_HINTS: usize = 256;

/// Torrents whose files one torrent's are compared with, at most.
const MOST_ALIKE: usize = 16;

/// Files of one length that are compared with one file, at most.
const MOST_COMPARED: usize = 16;

/// The files of an engine's torrents, shared by these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    books: Mutex<Books>,
    news: AtomicU64,
}

#[derive(Debug, Default)]
struct Books {
    torrents: BTreeMap<TorrentId, Book>,
    /// Files of a block or more: length, torrent, number.
    by_len: BTreeSet<(u64, TorrentId, usize)>,
    hints: BTreeSet<(Hint, TorrentId)>,
}

#[derive(Debug)]
struct Book {
    hops: u8,
    dir: PathBuf,
    metainfo: Arc<Metainfo>,
    have: Arc<HaveBoard>,
}

/// What leads from one torrent to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hint {
    /// It is in this collection.
    Collection(String),
    /// It has this hash.
    Is(InfoHash),
    /// It says that it is like the torrent with this hash.
    Like(InfoHash),
}

/// The place of one torrent, kept until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    shelf: Shelf,
    id: TorrentId,
    have: Arc<HaveBoard>,
}

impl Shelf {
    /// Shows where a torrent's files are and which of its pieces are there, to those with as many hops.
    pub(crate) fn put(
        &self,
        (id, hops): (TorrentId, u8),
        dir: &Path,
        metainfo: &Arc<Metainfo>,
        have: &Arc<HaveBoard>,
    ) -> Place {
        let mut books = self.0.books.lock();
        books.remove(id);
        for (file, entry) in stored(metainfo) {
            if entry.len >= u64::from(BLOCK_LEN) && books.by_len.len() < MOST_FILES {
                books.by_len.insert((entry.len, id, file));
            }
        }
        books.hints.extend(hints(metainfo).map(|hint| (hint, id)));
        books.torrents.insert(
            id,
            Book {
                hops,
                dir: std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
                metainfo: Arc::clone(metainfo),
                have: Arc::clone(have),
            },
        );
        drop(books);
        Place {
            shelf: self.clone(),
            id,
            have: Arc::clone(have),
        }
    }

    /// Says that a torrent has more files than before.
    pub(crate) fn tell(&self) {
        self.0.news.fetch_add(1, Ordering::Relaxed);
    }

    /// Another number each time that a torrent has more files.
    pub(crate) fn news(&self) -> u64 {
        self.0.news.load(Ordering::Relaxed)
    }

    /// The files of other torrents, whole, that are or may be those of this one that `lacks` accepts; of torrents that
    /// `seen` has not, and with as many hops: who begins with pieces that another has can be told to be of one house with it.
    pub(crate) fn alike(
        &self,
        (id, hops): (TorrentId, u8),
        metainfo: &Metainfo,
        lacks: impl Fn(usize) -> bool,
        seen: &BTreeSet<TorrentId>,
    ) -> Vec<LocalFile> {
        let lacking: Vec<(usize, &FileEntry)> =
            stored(metainfo).filter(|(file, _)| lacks(*file)).collect();
        let books = self.0.books.lock();
        let same_route = |other: &TorrentId| {
            let book = books.torrents.get(other);
            book.is_some_and(|book| book.hops == hops)
        };
        let unseen = |other: &TorrentId| *other != id && !seen.contains(other) && same_route(other);
        let hinted: BTreeSet<TorrentId> = books.hinted(metainfo).filter(unseen).collect();
        let mut others = hinted.clone();
        for (_, entry) in &lacking {
            if others.len() >= MOST_ALIKE {
                break;
            }
            let from = (entry.len, TorrentId(0), 0);
            let to = (entry.len, TorrentId(u64::MAX), usize::MAX);
            let compared = books.by_len.range(from..=to).take(MOST_COMPARED);
            for (_, other, file) in compared.filter(|(_, other, _)| unseen(other)) {
                let book = books.torrents.get(other);
                let theirs = book.and_then(|book| Some((book, book.metainfo.files().get(*file)?)));
                let same = theirs.is_some_and(|(book, theirs)| {
                    same(metainfo, entry, &book.metainfo, theirs) == Some(true)
                });
                if same {
                    others.insert(*other);
                }
            }
        }
        let others = others.iter().take(MOST_ALIKE);
        let found = others.filter_map(|other| Some((other, books.torrents.get(other)?)));
        let found = found.flat_map(|(other, book)| {
            book.shared(*other, metainfo, &lacking, hinted.contains(other))
        });
        found.collect()
    }
}

impl Books {
    fn remove(&mut self, id: TorrentId) {
        let Some(book) = self.torrents.remove(&id) else {
            return;
        };
        for (file, entry) in stored(&book.metainfo) {
            self.by_len.remove(&(entry.len, id, file));
        }
        for hint in hints(&book.metainfo) {
            self.hints.remove(&(hint, id));
        }
    }

    /// Torrents that this one names, that name it, or that are in one of its collections.
    fn hinted(&self, metainfo: &Metainfo) -> impl Iterator<Item = TorrentId> {
        let asked = hints(metainfo).map(|hint| match hint {
            Hint::Is(hash) => Hint::Like(hash),
            Hint::Like(hash) => Hint::Is(hash),
            collection @ Hint::Collection(_) => collection,
        });
        asked.flat_map(|hint| {
            let from = (hint.clone(), TorrentId(0));
            let to = (hint, TorrentId(u64::MAX));
            self.hints.range(from..=to).map(|(_, id)| *id)
        })
    }
}

impl Book {
    /// Which of its files are, or may be, the files that another torrent lacks.
    fn shared(
        &self,
        id: TorrentId,
        metainfo: &Metainfo,
        lacking: &[(usize, &FileEntry)],
        hinted: bool,
    ) -> Vec<LocalFile> {
        let mut by_len: BTreeMap<u64, Vec<&FileEntry>> = BTreeMap::new();
        let mut by_name: BTreeMap<&str, Vec<&FileEntry>> = BTreeMap::new();
        for (_, entry) in stored(&self.metainfo) {
            by_len.entry(entry.len).or_default().push(entry);
            if let Some(name) = entry.components().last().filter(|_| hinted) {
                by_name.entry(name).or_default().push(entry);
            }
        }
        let mut shared = Vec::new();
        for (file, entry) in lacking {
            let same_len = by_len.get(&entry.len).into_iter().flatten();
            let name = entry.components().last().map_or("", String::as_str);
            let same_name = by_name.get(name).into_iter().flatten();
            let same_name = same_name.filter(|theirs| theirs.len != entry.len);
            let mut candidates = same_len.chain(same_name).take(MOST_COMPARED);
            let found = candidates.find(|theirs| {
                same(metainfo, entry, &self.metainfo, theirs).unwrap_or(true) && self.has(theirs)
            });
            if let Some(theirs) = found {
                shared.push(LocalFile {
                    file: *file,
                    torrent: id,
                    dir: self.dir.clone(),
                    path: theirs.components().iter().collect(),
                    len: entry.len.min(theirs.len),
                });
            }
        }
        shared
    }

    fn has(&self, file: &FileEntry) -> bool {
        let geometry = self.metainfo.geometry();
        let at = |offset| geometry.piece_at(offset).map_or(0, PieceIndex::get);
        let mut pieces = at(file.offset)..=at(file.offset + file.len - 1);
        pieces.all(|piece| {
            let piece = geometry.piece(piece);
            piece.is_some_and(|piece| self.have.contains(piece))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut books = self.shelf.0.books.lock();
        // Another may have taken its place.
        let own = |book: &Book| Arc::ptr_eq(&book.have, &self.have);
        if books.torrents.get(&self.id).is_some_and(own) {
            books.remove(self.id);
        }
    }
}

/// Whether two files have the same content, as far as their torrents tell.
fn same(a: &Metainfo, one: &FileEntry, b: &Metainfo, other: &FileEntry) -> Option<bool> {
    if let (Some(one_root), Some(other_root)) = (one.root, other.root)
        && one.len == other.len
    {
        return Some(one_root == other_root);
    }
    let piece_len = a.geometry().piece_len();
    let len = u64::from(piece_len);
    if !(a.has_v1() && b.has_v1() && b.geometry().piece_len() == piece_len)
        || one.offset % len != other.offset % len
    {
        return None;
    }
    // Pieces that lie in the file as a whole.
    let first = one.offset.div_ceil(len);
    let shared = one.len.min(other.len);
    let end = (one.offset + shared) / len;
    let shift = other.offset.div_ceil(len);
    let mut pairs = (first..end).map(|at| (at, at - first + shift)).peekable();
    pairs.peek()?;
    let hash = |metainfo: &Metainfo, at: u64| {
        let piece = metainfo.geometry().piece(at as u32)?;
        metainfo.piece_hash_v1(piece)
    };
    if one.len == other.len {
        Some(pairs.all(|(one, other)| hash(a, one) == hash(b, other)))
    } else {
        Some(pairs.any(|(one, other)| hash(a, one) == hash(b, other)))
    }
}

/// The files that have bytes on disk, with their numbers.
fn stored(metainfo: &Metainfo) -> impl Iterator<Item = (usize, &FileEntry)> {
    let files = metainfo.files().iter().enumerate();
    files.filter(|(_, file)| file.is_stored() && file.len > 0)
}

fn hints(metainfo: &Metainfo) -> impl Iterator<Item = Hint> + '_ {
    let own = metainfo.hashes();
    let own = own.names().map(Hint::Is);
    let like = metainfo.similar().map(Hint::Like);
    let collections = metainfo.collections().map(str::to_owned);
    let named = like.chain(collections.map(Hint::Collection));
    own.chain(named.take(MOST_HINTS))
}
