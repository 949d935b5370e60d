//! What a connection may use.

use std::time::Duration;

/// Limits and times of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Bytes of the largest datagram that passes every path: 548 over IPv4 (576 less the headers of IP and UDP).
    pub datagram_floor: usize,
    /// Bytes of the largest datagram that is tried: 1,472 over IPv4 on Ethernet.
    pub datagram_ceiling: usize,
    /// Bytes that come in and wait for the reader, at first: 256 KiB.
    pub receive_first: usize,
    /// Bytes that may wait for a reader that is fast: 4 MiB, which is 320 Mbit/s at 100 ms.
    pub receive_most: usize,
    /// Bytes that a writer may leave behind at least, sent or not; twice the window where that is more.
    pub send_least: usize,
    /// Bytes that a writer may leave behind at most.
    pub send_most: usize,
    /// Packets shorter than they could be that may be on their way at once: Nagle's algorithm with 1. Requests of peers
    /// are short and shall not wait for each other.
    pub short_packets: u16,
    /// How long the first SYN may stay without an answer; the next ones twice as long each.
    pub syn_timeout: Duration,
    /// How often a SYN is sent again.
    pub syn_resends: u32,
    /// How long an inbound connection lives whose initiator has not shown that it is where it says.
    pub unproven: Duration,
    /// How often data is sent again without a sign of life before the connection is given up.
    pub data_resends: u32,
    /// The same for the end of the stream, when all else is done.
    pub fin_resends: u32,
    /// How long a connection that nobody uses any more may go on delivering what was written.
    pub linger: Duration,
    /// After how much silence of ours the path is used, so that it stays open: less than the 30 s of impatient NATs.
    pub keep_alive: Duration,
}

/// Less than this is no path at all: headers, the largest selective acknowledgement, and something to carry.
const LEAST: usize = 300;

impl Default for Config {
    /// For IPv4.
    fn default() -> Self {
        Self {
            datagram_floor: 548,
            datagram_ceiling: 1472,
            receive_first: 256 * 1024,
            receive_most: 4 * 1024 * 1024,
            send_least: 64 * 1024,
            send_most: 8 * 1024 * 1024,
            short_packets: 4,
            syn_timeout: Duration::from_secs(1),
            syn_resends: 3,
            unproven: Duration::from_secs(3),
            data_resends: 6,
            fin_resends: 2,
            linger: Duration::from_secs(30),
            keep_alive: Duration::from_secs(29),
        }
    }
}

impl Config {
    /// For IPv6, where every path takes 1,280 bytes.
    pub fn ipv6() -> Self {
        Self {
            datagram_floor: 1232,
            datagram_ceiling: 1452,
            ..Self::default()
        }
    }

    /// The same for a socket that puts `bytes` of its own before each datagram, which the path carries as well.
    #[must_use]
    pub fn behind(mut self, bytes: usize) -> Self {
        self.datagram_ceiling = self.datagram_ceiling.saturating_sub(bytes).max(LEAST);
        self.datagram_floor = self.datagram_floor.saturating_sub(bytes).max(LEAST);
        self
    }

    /// The same for a socket that takes datagrams of at most `bytes`.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        let bytes = bytes.max(LEAST);
        self.datagram_ceiling = self.datagram_ceiling.min(bytes);
        self.datagram_floor = self.datagram_floor.min(bytes);
        self
    }
}
