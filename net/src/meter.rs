//! Bytes that pass are counted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What came and what was sent. Shared by all that is counted together.
#[derive(Debug, Default)]
pub struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    /// Counts bytes that came.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes that were sent.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What came until now, and what was sent.
    pub fn bytes(&self) -> [u64; 2] {
        [&self.received, &self.sent].map(|bytes| bytes.load(Ordering::Relaxed))
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    meter: Option<Arc<Meter>>,
}

impl<S> Metered<S> {
    /// Counts the bytes of a stream, if there is anything to count them on.
    pub(crate) const fn new(stream: S, meter: Option<Arc<Meter>>) -> Self {
        Self { stream, meter }
    }

    fn count(&self, sent: io::Result<usize>) -> Poll<io::Result<usize>> {
        if let (Some(meter), Ok(bytes)) = (&self.meter, &sent) {
            meter.sent(*bytes);
        }
        Poll::Ready(sent)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(meter) = &self.meter {
            meter.received(buf.filled().len().saturating_sub(before));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.count(sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.count(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_passes_is_counted_in_its_direction() {
        let meter = Arc::new(Meter::default());
        let (ours, mut theirs) = duplex(100);
        let mut ours = Metered::new(ours, Some(Arc::clone(&meter)));
        theirs.write_all(b"an answer").await.unwrap();
        let mut came = [0; 9];
        ours.read_exact(&mut came).await.unwrap();
        assert_eq!(meter.bytes(), [9, 0]);
        ours.write_all(b"ask").await.unwrap();
        let parts = [IoSlice::new(b"me")];
        assert_eq!(ours.write_vectored(&parts).await.unwrap(), 2);
        assert_eq!(meter.bytes(), [9, 5]);
    }
}
