//! Waiting for new pieces of our own.

use std::sync::Arc;
use std::task::Context;

use crate::content::Content;
use crate::peer::key::PeerKey;

/// Wakes a driver when the torrent has new pieces to tell of.
///
/// Unlike the channels of the runtime it wakes in a fixed order, which keeps simulations reproducible.
#[derive(Debug)]
pub(crate) struct Bell {
    content: Arc<Content>,
    key: PeerKey,
    heard: usize,
    waiting: bool,
}

impl Bell {
    /// The bell of `content`, for connection `key`.
    pub(crate) fn new(content: Arc<Content>, key: PeerKey) -> Self {
        let heard = content.have.rung();
        Self {
            content,
            key,
            heard,
            waiting: false,
        }
    }

    /// Whether it has rung since the last time; otherwise the task is woken when it does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let have = &self.content.have;
        let mut fired = false;
        loop {
            if !self.waiting {
                have.wait(self.key.0, cx.waker());
                self.waiting = true;
            }
            // It may have rung just before the place was taken; a ring empties all places.
            let rung = have.rung();
            if rung == self.heard {
                return fired;
            }
            self.heard = rung;
            self.waiting = false;
            fired = true;
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.content.have.leave(self.key.0);
    }
}
