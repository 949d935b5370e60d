//! The command line.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use benches::content::Content;
use storage::WriteMode;

/// Which part of the race this process is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// Starts the two others.
    Both,
    /// Downloads from this address.
    Leecher(SocketAddr),
    /// Serves.
    Seeder,
}

/// What is raced.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) role: Role,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Bytes of a piece.
    pub(crate) piece_len: u64,
    /// Connections between the two, each with a thread on either side.
    pub(crate) connections: usize,
    /// Requests in flight on each connection.
    pub(crate) window: usize,
    /// Races one after another.
    pub(crate) rounds: usize,
    /// How the downloader writes.
    pub(crate) storage: WriteMode,
    /// Where both files lie.
    pub(crate) dir: PathBuf,
}

impl Options {
    pub(crate) fn from_args() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            role: Role::Both,
            size: 1 << 30,
            piece_len: 1 << 20,
            connections: 1,
            window: 128,
            rounds: 5,
            storage: WriteMode::Pwrite,
            dir: std::env::temp_dir(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--connections" => options.connections = value()?.parse()?,
                "--dir" => options.dir = value()?.into(),
                "--piece" => options.piece_len = value()?.parse::<u64>()? * 1024,
                "--rounds" => options.rounds = value()?.parse()?,
                "--size" => options.size = value()?.parse::<u64>()? << 20,
                "--storage" => {
                    options.storage = match value()?.as_str() {
                        "map" => WriteMode::Map,
                        "pwrite" => WriteMode::Pwrite,
                        other => return Err(format!("--storage {other}: map or pwrite").into()),
                    }
                }
                "--window" => options.window = value()?.parse::<usize>()?.max(2),
                "leecher" => options.role = Role::Leecher(value()?.parse()?),
                "seeder" => options.role = Role::Seeder,
                other => {
                    return Err(
                        format!("unknown argument {other}; see the head of limit/main.rs").into(),
                    );
                }
            }
        }
        if options.rounds == 0 || options.connections == 0 {
            return Err("at least one round and one connection".into());
        }
        Ok(options)
    }

    /// The file that is transferred.
    pub(crate) fn content(&self) -> Content {
        Content {
            dir: self.dir.clone(),
            size: self.size,
            piece_len: self.piece_len,
        }
    }

    /// The same options for another process.
    pub(crate) fn to_args(&self) -> Vec<String> {
        let storage = if self.storage == WriteMode::Map {
            "map"
        } else {
            "pwrite"
        };
        let numbers = [
            ("--connections", self.connections as u64),
            ("--piece", self.piece_len / 1024),
            ("--size", self.size >> 20),
            ("--window", self.window as u64),
        ];
        let mut args: Vec<String> = numbers
            .iter()
            .flat_map(|(name, value)| [(*name).to_owned(), value.to_string()])
            .collect();
        args.extend(["--storage".to_owned(), storage.to_owned()]);
        args.extend(["--dir".to_owned(), self.dir.display().to_string()]);
        args
    }
}
