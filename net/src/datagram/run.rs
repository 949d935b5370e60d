//! Datagrams that are sent with one call.

use std::io;
use std::net::SocketAddr;

use super::DatagramSocket;

/// The most bytes: what a system takes at once.
const MOST_BYTES: usize = 60_000;

/// The most datagrams: what Linux takes apart.
const MOST_DATAGRAMS: usize = 64;

/// A single datagram up to this length goes out as it is; a longer one may have to be taken apart on its way.
const WHOLE: usize = 1472;

/// Datagrams of one length to one address, the last one perhaps shorter: what one call of
/// [`DatagramSocket::try_send_segments`] takes. Its memory is used again.
#[derive(Debug, Default)]
pub struct Run {
    to: Option<SocketAddr>,
    segment: usize,
    count: usize,
    bytes: Vec<u8>,
}

impl Run {
    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Where its datagrams go.
    pub const fn to(&self) -> Option<SocketAddr> {
        self.to
    }

    /// The length of its first datagram, and all datagrams one behind the other.
    pub fn segments(&self) -> (usize, &[u8]) {
        (self.segment, &self.bytes)
    }

    /// Puts a datagram behind the others, `head` and `payload` in one; false when it does not go together with them.
    pub fn push(&mut self, to: SocketAddr, head: &[u8], payload: &[u8]) -> bool {
        let len = head.len().saturating_add(payload.len());
        if self.is_empty() {
            self.to = Some(to);
            self.segment = len;
        } else if self.to != Some(to) || !self.takes(len) {
            return false;
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(payload);
        self.count = self.count.saturating_add(1);
        true
    }

    /// Whether it has no room for another datagram as long as its first.
    pub const fn is_full(&self) -> bool {
        self.count > 0 && !self.has_room(self.segment)
    }

    fn takes(&self, len: usize) -> bool {
        let all_alike = self.segment.saturating_mul(self.count) == self.bytes.len();
        let fits = (1..=self.segment).contains(&len);
        all_alike && fits && self.has_room(len)
    }

    const fn has_room(&self, len: usize) -> bool {
        self.count < MOST_DATAGRAMS && self.bytes.len().saturating_add(len) <= MOST_BYTES
    }

    /// As [`Run::push`]; what does not go together with the datagram is sent first.
    pub fn put(
        &mut self,
        socket: &dyn DatagramSocket,
        to: SocketAddr,
        head: &[u8],
        payload: &[u8],
    ) {
        if !self.push(to, head, payload) {
            // What the system has no room for is lost, as on any way.
            let _ = self.send(socket);
            self.push(to, head, payload);
        }
    }

    /// Sends what is in it and forgets it; says how many datagrams went out.
    ///
    /// # Errors
    ///
    /// As [`DatagramSocket::try_send_segments`], or for a single datagram [`DatagramSocket::try_send_in_fragments`].
    pub fn send(&mut self, socket: &dyn DatagramSocket) -> io::Result<usize> {
        let Some(to) = self.to.filter(|_| self.count > 0) else {
            return Ok(0);
        };
        let sent = match self.count {
            1 if self.bytes.len() > WHOLE => {
                socket.try_send_in_fragments(&self.bytes, to).map(|()| 1)
            }
            1 => socket.try_send_to(&self.bytes, to).map(|()| 1),
            _ => {
                let sent = socket.try_send_segments(&self.bytes, self.segment, to);
                sent.map(|bytes| bytes.div_ceil(self.segment.max(1)))
            }
        };
        self.clear();
        sent
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.to = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lens: &[usize]) -> (Run, Vec<bool>) {
        let mut run = Run::default();
        let to = SocketAddr::from(([20, 0, 0, 1], 1));
        let taken = lens.iter().map(|len| run.push(to, &[], &vec![0; *len]));
        let taken = taken.collect();
        (run, taken)
    }

    #[test]
    fn a_run_has_datagrams_of_one_length_and_a_shorter_one_at_its_end() {
        assert_eq!(run(&[1400, 1400, 5]).1, [true, true, true]);
        assert_eq!(run(&[1400, 1401]).1, [true, false]);
        assert_eq!(run(&[1400, 0]).1, [true, false]);
        assert_eq!(run(&[0, 0]).1, [true, false]);
        let nothing_follows_a_shorter_one = run(&[1400, 5, 5]).1;
        assert_eq!(nothing_follows_a_shorter_one, [true, true, false]);
    }

    #[test]
    fn a_run_is_full_when_it_has_no_room_for_another_of_its_length() {
        assert!(!Run::default().is_full());
        assert!(!run(&[1500]).0.is_full() && !run(&[1500; 39]).0.is_full());
        assert!(run(&[1500; 40]).0.is_full() && run(&[1; MOST_DATAGRAMS]).0.is_full());
        assert!(!run(&[1500, 7]).0.is_full() && run(&[60_000]).0.is_full());
    }

    #[test]
    fn a_run_is_no_longer_than_what_a_system_takes() {
        let taken = |len, times| run(&vec![len; times]).1.iter().filter(|it| **it).count();
        assert_eq!(taken(100, 70), MOST_DATAGRAMS);
        assert_eq!(taken(1500, 70), 40);
    }

    #[test]
    fn a_run_goes_to_one_address_and_is_used_again() {
        let (mut run, _) = run(&[3]);
        let other = SocketAddr::from(([20, 0, 0, 2], 1));
        assert!(!run.push(other, b"a", b"bc"));
        run.clear();
        assert!(run.push(other, b"a", b"bc") && run.push(other, b"d", b"ef"));
        assert_eq!(run.segments(), (3, &b"abcdef"[..]));
        assert_eq!(run.to(), Some(other));
    }
}
