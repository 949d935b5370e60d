//! Proxies as Debian builds them: microsocks and Dante (SOCKS5), tinyproxy (HTTP CONNECT).

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::wait;

/// The proxies that the tests know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SOCKS5 for TCP and UDP, without password.
    Dante,
    /// SOCKS5 for TCP, with a password.
    Microsocks,
    /// HTTP CONNECT, with a password.
    Tinyproxy,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// What to tell a client, password included.
    pub url: String,
    _process: Process,
}

const USER: &str = "someone";
const PASSWORD: &str = "aSecretThatNobodyLogs";

impl Proxy {
    /// Starts it at `at`; what it does for others comes from `from`. Waits until it answers.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn start(kind: Kind, at: SocketAddr, from: IpAddr, home: &Path) -> Self {
        let (ip, port, from) = (at.ip().to_string(), at.port().to_string(), from.to_string());
        let file = home.join("proxy.conf");
        let (command, url) = match kind {
            Kind::Dante => {
                let text = format!(
                    "logoutput: stderr\ninternal: {ip} port = {port}\nexternal: {from}\n\
                     clientmethod: none\nsocksmethod: none\nuser.privileged: root\nuser.unprivileged: root\n\
                     client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
                     socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect udpassociate udpreply }}\n"
                );
                fs::write(&file, text).expect("a configuration");
                let mut command = Command::new("danted");
                command
                    .arg("-f")
                    .arg(&file)
                    .arg("-p")
                    .arg(home.join("proxy.pid"));
                (command, format!("socks5://{at}"))
            }
            Kind::Microsocks => {
                let mut command = Command::new("microsocks");
                command.args(["-i", &ip, "-p", &port, "-b", &from]);
                command.args(["-u", USER, "-P", PASSWORD]);
                (command, format!("socks5://{USER}:{PASSWORD}@{at}"))
            }
            Kind::Tinyproxy => {
                let text = format!(
                    "Listen {ip}\nPort {port}\nBind {from}\nTimeout 600\nMaxClients 100\n\
                     BasicAuth {USER} {PASSWORD}\n"
                );
                fs::write(&file, text).expect("a configuration");
                let mut command = Command::new("tinyproxy");
                command.arg("-d").arg("-c").arg(&file);
                (command, format!("http://{USER}:{PASSWORD}@{at}"))
            }
        };
        let mut process = Process::start(command, home, "proxy");
        let up = wait::until(Duration::from_secs(10), || {
            assert!(
                process.ended().is_none(),
                "{kind:?} ended\n{}",
                process.last_words()
            );
            TcpStream::connect(at).ok()
        });
        assert!(
            up.is_some(),
            "{kind:?} does not answer\n{}",
            process.last_words()
        );
        Self {
            url,
            _process: process,
        }
    }

    /// What no log may hold.
    pub const fn secret() -> &'static str {
        PASSWORD
    }
}
