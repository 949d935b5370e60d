//! The file of `--ip-filter`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use engine::EngineHandle;
use flate2::read::MultiGzDecoder;
use net::Filter;
use net::filter::IpFilter;

use crate::failure::Failure;

/// How often it is looked whether the file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The most that is read, unpacked: ten times the longest list in use.
const MOST: u64 = 1 << 30;

/// What gzipped files begin with (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A list of addresses in a file, and the filter that holds it.
#[derive(Debug)]
pub(super) struct FilterFile {
    path: PathBuf,
    filter: Filter,
    version: Option<Version>,
}

/// What tells whether a file has changed.
type Version = (SystemTime, u64);

impl FilterFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Failure::NotFound`] where it is not there; [`Failure::Failed`] where it cannot be read, or a line is no range: the
    /// text names file and line.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        // Before it is read: what changes meanwhile is read again.
        let version = version(path);
        let list = load(path)?;
        tracing::info!(file = %path.display(), ranges = list.len(), "addresses that are not talked to");
        Ok(Self {
            path: path.to_owned(),
            filter: Filter::new(list),
            version,
        })
    }

    /// The filter.
    pub(super) const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Reads the file again whenever it changes. One that cannot be read leaves the list as it is.
    pub(super) async fn follow(mut self, engine: EngineHandle) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = version(&self.path);
            if now.is_none() || now == self.version {
                continue;
            }
            self.version = now;
            let path = self.path.clone();
            let loaded = tokio::task::spawn_blocking(move || load(&path)).await;
            match loaded {
                Ok(Ok(list)) => {
                    tracing::info!(
                        ranges = list.len(),
                        "addresses that are not talked to, anew"
                    );
                    self.filter.set(list);
                    if engine.sift().await.is_err() {
                        return;
                    }
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the list of --ip-filter stays as it was");
                }
                Err(error) => tracing::error!(%error, "reading the list of --ip-filter"),
            }
        }
    }
}

fn version(path: &Path) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn load(path: &Path) -> Result<IpFilter, Failure> {
    let bytes = bytes(path).map_err(|error| Failure::on_file(path, &error))?;
    IpFilter::parse(&bytes).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    let mut unpack = MultiGzDecoder::new(bytes.as_slice()).take(MOST);
    unpack.read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_list_is_read_packed_or_not_and_a_bad_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let list = b"name:1.2.3.4-1.2.3.5\n9.9.9.0/24\n";
        let ip = "1.2.3.5".parse().unwrap();
        std::fs::write(&path, list).unwrap();
        assert!(FilterFile::read(&path).unwrap().filter().blocks(ip));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(list).unwrap();
        std::fs::write(&path, packed.finish().unwrap()).unwrap();
        assert!(FilterFile::read(&path).unwrap().filter().blocks(ip));
        std::fs::write(&path, "1.1.1.1\nnobody").unwrap();
        let error = FilterFile::read(&path).unwrap_err();
        let told = format!(
            "{}: line 2: neither an address nor a range of addresses",
            path.display()
        );
        assert_eq!((error.code(), error.to_string()), (1, told));
        std::fs::write(&path, [0x1f, 0x8b, 0, 0]).unwrap();
        assert_eq!(FilterFile::read(&path).unwrap_err().code(), 1);
        assert_eq!(
            FilterFile::read(&dir.path().join("none"))
                .unwrap_err()
                .code(),
            3
        );
    }
}
