//! Certificates and keys of who signs torrents (BEP 35), in files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use protocol::signing::{Certificate, Signer};

use crate::failure::Failure;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Reads a certificate, PEM or DER.
///
/// # Errors
/// [`Failure::NotFound`] where the file is not there, [`Failure::Failed`] where it is no certificate that can be used.
pub(crate) fn certificate(path: &Path) -> Result<Certificate, Failure> {
    let certificate = Certificate::parse(&read(path)?);
    certificate.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

/// Reads several.
///
/// # Errors
/// As [`certificate`].
pub(crate) fn certificates(paths: &[PathBuf]) -> Result<Vec<Certificate>, Failure> {
    paths.iter().map(|path| certificate(path)).collect()
}

/// Reads a key and its certificate.
///
/// # Errors
/// As [`certificate`]; also where they do not belong to each other.
pub(crate) fn signer(key: &Path, of: &Path) -> Result<Signer, Failure> {
    let signer = Signer::new(&read(key)?, certificate(of)?);
    signer.map_err(|error| Failure::Failed(format!("{}: {error}", key.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    read.map_err(|error| Failure::on_file(path, &error))?;
    Ok(bytes)
}
