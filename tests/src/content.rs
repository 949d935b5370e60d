//! What a torrent is about: a payload that somebody has, and its description.

use std::path::{Path, PathBuf};

use std::net::SocketAddr;

use crate::clients::{Job, home};
use crate::payload::Payload;
use crate::sandbox::Lab;
use crate::torrent::Torrent;

/// A payload in a folder of its own, described by a .torrent file beside it.
#[derive(Debug)]
pub struct Content {
    /// What it is.
    pub payload: Payload,
    /// The folder that it lies in.
    pub dir: PathBuf,
    /// Its description.
    pub torrent: Torrent,
}

impl Content {
    /// Writes a payload, and its description in pieces of 64 KiB.
    ///
    /// # Panics
    /// When the file system refuses.
    pub fn new(lab: &Lab, payload: Payload) -> Self {
        Self::described(lab, payload, 64 * 1024, &[])
    }

    /// Writes a payload, and its description as it is wanted.
    ///
    /// # Panics
    /// When the file system refuses.
    pub fn described(lab: &Lab, payload: Payload, piece_len: u64, trackers: &[String]) -> Self {
        let (dir, _) = home(lab, &payload.name);
        payload.write(&dir).expect("the payload");
        let file = dir.join("input.torrent");
        let torrent = Torrent::write(&file, &payload, &dir, piece_len, trackers);
        Self {
            payload,
            torrent: torrent.expect("a torrent"),
            dir,
        }
    }

    /// What a client is given to know the torrent by.
    pub fn source(&self) -> String {
        self.torrent.path.display().to_string()
    }

    /// Serves it where it lies.
    pub fn seed(&self, listen: SocketAddr) -> Job {
        Job::seed(&self.source(), &self.dir, listen)
    }

    /// Gets it into another folder.
    pub fn download(&self, dir: &Path, listen: SocketAddr, peers: Vec<SocketAddr>) -> Job {
        Job::download(&self.source(), dir, listen, peers)
    }

    /// Compares the bytes in another folder with those that were written.
    ///
    /// # Panics
    /// When they differ.
    pub fn assert_arrived(&self, dir: &Path) {
        self.payload.assert_equal(&self.dir, dir);
    }
}
