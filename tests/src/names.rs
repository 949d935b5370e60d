//! A name server that knows one answer.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// Answers every question for IPv4 with the same address, and others with nothing, until the test ends.
#[derive(Debug)]
pub struct NameServer {
    asked: Arc<Mutex<Vec<SocketAddr>>>,
}

impl NameServer {
    /// Starts it.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start(at: SocketAddr, answer: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind(at).expect("an address for the name server");
        let asked = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                heard.lock().expect("no panic").push(from);
                let _ = socket.send_to(&reply(&buffer[..len], answer), from);
            }
        });
        Self { asked }
    }

    /// Who has asked so far.
    ///
    /// # Panics
    /// When the server has.
    pub fn asked(&self) -> Vec<SocketAddr> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// The answer to a question (RFC 1035, section 4).
fn reply(question: &[u8], answer: Ipv4Addr) -> Vec<u8> {
    let name = 12
        + question[12..]
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(0);
    let wants_v4 = question[name + 2] == 1;
    let mut out = question[..2].to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_v4), 0, 0, 0, 0]);
    out.extend(&question[12..name + 5]);
    if wants_v4 {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        out.extend(answer.octets());
    }
    out
}
