//! A peer that says whatever a test wants over a plain socket, and a relay that counts what passes.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::wait;

/// Message ids of BEP 3, 6 and 10, as far as tests say them.
pub mod id {
    /// The sender will not answer requests.
    pub const CHOKE: u8 = 0;
    /// The sender will answer requests.
    pub const UNCHOKE: u8 = 1;
    /// The sender wants something.
    pub const INTERESTED: u8 = 2;
    /// The sender has one more piece.
    pub const HAVE: u8 = 4;
    /// The pieces that the sender has.
    pub const BITFIELD: u8 = 5;
    /// Asks for a block.
    pub const REQUEST: u8 = 6;
    /// A block.
    pub const PIECE: u8 = 7;
    /// Takes a request back.
    pub const CANCEL: u8 = 8;
    /// The sender has everything (BEP 6).
    pub const HAVE_ALL: u8 = 14;
    /// The sender has nothing (BEP 6).
    pub const HAVE_NONE: u8 = 15;
    /// Refuses a request (BEP 6).
    pub const REJECT: u8 = 16;
    /// An extension's message (BEP 10).
    pub const EXTENDED: u8 = 20;
}

/// One side of a connection whose every byte is the test's.
#[derive(Debug)]
pub struct RawPeer {
    stream: TcpStream,
}

impl RawPeer {
    /// Dials `to` from the address `from`.
    ///
    /// # Errors
    /// What the socket says; no answer within [`PATIENCE`] is an error too.
    pub fn dial(to: SocketAddr, from: IpAddr) -> io::Result<Self> {
        Self::over(connect(to, from)?)
    }

    /// Takes the next connection of `listener`.
    ///
    /// # Errors
    /// What the socket says.
    pub fn accept(listener: &TcpListener) -> io::Result<Self> {
        Self::over(listener.accept()?.0)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Where this side is connected from.
    ///
    /// # Errors
    /// What the socket says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// How long reads and writes wait from now on.
    ///
    /// # Errors
    /// What the socket says.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))?;
        self.stream.set_write_timeout(Some(patience))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What the socket says.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a handshake with the bits of BEP 6 and 10, and reads the other side's.
    ///
    /// # Errors
    /// What the socket says, a hang-up included.
    pub fn shake(&mut self, info_hash: &[u8; 20]) -> io::Result<[u8; 68]> {
        self.raw(&handshake(info_hash))?;
        let mut theirs = [0; 68];
        self.stream.read_exact(&mut theirs)?;
        Ok(theirs)
    }

    /// Sends one message.
    ///
    /// # Errors
    /// What the socket says.
    pub fn say(&mut self, id: u8, payload: &[u8]) -> io::Result<()> {
        self.raw(&message(id, payload))
    }

    /// Reads one message, keep-alives left out.
    ///
    /// # Errors
    /// What the socket says; a message of over a mebibyte is an error.
    pub fn hear(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            let mut word = [0; 4];
            self.stream.read_exact(&mut word)?;
            let len = u32::from_be_bytes(word) as usize;
            if len == 0 {
                continue;
            }
            if len > 1 << 20 {
                return Err(io::Error::other("a message of over a mebibyte"));
            }
            let mut body = vec![0; len];
            self.stream.read_exact(&mut body)?;
            let payload = body.split_off(1);
            return Ok((body[0], payload));
        }
    }

    /// Reads messages until one has this id; returns its payload.
    ///
    /// # Errors
    /// What the socket says.
    pub fn hear_until(&mut self, id: u8) -> io::Result<Vec<u8>> {
        loop {
            let (got, payload) = self.hear()?;
            if got == id {
                return Ok(payload);
            }
        }
    }

    /// Whether the other side hangs up within `limit` and the [`patience`](wait::patience) for that; what it still says is
    /// thrown away.
    pub fn is_dropped_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + wait::patience(limit);
        let _ = self
            .stream
            .set_read_timeout(Some(Duration::from_millis(50)));
        let mut scratch = [0; 4096];
        while Instant::now() < end {
            match self.stream.read(&mut scratch) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return true,
            }
        }
        false
    }
}

/// Connects from an address: clients keep one connection for each.
fn connect(to: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    Ok(socket.into())
}

/// A handshake with the bits of BEP 6 and 10 and a peer id that nobody else has.
pub fn handshake(info_hash: &[u8; 20]) -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04".to_vec();
    bytes.extend(info_hash);
    bytes.extend(format!("-XX0000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed)).bytes());
    bytes
}

/// A message with its length in front.
pub fn message(id: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32 + 1).to_be_bytes().to_vec();
    bytes.push(id);
    bytes.extend(payload);
    bytes
}

/// The payload of a request, a cancel or a reject.
pub fn block(piece: u32, begin: u32, len: u32) -> Vec<u8> {
    [piece, begin, len]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

/// Passes connections on to one address, at a bounded rate towards the dialer, and counts those bytes.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    passed: Arc<AtomicU64>,
}

impl Relay {
    /// Listens at `address` for the rest of the process and passes everything on to `to`; `rate` is in bytes a second,
    /// per connection.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(address: SocketAddr, to: SocketAddr, rate: u64) -> Self {
        let listener = TcpListener::bind(address).expect("a free address");
        let passed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&passed);
        std::thread::spawn(move || {
            for dialer in listener.incoming().flatten() {
                let Ok(server) = connect(to, address.ip()) else {
                    continue;
                };
                let (Ok(dialer2), Ok(server2)) = (dialer.try_clone(), server.try_clone()) else {
                    continue;
                };
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || pass(&server, &dialer, Some((rate, &counter))));
                std::thread::spawn(move || pass(&dialer2, &server2, None));
            }
        });
        Self { address, passed }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that have gone towards dialers.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, meter: Option<(u64, &AtomicU64)>) {
    let begin = Instant::now();
    let (mut total, mut buffer) = (0, [0; 16 * 1024]);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
        if let Some((rate, counter)) = meter {
            counter.fetch_add(n as u64, Ordering::Relaxed);
            total += n as u64;
            let due = Duration::from_secs_f64(total as f64 / rate as f64);
            wait::pause(due.saturating_sub(begin.elapsed()));
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// How long a raw peer waits for the other side before it gives up.
pub const PATIENCE: Duration = wait::patience(Duration::from_secs(10));
