//! The file that is transferred, its digests, and the stores over it.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};

use protocol::geometry::Geometry;
use storage::{FileSpec, PieceHashes, Store, StoreOptions, StoreSpec, WriteMode};

use crate::options::Options;

const ORIGINAL: &str = "original";
const COPY: &str = "copy";
const DIGESTS: &str = "digests";

/// Writes the file and its digests.
pub(crate) fn write(options: &Options) -> io::Result<()> {
    fs::create_dir_all(options.dir.join(ORIGINAL))?;
    let mut file = File::create(options.dir.join(ORIGINAL).join("file"))?;
    let mut digests = File::create(options.dir.join(DIGESTS))?;
    let mut state = 0x1234_5678_9ABC_DEF1_u64;
    let mut left = options.size;
    while left > 0 {
        let mut piece = vec![0; left.min(options.piece_len) as usize];
        for word in piece.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
        }
        file.write_all(&piece)?;
        digests.write_all(&hash::sha1(&piece))?;
        left -= piece.len() as u64;
    }
    Ok(())
}

/// Writes and deletes as much as a transfer will: pages that the host of a virtual machine has taken back would
/// otherwise cost more than the transfer.
pub(crate) fn warm(options: &Options) -> io::Result<()> {
    let path = options.dir.join("warm");
    let mut file = File::create(&path)?;
    let block = vec![0; 1 << 20];
    for _ in 0..=options.size >> 20 {
        file.write_all(&block)?;
    }
    fs::remove_file(path)
}

/// Removes what a downloader wrote.
pub(crate) fn remove_copy(options: &Options) -> io::Result<()> {
    fs::remove_dir_all(options.dir.join(COPY))
}

/// The store of the seeder.
pub(crate) fn original(options: &Options) -> Result<Store, Box<dyn Error>> {
    open(options, ORIGINAL)
}

/// The store of the downloader, empty.
pub(crate) fn copy(options: &Options) -> Result<Store, Box<dyn Error>> {
    open(options, COPY)
}

fn open(options: &Options, folder: &str) -> Result<Store, Box<dyn Error>> {
    let spec = StoreSpec {
        root: options.dir.join(folder),
        files: vec![FileSpec::new(["file"], options.size)],
        geometry: Geometry::new(options.size, options.piece_len)?,
        hashes: PieceHashes::V1(fs::read(options.dir.join(DIGESTS))?.into()),
        part_file: ".part".to_owned(),
    };
    let write: WriteMode = options.storage;
    Ok(Store::open(
        spec,
        StoreOptions {
            write,
            ..StoreOptions::default()
        },
    )?)
}
