//! Threads that answer datagrams, each by a socket of its own: the system spreads what comes to one address over them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use socket2::{Domain, Protocol, Socket, Type};

use super::stats::{UdpCounts, UdpStats};
use super::worker::Worker;
use crate::core::Core;

/// Bytes that the system is asked to keep for each socket: some 20,000 announces.
const BUFFER: usize = 8 * 1024 * 1024;

/// A UDP tracker at one address. It stops when it is dropped.
#[derive(Debug)]
pub struct UdpServer {
    local: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    stats: Vec<Arc<UdpStats>>,
}

impl UdpServer {
    /// Answers what comes to `at` by `workers` threads, one at least. Port 0 takes any free port.
    ///
    /// # Errors
    /// What the system says of the address.
    pub fn start(core: &Arc<Core>, at: SocketAddr, workers: usize) -> io::Result<Self> {
        let first = open(at)?;
        let local = first.local_addr()?;
        let mut sockets = vec![first];
        while sockets.len() < workers {
            sockets.push(open(local)?);
        }
        let mut server = Self {
            local,
            stop: Arc::default(),
            threads: Vec::new(),
            stats: Vec::new(),
        };
        for (number, socket) in sockets.into_iter().enumerate() {
            let stats = Arc::<UdpStats>::default();
            server.stats.push(Arc::clone(&stats));
            let worker = Worker::new(socket, Arc::clone(core), stats, Arc::clone(&server.stop))?;
            let thread = std::thread::Builder::new().name(format!("udp-tracker-{number}"));
            server.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(server)
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What it has answered, over all threads.
    pub fn counts(&self) -> UdpCounts {
        let mut sum = UdpCounts::default();
        for stats in &self.stats {
            sum.add(stats.read());
        }
        sum
    }

    /// Ends the threads, within a quarter of a second.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the UDP tracker has failed");
            }
        }
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Refuses an address that another program has: one that shares it, too, would take a part of what comes.
pub(crate) fn must_be_free(at: SocketAddr) -> io::Result<()> {
    unbound(at)?.bind(&at.into())
}

fn unbound(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if at.is_ipv6() {
        // Where all addresses are meant, IPv4 has a socket of its own or is served by this one: as the system is set.
        socket.set_only_v6(!at.ip().is_unspecified())?;
    }
    Ok(socket)
}

fn open(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = unbound(at)?;
    socket.set_reuse_port(true)?;
    // The system gives as much as its administrator allows.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.bind(&at.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use protocol::id::{InfoHash, PeerId};
    use protocol::tracker::Announce;
    use protocol::tracker::udp::{Family, Request, Response};

    use super::*;
    use crate::access::Mode;
    use crate::policy::Policy;
    use crate::swarms::SwarmOptions;

    fn ask(socket: &UdpSocket, request: &Request) -> Response {
        socket.send(&request.encode()).unwrap();
        let mut room = [0; 2048];
        let len = socket.recv(&mut room).unwrap();
        let family = Family::of(&socket.local_addr().unwrap());
        Response::decode(room.get(..len).unwrap(), family).unwrap()
    }

    #[test]
    fn clients_of_both_families_are_answered_by_several_threads() {
        let core = Core::new(
            SwarmOptions::default(),
            Mode::default(),
            Policy::default(),
            None,
        );
        let core = Arc::new(core);
        for at in [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            (Ipv6Addr::LOCALHOST, 0).into(),
        ] {
            let mut server = UdpServer::start(&core, at, 3).unwrap();
            for port in 1..=20_u16 {
                let socket = UdpSocket::bind((at.ip(), 0)).unwrap();
                socket.connect(server.local_addr()).unwrap();
                socket
                    .set_read_timeout(Some(Duration::from_secs(60)))
                    .unwrap();
                let connect = Request::Connect { transaction: 1 };
                let Response::Connect { connection, .. } = ask(&socket, &connect) else {
                    panic!("no connection id");
                };
                let announce = Request::Announce {
                    connection,
                    transaction: 2,
                    announce: Announce::new(InfoHash([1; 20]), PeerId([2; 20]), port),
                    url_data: Vec::new(),
                };
                let Response::Announce { peers, .. } = ask(&socket, &announce) else {
                    panic!("no peers");
                };
                assert_eq!(peers.len(), usize::from(port) - 1);
            }
            server.stop();
            let counts = server.counts();
            assert_eq!((counts.connects, counts.announces), (20, 20));
            assert_eq!(counts.received, 20 * (16 + 98));
        }
        assert_eq!(core.swarms.totals().v4.leechers, 20);
        assert_eq!(core.swarms.totals().v6.leechers, 20);
    }

    /// IPv4 alone has a second address on every machine.
    #[cfg(target_os = "linux")]
    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        let core = Core::new(
            SwarmOptions::default(),
            Mode::default(),
            Policy::default(),
            None,
        );
        let core = Arc::new(core);
        for at in [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            (Ipv6Addr::UNSPECIFIED, 0).into(),
        ] {
            let server = UdpServer::start(&core, at, 1).unwrap();
            let port = server.local_addr().port();
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            for asked in [[127, 0, 0, 1], [127, 0, 0, 2]] {
                let asked = SocketAddr::from((asked, port));
                let connect = Request::Connect { transaction: 1 };
                socket.send_to(&connect.encode(), asked).unwrap();
                let (_, from) = socket.recv_from(&mut [0; 64]).unwrap();
                assert_eq!(from, asked, "by {at}");
            }
        }
    }

    #[test]
    fn a_taken_address_is_told() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = taken.local_addr().unwrap();
        let core = Core::new(
            SwarmOptions::default(),
            Mode::default(),
            Policy::default(),
            None,
        );
        let error = UdpServer::start(&Arc::new(core), at, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
