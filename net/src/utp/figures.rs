//! What the streams of a socket have done and met, in numbers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::utp::{Phase, Tally};

use super::shared::Shared;

macro_rules! counts {
    ($($field:ident: $what:literal;)*) => {
        /// What all uTP streams of a socket have done and met since it was opened, and where they stand now.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct UtpFigures {
            $(#[doc = $what] pub $field: u64,)*
            /// Streams that ask the other side, which has not answered.
            pub opening: u64,
            /// Streams that were asked for by someone who has not shown to be there.
            pub unproven: u64,
            /// Streams that carry bytes.
            pub open: u64,
            /// Streams whose last byte is written, and not acknowledged by the other side or not yet followed by its own.
            pub ending: u64,
            /// Streams that are done, of which the other side may not know yet.
            pub lingering: u64,
        }

        /// The same while it is counted: by the driver alone, and read by others.
        #[derive(Debug, Default)]
        pub(super) struct Counts {
            $($field: AtomicU64,)*
        }

        impl Counts {
            fn get(&self) -> UtpFigures {
                UtpFigures {
                    $($field: self.$field.load(Ordering::Relaxed),)*
                    ..UtpFigures::default()
                }
            }
        }

        impl std::ops::AddAssign for UtpFigures {
            fn add_assign(&mut self, more: Self) {
                $(self.$field += more.$field;)*
                self.opening += more.opening;
                self.unproven += more.unproven;
                self.open += more.open;
                self.ending += more.ending;
                self.lingering += more.lingering;
            }
        }
    };
}

counts! {
    received: "Packets that came for streams.";
    payload_received: "Of these, packets with payload.";
    redundant: "Of these, packets that were here already, or for which there was no room.";
    invalid: "Datagrams that look like packets and are none.";
    sent: "Packets that went out, those that went out again included.";
    payload_sent: "Of these, packets with payload.";
    resent: "Packets that went out again.";
    lost: "Packets that counted as lost.";
    lost_early: "Of these, packets of which acknowledgements of later ones told before their time was over.";
    timeouts: "Times that nothing came back in time.";
    above_target: "Acknowledgements that told of a longer queue than is aimed at.";
    below_target: "Acknowledgements that told of no longer queue than is aimed at.";
    overhead_in: "Bytes of IP and UDP headers of what came.";
    overhead_out: "Bytes of IP and UDP headers of what went out.";
}

impl Counts {
    /// Takes over what a stream with this peer has done and met.
    pub(super) fn take(&self, peer: SocketAddr, tally: &Tally) {
        // Headers of IPv4 or IPv6, and of UDP.
        let header = if peer.is_ipv6() { 48 } else { 28 };
        let [received, sent] = [tally.received, tally.sent].map(u64::from);
        for (to, more) in [
            (&self.received, received),
            (&self.payload_received, tally.payload_received.into()),
            (&self.redundant, tally.redundant.into()),
            (&self.sent, sent),
            (&self.payload_sent, tally.payload_sent.into()),
            (&self.resent, tally.resent.into()),
            (&self.lost, tally.lost.into()),
            (&self.lost_early, tally.lost_early.into()),
            (&self.timeouts, tally.timeouts.into()),
            (&self.above_target, tally.above_target.into()),
            (&self.below_target, tally.below_target.into()),
            (&self.overhead_in, received * header),
            (&self.overhead_out, sent * header),
        ] {
            if more > 0 {
                to.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    /// A datagram looked like a packet and is none.
    pub(super) fn invalid(&self) {
        self.invalid.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// How it stands.
    pub(super) fn figures(&self) -> UtpFigures {
        let mut figures = self.counts.get();
        let all = self.table.lock().all();
        for conn in all {
            let of = match conn.state.lock().machine.phase() {
                Phase::Opening => &mut figures.opening,
                Phase::Unproven => &mut figures.unproven,
                Phase::Open => &mut figures.open,
                Phase::Ending => &mut figures.ending,
                Phase::Lingering => &mut figures.lingering,
                Phase::Closed => continue,
            };
            *of += 1;
        }
        figures
    }
}
