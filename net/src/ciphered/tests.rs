use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::id::InfoHash;
use protocol::mse::{Acceptor, Choice, Initiator, Method, Methods, Step, Tag};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// The ciphers of both ends of a connection.
fn pair(seed: u64) -> (Ciphers, Ciphers) {
    let mut rng = StdRng::seed_from_u64(seed);
    let torrent = InfoHash([7; 20]);
    let mut a = Initiator::new(torrent, Methods::RC4, b"", &mut rng);
    let mut b = Acceptor::new(Choice {
        allowed: Methods::RC4,
        preferred: Method::Rc4,
    });
    let find = |tag| (tag == Tag::of(torrent)).then_some(torrent);
    let mut ends = (None, None);
    while ends.0.is_none() {
        let mut input = a.output();
        loop {
            match b.handle(&mut input, find).unwrap() {
                Step::Agree => b.agree(&mut rng).unwrap(),
                Step::Done(done) => break ends.1 = done.ciphers,
                Step::More => break,
            }
        }
        a.consume_output(usize::MAX);
        let mut input = b.output();
        ends.0 = a.handle(&mut input).unwrap().and_then(|done| done.ciphers);
        b.consume_output(usize::MAX);
    }
    (ends.0.unwrap(), ends.1.unwrap())
}

/// A stream that takes and gives as much as it likes, and says now and then that it is not ready.
struct Moody {
    rng: StdRng,
    wire: Arc<Mutex<VecDeque<u8>>>,
    /// Takes no more.
    stuck: Arc<Mutex<bool>>,
    fails: bool,
}

impl Moody {
    fn is_ready(&mut self, cx: &Context<'_>) -> bool {
        let ready = self.rng.random_range(0..3) > 0;
        if !ready {
            cx.waker().wake_by_ref();
        }
        ready
    }
}

impl AsyncRead for Moody {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_ready(cx) {
            return Poll::Pending;
        }
        let wire = Arc::clone(&self.wire);
        let mut wire = wire.lock();
        let most = wire.len().min(buf.remaining());
        let len = self.rng.random_range(most.min(1)..=most);
        buf.put_slice(&wire.drain(..len).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Moody {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.fails {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if *self.stuck.lock() || !self.is_ready(cx) {
            return Poll::Pending;
        }
        let len = self.rng.random_range(1..=buf.len());
        self.wire.lock().extend(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for Moody {
    fn peer_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn local_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], 2).into()
    }
}

fn moody(seed: u64) -> Moody {
    Moody {
        rng: StdRng::seed_from_u64(seed),
        wire: Arc::default(),
        stuck: Arc::default(),
        fails: false,
    }
}

#[tokio::test]
async fn what_is_written_in_any_parts_is_read_in_any_parts() {
    for seed in 0..20 {
        let (ours, theirs) = pair(seed);
        let stream = moody(seed);
        let there = Moody {
            wire: Arc::clone(&stream.wire),
            ..moody(seed + 100)
        };
        let wire = Arc::clone(&stream.wire);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut data = vec![0; 300_000];
        rng.fill_bytes(&mut data);
        let mut out = Ciphered::new(Box::new(stream), ours);
        let mut at = 0;
        while at < data.len() {
            let mut left = &data[at..];
            let mut slices = Vec::new();
            for _ in 0..rng.random_range(1..20) {
                let (slice, rest) = left.split_at(rng.random_range(0..=left.len().min(20_000)));
                slices.push(IoSlice::new(slice));
                left = rest;
            }
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            let written = poll_fn(|cx| Pin::new(&mut out).poll_write_vectored(cx, &slices)).await;
            let written = written.unwrap();
            assert!(written <= offered && (written > 0 || offered == 0));
            assert!(out.rest.len() <= SCRATCH, "what waits is bounded");
            at += written;
        }
        out.flush().await.unwrap();
        assert!(out.rest.is_empty() && wire.lock().len() == data.len());
        assert!(*wire.lock() != data, "it is not plain");
        let mut got = vec![0; data.len()];
        let mut back = Ciphered::new(Box::new(there), theirs);
        back.read_exact(&mut got).await.unwrap();
        assert!(got == data, "seed {seed}");
    }
}

#[tokio::test]
async fn a_stream_that_takes_nothing_holds_one_buffer_and_no_more() {
    let stream = moody(1);
    let stuck = Arc::clone(&stream.stuck);
    let wire = Arc::clone(&stream.wire);
    *stuck.lock() = true;
    let mut out = Ciphered::new(Box::new(stream), pair(1).0);
    let data = vec![1; 10 * SCRATCH];
    assert_eq!(out.write(&data).await.unwrap(), SCRATCH);
    let more = poll_fn(|cx| Poll::Ready(Pin::new(&mut out).poll_write(cx, &data))).await;
    assert!(more.is_pending() && out.rest.len() == SCRATCH);
    *stuck.lock() = false;
    out.flush().await.unwrap();
    assert_eq!(wire.lock().len(), SCRATCH);
    assert_eq!(out.rest.capacity(), 0, "the memory is given back");
}

#[tokio::test]
async fn after_an_error_nothing_is_sent_any_more() {
    let stream = Moody {
        fails: true,
        ..moody(1)
    };
    let mut out = Ciphered::new(Box::new(stream), pair(1).0);
    for _ in 0..2 {
        let error = out.write(b"bytes").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
