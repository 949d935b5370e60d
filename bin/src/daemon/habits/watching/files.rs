//! The files of a watched folder: which there are, what they name, and what becomes of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use control::{Blob, Origin, Then};
use habits::{Outcome, Stamp, Watcher};
use protocol::metainfo::LoadLimits;

use crate::failure::reason;
use crate::source::Source;

/// Files of a folder that are looked at.
const MOST_FILES: usize = 10_000;

/// Links of a .magnet file.
const MOST_LINKS: usize = 1000;

/// Bytes of a .magnet file.
const MOST_LINK_BYTES: usize = 1 << 20;

/// What a file names.
pub(super) fn origins(path: &Path) -> Result<Vec<Origin>, Outcome> {
    let magnets = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("magnet"));
    let most = if magnets {
        MOST_LINK_BYTES
    } else {
        LoadLimits::default().bencode.bytes
    };
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = fs::File::open(path)?;
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| {
        let why = reason(&error);
        if error.kind() == io::ErrorKind::NotFound {
            Outcome::Gone
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            Outcome::Bad(why)
        } else {
            Outcome::Later(why)
        }
    })?;
    if bytes.len() > most {
        return Err(Outcome::Bad("it is too large".to_owned()));
    }
    if !magnets {
        return Ok(vec![Origin::File(Blob(bytes))]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let links = lines.take(MOST_LINKS).map(|line| {
        if Source::is_link(line) {
            return Ok(Origin::Link(line.to_owned()));
        }
        let why = "it has lines that are neither magnet links nor info-hashes";
        Err(Outcome::Bad(why.to_owned()))
    });
    let links: Vec<Origin> = links.collect::<Result<_, _>>()?;
    if links.is_empty() {
        return Err(Outcome::Bad("there is nothing in it".to_owned()));
    }
    Ok(links)
}

/// Does with a file that was taken what is wanted.
pub(super) fn put_away(path: &Path, then: Then) -> io::Result<Outcome> {
    match then {
        Then::Keep => return Ok(Outcome::Kept),
        Then::Delete => fs::remove_file(path)?,
        Then::Rename => {
            let named = |number: u32| {
                let mut name = path.as_os_str().to_owned();
                name.push(".added");
                if number > 0 {
                    name.push(format!(".{number}"));
                }
                PathBuf::from(name)
            };
            let free = (0..10_000).map(named).find(|path| !path.exists());
            let free = free.ok_or(io::ErrorKind::AlreadyExists)?;
            fs::rename(path, free)?;
        }
    }
    Ok(Outcome::Gone)
}

/// The files of a folder that may be taken.
pub(super) fn look(dir: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if !Watcher::is_ours(&name) || found.len() >= MOST_FILES {
            continue;
        }
        // It may be gone by now.
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        let written = metadata.modified()?.duration_since(UNIX_EPOCH);
        let written = written.unwrap_or_default().as_nanos();
        let stamp = Stamp {
            len: metadata.len(),
            written: i64::try_from(written).unwrap_or(i64::MAX),
        };
        found.insert(name, stamp);
    }
    Ok(found)
}
