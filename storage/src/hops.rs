//! By how many hops a torrent went the last time, kept apart from its progress: where that is damaged or gone, a torrent is
//! checked anew; where this were, it could go the direct way without anybody having said so. Whoever starts a torrent of
//! which nothing is said reads this, and what cannot be read is an error and never the direct way.
//!
//! # Format
//! Text: `hops `, a number from 0 (direct) to 255 in decimal without zeros before it, and a line feed.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use protocol::id::InfoHash;

use crate::watch::{Call, Watcher};

/// The note of a torrent. `None` where there is no note: nobody has said anything yet.
pub type Noted = Option<u8>;

/// Why a note could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The file can't be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bytes are no note.
    #[error("{}: it does not say how many hops", .0.display())]
    Damaged(PathBuf),
}

const HEAD: &[u8] = b"hops ";

/// More bytes than a note has.
const TOO_MANY: u64 = 16;

/// The bytes of a note.
pub fn encode(hops: u8) -> Vec<u8> {
    format!("hops {hops}\n").into_bytes()
}

/// Reads a note; `None` where the bytes are none.
pub fn decode(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.strip_prefix(HEAD)?.strip_suffix(b"\n")?;
    let hops = std::str::from_utf8(digits).ok()?.parse().ok()?;
    // A sign and zeros before the number are read as well, and are not ours.
    (encode(hops) == bytes).then_some(hops)
}

/// Where the note is of what is named by these 20 bytes: an info-hash as it stands in handshakes, or the like.
pub fn path(dir: &Path, name: &[u8; 20]) -> PathBuf {
    dir.join(format!("{}.hops", InfoHash(*name)))
}

/// By how many hops it went what has these names; where they say different things, the most.
///
/// # Errors
/// [`NoteError`]: there is a note, and it is not known what it says.
pub fn load(dir: &Path, names: &[[u8; 20]]) -> Result<Noted, NoteError> {
    let mut most = None;
    for path in names.iter().map(|name| path(dir, name)) {
        most = most.max(load_one(path)?);
    }
    Ok(most)
}

fn load_one(path: PathBuf) -> Result<Noted, NoteError> {
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(TOO_MANY).read_to_end(&mut bytes));
    match read {
        Ok(_) => match decode(&bytes) {
            Some(hops) => Ok(Some(hops)),
            None => Err(NoteError::Damaged(path)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(NoteError::Io { path, source }),
    }
}

/// Keeps by how many hops it goes what has these names, under each of them; when this returns, a note of hops outlives a
/// power cut. One of the direct way need not, but is whole where it is: what it takes the place of leads elsewhere at most through more
/// hops. `watch` is asked before each call.
///
/// # Errors
/// [`NoteError::Io`]; under the other names it is kept nevertheless.
pub fn save(dir: &Path, names: &[[u8; 20]], hops: u8, watch: &Watcher) -> Result<(), NoteError> {
    let mut done = Ok(());
    let mut changed = false;
    for path in names.iter().map(|name| path(dir, name)) {
        if matches!(load_one(path.clone()), Ok(Some(known)) if known == hops) {
            continue;
        }
        match replace(&path, hops, watch) {
            Ok(()) => changed = true,
            Err(source) => done = Err(NoteError::Io { path, source }),
        }
    }
    if changed && hops > 0 {
        let synced = watch
            .ask(Call::Sync, dir)
            .and_then(|()| File::open(dir)?.sync_all());
        let path = dir.to_owned();
        synced.map_err(|source| NoteError::Io { path, source })?;
    }
    done
}

fn replace(path: &Path, hops: u8, watch: &Watcher) -> io::Result<()> {
    let new = path.with_extension("hops.new");
    let write = || {
        watch.ask(Call::Create, &new)?;
        let mut file = File::create(&new)?;
        file.write_all(&encode(hops))?;
        // One that a power cut left empty would keep the torrent from the direct way, too.
        watch.ask(Call::Sync, &new)?;
        file.sync_data()?;
        watch.ask(Call::Rename, &new)?;
        std::fs::rename(&new, path)
    };
    write().inspect_err(|_| {
        // A part of a file is of use to nobody; it may not even have come into being.
        let _ = std::fs::remove_file(&new);
    })
}

/// Forgets what has these names, as far as the system lets it.
pub fn remove(dir: &Path, names: &[[u8; 20]]) {
    for path in names.iter().map(|name| path(dir, name)) {
        // There may be none; and one that stays leads through as many hops as before.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 20] = [0xab; 20];
    const B: [u8; 20] = [7; 20];

    #[test]
    fn a_note_comes_back_as_it_went_and_can_be_changed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path(), &[A, B]).unwrap(), None);
        for hops in [3, 0, 255, 1, 1] {
            save(dir.path(), &[A], hops, &Watcher::default()).unwrap();
            assert_eq!(load(dir.path(), &[A]).unwrap(), Some(hops));
        }
        assert_eq!(load(dir.path(), &[B]).unwrap(), None);
        let name = format!("{}.hops", "ab".repeat(20));
        assert_eq!(
            std::fs::read(dir.path().join(name)).unwrap(),
            b"hops 1\n",
            "as documented"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(dir.path(), &[A, B]);
        assert_eq!(load(dir.path(), &[A]).unwrap(), None);
    }

    #[test]
    fn of_several_names_the_one_with_most_hops_counts() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &[B], 0, &Watcher::default()).unwrap();
        assert_eq!(load(dir.path(), &[A, B]).unwrap(), Some(0));
        save(dir.path(), &[A], 2, &Watcher::default()).unwrap();
        assert_eq!(load(dir.path(), &[A, B]).unwrap(), Some(2));
        save(dir.path(), &[A, B], 1, &Watcher::default()).unwrap();
        assert_eq!(load(dir.path(), &[B]).unwrap(), Some(1));
    }

    #[test]
    fn what_is_no_note_is_an_error_and_never_the_direct_way() {
        let dir = tempfile::tempdir().unwrap();
        let damaged: [&[u8]; 10] = [
            b"",
            b"hops 2",
            b"hops 02\n",
            b"hops +2\n",
            b"hops 256\n",
            b"hops \n",
            b"hops 2\n\n",
            b"Hops 2\n",
            b"\0\0\0\0\0\0\0",
            &[b'h'; 100],
        ];
        for bytes in damaged {
            std::fs::write(path(dir.path(), &A), bytes).unwrap();
            let refused = load(dir.path(), &[B, A]);
            assert!(matches!(refused, Err(NoteError::Damaged(_))), "{bytes:?}");
        }
        save(dir.path(), &[A], 2, &Watcher::default()).unwrap();
        assert_eq!(load(dir.path(), &[A]).unwrap(), Some(2));
    }

    #[test]
    fn a_note_that_cannot_be_kept_leaves_the_old_one_and_the_other_names_have_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &[A], 2, &Watcher::default()).unwrap();
        // Nothing can be written over a folder.
        std::fs::create_dir(path(dir.path(), &B).with_extension("hops.new")).unwrap();
        save(dir.path(), &[B, A], 3, &Watcher::default()).unwrap_err();
        assert_eq!(load(dir.path(), &[A]).unwrap(), Some(3));
        assert_eq!(load(dir.path(), &[B]).unwrap(), None);
        save(&dir.path().join("nowhere"), &[A], 3, &Watcher::default()).unwrap_err();
    }
}
