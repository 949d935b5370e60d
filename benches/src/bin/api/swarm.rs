//! A seeder in a process of its own, and a file that it has.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use benches::content::Content;
use benches::daemon::Channel;
use benches::process::Process;
use control::{Add, Ask, Blob, Origin};

/// A seeder of one file.
pub(crate) struct Seeder {
    pub(crate) at: SocketAddr,
    /// The .torrent file.
    pub(crate) torrent: Vec<u8>,
    /// Its info-hash, in hex.
    pub(crate) hash: String,
    _process: Process,
}

impl Seeder {
    /// Writes a file of so many bytes and seeds it, with so many bytes a second at most.
    pub(crate) fn start(
        program: &Path,
        dir: &Path,
        size: u64,
        rate: Option<u64>,
    ) -> Result<Self, Box<dyn Error>> {
        let content = Content {
            dir: dir.to_owned(),
            size,
            piece_len: 1 << 18,
        };
        content.write()?;
        let metainfo = content.metainfo()?;
        let torrent = metainfo.to_bytes()?;
        let file = dir.join("file.torrent");
        fs::write(&file, &torrent)?;
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        command.arg("seed").arg(&file).arg("--data");
        command
            .arg(content.original())
            .arg("--listen")
            .arg(at.to_string());
        command.args(["--no-check", "--no-dht", "--no-lsd", "--no-portmap"]);
        command.arg("--state").arg(dir.join("state"));
        if let Some(rate) = rate {
            command.arg("--max-up").arg(rate.to_string());
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self {
            at,
            torrent,
            hash: metainfo.hashes().wire().to_string(),
            _process: Process::start(command)?,
        })
    }
}

impl Seeder {
    /// Has a daemon fetch the file from here into a folder.
    pub(crate) fn give(&self, channel: &mut Channel, dir: &Path) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(dir)?;
        channel.ask(Ask::Add(Add {
            torrents: vec![Origin::File(Blob(self.torrent.clone()))],
            dir: dir.to_str().map(str::to_owned),
            peers: vec![self.at.to_string()],
            ..Add::default()
        }))?;
        Ok(())
    }
}
