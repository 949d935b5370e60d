//! Small torrents, and their content.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of each file, and of its one piece.
const LEN: usize = 16 << 10;

/// Torrents of one file each, and where they lie.
#[derive(Debug)]
pub struct Torrents {
    /// The folder of the content.
    pub data: PathBuf,
    /// The folder of the .torrent files.
    pub files: PathBuf,
    /// How many there are.
    pub count: usize,
}

impl Torrents {
    /// Writes so many torrents, and their content where that is to be there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(dir: &Path, count: usize, with_content: bool) -> io::Result<Self> {
        let (data, files) = (dir.join("data"), dir.join("torrents"));
        fs::create_dir_all(&data)?;
        fs::create_dir_all(&files)?;
        for number in 0..count {
            let name = name(number);
            let content = content(number);
            if with_content {
                fs::write(data.join(&name), &content)?;
            }
            fs::write(
                files.join(format!("{number:06}.torrent")),
                torrent(&name, &content),
            )?;
        }
        Ok(Self { data, files, count })
    }

    /// The bytes of the .torrent files, in order.
    pub fn each(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        (0..self.count).map(|number| fs::read(self.files.join(format!("{number:06}.torrent"))))
    }
}

/// The name of a torrent, and of its file.
pub fn name(number: usize) -> String {
    format!("a.torrent.with.an.ordinary.name.{number:06}.bin")
}

/// What is in a file: like nothing in any other.
fn content(number: usize) -> Vec<u8> {
    let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(LEN);
    while bytes.len() < LEN {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

fn torrent(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "d4:infod6:lengthi{LEN}e4:name{}:{name}12:piece lengthi{LEN}e6:pieces20:",
        name.len()
    );
    let mut file = head.into_bytes();
    file.extend(hash::sha1(content));
    file.extend(b"ee");
    file
}
