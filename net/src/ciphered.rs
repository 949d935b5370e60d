//! A stream under the two RC4 key streams of the stream encryption ([`protocol::mse`]).

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use protocol::mse::Ciphers;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{BoxStream, ByteStream};

/// Bytes that are encrypted for one system call: what stays in the second-level cache beside the reader's buffer.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// A stream whose bytes go through RC4.
///
/// What is read is decrypted where it lies. What is written may lie in memory that is not ours to change, such as a map
/// of a file, so it is encrypted into a buffer that all streams of a thread share. A key stream cannot be turned back:
/// bytes that are encrypted count as written, and those that the stream below has not taken yet, 64 KiB at most, are
/// kept and go first. A writer that has nothing more to say calls `poll_flush` until they are gone.
pub struct Ciphered {
    inner: BoxStream,
    ciphers: Ciphers,
    /// Encrypted and not sent: empty most of the time.
    rest: Vec<u8>,
    /// Bytes of the rest that were sent meanwhile.
    sent: usize,
    /// Why encrypted bytes were lost, after which nothing can be sent any more.
    broken: Option<io::ErrorKind>,
}

impl Ciphered {
    /// Puts a stream under the ciphers, from its next byte on in both directions.
    pub fn new(inner: BoxStream, ciphers: Ciphers) -> Self {
        Self {
            inner,
            ciphers,
            rest: Vec::new(),
            sent: 0,
            broken: None,
        }
    }

    /// Sends what is encrypted already.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.rest.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(sent) => self.sent += sent,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.rest = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Encrypts up to a scratch buffer full of `source`, and sends it; returns its length, and whether all of it went.
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Source<'_>,
        scratch: &mut [u8],
    ) -> io::Result<(usize, bool)> {
        let mut filled = 0;
        while let Some(part) = source.next(scratch.len() - filled) {
            filled += self.ciphers.outgoing.apply_to(part, &mut scratch[filled..]);
        }
        let sealed = &scratch[..filled];
        let sent = match Pin::new(&mut self.inner).poll_write(cx, sealed) {
            Poll::Ready(Ok(0)) if filled > 0 => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        self.rest.extend_from_slice(&sealed[sent..]);
        Ok((filled, sent == filled))
    }
}

impl fmt::Debug for Ciphered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ciphered").field(&&*self.inner).finish()
    }
}

/// What is left of the slices of a vectored write.
struct Source<'a> {
    slices: &'a [IoSlice<'a>],
    /// Bytes of the first slice that are taken.
    taken: usize,
}

impl<'a> Source<'a> {
    /// The next bytes, `most` at most; none where there are none or none are wanted.
    fn next(&mut self, most: usize) -> Option<&'a [u8]> {
        while let Some((first, others)) = self.slices.split_first() {
            let left = first.get(self.taken..).unwrap_or_default();
            if left.is_empty() {
                self.slices = others;
                self.taken = 0;
                continue;
            }
            let part = left.get(..most).unwrap_or(left);
            self.taken += part.len();
            return (!part.is_empty()).then_some(part);
        }
        None
    }

    fn is_empty(&self) -> bool {
        let bytes: usize = self.slices.iter().map(|slice| slice.len()).sum();
        bytes == self.taken
    }
}

impl ByteStream for Ciphered {
    fn peer_addr(&self) -> SocketAddr {
        self.inner.peer_addr()
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    fn is_utp(&self) -> bool {
        self.inner.is_utp()
    }

    fn reads_in_process(&self) -> bool {
        true
    }

    fn set_read_low_water(&self, bytes: usize) {
        self.inner.set_read_low_water(bytes);
    }
}

impl AsyncRead for Ciphered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Some(came) = buf.filled_mut().get_mut(before..) {
            self.ciphers.incoming.apply(came);
        }
        outcome
    }
}

impl AsyncWrite for Ciphered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(kind) = this.broken {
            return Poll::Ready(Err(kind.into()));
        }
        ready!(this.poll_drain(cx))?;
        BUFFER.with_borrow_mut(|scratch| {
            let mut source = Source {
                slices: bufs,
                taken: 0,
            };
            let mut written = 0;
            while !source.is_empty() {
                match this.poll_some(cx, &mut source, scratch) {
                    Ok((len, all)) => {
                        written += len;
                        if !all {
                            break;
                        }
                    }
                    Err(error) => {
                        this.broken = Some(error.kind());
                        return Poll::Ready(Err(error));
                    }
                }
            }
            Poll::Ready(Ok(written))
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
