//! qBittorrent 4.5 without a window (libtorrent 2.0.8), told by its configuration and over the API of its web interface.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Encryption, Job, Running, Stage, Transport, http};
use crate::process::Process;
use crate::torrent::escape;
use crate::wait;

/// A running `qbittorrent-nox` with one torrent.
#[derive(Debug)]
pub struct Qbittorrent {
    process: Process,
    control: SocketAddr,
}

impl Qbittorrent {
    /// Starts it with the torrent, and tells it of its peers.
    ///
    /// # Panics
    /// When it does not take them within twenty seconds.
    pub fn start(job: &Job, home: &Path) -> Self {
        let control = super::control_of(job);
        let folder = home.join("qBittorrent/config");
        fs::create_dir_all(&folder).expect("its folder");
        fs::write(folder.join("qBittorrent.conf"), settings(job, control)).expect("its settings");
        let mut command = Command::new("qbittorrent-nox");
        command
            .arg(format!("--profile={}", home.display()))
            .arg(format!("--save-path={}", job.dir.display()))
            .arg("--skip-dialog=true")
            .arg(&job.source)
            .env("HOME", home);
        let mut this = Self {
            process: Process::start(command, home, "qbittorrent"),
            control,
        };
        let torrent = wait::until(Duration::from_secs(20), || this.torrent());
        let Some(torrent) = torrent else {
            panic!("it takes no torrent\n{}", this.process.last_words());
        };
        let hash = torrent["hash"].as_str().expect("a hash");
        if !job.peers.is_empty() {
            let peers: Vec<String> = job.peers.iter().map(ToString::to_string).collect();
            let peers = escape(peers.join("|").as_bytes());
            this.call("addPeers", &format!("hashes={hash}&peers={peers}"));
        }
        if job.orders.super_seed {
            let form = format!("hashes={hash}&value=true");
            this.call("setSuperSeeding", &form);
            let known = wait::until(Duration::from_secs(20), || {
                (this.torrent()?["super_seeding"] == true).then_some(())
            });
            assert!(known.is_some(), "it does not super-seed");
        }
        this
    }

    /// What it says of its torrent.
    fn torrent(&self) -> Option<Value> {
        let reply = http::post(self.control, "/api/v2/torrents/info", &[], "")?;
        let torrents: Value = serde_json::from_str(&reply.body).ok()?;
        torrents.get(0).cloned()
    }

    /// Has it do something with its torrent.
    fn call(&mut self, what: &str, form: &str) {
        let path = format!("/api/v2/torrents/{what}");
        let kind = ["Content-Type: application/x-www-form-urlencoded"];
        let reply = http::post(self.control, &path, &kind, form);
        let taken = reply.as_ref().is_some_and(|reply| reply.status() == 200);
        assert!(taken, "{reply:?}\n{}", self.process.last_words());
    }
}

/// What it reads when it starts.
fn settings(job: &Job, control: SocketAddr) -> String {
    let orders = &job.orders;
    assert!(orders.dht.is_none(), "its DHT is not driven here");
    let protocol = match orders.transport {
        None | Some(Transport::Both) => "Both",
        Some(Transport::Tcp) => "TCP",
        Some(Transport::Utp) => "UTP",
    };
    let encryption = match orders.encryption {
        None | Some(Encryption::Usual | Encryption::Preferred) => 0,
        Some(Encryption::Rc4) => 1,
        Some(Encryption::Plain) => 2,
        Some(other) => unreachable!("it cannot be told {other:?}"),
    };
    // It would look for the address among those of interfaces before it goes to a proxy.
    let own = orders.proxy.is_none().then(|| job.listen.ip().to_string());
    let proxy = orders.proxy.map_or_else(String::new, |proxy| {
        format!(
            "Proxy\\Type=SOCKS5\nProxy\\IP={}\nProxy\\Port={}\n",
            proxy.ip(),
            proxy.port()
        )
    });
    format!(
        "[LegalNotice]\nAccepted=true\n\
         [Preferences]\nWebUI\\Enabled=true\nWebUI\\Address={}\nWebUI\\Port={}\n\
         WebUI\\LocalHostAuth=false\nWebUI\\CSRFProtection=false\nWebUI\\HostHeaderValidation=false\nWebUI\\UseUPnP=false\n\
         [Network]\nPortForwardingEnabled=false\n{proxy}\
         [BitTorrent]\nSession\\Port={}\nSession\\InterfaceAddress={}\nSession\\BTProtocol={protocol}\n\
         Session\\Encryption={encryption}\nSession\\ProxyPeerConnections={}\nSession\\DHTEnabled=false\n\
         Session\\LSDEnabled=false\nSession\\QueueingSystemEnabled=false\nSession\\MultiConnectionsPerIp=true\n",
        control.ip(),
        control.port(),
        job.listen.port(),
        own.unwrap_or_default(),
        orders.proxy.is_some(),
    )
}

impl Running for Qbittorrent {
    fn stage(&mut self) -> Stage {
        let words = |process: &Process| process.last_words();
        assert!(
            self.process.ended().is_none(),
            "qbittorrent ended\n{}",
            words(&self.process)
        );
        let Some(torrent) = self.torrent() else {
            return Stage::Busy;
        };
        match torrent["state"].as_str().unwrap_or_default() {
            "uploading" | "stalledUP" | "forcedUP" => Stage::Done,
            state @ ("error" | "missingFiles") => {
                panic!("qbittorrent: {state}\n{}", words(&self.process))
            }
            _ => Stage::Busy,
        }
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
