//! Messages of extensions that programs bring along.

use std::task::Context;

use super::Driver;

/// Bytes of output that may wait when a message is added to them.
const OUTPUT_LITTLE: usize = 16 * 1024;

/// Bytes around a message on the wire.
const HEADER_LEN: usize = 6;

impl Driver {
    /// Sends what extensions have to say, as far as the peer reads and the limit allows.
    pub(super) fn stage_plugged(&mut self, cx: &mut Context<'_>) {
        let Some(mut joined) = self.joined.take() else {
            return;
        };
        while self.session.output().len() <= OUTPUT_LITTLE {
            let Some((at, len)) = joined.poll_next(cx) else {
                break;
            };
            if !self.afford(cx, len + HEADER_LEN) {
                break;
            }
            if let Some(payload) = joined.take_next() {
                // A peer may have turned it off meanwhile.
                let _ = self.session.custom(at, &payload);
            }
        }
        self.joined = Some(joined);
    }
}
