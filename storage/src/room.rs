//! How much room there is.

use std::io;
use std::path::Path;

/// Bytes that whoever runs this can still write below a folder. One that is not there yet has the room of the nearest one
/// above it that is.
///
/// # Errors
/// What the system says.
pub fn free_space(dir: &Path) -> io::Result<u64> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for dir in dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
        match rustix::fs::statvfs(dir) {
            Ok(room) => return Ok(room.f_bavail.saturating_mul(room.f_frsize)),
            Err(errno) => last = errno.into(),
        }
        if last.kind() != io::ErrorKind::NotFound {
            break;
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_room_of_what_is_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let room = |dir: &Path| free_space(dir).unwrap() > 0;
        assert!(room(dir.path()));
        assert!(room(&dir.path().join("not/there/yet")));
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(free_space(&file.join("below")).is_err(), "no folder");
    }
}
