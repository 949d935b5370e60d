//! New names for files that would overwrite each other.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{FileEntry, MetainfoError};

/// Gives every file whose path another file or a directory has a new one: `<base>.<n><extension>`, with the smallest
/// free `n`. Case is ignored for ASCII letters, since file systems may. Pad files of equal length may share a path.
///
/// At most `max` names are tried. Paths are compared by digest, so that deep trees cost no more than their elements; a
/// collision of digests costs a needless new name and nothing else.
pub(super) fn make_unique(files: &mut [FileEntry], max: u32) -> Result<(), MetainfoError> {
    // What has a path: the padding of some length, or anything else.
    let mut taken: HashMap<u64, Option<u64>> = HashMap::new();
    for file in files.iter() {
        let mut hasher = DefaultHasher::new();
        let directories = file.path.split_last().map_or(&[][..], |(_, rest)| rest);
        for (depth, directory) in directories.iter().enumerate() {
            feed(&mut hasher, directory);
            // Nothing clashes with the torrent's own directory: everything else is in it.
            if depth == 0 {
                continue;
            }
            taken.insert(hasher.finish(), None);
        }
    }
    let mut tried: u32 = 0;
    for file in files.iter_mut() {
        let mut directory = DefaultHasher::new();
        let Some((name, directories)) = file.path.split_last() else {
            continue;
        };
        for element in directories {
            feed(&mut directory, element);
        }
        let digest = |name: &str| {
            let mut hasher = directory.clone();
            feed(&mut hasher, name);
            hasher.finish()
        };
        let pad = file.attr.pad.then_some(file.len);
        let mut free = |name: &str| match taken.entry(digest(name)) {
            Entry::Vacant(entry) => {
                entry.insert(pad);
                true
            }
            Entry::Occupied(entry) => pad.is_some() && *entry.get() == pad,
        };
        if free(name) {
            continue;
        }
        let (base, extension) = match name.rfind('.') {
            Some(dot) => name.split_at(dot),
            None => (name.as_str(), ""),
        };
        let mut number: u32 = 0;
        let new_name = loop {
            number = number.saturating_add(1);
            tried = tried.saturating_add(1);
            if tried > max {
                return Err(MetainfoError::TooManyDuplicates);
            }
            let candidate = format!("{base}.{number}{extension}");
            if free(&candidate) {
                break candidate;
            }
        };
        let mut renamed = directories.to_vec();
        renamed.push(new_name);
        file.renamed = Some(renamed);
    }
    Ok(())
}

fn feed(hasher: &mut DefaultHasher, element: &str) {
    for byte in element.bytes() {
        hasher.write_u8(byte.to_ascii_lowercase());
    }
    // No safe element contains a slash.
    b'/'.hash(hasher);
}
