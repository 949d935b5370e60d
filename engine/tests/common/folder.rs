//! Folders of files with a torrent of any kind around them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use protocol::id::InfoHashes;
use protocol::magnet::Magnet;
use protocol::merkle::leaf;
use protocol::metainfo::build::{Extras, FileHashes, Hashes, Layout, Padding, Plan, SourceFile};
use protocol::metainfo::{LoadLimits, Metainfo, Version};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(crate) const BLOCK: usize = 16 * 1024;

/// Files in a folder named `t`, and their torrent.
pub(crate) struct Folder {
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) metainfo: Arc<Metainfo>,
    /// The .torrent file.
    pub(crate) bytes: Vec<u8>,
}

impl Folder {
    /// Files of these lengths.
    pub(crate) fn new(version: Version, seed: u64, lens: &[usize], piece_len: usize) -> Self {
        Self::with(version, seed, lens, piece_len, |_| {})
    }

    /// A torrent whose hashes were tampered with.
    pub(crate) fn with(
        version: Version,
        seed: u64,
        lens: &[usize],
        piece_len: usize,
        tamper: impl FnOnce(&mut Hashes),
    ) -> Self {
        Self::made(version, seed, (lens, piece_len), tamper, &Extras::default())
    }

    /// A torrent that says more.
    pub(crate) fn saying(
        version: Version,
        seed: u64,
        lens: &[usize],
        piece_len: usize,
        extras: &Extras,
    ) -> Self {
        Self::made(version, seed, (lens, piece_len), |_| {}, extras)
    }

    fn made(
        version: Version,
        seed: u64,
        (lens, piece_len): (&[usize], usize),
        tamper: impl FnOnce(&mut Hashes),
        extras: &Extras,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let files = lens.iter().map(|len| {
            let mut bytes = vec![0; *len];
            rng.fill_bytes(&mut bytes);
            bytes
        });
        let files: Vec<Vec<u8>> = files.collect();
        let sources = files.iter().enumerate().map(|(number, file)| SourceFile {
            path: vec![format!("{number}")],
            len: file.len() as u64,
            ..SourceFile::default()
        });
        let plan = Plan::new(
            "t",
            version,
            Layout::Directory,
            sources.collect(),
            Padding::None,
            Some(piece_len as u32),
        );
        let plan = plan.expect("a plan");
        let mut hashes = hashes(&plan, version, &files, piece_len);
        tamper(&mut hashes);
        let (bytes, _) = plan.write(&hashes, extras).expect("a torrent");
        let metainfo = Metainfo::from_bytes(&bytes, &LoadLimits::default()).expect("a torrent");
        Self {
            files,
            metainfo: Arc::new(metainfo),
            bytes,
        }
    }

    /// A link that names the torrent by these hashes alone.
    pub(crate) fn magnet(hashes: InfoHashes) -> Box<Magnet> {
        Box::new(Magnet::new(hashes))
    }

    /// Puts the files into a folder.
    pub(crate) fn put(&self, dir: &Path) {
        fs::create_dir_all(dir.join("t")).expect("a folder");
        for (number, file) in self.files.iter().enumerate() {
            fs::write(dir.join(format!("t/{number}")), file).expect("written");
        }
    }

    /// Compares the files in a folder.
    pub(crate) fn assert_equal(&self, dir: &Path) {
        for (number, file) in self.files.iter().enumerate() {
            let got = fs::read(dir.join(format!("t/{number}"))).expect("the file");
            assert!(got == *file, "file {number} differs");
        }
    }

    /// Bytes of all files.
    pub(crate) fn len(&self) -> u64 {
        self.metainfo.content_len()
    }
}

fn hashes(plan: &Plan, version: Version, files: &[Vec<u8>], piece_len: usize) -> Hashes {
    let mut all = Vec::new();
    let mut found = Hashes::default();
    for entry in plan.entries() {
        let Some(source) = entry.source else {
            all.resize(all.len() + entry.len as usize, 0);
            continue;
        };
        let file = &files[source];
        all.extend_from_slice(file);
        if version != Version::V1 && !file.is_empty() {
            let leaves: Vec<_> = file.chunks(BLOCK).map(leaf).collect();
            let tree = FileHashes::from_leaves(&leaves, piece_len as u32);
            found.files.push(tree);
        }
    }
    if version != Version::V2 {
        found.pieces = all.chunks(piece_len).map(hash::sha1).collect();
    }
    found
}
