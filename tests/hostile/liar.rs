//! Seeds that lie to everyone who dials them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::torrent::Torrent;
use support::wire::{RawPeer, id};
use support::{Lab, wait};

/// A listener that tells the same lie on each connection.
#[derive(Debug)]
pub(crate) struct Liar {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
}

/// What is said on a connection after the handshakes, until the other side hangs up.
pub(crate) type Lie = fn(&mut Line<'_>) -> io::Result<()>;

/// A connection of a liar.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    peer: RawPeer,
    torrent: &'a Torrent,
    sent: &'a AtomicU64,
}

impl Liar {
    /// Listens at an address of its own for the rest of the process.
    pub(crate) fn start(lab: &Lab, torrent: &Torrent, lie: Lie) -> Self {
        let address = lab.address();
        let listener = TcpListener::bind(address).expect("a free address");
        let sent = Arc::new(AtomicU64::new(0));
        let (counter, torrent) = (Arc::clone(&sent), torrent.clone());
        std::thread::spawn(move || {
            while let Ok(peer) = RawPeer::accept(&listener) {
                let (counter, torrent) = (Arc::clone(&counter), torrent.clone());
                std::thread::spawn(move || {
                    let mut line = Line {
                        peer,
                        torrent: &torrent,
                        sent: &counter,
                    };
                    // An error is the end of the connection, which is what the other side should bring about.
                    let _ = line
                        .peer
                        .shake(&torrent.info_hash)
                        .and_then(|_| lie(&mut line));
                });
            }
        });
        Self { address, sent }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many lying messages it has sent, or requests it has let lie.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Line<'_> {
    fn lie(&mut self, message_id: u8, payload: &[u8]) -> io::Result<()> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.peer.say(message_id, payload)
    }

    /// Announces metadata of `size` bytes and hands every request for a piece of it to `answer`, together with the id
    /// that the other side gave to the extension.
    fn serve_metadata(
        &mut self,
        size: u64,
        mut answer: impl FnMut(&mut Self, u8, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let hello = format!("\0d1:md11:ut_metadatai{OUR_ID}ee13:metadata_sizei{size}ee");
        self.peer.say(id::EXTENDED, hello.as_bytes())?;
        self.peer.say(id::HAVE_ALL, &[])?;
        let mut their_id = None;
        loop {
            let payload = self.peer.hear_until(id::EXTENDED)?;
            let text = String::from_utf8_lossy(&payload).into_owned();
            match payload.first() {
                Some(0) => their_id = number_after(&text, "11:ut_metadatai"),
                Some(&OUR_ID) => {
                    let (Some(to), Some(piece)) = (their_id, number_after(&text, "5:piecei"))
                    else {
                        continue;
                    };
                    answer(self, to as u8, piece)?;
                }
                _ => {}
            }
        }
    }

    fn metadata_piece(&mut self, to: u8, piece: u64, total: u64, data: &[u8]) -> io::Result<()> {
        let mut payload = vec![to];
        payload.extend(format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei{total}ee").bytes());
        payload.extend(data);
        self.lie(id::EXTENDED, &payload)
    }
}

/// Has everything, unchokes everyone, and answers each request with zeros.
pub(crate) fn rotten_seed(line: &mut Line<'_>) -> io::Result<()> {
    line.peer.say(id::HAVE_ALL, &[])?;
    line.peer.say(id::UNCHOKE, &[])?;
    loop {
        let request = line.peer.hear_until(id::REQUEST)?;
        let mut payload = request[..8].to_vec();
        payload.resize(8 + 16 * 1024, 0);
        line.lie(id::PIECE, &payload)?;
    }
}

/// Has everything, unchokes everyone, and answers no request.
pub(crate) fn stalled_seed(line: &mut Line<'_>) -> io::Result<()> {
    line.peer.say(id::HAVE_ALL, &[])?;
    line.peer.say(id::UNCHOKE, &[])?;
    line.peer.set_patience(Duration::from_mins(2))?;
    loop {
        line.peer.hear_until(id::REQUEST)?;
        line.sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Answers each request with something else: another piece, another offset, another length, a refusal of what nobody
/// asked for, or silence and a choke.
pub(crate) fn wrong_answers(line: &mut Line<'_>) -> io::Result<()> {
    line.peer.say(id::HAVE_ALL, &[])?;
    line.peer.say(id::UNCHOKE, &[])?;
    for turn in 0_u32.. {
        let request = line.peer.hear_until(id::REQUEST)?;
        let mut payload = request[..8].to_vec();
        match turn % 6 {
            0 => payload[3] ^= 1,
            1 => payload[5] ^= 0x40,
            2 => payload.resize(8 + 16 * 1024 - 1, 7),
            3 => payload.resize(8 + 16 * 1024 + 1, 7),
            4 => {
                line.lie(id::REJECT, &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9])?;
                continue;
            }
            _ => {
                line.lie(id::CHOKE, &[])?;
                line.peer.say(id::UNCHOKE, &[])?;
                continue;
            }
        }
        if payload.len() == 8 {
            payload.resize(8 + 16 * 1024, 7);
        }
        line.lie(id::PIECE, &payload)?;
    }
    Ok(())
}

/// Says the right size and sends garbage, more of it than was asked for, without end.
pub(crate) fn endless_metadata(line: &mut Line<'_>) -> io::Result<()> {
    let size = line.torrent.info.len() as u64;
    line.serve_metadata(size, |line, to, _| {
        for piece in 0.. {
            line.metadata_piece(to, piece, size, &[b'x'; 16 * 1024])?;
        }
        Ok(())
    })
}

/// Says the right size and sends garbage of that size.
pub(crate) fn false_metadata(line: &mut Line<'_>) -> io::Result<()> {
    let size = line.torrent.info.len() as u64;
    line.serve_metadata(size, |line, to, piece| {
        let len = size.saturating_sub(piece * 16 * 1024).min(16 * 1024);
        line.metadata_piece(to, piece, size, &vec![b'y'; len as usize])
    })
}

/// Says that the metadata is larger than any memory.
pub(crate) fn huge_metadata(line: &mut Line<'_>) -> io::Result<()> {
    line.serve_metadata(HUGE, |line, to, piece| {
        line.metadata_piece(to, piece, HUGE, &[b'z'; 16 * 1024])
    })
}

/// Has metadata and gives none of it.
pub(crate) fn refused_metadata(line: &mut Line<'_>) -> io::Result<()> {
    let size = line.torrent.info.len() as u64;
    line.serve_metadata(size, |line, to, piece| {
        let mut payload = vec![to];
        payload.extend(format!("d8:msg_typei2e5:piecei{piece}ee").bytes());
        line.lie(id::EXTENDED, &payload)
    })
}

/// Has metadata and never answers.
pub(crate) fn silent_metadata(line: &mut Line<'_>) -> io::Result<()> {
    let size = line.torrent.info.len() as u64;
    line.serve_metadata(size, |_, _, _| {
        wait::pause(Duration::from_mins(1));
        Ok(())
    })
}

fn number_after(text: &str, mark: &str) -> Option<u64> {
    text.split(mark).nth(1)?.split('e').next()?.parse().ok()
}

const OUR_ID: u8 = 3;
const HUGE: u64 = 1 << 40;
