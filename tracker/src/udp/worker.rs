//! One thread: it takes what has come, answers all of it, and sends the answers.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::outbox::{Outbox, Way};
use super::stats::{UdpCounts, UdpStats};
use super::{Answerer, Silence};
use crate::core::Core;
use crate::swarms::Picked;

/// Bytes for what comes by one slot: several datagrams where the sender handed them over as one.
const SLOT: usize = 64 * 1024;

/// How often a thread without work looks whether it should end.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

#[derive(Debug)]
pub(super) struct Worker {
    socket: UdpSocket,
    state: UdpSocketState,
    /// Whether clients ask at any address of this machine: they wait for an answer from the one that they asked.
    is_everywhere: bool,
    core: Arc<Core>,
    stats: Arc<UdpStats>,
    stop: Arc<AtomicBool>,
    counts: UdpCounts,
    outbox: Outbox,
}

impl Worker {
    pub(super) fn new(
        socket: UdpSocket,
        core: Arc<Core>,
        stats: Arc<UdpStats>,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let is_everywhere = socket.local_addr()?.ip().is_unspecified();
        Ok(Self {
            socket,
            state,
            is_everywhere,
            core,
            stats,
            stop,
            counts: UdpCounts::default(),
            outbox: Outbox::default(),
        })
    }

    pub(super) fn run(mut self) {
        let core = Arc::clone(&self.core);
        let mut answerer = Answerer {
            swarms: &core.swarms,
            access: &core.access,
            ids: &core.ids,
            policy: **core.policy.load(),
            external_ip: core.external_ip,
            picked: Picked::default(),
        };
        let mut rng = SmallRng::seed_from_u64(rand::random());
        let mut room = vec![0; SLOT * BATCH_SIZE];
        while !self.stop.load(Ordering::Relaxed) {
            let mut meta = [RecvMeta::default(); BATCH_SIZE];
            let received = {
                let mut slots: Vec<_> = room.chunks_mut(SLOT).map(IoSliceMut::new).collect();
                self.state
                    .recv((&self.socket).into(), &mut slots, &mut meta)
            };
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait();
                    continue;
                }
                Err(error) => {
                    // A datagram of ours could not be delivered; or the system lacks memory, which passes.
                    tracing::debug!(%error, "receiving datagrams");
                    self.wait();
                    continue;
                }
            };
            answerer.policy = **core.policy.load();
            let now = core.clock.now();
            for (slot, meta) in room.chunks(SLOT).zip(&meta).take(count) {
                let came = slot.get(..meta.len).unwrap_or(slot);
                let way = Way {
                    to: meta.addr,
                    from: meta.dst_ip.filter(|_| self.is_everywhere),
                };
                for datagram in came.chunks(meta.stride.max(1)) {
                    let out = &mut self.outbox.text;
                    let answer = answerer.answer(datagram, meta.addr, now, &mut rng, out);
                    self.counts.note(answer, &meta.addr);
                    self.counts.received += datagram.len() as u64;
                    if answer.is_ok() {
                        self.outbox.push(way);
                    } else if answer == Err(Silence::NoPort) {
                        tracing::trace!(from = %meta.addr, "a datagram from port 0");
                    }
                }
            }
            // Whoever has an answer finds it counted.
            self.stats.write(self.counts.array());
            self.send();
            self.stats.write(self.counts.array());
        }
    }

    fn send(&mut self) {
        let Self {
            socket,
            state,
            counts,
            outbox,
            ..
        } = self;
        outbox.flush(state.max_gso_segments(), |way, contents, size| {
            let sent = transmit(state, socket, way, contents, size);
            counts.sent += contents.len() as u64;
            if let Err(error) = sent {
                counts.unsent += contents.len().div_ceil(size.max(1)) as u64;
                tracing::debug!(to = %way.to, %error, "sending answers");
            }
        });
    }

    /// Waits for a datagram, or for a fifth of a second.
    fn wait(&self) {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        if let Err(error) = poll(&mut fds, Some(&LOOK)) {
            tracing::debug!(%error, "waiting for datagrams");
        }
    }
}

fn transmit(
    state: &UdpSocketState,
    socket: &UdpSocket,
    way: Way,
    contents: &[u8],
    size: usize,
) -> io::Result<()> {
    let transmit = |from: Option<IpAddr>| {
        let transmit = Transmit {
            destination: way.to,
            ecn: None,
            contents,
            segment_size: (contents.len() > size).then_some(size),
            src_ip: from.map(|ip| ip.to_canonical()),
        };
        state.try_send(socket.into(), &transmit)
    };
    match transmit(way.from) {
        Err(error) if way.from.is_some() && error.kind() != io::ErrorKind::WouldBlock => {
            // Asked by broadcast, or the address has gone meanwhile.
            transmit(None)
        }
        sent => sent,
    }
}
