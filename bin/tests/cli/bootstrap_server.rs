//! `bootstrap-server` as members of the overlay meet it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use overlay::introducer::{Introducer, Settings};
use overlay::introduction::id;
use overlay::key::SecretKey;
use overlay::packet::{CommunityId, Packet};
use serde_json::Value;

use super::support::{command, run, text};

/// A running server, and what it has said. It is ended with this.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    at: SocketAddrV4,
    public_key: String,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let mut child = command()
            .args(["bootstrap-server", "--listen", "127.0.0.1:0", "--json"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let said = line(&mut out);
        assert_eq!(said["event"], "listening");
        Self {
            at: said["addr"].as_str().unwrap().parse().unwrap(),
            public_key: said["public_key"].as_str().unwrap().to_owned(),
            child,
            out,
        }
    }

    /// Ends it as a user does; returns the last thing that it says.
    fn end(mut self) -> Value {
        let id = self.child.id().to_string();
        Command::new("kill")
            .args(["-s", "INT", &id])
            .status()
            .unwrap();
        let last = line(&mut self.out);
        assert!(self.child.wait().unwrap().success());
        last
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(out: &mut impl BufRead) -> Value {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// A member on a socket of its own.
fn member(seed: u8) -> (UdpSocket, Introducer) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(300)))
        .unwrap();
    let key = SecretKey::from_bytes(&[seed; 64]).unwrap();
    let settings = Settings::new(key, CommunityId([7; 20]));
    (socket, Introducer::new(settings, &mut rand::rng()))
}

/// Receives a packet of this kind.
fn receive(socket: &UdpSocket, member: &mut Introducer, message: u8) {
    let mut buffer = [0; 2000];
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    let SocketAddr::V4(from) = from else {
        panic!("{from}");
    };
    let packet = Packet::parse(&buffer[..len]).unwrap();
    assert_eq!(packet.message(), message);
    member.handle_packet(Instant::now(), from, &packet).unwrap();
}

fn ask(socket: &UdpSocket, member: &mut Introducer, server: SocketAddrV4) {
    member.walk_to(Instant::now(), server);
    let request = member.poll_transmit().unwrap();
    socket.send_to(&request.bytes, server).unwrap();
    receive(socket, member, id::RESPONSE);
}

#[test]
fn it_introduces_members_and_tells_how_many_there_are_when_it_ends() {
    let server = Server::start(&[]);
    let (first, second) = (&mut member(1), &mut member(2));
    ask(&first.0, &mut first.1, server.at);
    ask(&second.0, &mut second.1, server.at);
    receive(&first.0, &mut first.1, id::PUNCTURE_REQUEST);
    let SocketAddr::V4(at) = first.0.local_addr().unwrap() else {
        panic!("an IPv4 socket");
    };
    let known: Vec<SocketAddrV4> = second
        .1
        .directory()
        .walkable(second.1.community())
        .collect();
    assert!(known.contains(&at), "{known:?}");
    let last = server.end();
    assert_eq!(last["event"], "members");
    assert_eq!(
        (&last["members"], &last["communities"]),
        (&2.into(), &1.into())
    );
    assert_eq!(
        (&last["answered"], &last["introduced"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn it_keeps_its_identity_in_a_file_and_refuses_one_that_holds_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.key");
    let first = Server::start(&["--overlay-key", text(&file)]);
    let key = first.public_key.clone();
    first.end();
    assert!(key.starts_with("4c69624e61434c504b3a"), "{key}");
    let again = Server::start(&["--overlay-key", text(&file)]);
    assert_eq!(again.public_key, key);
    again.end();
    std::fs::write(&file, "something else").unwrap();
    let ran = run([
        "bootstrap-server",
        "--listen",
        "127.0.0.1:0",
        "--overlay-key",
        text(&file),
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("server.key"), "{}", ran.err);
    assert_eq!(std::fs::read(&file).unwrap(), b"something else");
    let ran = run(["bootstrap-server", "--overlay-key", "/nonexistent/x.key"]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn a_port_that_is_taken_is_said() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = socket.local_addr().unwrap().to_string();
    let ran = run(["bootstrap-server", "--listen", &at]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains(&at) && ran.err.lines().count() == 1,
        "{}",
        ran.err
    );
}
