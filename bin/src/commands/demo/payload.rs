//! The demonstration's folder and the bytes in it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ring::digest;

use crate::failure::{Failure, reason};
use crate::progress::Meter;
use crate::screen::Screen;

/// Bytes that are made or read at a time: 1 MiB.
const CHUNK: usize = 1 << 20;

/// A folder of our own in the system's temporary folder; all of it goes when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes a new folder.
    ///
    /// # Errors
    /// [`Failure::Failed`] where the temporary folder cannot be written.
    pub(super) fn create() -> Result<Self, Failure> {
        let name = format!(
            "tribler-rs-demo-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        );
        let path = std::env::temp_dir().join(name);
        let failed =
            |error: io::Error| Failure::Failed(format!("{}: {}", path.display(), reason(&error)));
        fs::create_dir(&path)
            .and_then(|()| fs::create_dir(path.join("seeder")))
            .map_err(failed)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, which empties this folder now and then.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file of random bytes, and lets others run now and then.
///
/// # Errors
/// [`Failure::Failed`] where there is no room, or the file cannot be written.
pub(super) async fn write(at: &Path, size: u64, screen: &Screen) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::Failed(format!("{}: {}", at.display(), reason(&error)));
    let mut rng = SmallRng::seed_from_u64(rand::random());
    let mut chunk = vec![0; CHUNK];
    let mut meter = Meter::new(screen, "payload", size);
    let mut file = File::create(at).map_err(failed)?;
    let mut done = 0;
    while done < size {
        let len = (size - done).min(CHUNK as u64) as usize;
        rng.fill_bytes(&mut chunk[..len]);
        file.write_all(&chunk[..len]).map_err(failed)?;
        done += len as u64;
        meter.update(done);
        tokio::task::yield_now().await;
    }
    meter.finish();
    Ok(())
}

/// The SHA-256 of a file in hex; lets others run now and then.
///
/// # Errors
/// [`Failure`] where the file cannot be read.
pub(super) async fn sha256(at: &Path) -> Result<String, Failure> {
    let mut file = File::open(at).map_err(|error| Failure::on_file(at, &error))?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = file
            .read(&mut chunk)
            .map_err(|error| Failure::on_file(at, &error))?;
        if len == 0 {
            break;
        }
        context.update(&chunk[..len]);
        tokio::task::yield_now().await;
    }
    let mut hex = String::new();
    for byte in context.finish().as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_folder_goes_with_all_that_is_in_it() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        let file = path.join("seeder/x");
        let written = write(&file, CHUNK as u64 + 5, &Screen::new(true)).await;
        written.unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), CHUNK as u64 + 5);
        drop(folder);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_digest_is_that_of_the_file() {
        let folder = Folder::create().unwrap();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        let digest = sha256(&file).await.unwrap();
        assert!(digest.starts_with("ba7816bf8f01cfea"), "{digest}");
    }
}
