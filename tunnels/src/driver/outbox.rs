//! Datagrams that are sent together.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

use net::DatagramSocket;
use net::datagram::Run;
use overlay::endpoint::Endpoint;

use crate::CircuitId;

/// The most runs that wait.
const RUNS: usize = 32;

/// Waits until a batch of received datagrams has been handled, or as many have come together as one system call takes. Those
/// that leave by one socket for one address go out in the order in which they were put in, and with one call as long as they
/// have the same length.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<(Door, Run)>,
    /// Memory that is used again.
    spare: Vec<Run>,
}

/// By which socket datagrams leave.
#[derive(Clone, Debug)]
enum Door {
    /// That of the endpoint, to nodes.
    Nodes,
    /// That of an exit, to the world.
    World(CircuitId, Arc<dyn DatagramSocket>),
}

impl Door {
    const fn circuit(&self) -> Option<CircuitId> {
        match self {
            Self::Nodes => None,
            Self::World(circuit, _) => Some(*circuit),
        }
    }
}

impl Outbox {
    /// Puts a datagram to a node in; if there is no room, all that wait are sent first.
    pub(super) fn push(&mut self, endpoint: &Endpoint, to: SocketAddrV4, datagram: &[u8]) {
        self.put(endpoint, None, to.into(), datagram, || Door::Nodes);
    }

    /// As [`Outbox::push`], for a datagram that leaves by the socket of a circuit's exit.
    pub(super) fn push_out(
        &mut self,
        endpoint: &Endpoint,
        (circuit, socket): (CircuitId, &Arc<dyn DatagramSocket>),
        to: SocketAddr,
        datagram: &[u8],
    ) {
        self.put(endpoint, Some(circuit), to, datagram, || {
            Door::World(circuit, Arc::clone(socket))
        });
    }

    fn put(
        &mut self,
        endpoint: &Endpoint,
        circuit: Option<CircuitId>,
        to: SocketAddr,
        datagram: &[u8],
        door: impl FnOnce() -> Door,
    ) {
        // Only behind the last one that goes the same way, or they would change places.
        let mut runs = self.waiting.iter_mut().rev();
        let last = runs.find(|(door, run)| door.circuit() == circuit && run.to() == Some(to));
        if let Some((_, run)) = last
            && run.push(to, &[], datagram)
        {
            // The next node works on these while we do on those behind them.
            if run.is_full() {
                self.send(endpoint);
            }
            return;
        }
        if self.waiting.len() >= RUNS {
            self.send(endpoint);
        }
        let mut run = self.spare.pop().unwrap_or_default();
        run.push(to, &[], datagram);
        self.waiting.push((door(), run));
    }

    /// Sends all that wait; what the system has no room for is lost.
    pub(super) fn send(&mut self, endpoint: &Endpoint) {
        for (door, mut run) in self.waiting.drain(..) {
            match (door, run.to()) {
                (Door::Nodes, Some(SocketAddr::V4(to))) => {
                    let (segment, bytes) = run.segments();
                    endpoint.send_segments(to, bytes, segment);
                }
                (Door::Nodes, _) => {}
                (Door::World(_, socket), _) => {
                    if let Err(error) = run.send(&*socket) {
                        tracing::trace!(%error, "an exit could not send");
                    }
                }
            }
            run.clear();
            self.spare.push(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use net::Pool;
    use net::sim::{HostOptions, Sim};
    use overlay::endpoint::EndpointConfig;

    use super::*;
    use crate::testing::virtual_time::simulate;

    #[test]
    fn what_fills_a_system_call_does_not_wait_for_what_comes_behind_it() {
        simulate(async {
            let host = Sim::new(1).host(HostOptions::at(IpAddr::V4(Ipv4Addr::new(20, 0, 0, 1))));
            let any = (Ipv4Addr::UNSPECIFIED, 7759).into();
            let socket = host.network().datagram(any).unwrap();
            let endpoint = Endpoint::launch(EndpointConfig::new(socket, Pool::current()));
            let (mut outbox, datagram) = (Outbox::default(), [7; 1450]);
            let [one, two] = [2, 3].map(|last| SocketAddrV4::new([20, 0, 0, last].into(), 1));
            let sent = || endpoint.counters().sent;
            outbox.push(&endpoint, two, &datagram);
            let full = (1..200).find(|_| {
                outbox.push(&endpoint, one, &datagram);
                sent() > 0
            });
            // What waited before goes out before.
            assert_eq!(full.map(|full| full + 1), Some(sent()));
            assert!(full.is_some_and(|full| full >= 32), "{full:?}");
            outbox.push(&endpoint, one, &datagram);
            assert_eq!(full.map(|full| full + 1), Some(sent()));
            outbox.send(&endpoint);
            assert_eq!(full.map(|full| full + 2), Some(sent()));
        });
    }
}
