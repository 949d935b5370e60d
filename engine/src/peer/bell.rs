//! Waiting for new pieces of our own.

use std::fmt;
use std::task::Context;

use tokio::sync::watch;
use tokio_util::sync::ReusableBoxFuture;

/// Wakes a driver when the torrent has new pieces to tell of.
pub(crate) struct Bell(Option<ReusableBoxFuture<'static, watch::Receiver<usize>>>);

impl Bell {
    /// A bell that never rings.
    pub(crate) const fn silent() -> Self {
        Self(None)
    }

    /// A bell that rings with `receiver`.
    pub(crate) fn new(receiver: watch::Receiver<usize>) -> Self {
        Self(Some(ReusableBoxFuture::new(wait(receiver))))
    }

    /// Whether it has rung since the last time; otherwise the task is woken when it does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(future) = &mut self.0 else {
            return false;
        };
        let mut rung = false;
        while let std::task::Poll::Ready(receiver) = future.poll(cx) {
            rung = true;
            if receiver.has_changed().is_err() {
                self.0 = None;
                break;
            }
            future.set(wait(receiver));
        }
        rung
    }
}

async fn wait(mut receiver: watch::Receiver<usize>) -> watch::Receiver<usize> {
    let _ = receiver.changed().await;
    receiver
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bell").field(&self.0.is_some()).finish()
    }
}
