//! What is done for a connection that the runtime does not know.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use super::{Connection, Thread};

/// Reads of one look: whoever sends without an end, and takes the answers as fast, does not keep others waiting.
const READS: usize = 4;

impl Connection<TcpStream> {
    /// Does without waiting what can be done: most connections that are not kept are over then, and the runtime never hears of
    /// them.
    pub(in crate::http) fn step(&mut self, thread: &mut Thread) -> Step {
        let mut idle = Step::Silent;
        let mut left = READS;
        loop {
            while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
                match self.stream.write(rest) {
                    Ok(0) => return Step::Over,
                    Ok(written) => self.sent += written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Long,
                    Err(_) => return Step::Over,
                }
            }
            if self.sent > 0 {
                self.unsent.clear();
                self.sent = 0;
                self.wait_for_request(thread);
            }
            if self.last {
                return if self.more { Step::Long } else { Step::Over };
            }
            if idle == Step::Answered && self.kept.is_empty() {
                // Whoever asks again has this answer first.
                return idle;
            }
            if left == 0 {
                return Step::Long;
            }
            left -= 1;
            let begun = self.kept.len();
            let room = &mut thread.room[..];
            room[..begun].copy_from_slice(&self.kept);
            match self.stream.read(&mut room[begun..]) {
                Ok(0) => {
                    self.note_end(thread);
                    return Step::Over;
                }
                Ok(came) => {
                    self.take_in(begun, came, thread);
                    idle = Step::Answered;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if begun > 0 { Step::Long } else { idle };
                }
                Err(_) => {
                    self.note_end(thread);
                    return Step::Over;
                }
            }
        }
    }
}

/// Where a connection stands that the runtime does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Step {
    /// It has ended.
    Over,
    /// Nothing has come.
    Silent,
    /// What has come was answered, and more may come.
    Answered,
    /// It takes longer than a look.
    Long,
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;

    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::super::ROOM;
    use super::*;
    use crate::access::Mode;
    use crate::core::Core;
    use crate::http::{HttpRules, Patience, Who};
    use crate::policy::Policy;
    use crate::swarms::SwarmOptions;

    #[test]
    fn nobody_keeps_others_waiting_by_sending_without_an_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = socket2::SockRef::from(&listener);
        socket.set_recv_buffer_size(1 << 20).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, from) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        // A read ends within a request, each time at another place.
        let line = "x".repeat(970);
        let request = format!("GET /health_check HTTP/1.1\r\nx: {line}\r\n\r\n");
        let all = request.repeat(150);
        client.write_all(all.as_bytes()).unwrap();

        let core = Core::new(
            SwarmOptions::default(),
            Mode::default(),
            Policy::default(),
            None,
        );
        let (core, rng) = (Arc::new(core), SmallRng::seed_from_u64(1));
        let (patience, stats) = (Patience::default(), Arc::default());
        let mut thread = Thread::new(core, HttpRules::default(), rng, patience, stats);
        let mut connection = Connection::new(stream, Who(from.ip()), patience);
        assert_eq!(connection.step(&mut thread), Step::Long);
        let received = thread.counts.received as usize;
        assert!(received <= READS * ROOM, "{received} of {}", all.len());
        assert!(thread.counts.others > 10);
    }
}
