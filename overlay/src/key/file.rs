//! Identities in files.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{KeyError, SecretKey};

/// The longest file: the key with its mark. A byte more is read, which says that there is more.
const MOST: u64 = 74;

/// Why an identity was not read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file has the length of a key and holds something else.
    #[error("the file holds no key: {0}")]
    Key(KeyError),
    /// The file is shorter or longer than a key: so many bytes of it were read.
    #[error(
        "the file holds no key: {}; a key has 64, or 74 with its mark",
        length(*.0)
    )]
    Length(usize),
}

/// Reads an identity from a file of Tribler: 64 bytes (`ec_multichain.pem`), or 74 with the mark of py-ipv8 in front.
///
/// # Errors
/// See [`FileError`].
pub fn load(file: &Path) -> Result<SecretKey, FileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let open = fs::File::open(file)?;
    open.take(MOST + 1).read_to_end(&mut bytes)?;
    SecretKey::from_bytes(&bytes).map_err(|error| match error {
        KeyError::Length(len) => FileError::Length(len),
        KeyError::Kind => FileError::Key(error),
    })
}

/// A file's length in words, of which no more than a byte beyond [`MOST`] was read.
fn length(read: usize) -> String {
    match u64::try_from(read) {
        Ok(0) => "it is empty".to_owned(),
        Ok(1) => "it has 1 byte".to_owned(),
        Ok(len) if len <= MOST => format!("it has {len} bytes"),
        _ => format!("it has more than {MOST} bytes"),
    }
}

/// Writes an identity to a file, 64 bytes as Tribler does, that only its owner may read; a crash leaves the old file or
/// the new one.
///
/// # Errors
/// [`FileError::Io`].
pub fn save(file: &Path, key: &SecretKey) -> Result<(), FileError> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = file.with_file_name(name);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(&fresh)?;
    open.write_all(key.as_bytes())?;
    open.sync_all()?;
    drop(open);
    fs::rename(&fresh, file)?;
    Ok(())
}

/// Reads an identity, or makes one and writes it where there is no file yet.
///
/// # Errors
/// See [`FileError`]; a file that holds something else is left as it is.
pub fn load_or_generate(file: &Path, rng: &mut impl CryptoRng) -> Result<SecretKey, FileError> {
    match load(file) {
        Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            let key = SecretKey::generate(rng);
            save(file, &key)?;
            Ok(key)
        }
        loaded => loaded,
    }
}
