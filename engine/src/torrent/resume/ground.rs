//! Which folder content was in, and what that lay on: one that lies on something else when the content is looked for next is that of
//! an unmounted disk.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use storage::Store;

/// The folder of content, and its file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::torrent) struct Ground {
    /// See [`Store::file_system`].
    pub(in crate::torrent) file_system: u64,
    dir: PathBuf,
}

impl Ground {
    /// Whether it is the folder of a store.
    pub(in crate::torrent) fn is_of(&self, store: &Store) -> bool {
        self.dir == absolute(store.root())
    }

    /// Puts that of a store behind something: the file system, the folder, and the length of both, 0 where it cannot be told.
    pub(super) fn append(store: &Store, to: &mut Vec<u8>) {
        let begin = to.len();
        if let Some(file_system) = store.file_system() {
            to.extend(file_system.to_be_bytes());
            to.extend(absolute(store.root()).as_os_str().as_bytes());
        }
        let len = u32::try_from(to.len() - begin).unwrap_or(u32::MAX);
        to.extend(len.to_be_bytes());
    }

    /// Takes it off again; gives what is before it.
    pub(super) fn split(bytes: &[u8]) -> (&[u8], Option<Self>) {
        let (Some((before, len)), none) = (bytes.split_last_chunk(), (bytes, None)) else {
            return (bytes, None);
        };
        let len = u32::from_be_bytes(*len) as usize;
        let Some(at) = before.len().checked_sub(len) else {
            return none;
        };
        let (before, own) = before.split_at(at);
        let ground = own.split_first_chunk().map(|(file_system, dir)| Self {
            file_system: u64::from_be_bytes(*file_system),
            dir: OsString::from_vec(dir.to_vec()).into(),
        });
        if ground.is_none() && len > 0 {
            return none;
        }
        (before, ground)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_something_is_taken_off_and_what_is_not_there_is_not() {
        let ground = Ground {
            file_system: 0x0102_0304_0506_0708,
            dir: "/some/folder".into(),
        };
        let mut bytes = b"before".to_vec();
        bytes.extend(ground.file_system.to_be_bytes());
        bytes.extend(b"/some/folder");
        bytes.extend(20_u32.to_be_bytes());
        assert_eq!(Ground::split(&bytes), (&b"before"[..], Some(ground)));
        let unknown = b"before\0\0\0\0";
        assert_eq!(Ground::split(unknown), (&b"before"[..], None));
        // None was put there: what there is may end in anything.
        let others: [&[u8]; 4] = [b"", b"abc", b"before\xff\xff\xff\xff", b"before\0\0\0\x05"];
        for bytes in others {
            assert_eq!(Ground::split(bytes), (bytes, None));
        }
    }
}
