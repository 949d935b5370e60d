//! Plain web servers: nginx, which knows ranges and keeps connections, and Python's, which knows neither.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::wait;

/// The web servers that the tests know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `nginx`.
    Nginx,
    /// `python3 -m http.server`.
    Python,
}

/// A running web server.
#[derive(Debug)]
pub struct Web {
    at: SocketAddr,
    log: PathBuf,
    _process: Process,
}

impl Web {
    /// Serves a folder, with its own files in `home`. Waits until it answers.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn start(kind: Kind, at: SocketAddr, folder: &Path, home: &Path) -> Self {
        let (command, log) = match kind {
            Kind::Nginx => (nginx(at, folder, home), home.join("access.log")),
            Kind::Python => {
                let mut command = Command::new("python3");
                command
                    .args(["-m", "http.server", &at.port().to_string()])
                    .args(["--bind", &at.ip().to_string(), "--directory"])
                    .arg(folder);
                (command, home.join("web.err"))
            }
        };
        let process = Process::start(command, home, "web");
        let answers = wait::until(Duration::from_secs(10), || TcpStream::connect(at).ok());
        assert!(answers.is_some(), "{}", process.last_words());
        Self {
            at,
            log,
            _process: process,
        }
    }

    /// The URL of something below the folder.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.at)
    }

    /// The requests so far, as the server logs them: nginx puts connection, status and length first.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let requests = log.lines().filter(|line| line.contains("\"GET "));
        requests.map(str::to_owned).collect()
    }
}

fn nginx(at: SocketAddr, folder: &Path, home: &Path) -> Command {
    let shown = home.display();
    let text = format!(
        "daemon off; master_process off; pid '{shown}/nginx.pid'; error_log '{shown}/error.log';\n\
         events {{ }}\n\
         http {{ log_format plain '$connection $status $body_bytes_sent \"$request\"';\n\
         access_log '{shown}/access.log' plain; keepalive_requests 10000; sendfile on;\n\
         client_body_temp_path '{shown}/body'; proxy_temp_path '{shown}/proxy'; fastcgi_temp_path '{shown}/fastcgi';\n\
         server {{ listen {at}; root '{}'; }} }}\n",
        folder.display()
    );
    let file = home.join("nginx.conf");
    fs::write(&file, text).expect("a configuration");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(home).arg("-c").arg(&file);
    command
}
