//! Datagrams that are sent together.

use std::net::SocketAddrV4;

use overlay::endpoint::Endpoint;

/// The most bytes of a run: what a system takes at once.
const RUN: usize = 60_000;

/// The most datagrams of a run: what Linux takes apart.
const SEGMENTS: usize = 64;

/// The most runs that wait.
const RUNS: usize = 32;

/// Waits until a batch of received datagrams has been handled. Those to one node go out in the order in which they were put
/// in, and with one system call as long as they have the same length.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    runs: Vec<Run>,
    /// Memory that is used again.
    spare: Vec<Vec<u8>>,
}

/// Datagrams of one length to one node, the last one perhaps shorter.
#[derive(Debug)]
struct Run {
    to: SocketAddrV4,
    segment: usize,
    bytes: Vec<u8>,
}

impl Run {
    fn takes(&self, len: usize) -> bool {
        let whole = self.segment > 0 && self.bytes.len().is_multiple_of(self.segment);
        let room = self.bytes.len() + len <= RUN && self.bytes.len() < self.segment * SEGMENTS;
        whole && room && (1..=self.segment).contains(&len)
    }
}

impl Outbox {
    /// Puts a datagram in; if there is no room, all that wait are sent first.
    pub(super) fn push(&mut self, endpoint: &Endpoint, to: SocketAddrV4, datagram: &[u8]) {
        // Only behind the last one to the same node, or they would change places.
        let last = self.runs.iter_mut().rev().find(|run| run.to == to);
        if let Some(run) = last
            && run.takes(datagram.len())
        {
            run.bytes.extend_from_slice(datagram);
            return;
        }
        if self.runs.len() >= RUNS {
            self.send(endpoint);
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(datagram);
        self.runs.push(Run {
            to,
            segment: datagram.len(),
            bytes,
        });
    }

    /// Sends all that wait; what the system has no room for is lost.
    pub(super) fn send(&mut self, endpoint: &Endpoint) {
        for mut run in self.runs.drain(..) {
            endpoint.send_segments(run.to, &run.bytes, run.segment);
            run.bytes.clear();
            self.spare.push(run.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(segment: usize, len: usize) -> Run {
        Run {
            to: SocketAddrV4::new([20, 0, 0, 1].into(), 1),
            segment,
            bytes: vec![0; len],
        }
    }

    #[test]
    fn a_run_has_datagrams_of_one_length_and_a_shorter_one_at_its_end() {
        assert!(run(1400, 1400).takes(1400));
        assert!(run(1400, 2800).takes(5));
        assert!(!run(1400, 2800).takes(0));
        assert!(!run(1400, 2800).takes(1401));
        assert!(!run(1400, 1405).takes(5), "nothing follows a shorter one");
        assert!(!run(0, 0).takes(0));
    }

    #[test]
    fn a_run_is_no_longer_than_what_a_system_takes() {
        assert!(run(100, 6300).takes(100));
        assert!(!run(100, 6400).takes(100));
        assert!(run(1500, 58_500).takes(1500));
        assert!(!run(1500, 60_000).takes(1500));
    }
}
