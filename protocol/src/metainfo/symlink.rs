//! Targets of symbolic links, kept inside the torrent.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::FileEntry;

/// Links followed on the way to one target, as in Linux: more are taken for a loop.
const MAX_FOLLOWED: usize = 40;

/// What the torrent holds, by digest of the path below the torrent's name. A collision of digests can only let a link
/// point to nothing, since every element is safe on its own.
struct Known<'a> {
    files: HashSet<u64>,
    directories: HashSet<u64>,
    links: HashMap<u64, &'a [String]>,
}

/// Checks the target of every link. It comes as path below the torrent's root and must name a file or directory of the
/// torrent; else it is tried relative to the link's directory, else other links on its way are followed. A link that
/// leads nowhere is made to point to itself. Accepted targets get the torrent's name in front.
pub(super) fn resolve(files: &mut [FileEntry], single: bool) {
    if files.iter().all(|file| file.symlink.is_none()) {
        return;
    }
    let root: Vec<String> = if single {
        Vec::new()
    } else {
        let first = files.first().and_then(|file| file.path.first());
        first.cloned().into_iter().collect()
    };
    let skip = root.len();
    let mut direct: Vec<(usize, Option<Vec<String>>)> = Vec::new();
    let mut known = Known {
        files: HashSet::new(),
        directories: HashSet::new(),
        links: HashMap::new(),
    };
    for file in files.iter() {
        let path = file.path.get(skip..).unwrap_or_default();
        let Some((_, directories)) = path.split_last() else {
            continue;
        };
        known.files.insert(digest(path));
        let mut hasher = DefaultHasher::new();
        for element in directories {
            feed(&mut hasher, element);
            known.directories.insert(hasher.finish());
        }
    }
    for (index, file) in files.iter().enumerate() {
        let Some(target) = &file.symlink else {
            continue;
        };
        let path = file.path.get(skip..).unwrap_or_default();
        direct.push((index, known.direct(path, target)));
    }
    for (index, target) in &direct {
        if let (Some(file), Some(target)) = (files.get(*index), target) {
            let path = file.path.get(skip..).unwrap_or_default();
            known.links.insert(digest(path), target);
        }
    }
    let mut checked: Vec<(usize, Vec<String>)> = Vec::new();
    for (index, target) in &direct {
        let Some(file) = files.get(*index) else {
            continue;
        };
        let raw = file.symlink.as_deref().unwrap_or_default();
        let target = match target {
            Some(target) => target.as_slice(),
            None if known.follows(raw) => raw,
            None => file.path.get(skip..).unwrap_or_default(),
        };
        checked.push((*index, [&root, target].concat()));
    }
    for (index, target) in checked {
        if let Some(file) = files.get_mut(index) {
            file.symlink = Some(target);
        }
    }
}

impl Known<'_> {
    fn has(&self, path: &[String]) -> bool {
        let digest = digest(path);
        self.files.contains(&digest) || self.directories.contains(&digest)
    }

    /// The target where it names something without following links: from the root or from the link's directory.
    fn direct(&self, link: &[String], target: &[String]) -> Option<Vec<String>> {
        if target.is_empty() {
            return None;
        }
        if self.has(target) {
            return Some(target.to_vec());
        }
        let (_, directory) = link.split_last()?;
        let relative = [directory, target].concat();
        self.has(&relative).then_some(relative)
    }

    /// Whether the target names something once links on its way are followed.
    fn follows(&self, target: &[String]) -> bool {
        let mut target = target.to_vec();
        for _ in 0..MAX_FOLLOWED {
            if self.has(&target) {
                return true;
            }
            let mut hasher = DefaultHasher::new();
            let link = target.iter().enumerate().find_map(|(at, element)| {
                feed(&mut hasher, element);
                let link = self.links.get(&hasher.finish())?;
                Some((at, *link))
            });
            let Some((at, link)) = link else {
                return false;
            };
            let rest = target.get(at.saturating_add(1)..).unwrap_or_default();
            target = [link, rest].concat();
        }
        false
    }
}

fn digest(path: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for element in path {
        feed(&mut hasher, element);
    }
    hasher.finish()
}

fn feed(hasher: &mut DefaultHasher, element: &str) {
    hasher.write(element.as_bytes());
    // No safe element contains a slash.
    b'/'.hash(hasher);
}
