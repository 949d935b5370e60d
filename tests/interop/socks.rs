//! Our SOCKS5 server on a direct network, and curl as its client.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::thread;

use net::socks::SocksOptions;
use net::{Network, OwnedPool, RealOptions, SocksServer};
use protocol::proxy::Credentials;
use support::Lab;
use support::payload::Payload;
use support::sandbox::must;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    server: SocksServer,
    _pool: OwnedPool,
}

impl Server {
    /// Starts it at `at`; what it does for others comes from `from`.
    pub(crate) fn start(at: SocketAddr, from: IpAddr, user: Option<(&str, &str)>) -> Self {
        let pool = OwnedPool::start("socks", 2).expect("threads");
        let network = Network::real(RealOptions::from_source(from));
        let mut options = SocksOptions::at(at);
        // The addresses of a lab are not those of a loopback by their looks.
        options.beyond_loopback = true;
        options.credentials = user.map(|(user, password)| {
            Credentials::new(user.into(), password.into()).expect("short enough")
        });
        let server = SocksServer::launch(network.clone(), network, options, pool.pool());
        Self {
            server: server.expect("a server"),
            _pool: pool,
        }
    }
}

/// Fetches a file by address and by name, with and without a password, and hears why something is not to be had.
pub(crate) fn curl(lab: &Lab) {
    let (at, from, web) = (lab.address(), lab.address().ip(), lab.address());
    let dir = lab.folder("curl");
    let hosts = dir.join("hosts");
    std::fs::write(&hosts, format!("{} web.test\n", web.ip())).expect("hosts");
    must(&[
        "mount",
        "--bind",
        &hosts.display().to_string(),
        "/etc/hosts",
    ]);
    let bytes = Payload::single("curl.bin", 3_000_001, 91);
    bytes.write(&dir).expect("a file");
    let body = std::fs::read(dir.join("curl.bin")).expect("a payload");
    serve(web, body.clone());
    let open = Server::start(at, from, None);
    let guarded = lab.address();
    let _guarded = Server::start(guarded, from, Some(("me", "secret")));
    let port = web.port();
    let by_address = format!("http://{web}/");
    let by_name = format!("http://web.test:{port}/");
    for (proxy, url) in [
        (format!("socks5://{at}"), &by_address),
        (format!("socks5h://{at}"), &by_name),
        (format!("socks5h://me:secret@{guarded}"), &by_name),
    ] {
        let got = fetch(&proxy, url);
        assert!(got.status.success(), "{proxy} {url}: {got:?}");
        assert!(got.stdout == body, "{proxy} {url}");
    }
    // What no one listens at, what no one is called, and who has another password: curl's error 97 is the proxy's.
    let nobody = format!("http://{}/", lab.address());
    for (proxy, url, code) in [
        (format!("socks5h://{at}"), nobody.as_str(), "(5)"),
        (format!("socks5h://{at}"), "http://nobody.test/", "(4)"),
        (
            format!("socks5h://me:wrong@{guarded}"),
            &by_name,
            "rejected",
        ),
        (
            format!("socks5h://{guarded}"),
            &by_name,
            "No authentication",
        ),
    ] {
        let got = fetch(&proxy, url);
        let said = String::from_utf8_lossy(&got.stderr);
        assert!(!got.status.success(), "{proxy} {url}");
        lab.report(&format!("| {proxy} {url} | {} |", said.trim()));
        assert!(said.contains(code), "{proxy} {url}: {said}");
    }
    assert_eq!(open.server.counters().failed, 2);
}

fn fetch(proxy: &str, url: &str) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "200", "-x", proxy, url]);
    command.output().expect("curl")
}

/// A web server that has one file.
fn serve(at: SocketAddr, body: Vec<u8>) {
    let door = TcpListener::bind(at).expect("a listener");
    thread::spawn(move || {
        for stream in door.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
}
