//! The downloading side: one thread a connection that reads and writes, one thread that verifies.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Instant;

use benches::usage::cpu;
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};
use storage::{Chunk, Store};

use crate::Usage;
use crate::options::Options;
use crate::seeder::{HEADER_LEN, REQUEST_LEN};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Downloads and verifies everything; returns what that took.
pub(crate) fn run(options: &Options, from: SocketAddr) -> Result<Usage, Box<dyn Error>> {
    let content = options.content();
    let store = content.store(&content.copy(), options.storage)?;
    let order = shuffled(store.geometry());
    let next = AtomicUsize::new(0);
    let streams: Vec<TcpStream> = (0..options.connections)
        .map(|_| TcpStream::connect(from))
        .collect::<Result<_, _>>()?;
    let (begin, used) = (Instant::now(), cpu());
    let (finished, to_verify) = mpsc::sync_channel(1024);
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let to_check = &store;
        let verifier = scope.spawn(move || verify(to_check, &to_verify));
        let threads: Vec<_> = streams
            .into_iter()
            .map(|stream| {
                let finished = finished.clone();
                let work = Work {
                    store: &store,
                    order: &order,
                    next: &next,
                    finished,
                    window: options.window,
                };
                scope.spawn(move || Connection::new(stream, work).run())
            })
            .collect();
        drop(finished);
        for thread in threads {
            thread.join().expect("a receiving thread does not panic")?;
        }
        let good = verifier
            .join()
            .expect("the verifying thread does not panic");
        if good == order.len() {
            Ok(())
        } else {
            Err(format!("{good} of {} pieces are good", order.len()).into())
        }
    })?;
    Ok(Usage {
        cpu: cpu().saturating_sub(used),
        wall: begin.elapsed(),
    })
}

/// What both ends set on their sockets: no delay, and the congestion control of ordinary Linux machines, so that figures
/// from machines with another default can be compared.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    let _ = socket2::SockRef::from(stream).set_tcp_congestion(b"cubic");
    stream.set_nodelay(true)
}

/// Verifies pieces as many at once as fill the lanes, the rest at the end; returns how many were good.
fn verify(store: &Store, finished: &Receiver<PieceIndex>) -> usize {
    let (mut good, mut verdicts) = (0, Vec::new());
    loop {
        let batch: Vec<PieceIndex> = finished.iter().take(hash::lanes().full()).collect();
        if batch.is_empty() {
            return good;
        }
        store.verify(&batch, &mut verdicts);
        good += verdicts.iter().filter(|verdict| verdict.is_good()).count();
    }
}

/// What the connections share.
struct Work<'a> {
    store: &'a Store,
    order: &'a [PieceIndex],
    next: &'a AtomicUsize,
    finished: SyncSender<PieceIndex>,
    window: usize,
}

/// One connection: blocks come back in the order in which they were asked for.
struct Connection<'a> {
    stream: TcpStream,
    work: Work<'a>,
    /// The piece that is being asked for, and its next block.
    asking: Option<(PieceIndex, u32)>,
    in_flight: usize,
    /// The block that is arriving: its place in the torrent, and what is left of it.
    arriving: (u64, usize),
}

impl<'a> Connection<'a> {
    fn new(stream: TcpStream, work: Work<'a>) -> Self {
        Self {
            stream,
            work,
            asking: None,
            in_flight: 0,
            arriving: (0, 0),
        }
    }

    fn run(mut self) -> io::Result<()> {
        tune(&self.stream)?;
        let mut buffer = vec![0; BUFFER];
        let mut filled = 0;
        loop {
            if self.in_flight <= self.work.window / 2 {
                self.ask()?;
            }
            if self.in_flight == 0 && self.arriving.1 == 0 {
                return Ok(());
            }
            let read = self.stream.read(&mut buffer[filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            let taken = self.take(&buffer[..filled])?;
            buffer.copy_within(taken..filled, 0);
            filled -= taken;
        }
    }

    /// Fills the window with one write.
    fn ask(&mut self) -> io::Result<()> {
        let geometry = self.work.store.geometry();
        let mut requests = Vec::with_capacity(REQUEST_LEN * self.work.window);
        while self.in_flight < self.work.window {
            let Some((piece, block)) = self.asking.take().or_else(|| self.next_piece()) else {
                break;
            };
            let len = geometry.len_of(piece) - block * BLOCK_LEN;
            requests.extend(13_u32.to_be_bytes());
            requests.push(6);
            for word in [piece.get(), block * BLOCK_LEN, len.min(BLOCK_LEN)] {
                requests.extend(word.to_be_bytes());
            }
            self.in_flight += 1;
            self.asking = (block + 1 < geometry.blocks_in(piece)).then_some((piece, block + 1));
        }
        self.stream.write_all(&requests)
    }

    fn next_piece(&self) -> Option<(PieceIndex, u32)> {
        let turn = self.work.next.fetch_add(1, Ordering::Relaxed);
        self.work.order.get(turn).map(|piece| (*piece, 0))
    }

    /// Writes the payload in `bytes` to the store with as few system calls as its order allows; returns how many bytes
    /// were used up.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let geometry = self.work.store.geometry();
        let mut chunks = Vec::with_capacity(BUFFER / BLOCK_LEN as usize + 2);
        let mut done = Vec::new();
        let mut at = 0;
        loop {
            let (offset, left) = self.arriving;
            if left > 0 {
                let len = left.min(bytes.len() - at);
                chunks.push(Chunk {
                    offset,
                    data: &bytes[at..at + len],
                });
                at += len;
                self.arriving = (offset + len as u64, left - len);
                if len < left {
                    break;
                }
                self.in_flight -= 1;
                let end = offset + len as u64;
                let piece = geometry
                    .piece_at(end - 1)
                    .ok_or(io::ErrorKind::InvalidData)?;
                if end == geometry.offset_of(piece) + u64::from(geometry.len_of(piece)) {
                    done.push(piece);
                }
            }
            let Some(header) = bytes.get(at..at + HEADER_LEN) else {
                break;
            };
            let word = |n: usize| {
                u32::from_be_bytes([header[n], header[n + 1], header[n + 2], header[n + 3]])
            };
            let piece = geometry.piece(word(5)).ok_or(io::ErrorKind::InvalidData)?;
            self.arriving = (
                geometry.offset_of(piece) + u64::from(word(9)),
                word(0) as usize - 9,
            );
            at += HEADER_LEN;
        }
        self.work.store.write(&chunks).map_err(io::Error::other)?;
        for piece in done {
            self.work.finished.send(piece).map_err(io::Error::other)?;
        }
        Ok(at)
    }
}

/// All pieces in an order that is random, and the same each time.
fn shuffled(geometry: Geometry) -> Vec<PieceIndex> {
    let mut order: Vec<PieceIndex> = geometry.iter().collect();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for n in (1..order.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(n, ((state >> 33) % (n as u64 + 1)) as usize);
    }
    order
}
