//! The serving side: one thread a connection, many blocks a write.

use std::error::Error;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

use benches::usage::cpu;
use protocol::geometry::BLOCK_LEN;
use storage::Store;

use crate::Usage;
use crate::options::Options;

/// Length of a request on the wire: length, id, piece, begin, length.
pub(crate) const REQUEST_LEN: usize = 17;
/// Length of what stands before the payload of a block: length, id, piece, begin.
pub(crate) const HEADER_LEN: usize = 13;
/// Blocks in one write.
const BATCH: usize = 64;

/// Prints its address, serves all connections until they are closed, and returns what that took.
pub(crate) fn run(options: &Options) -> Result<Usage, Box<dyn Error>> {
    let content = options.content();
    let store = content.store(&content.original(), options.storage)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    let streams: Vec<TcpStream> = (0..options.connections)
        .map(|_| listener.accept().map(|(stream, _)| stream))
        .collect::<Result<_, _>>()?;
    let (begin, used) = (Instant::now(), cpu());
    std::thread::scope(|scope| {
        let threads: Vec<_> = streams
            .into_iter()
            .map(|stream| scope.spawn(|| serve(stream, &store, options.piece_len)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("a serving thread does not panic"))
    })?;
    Ok(Usage {
        cpu: cpu().saturating_sub(used),
        wall: begin.elapsed(),
    })
}

fn serve(mut stream: TcpStream, store: &Store, piece_len: u64) -> io::Result<()> {
    crate::leecher::tune(&stream)?;
    let mut buffer = vec![0; REQUEST_LEN * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let whole = filled - filled % REQUEST_LEN;
        for batch in buffer[..whole].chunks(REQUEST_LEN * BATCH) {
            answer(&mut stream, store, piece_len, batch)?;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// Answers a batch of requests by one vectored write of headers and slices of the map.
fn answer(stream: &mut TcpStream, store: &Store, piece_len: u64, batch: &[u8]) -> io::Result<()> {
    let mut headers = [[0; HEADER_LEN]; BATCH];
    let mut views = Vec::with_capacity(BATCH);
    for (request, header) in batch.chunks(REQUEST_LEN).zip(&mut headers) {
        let word = |at: usize| {
            u32::from_be_bytes([
                request[at],
                request[at + 1],
                request[at + 2],
                request[at + 3],
            ])
        };
        let (piece, begin, len) = (word(5), word(9), word(13));
        header[..4].copy_from_slice(&(len + 9).to_be_bytes());
        header[4] = 7;
        header[5..].copy_from_slice(&request[5..13]);
        let offset = u64::from(piece) * piece_len + u64::from(begin);
        views.push(
            store
                .view(offset, len.min(BLOCK_LEN))
                .map_err(io::Error::other)?,
        );
    }
    let mut slices = Vec::with_capacity(2 * BATCH);
    for (header, view) in headers.iter().zip(&views) {
        slices.push(IoSlice::new(header));
        slices.extend(view.segments().map(IoSlice::new));
    }
    let mut slices = &mut slices[..];
    while !slices.is_empty() {
        let sent = stream.write_vectored(slices)?;
        IoSlice::advance_slices(&mut slices, sent);
    }
    Ok(())
}
