//! The file of `--ip-filter`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use engine::EngineHandle;
use flate2::read::MultiGzDecoder;
use net::Filter;
use net::filter::{BadLines, IpFilter};

use crate::cli::transfer::Common;
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::{Screen, Style};

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
    /// Lines that are no ranges are passed over.
    lenient: bool,
}

/// What tells whether a file has changed.
type Version = (SystemTime, u64);

/// What was read of a file.
struct Loaded {
    list: IpFilter,
    bad: BadLines,
}

impl FilterFile {
    /// Reads the file of `--ip-filter`, if one is named, and says how much is in it.
    ///
    /// # Errors
    /// [`Failure::NotFound`] where it is not there; [`Failure::Failed`] where it cannot be read, or lines are no ranges and
    /// are not to be passed over: the text names file and lines.
    pub(super) fn of(common: &Common, screen: &Screen) -> Result<Option<Self>, Failure> {
        let Some(path) = common.ip_filter.as_deref() else {
            return Ok(None);
        };
        let (file, loaded) = Self::read(path, common.skip_bad_lines)?;
        loaded.tell(path, "", screen)?;
        Ok(Some(Self {
            filter: Filter::new(loaded.list),
            ..file
        }))
    }

    fn read(path: &Path, lenient: bool) -> Result<(Self, Loaded), Failure> {
        // Before it is read: what changes meanwhile is read again.
        let version = version(path);
        let loaded = load(path, lenient)?;
        let file = Self {
            path: path.to_owned(),
            filter: Filter::default(),
            version,
            lenient,
        };
        Ok((file, loaded))
    }

    /// The filter.
    pub(super) const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Reads the file again whenever it changes. One that cannot be read leaves the list as it is.
    pub(super) async fn follow(mut self, engine: EngineHandle, screen: Screen) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = version(&self.path);
            if now.is_none() || now == self.version {
                continue;
            }
            self.version = now;
            let (path, lenient) = (self.path.clone(), self.lenient);
            let loaded = tokio::task::spawn_blocking(move || load(&path, lenient)).await;
            let failed = match loaded {
                Ok(Ok(loaded)) => {
                    // A reader that went away does not stop the rest.
                    let _ = loaded.tell(&self.path, " again", &screen);
                    self.filter.set(loaded.list);
                    if engine.sift().await.is_err() {
                        return;
                    }
                    continue;
                }
                Ok(Err(failure)) => failure.to_string(),
                Err(error) => error.to_string(),
            };
            let line = format_args!("--ip-filter: {failed}; the list stays as it was");
            screen.warn("warning", line);
        }
    }
}

impl Loaded {
    /// Says how much was read.
    fn tell(&self, path: &Path, again: &str, screen: &Screen) -> Result<(), Failure> {
        let (path, ranges) = (path.display(), self.list.len());
        if self.bad.count > 0 {
            let line = format_args!("--ip-filter: {path}: passed over: {}", self.bad);
            screen.warn("warning", line);
        }
        if ranges == 0 {
            let line =
                format_args!("--ip-filter: {path} names no addresses: everybody is talked to");
            screen.warn("warning", line);
        }
        match screen.style() {
            Style::Json => screen.json(&Line::IpFilter {
                ranges,
                bad_lines: self.bad.count,
            }),
            Style::Bars | Style::Lines => {
                let plural = if ranges == 1 { "" } else { "s" };
                screen.say(format_args!(
                    "IP filter read{again}: {ranges} range{plural} of addresses, which are not talked to"
                ))
            }
        }
    }
}

fn version(path: &Path) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Reads a list; where it is not `lenient`, every line must be one of a list.
fn load(path: &Path, lenient: bool) -> Result<Loaded, Failure> {
    let bytes = bytes(path).map_err(|error| Failure::on_file(path, &error))?;
    let (list, bad) = IpFilter::read(&bytes);
    if bad.count > 0 && !lenient {
        let path = path.display();
        let line = format!("{path}: {bad}; --skip-bad-lines goes on without such lines");
        return Err(Failure::Failed(line));
    }
    Ok(Loaded { list, bad })
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
        assert!(load(&path, false).unwrap().list.blocks(ip));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(list).unwrap();
        std::fs::write(&path, packed.finish().unwrap()).unwrap();
        assert!(load(&path, false).unwrap().list.blocks(ip));
        std::fs::write(&path, "1.1.1.1\nno\x1bbody\n2.2.2.2\n3.3.3.3-1.1.1.1\n").unwrap();
        let error = load(&path, false).err().unwrap();
        let told = format!(
            "{}: line 2: neither an address nor a range of addresses: `no\u{fffd}body`; \
             line 4: the range ends before it begins: `3.3.3.3-1.1.1.1`; \
             --skip-bad-lines goes on without such lines",
            path.display()
        );
        assert_eq!((error.code(), error.to_string()), (1, told));
        let loaded = load(&path, true).unwrap();
        assert_eq!((loaded.list.len(), loaded.bad.count), (2, 2));
        std::fs::write(&path, [0x1f, 0x8b, 0, 0]).unwrap();
        assert_eq!(load(&path, true).err().unwrap().code(), 1);
        let none = dir.path().join("none");
        assert_eq!(load(&none, true).err().unwrap().code(), 3);
    }
}
