//! A plain writer of v1 .torrent files, on purpose not the project's own.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use crate::payload::Payload;

/// A .torrent file and what tests need to know of it.
#[derive(Debug, Clone)]
pub struct Torrent {
    /// Where the file is.
    pub path: PathBuf,
    /// SHA-1 of the info dictionary.
    pub info_hash: [u8; 20],
    /// The info dictionary as bytes.
    pub info: Vec<u8>,
    /// The payload's name.
    pub name: String,
    /// Bytes in a piece.
    pub piece_len: u64,
    /// Number of pieces.
    pub pieces: u32,
    /// The trackers written into it.
    pub trackers: Vec<String>,
}

impl Torrent {
    /// Describes the `payload` that lies below `data`, and writes the description to `path`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(
        path: &Path,
        payload: &Payload,
        data: &Path,
        piece_len: u64,
        trackers: &[String],
    ) -> io::Result<Self> {
        let hashes = piece_hashes(payload, data, piece_len)?;
        let mut info = b"d".to_vec();
        if payload.files.is_empty() {
            info.extend(format!("6:lengthi{}e", payload.len).bytes());
        } else {
            info.extend(b"5:filesl");
            for (path, len) in &payload.files {
                info.extend(format!("d6:lengthi{len}e4:pathl").bytes());
                path.split('/').for_each(|part| info.extend(string(part)));
                info.extend(b"ee");
            }
            info.extend(b"e");
        }
        info.extend(b"4:name");
        info.extend(string(&payload.name));
        info.extend(format!("12:piece lengthi{piece_len}e6:pieces{}:", hashes.len()).bytes());
        info.extend(&hashes);
        info.extend(b"e");

        let mut file = b"d".to_vec();
        if let Some(first) = trackers.first() {
            file.extend(b"8:announce");
            file.extend(string(first));
            file.extend(b"13:announce-listl");
            for url in trackers {
                file.push(b'l');
                file.extend(string(url));
                file.push(b'e');
            }
            file.push(b'e');
        }
        file.extend(b"4:info");
        file.extend(&info);
        file.push(b'e');
        fs::write(path, file)?;
        Ok(Self {
            path: path.to_owned(),
            info_hash: digest(&SHA1_FOR_LEGACY_USE_ONLY, &info)
                .as_ref()
                .try_into()
                .expect("SHA-1 has 20 bytes"),
            info,
            name: payload.name.clone(),
            piece_len,
            pieces: (hashes.len() / 20) as u32,
            trackers: trackers.to_vec(),
        })
    }

    /// The info-hash in hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.info_hash)
    }

    /// A magnet link with the torrent's trackers.
    pub fn magnet(&self) -> String {
        let mut link = format!(
            "magnet:?xt=urn:btih:{}&dn={}",
            self.hex(),
            escape(self.name.as_bytes())
        );
        for tracker in &self.trackers {
            link.push_str("&tr=");
            link.push_str(&escape(tracker.as_bytes()));
        }
        link
    }
}

/// A link that names the torrent in a file by its v1 hash alone.
///
/// # Errors
/// What the file system says, or that it is no torrent.
pub fn magnet_v1(path: &Path) -> io::Result<String> {
    let hash = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &info_of(path)?).as_ref());
    Ok(format!("magnet:?xt=urn:btih:{hash}"))
}

/// A link that names the torrent in a file by its v2 hash alone (BEP 52): a multihash of SHA-256.
///
/// # Errors
/// As [`magnet_v1`].
pub fn magnet_v2(path: &Path) -> io::Result<String> {
    let hash = hex(digest(&SHA256, &info_of(path)?).as_ref());
    Ok(format!("magnet:?xt=urn:btmh:1220{hash}"))
}

/// The info dictionary of a .torrent file, as it stands there.
fn info_of(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::read(path)?;
    let find = || {
        let mut at = 1;
        while *bytes.get(at)? != b'e' {
            let value = skip(&bytes, at)?;
            let end = skip(&bytes, value)?;
            if &bytes[at..value] == b"4:info" {
                return Some(bytes[value..end].to_vec());
            }
            at = end;
        }
        None
    };
    find().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Where the value ends that begins at `at`.
fn skip(bytes: &[u8], at: usize) -> Option<usize> {
    match *bytes.get(at)? {
        b'i' => Some(at + bytes[at..].iter().position(|byte| *byte == b'e')? + 1),
        b'l' | b'd' => {
            let mut at = at + 1;
            while *bytes.get(at)? != b'e' {
                at = skip(bytes, at)?;
            }
            Some(at + 1)
        }
        _ => {
            let colon = at + bytes[at..].iter().position(|byte| *byte == b':')?;
            let len: usize = std::str::from_utf8(&bytes[at..colon]).ok()?.parse().ok()?;
            Some(colon + 1 + len).filter(|end| *end <= bytes.len())
        }
    }
}

/// Percent-encodes everything but letters and digits.
pub fn escape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn string(text: &str) -> Vec<u8> {
    format!("{}:{text}", text.len()).into_bytes()
}

/// SHA-1 of each piece, one after another.
fn piece_hashes(payload: &Payload, data: &Path, piece_len: u64) -> io::Result<Vec<u8>> {
    let mut hashes = Vec::new();
    let (mut sum, mut room) = (Context::new(&SHA1_FOR_LEGACY_USE_ONLY), piece_len);
    let mut buffer = vec![0; 1 << 16];
    for (path, _) in payload.entries() {
        let mut file = fs::File::open(data.join(path))?;
        loop {
            let want = room.min(buffer.len() as u64) as usize;
            let n = file.read(&mut buffer[..want])?;
            if n == 0 {
                break;
            }
            sum.update(&buffer[..n]);
            room -= n as u64;
            if room == 0 {
                let full = std::mem::replace(&mut sum, Context::new(&SHA1_FOR_LEGACY_USE_ONLY));
                hashes.extend(full.finish().as_ref());
                room = piece_len;
            }
        }
    }
    if room < piece_len {
        hashes.extend(sum.finish().as_ref());
    }
    Ok(hashes)
}
