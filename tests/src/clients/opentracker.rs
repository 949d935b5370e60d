//! opentracker as Debian builds it: it serves the info-hashes of a list, over HTTP and UDP on one port.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::torrent::{escape, hex};
use crate::wait;

/// A running tracker.
#[derive(Debug)]
pub struct Opentracker {
    /// Where it answers, by HTTP and by UDP.
    pub address: SocketAddr,
    _process: Process,
}

impl Opentracker {
    /// Starts it at `address`, for the torrents with these info-hashes, and waits until it answers.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn start(address: SocketAddr, info_hashes: &[[u8; 20]], home: &Path) -> Self {
        let list: Vec<String> = info_hashes.iter().map(|hash| hex(hash)).collect();
        fs::write(home.join("list.txt"), list.join("\n") + "\n").expect("a list of info-hashes");
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let mut command = Command::new("opentracker");
        // The list is opened after the change of root into the folder, so its name is relative to that.
        command
            .args([
                "-i", &ip, "-p", &port, "-P", &port, "-u", "nobody", "-w", "list.txt", "-d",
            ])
            .arg(home);
        let mut process = Process::start(command, home, "opentracker");
        let up = wait::until(Duration::from_secs(10), || {
            assert!(
                process.ended().is_none(),
                "opentracker ended\n{}",
                process.last_words()
            );
            TcpStream::connect(address).ok()
        });
        assert!(
            up.is_some(),
            "opentracker does not answer\n{}",
            process.last_words()
        );
        Self {
            address,
            _process: process,
        }
    }

    /// The announce URL, over `http` or `udp`.
    pub fn url(address: SocketAddr, scheme: &str) -> String {
        format!("{scheme}://{address}/announce")
    }

    /// How many complete peers it knows, by its own scrape.
    pub fn seeds(&self, info_hash: &[u8; 20]) -> u64 {
        let Ok(mut stream) = TcpStream::connect(self.address) else {
            return 0;
        };
        let request = format!(
            "GET /scrape?info_hash={} HTTP/1.0\r\n\r\n",
            escape(info_hash)
        );
        let mut reply = Vec::new();
        if stream.write_all(request.as_bytes()).is_err() || stream.read_to_end(&mut reply).is_err()
        {
            return 0;
        }
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let count = reply
            .split("8:completei")
            .nth(1)
            .and_then(|rest| rest.split('e').next());
        count.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}
