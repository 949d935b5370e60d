//! Files with reproducible content, compared by SHA-256.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

/// A file or a folder of files whose bytes follow from a seed.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The torrent's name: the file's, or the top folder's.
    pub name: String,
    /// Paths relative to the top folder, with `/`, and their lengths. Empty for a single file.
    pub files: Vec<(String, u64)>,
    /// Length of a single file; the sum for a folder.
    pub len: u64,
    seed: u64,
}

impl Payload {
    /// One file.
    pub fn single(name: &str, len: u64, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            files: Vec::new(),
            len,
            seed,
        }
    }

    /// A folder of `files`, each a path with `/` and a length.
    pub fn folder(name: &str, files: Vec<(String, u64)>, seed: u64) -> Self {
        let len = files.iter().map(|(_, len)| len).sum();
        Self {
            name: name.to_owned(),
            files,
            len,
            seed,
        }
    }

    /// `count` files in nested folders, of lengths between 0 and `longest`, several of them empty or odd.
    pub fn nested(name: &str, count: u64, longest: u64, seed: u64) -> Self {
        let mut rng = SplitMix(seed);
        let files = (0..count).map(|n| {
            let len = match n % 25 {
                3 => 0,
                7 => 1,
                11 => 16 * 1024,
                _ => rng.next() % (longest + 1),
            };
            (
                format!("part {}/deep/{:02}/file {n:04}.dat", n % 3, n % 17),
                len,
            )
        });
        Self::folder(name, files.collect(), seed)
    }

    /// Each file as its path below the folder that holds the payload, and its length.
    pub fn entries(&self) -> Vec<(PathBuf, u64)> {
        if self.files.is_empty() {
            return vec![(PathBuf::from(&self.name), self.len)];
        }
        self.files
            .iter()
            .map(|(path, len)| (Path::new(&self.name).join(path), *len))
            .collect()
    }

    /// Writes all files below `dir`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        for (n, (path, len)) in self.entries().into_iter().enumerate() {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap_or(dir))?;
            let mut out = io::BufWriter::with_capacity(1 << 16, File::create(path)?);
            let mut rng = SplitMix(self.seed ^ (n as u64) << 32);
            let mut left = len;
            while left > 0 {
                let word = rng.next().to_le_bytes();
                let take = left.min(word.len() as u64);
                out.write_all(&word[..take as usize])?;
                left -= take;
            }
            out.flush()?;
        }
        Ok(())
    }

    /// SHA-256 over the names, lengths and contents of all files as they are below `dir`.
    ///
    /// Files that the payload does not know are not looked at; a lacking empty file counts as empty, because some
    /// clients do not make those.
    ///
    /// # Errors
    /// What the file system says, a lacking file included.
    pub fn digest(&self, dir: &Path) -> io::Result<[u8; 32]> {
        let mut sum = Context::new(&SHA256);
        for (path, len) in self.entries() {
            sum.update(path.to_string_lossy().as_bytes());
            let full = dir.join(&path);
            if len == 0 && !full.exists() {
                sum.update(&0_u64.to_be_bytes());
                continue;
            }
            let mut file = File::open(full)?;
            sum.update(&file.metadata()?.len().to_be_bytes());
            let mut buffer = vec![0; 1 << 16];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    n => sum.update(&buffer[..n]),
                }
            }
        }
        Ok(sum
            .finish()
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 bytes"))
    }

    /// Panics unless the files below `dir` are byte for byte the payload that was written below `original`.
    pub fn assert_equal(&self, original: &Path, dir: &Path) {
        let want = self.digest(original).expect("readable original");
        let got = self
            .digest(dir)
            .unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        assert_eq!(
            got,
            want,
            "{} below {} is not what was seeded",
            self.name,
            dir.display()
        );
    }
}

/// The SplitMix64 generator: small, and the same on every machine and in every version.
#[derive(Debug, Clone)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next 64 bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, so it is no iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let (a, b, c) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        let payload = Payload::nested("tree", 60, 5_000, 7);
        payload.write(a.path()).unwrap();
        payload.write(b.path()).unwrap();
        payload.assert_equal(a.path(), b.path());
        Payload {
            seed: 8,
            ..payload.clone()
        }
        .write(c.path())
        .unwrap();
        assert_ne!(
            payload.digest(a.path()).unwrap(),
            payload.digest(c.path()).unwrap()
        );
    }

    #[test]
    fn one_flipped_byte_changes_the_digest() {
        let dir = tempfile::tempdir().unwrap();
        let payload = Payload::single("one", 100_001, 1);
        payload.write(dir.path()).unwrap();
        let before = payload.digest(dir.path()).unwrap();
        let mut bytes = fs::read(dir.path().join("one")).unwrap();
        bytes[100_000] ^= 1;
        fs::write(dir.path().join("one"), bytes).unwrap();
        assert_ne!(payload.digest(dir.path()).unwrap(), before);
    }
}
