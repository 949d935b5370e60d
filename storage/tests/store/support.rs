//! Torrents of made-up content.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};
use storage::{Chunk, FileSpec, PieceHashes, Store, StoreOptions, StoreSpec, Verdict};

/// A torrent's content in memory, and the specification of a store for it.
pub(crate) struct Torrent {
    pub(crate) content: Vec<u8>,
    pub(crate) spec: StoreSpec,
}

impl Torrent {
    /// Content that depends on the offset only; zeros where files are pads.
    pub(crate) fn new(root: &Path, piece_len: u32, files: Vec<FileSpec>) -> Self {
        let mut content = Vec::new();
        for file in &files {
            let from = content.len();
            content.extend((from..from + file.len as usize).map(byte_at));
            if file.pad {
                content[from..].fill(0);
            }
        }
        Self::of(root, piece_len, files, content)
    }

    /// A torrent of this content.
    pub(crate) fn of(root: &Path, piece_len: u32, files: Vec<FileSpec>, content: Vec<u8>) -> Self {
        let hashes: Vec<u8> = content
            .chunks(piece_len as usize)
            .flat_map(|piece| sha1_smol::Sha1::from(piece).digest().bytes())
            .collect();
        let spec = StoreSpec {
            root: root.to_path_buf(),
            files,
            geometry: Geometry::new(content.len() as u64, u64::from(piece_len)).unwrap(),
            hashes: PieceHashes::V1(Bytes::from(hashes)),
            part_file: ".parts".into(),
        };
        Self { content, spec }
    }

    /// A store for the torrent.
    pub(crate) fn store(&self, options: &StoreOptions) -> Store {
        Store::open(self.spec.clone(), options.clone()).unwrap()
    }

    /// The content of a piece.
    pub(crate) fn piece(&self, piece: PieceIndex) -> &[u8] {
        let from = self.spec.geometry.offset_of(piece) as usize;
        &self.content[from..from + self.spec.geometry.len_of(piece) as usize]
    }

    /// Writes a piece, block by block in one call.
    pub(crate) fn write(&self, store: &Store, piece: PieceIndex) {
        let offset = self.spec.geometry.offset_of(piece);
        let chunks: Vec<Chunk<'_>> = (0_u64..)
            .zip(self.piece(piece).chunks(BLOCK_LEN as usize))
            .map(|(block, data)| Chunk {
                offset: offset + block * u64::from(BLOCK_LEN),
                data,
            })
            .collect();
        store.write(&chunks).unwrap();
    }

    /// Writes everything.
    pub(crate) fn write_all(&self, store: &Store) {
        self.spec
            .geometry
            .iter()
            .for_each(|piece| self.write(store, piece));
    }
}

/// The verdicts on all pieces.
pub(crate) fn verify_all(store: &Store) -> Vec<Verdict> {
    let pieces: Vec<PieceIndex> = store.geometry().iter().collect();
    let mut verdicts = Vec::new();
    store.verify(&pieces, &mut verdicts);
    verdicts
}

/// The byte at an offset of made-up content: no two neighbouring pages alike.
pub(crate) fn byte_at(offset: usize) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9) >> 13) as u8 ^ (offset >> 12) as u8
}

/// Says that a test could not run here; in CI it has to.
pub(crate) fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI this must run: {why}"
    );
    println!("skipped: {why}");
}

/// Runs an ignored test of this binary in a process of its own, after a shell command, and fails with it.
pub(crate) fn alone(test: &str, before: &str) {
    let done = Command::new("sh")
        .args(["-c", &format!("{before}\nexec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("STORE_TEST_ALONE", "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&done.stdout);
    print!("{output}{}", String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success());
    assert!(output.contains("1 passed"), "the child ran no test");
}
