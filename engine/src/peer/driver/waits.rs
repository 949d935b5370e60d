//! How long the requests in flight have been waiting.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests that are not answered, the oldest first, counted by the time at which they were sent.
#[derive(Debug, Default)]
pub(super) struct Waits {
    sent: VecDeque<(Instant, u32)>,
}

impl Waits {
    /// So many requests were sent.
    pub(super) fn sent(&mut self, now: Instant, requests: u32) {
        self.sent.push_back((now, requests));
    }

    /// No request is waited for any more.
    pub(super) fn clear(&mut self) {
        self.sent.clear();
    }

    /// So many requests were answered: how long ago the oldest of them was sent.
    pub(super) fn answered(&mut self, mut requests: u32, now: Instant) -> Duration {
        let mut longest = Duration::ZERO;
        while requests > 0 {
            let Some((at, count)) = self.sent.front_mut() else {
                break;
            };
            longest = longest.max(now.saturating_duration_since(*at));
            let taken = requests.min(*count);
            *count -= taken;
            requests -= taken;
            if *count == 0 {
                self.sent.pop_front();
            }
        }
        longest
    }

    /// So many requests, the youngest ones, are not waited for any more.
    pub(super) fn forget(&mut self, mut requests: u32) {
        while requests > 0
            && let Some((_, count)) = self.sent.back_mut()
        {
            let taken = requests.min(*count);
            *count -= taken;
            requests -= taken;
            if *count == 0 {
                self.sent.pop_back();
            }
        }
    }
}
