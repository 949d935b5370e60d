//! What is done for a connection that the runtime does not know.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use super::{Connection, Thread};

impl Connection<TcpStream> {
    /// Does without waiting what can be done: most connections that are not kept are over then, and the runtime never hears of
    /// them.
    pub(in crate::http) fn step(&mut self, thread: &mut Thread) -> Step {
        let mut idle = Step::Silent;
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
