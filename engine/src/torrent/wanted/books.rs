//! How much each piece is wanted, as follows from what was decided about files and pieces.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use protocol::metainfo::{FileEntry, Metainfo};

use crate::torrent::files::{FileError, Wish};
use crate::torrent::picker::{Picker, Priority};
use crate::{AddTorrent, Choices};

/// Pieces that are missing of each file; none of pads, links and empty files.
pub(in crate::torrent) fn files_left(metainfo: &Metainfo, picker: &Picker) -> Vec<u32> {
    let geometry = metainfo.geometry();
    let lacks = |piece: &u32| {
        let piece = geometry.piece(*piece);
        piece.is_some_and(|piece| !picker.have().get(piece))
    };
    let files = metainfo.files().iter();
    files
        .map(|file| span(metainfo, file).map_or(0, |pieces| pieces.filter(lacks).count() as u32))
        .collect()
}

/// The pieces that a file has bytes in, by their numbers.
fn span(metainfo: &Metainfo, file: &FileEntry) -> Option<RangeInclusive<u32>> {
    let geometry = metainfo.geometry();
    if file.len == 0 || !file.is_stored() {
        return None;
    }
    let first = geometry.piece_at(file.offset)?.get();
    let last = geometry.piece_at(file.offset + file.len - 1)?.get();
    Some(first..=last)
}

/// How much each piece is wanted: as much as the most wanted file that has bytes in it, where nothing else was said.
pub(super) fn by_files(add: &AddTorrent, metainfo: &Metainfo) -> Vec<Priority> {
    let mut pieces = vec![Priority::SKIP; metainfo.geometry().pieces() as usize];
    let files = metainfo.files();
    for (file, priority) in files.iter().zip(add.priorities(files.len())) {
        let range =
            span(metainfo, file).map(|range| *range.start() as usize..=*range.end() as usize);
        let own = range.and_then(|range| pieces.get_mut(range));
        for piece in own.unwrap_or_default() {
            *piece = (*piece).max(priority);
        }
    }
    for (piece, priority) in &add.choices.pieces {
        if let Some(own) = pieces.get_mut(*piece as usize) {
            *own = *priority;
        }
    }
    pieces
}

/// As [`by_files`], with the ends of files before the rest where they are fetched in order.
pub(super) fn piece_priorities(add: &AddTorrent, metainfo: &Metainfo) -> Vec<Priority> {
    let mut pieces = by_files(add, metainfo);
    if !add.sequential {
        return pieces;
    }
    if let Some((first, last)) = add.sequential_range {
        let range = pieces.iter_mut().take((last as usize).saturating_add(1));
        for piece in range.skip(first as usize).filter(|it| it.is_wanted()) {
            *piece = Priority::new(piece.get() + 1);
        }
        return pieces;
    }
    let usual = pieces.clone();
    let ends = metainfo
        .files()
        .iter()
        .filter_map(|file| span(metainfo, file));
    for end in ends.flat_map(|range| [*range.start(), *range.end()]) {
        let end = end as usize;
        if let (Some(own), Some(usual)) = (pieces.get_mut(end), usual.get(end))
            && usual.is_wanted()
        {
            *own = Priority::new(usual.get() + 1);
        }
    }
    pieces
}

/// The choices as they are when a wish is granted. `listed` are the files that alone were wanted before.
pub(super) fn granted(
    add: &AddTorrent,
    listed: Option<&Vec<usize>>,
    metainfo: &Metainfo,
    wish: Wish,
) -> Result<Choices, FileError> {
    let files = metainfo.files();
    let before = AddTorrent {
        files: listed.cloned(),
        ..add.clone()
    };
    let mut priorities = before.priorities(files.len());
    let mut choices = add.choices.clone();
    let geometry = metainfo.geometry();
    match wish {
        Wish::Files(wanted) => {
            if wanted.len() > files.len() {
                return Err(FileError::NoSuchFile(files.len()));
            }
            let usual = std::iter::repeat(Priority::NORMAL);
            priorities = wanted.into_iter().chain(usual).take(files.len()).collect();
            choices.pieces.clear();
        }
        Wish::File(file, priority) => {
            let own = priorities.get_mut(file);
            *own.ok_or(FileError::NoSuchFile(file))? = priority;
            let pieces = files.get(file).and_then(|file| span(metainfo, file));
            choices
                .pieces
                .retain(|piece, _| pieces.as_ref().is_none_or(|pieces| !pieces.contains(piece)));
        }
        Wish::Pieces(wanted) => {
            if wanted.len() > geometry.pieces() as usize {
                return Err(FileError::NoSuchPiece(geometry.pieces()));
            }
            choices.pieces = (0..).zip(wanted).collect();
        }
        Wish::Piece(piece, priority) => {
            geometry.piece(piece).ok_or(FileError::NoSuchPiece(piece))?;
            choices.pieces.insert(piece, priority);
        }
    }
    choices.others = Priority::NORMAL;
    let unusual = (0..).zip(priorities);
    choices.files = unusual.filter(|(_, it)| *it != Priority::NORMAL).collect();
    let bare = AddTorrent {
        files: None,
        choices: Choices {
            pieces: BTreeMap::new(),
            ..choices.clone()
        },
        ..add.clone()
    };
    // What says the same as the files need not be kept.
    let by_files = by_files(&bare, metainfo);
    choices
        .pieces
        .retain(|piece, own| by_files.get(*piece as usize) != Some(own));
    Ok(choices)
}
