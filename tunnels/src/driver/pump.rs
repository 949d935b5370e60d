//! Datagrams from outside, taken in the pump of the endpoint.

use std::net::SocketAddrV4;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::time::Instant;

use net::resolve::ip_literal;
use overlay::endpoint::Hook;
use overlay::packet::Prefix;
use overlay::wire::Address;

use super::faults::Sort;
use super::{Shared, State, frame_len, now};
use crate::Head;
use crate::message::Kind;
use crate::node::{HEADROOM, Handled, Refusal, TAILROOM};

/// Takes cells in the pump of an endpoint.
pub(super) struct Pumped(pub(super) Weak<Shared>);

impl Hook for Pumped {
    fn receive(&self, from: SocketAddrV4, datagram: &mut [u8]) -> bool {
        let Some(shared) = self.0.upgrade() else {
            return false;
        };
        let of_circuits = Head::is_cell(shared.dialect, datagram)
            || datagram.get(Prefix::LEN).is_some_and(|number| {
                let kind = Kind::of(shared.dialect, *number);
                matches!(
                    kind,
                    Some(Kind::Destroy | Kind::CreateE2e | Kind::PeersRequest)
                )
            });
        if of_circuits && datagram.starts_with(shared.prefix.as_bytes()) {
            let received = catch_unwind(AssertUnwindSafe(|| shared.receive(from, datagram)));
            if received.is_err() {
                shared.failed(from, datagram);
            }
        }
        of_circuits
    }

    fn flush(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.send();
        }
    }
}

impl Shared {
    fn receive(&self, from: SocketAddrV4, datagram: &[u8]) {
        let now = now();
        let mut state = self.lock();
        if state.faults.refuse(now, *from.ip(), || self.sort(datagram)) {
            state.node.refuse(Refusal::Harmful);
            return;
        }
        self.look_home(now, &mut state);
        let mut frame = std::mem::take(&mut state.frame);
        let at = HEADROOM..HEADROOM + datagram.len();
        #[cfg(test)]
        assert!(!std::mem::take(&mut state.trip), "as the test wants it");
        if let Some(room) = frame.get_mut(at.clone())
            && at.end + TAILROOM <= frame_len()
        {
            room.copy_from_slice(datagram);
            let handled = state.node.handle_datagram(now, from.into(), &mut frame, at);
            self.finish(now, &mut state, handled, &frame);
        }
        state.frame = frame;
        self.settle(now, &mut state);
    }

    /// A datagram has made the machine panic.
    fn failed(&self, from: SocketAddrV4, datagram: &[u8]) {
        let sort = self.sort(datagram);
        tracing::error!(%from, ?sort, "a datagram has made a node of the tunnels fail");
        self.lock().faults.note(now(), *from.ip(), sort);
    }

    /// What can be told of a datagram from outside.
    fn sort(&self, datagram: &[u8]) -> Sort {
        match Head::read(self.dialect, datagram) {
            Some(head) if !head.plaintext => Sort::Sealed,
            Some(_) => Sort::Plain(datagram.get(Head::len(self.dialect)).copied()),
            None => Sort::Packet(datagram.get(Prefix::LEN).copied()),
        }
    }

    /// Does what is left to do about a datagram.
    fn finish(&self, now: Instant, state: &mut State, handled: Handled, frame: &[u8]) {
        let bytes = |at: Range<usize>| frame.get(at).unwrap_or_default();
        match handled {
            Handled::Done => {}
            Handled::Refused(why) => tracing::trace!(%why, "a datagram of the tunnels was refused"),
            Handled::Forward { to, at } => self.put(&mut state.outbox, to, bytes(at)),
            Handled::Data { circuit, from, at } => {
                if let (Address::Ip(from), Some(own)) = (from, state.node.own(circuit)) {
                    let lane = (own.purpose, own.goal);
                    let datagram = (from, bytes(at));
                    state.ports.deliver(now, circuit, lane, datagram);
                }
            }
            Handled::Exit { circuit, to, at } => match to {
                Address::Ip(to) => self.exit(state, circuit, to, bytes(at)),
                Address::Host(host, port) => match ip_literal(&host) {
                    Some(ip) => self.exit_if_allowed(state, circuit, (ip, port).into(), bytes(at)),
                    None => self.exit_to_name(state, circuit, (host, port), bytes(at)),
                },
            },
        }
    }
}
