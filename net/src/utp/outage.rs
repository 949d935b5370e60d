//! What becomes of streams when there is no way for datagrams any more, or another one.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::shared::Shared;

/// Ends the streams with hosts that know us no more: what we would send them comes from an address that they have no stream
/// with.
pub(super) fn end_moved(shared: &Shared) {
    while let Some(peer) = shared.socket.take_moved() {
        let now = Instant::now().into_std();
        let mut all = shared.table.lock().all();
        all.retain(|conn| conn.key.peer == peer);
        tracing::debug!(%peer, streams = all.len(), "knows us no more");
        for conn in all {
            let mut state = conn.state.lock();
            state.machine.lose_network();
            // A RESET would come from where nobody knows us.
            let _ = state.machine.poll_transmit(now, &mut Vec::new());
            shared.queue(&conn, &mut state);
        }
    }
}

/// Ends all streams when the way is gone: whoever has one finds out at once, as with TCP, and not by timeouts that would
/// grow meanwhile. The other sides, which wait for us, are told when there is a way again.
#[derive(Debug, Default)]
pub(super) struct Outage {
    is: bool,
    /// RESETs of the streams that have ended, and for whom they are.
    farewells: Vec<(SocketAddr, Vec<u8>)>,
}

impl Outage {
    /// Looks whether there is a way; true where there is none any more, and all streams were ended.
    pub(super) fn begins(&mut self, shared: &Shared) -> bool {
        let is = !shared.socket.is_up();
        if is == self.is {
            return false;
        }
        self.is = is;
        if is {
            self.end_all(shared);
        } else {
            for (peer, reset) in std::mem::take(&mut self.farewells) {
                let _ = shared.socket.try_send_to(&reset, peer);
            }
        }
        is
    }

    fn end_all(&mut self, shared: &Shared) {
        let now = Instant::now().into_std();
        let all = shared.table.lock().all();
        tracing::debug!(streams = all.len(), "no way for datagrams");
        for conn in all {
            let mut state = conn.state.lock();
            state.machine.lose_network();
            let mut reset = Vec::new();
            if state.machine.poll_transmit(now, &mut reset).is_some() {
                self.farewells.push((conn.key.peer, reset));
            }
            shared.queue(&conn, &mut state);
        }
    }
}
