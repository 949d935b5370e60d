//! A file to transfer, described as a torrent, and the folders of both ends.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::geometry::Geometry;
use protocol::metainfo::{LoadLimits, Metainfo};
use storage::{FileSpec, PieceHashes, Store, StoreOptions, StoreSpec, WriteMode};

/// One file of `size` bytes in pieces of `piece_len`, below `dir`: the original, its digests, and where a copy goes.
#[derive(Debug, Clone)]
pub struct Content {
    /// Where everything lies.
    pub dir: PathBuf,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of a piece.
    pub piece_len: u64,
}

impl Content {
    /// Writes the file and its digests.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self) -> io::Result<()> {
        fs::create_dir_all(self.original())?;
        let mut file = File::create(self.original().join(NAME))?;
        let mut digests = File::create(self.digests())?;
        let mut state = 0x1234_5678_9ABC_DEF1_u64;
        let mut left = self.size;
        while left > 0 {
            let mut piece = vec![0; left.min(self.piece_len) as usize];
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
    ///
    /// # Errors
    /// What the file system says.
    pub fn warm(&self) -> io::Result<()> {
        let path = self.dir.join("warm");
        let mut file = File::create(&path)?;
        let block = vec![0; 1 << 20];
        for _ in 0..=self.size >> 20 {
            file.write_all(&block)?;
        }
        fs::remove_file(path)
    }

    /// The folder of the file.
    pub fn original(&self) -> PathBuf {
        self.dir.join("original")
    }

    /// The folder that a download writes to.
    pub fn copy(&self) -> PathBuf {
        self.dir.join("copy")
    }

    /// Removes what a download wrote.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove_copy(&self) -> io::Result<()> {
        fs::remove_dir_all(self.copy())
    }

    /// A store over one of the two folders.
    ///
    /// # Errors
    /// Digests that cannot be read, or a size that no torrent has.
    pub fn store(&self, folder: &Path, write: WriteMode) -> Result<Store, Box<dyn Error>> {
        let spec = StoreSpec {
            root: folder.to_owned(),
            files: vec![FileSpec::new([NAME], self.size)],
            geometry: Geometry::new(self.size, self.piece_len)?,
            hashes: PieceHashes::V1(fs::read(self.digests())?.into()),
            part_file: ".part".to_owned(),
        };
        let options = StoreOptions {
            write,
            ..StoreOptions::default()
        };
        Ok(Store::open(spec, options)?)
    }

    /// The file as a torrent.
    ///
    /// # Errors
    /// Digests that cannot be read, or a size that no torrent has.
    pub fn metainfo(&self) -> Result<Metainfo, Box<dyn Error>> {
        let digests = fs::read(self.digests())?;
        let head = format!(
            "d4:infod6:lengthi{}e4:name{}:{NAME}12:piece lengthi{}e6:pieces{}:",
            self.size,
            NAME.len(),
            self.piece_len,
            digests.len()
        );
        let bytes = [head.as_bytes(), &digests, b"ee"].concat();
        Ok(Metainfo::from_bytes(&bytes, &LoadLimits::default())?)
    }

    fn digests(&self) -> PathBuf {
        self.dir.join("digests")
    }
}

const NAME: &str = "file";
