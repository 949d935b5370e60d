//! The edge: datagrams that leave for the world, and what comes back.

use std::net::SocketAddr;
use std::time::Instant;

use overlay::wire::{Address, NO_ADDRESS};

use super::{CircuitId, Inner, Message, Node, Refusal};
use crate::policy;

/// Bytes of an HTTP reply in one cell.
const HTTP_PART: usize = 1400;

/// The most parts of an HTTP reply.
const HTTP_PARTS: usize = 512;

impl Node {
    pub(super) fn on_exit_data(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        to: Address,
        data: &[u8],
    ) -> Result<Inner, Refusal> {
        let (dialect, flags) = (self.config.dialect, self.config.flags);
        if !policy::carries(dialect, flags, &self.prefix, data) {
            return Err(Refusal::Content);
        }
        let len = data.len();
        match &to {
            Address::Ip(addr) => self.may_exit(now, circuit, *addr, len)?,
            Address::Host(host, port) => {
                if host.is_empty() || *port == 0 {
                    return Err(Refusal::Target);
                }
            }
        }
        Ok(Inner::Exit { to, len })
    }

    /// Whether a datagram of `len` bytes may leave for `to`; counts it if so. To be asked about the address of a name.
    ///
    /// # Errors
    /// [`Refusal::Target`] for what is not reached from here, [`Refusal::SilentTarget`], [`Refusal::TooFast`],
    /// [`Refusal::Full`], [`Refusal::Unknown`].
    pub fn may_exit(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        to: SocketAddr,
        len: usize,
    ) -> Result<(), Refusal> {
        if !self.config.exits_to(to) {
            return Err(Refusal::Target);
        }
        let limits = (self.config.max_unanswered, self.config.exit_bytes_per_s);
        let joined = self.joined.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        joined.exit.send(now, to, len, limits)?;
        self.carry(now, len)
    }

    /// Counts bytes that are carried for others, if so many may be.
    pub(super) fn carry(&mut self, now: Instant, len: usize) -> Result<(), Refusal> {
        if let Some(budget) = &self.config.budget
            && !budget.take(now, len)
        {
            return Err(Refusal::TooFast);
        }
        self.counters.carried += len as u64;
        Ok(())
    }

    /// Writes a datagram from outside into `out` as a cell to the originator, and says where the cell is to be sent.
    ///
    /// # Errors
    /// [`Refusal::Content`], [`Refusal::Unknown`], [`Refusal::UsedUp`].
    pub fn send_back(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        from: SocketAddr,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<SocketAddr, Refusal> {
        let (dialect, flags) = (self.config.dialect, self.config.flags);
        if !policy::carries(dialect, flags, &self.prefix, data) {
            self.counters.refuse(Refusal::Content);
            return Err(Refusal::Content);
        }
        if !self.joined.contains_key(&circuit) {
            return Err(Refusal::Unknown);
        }
        self.carry(now, data.len())
            .inspect_err(|why| self.counters.refuse(*why))?;
        let joined = self.joined.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        joined.exit.answered(now, from);
        joined.last = now;
        joined.bytes += data.len() as u64;
        let message = Message::Data {
            to: NO_ADDRESS.into(),
            from: from.into(),
            data,
        };
        self.seal_back(circuit, &message, out)
    }

    /// Answers [`Event::HttpWanted`](super::Event::HttpWanted).
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the circuit is gone; [`Refusal::Full`] when the reply is longer than 700 KiB;
    /// [`Refusal::TooFast`] when so much may not be carried now.
    pub fn answer_http(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        id: u32,
        response: &[u8],
    ) -> Result<(), Refusal> {
        let len = response.len();
        let parts = len.div_ceil(HTTP_PART);
        if parts > HTTP_PARTS {
            return Err(Refusal::Full);
        }
        let bytes_per_s = self.config.exit_bytes_per_s;
        let joined = self.joined.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        let allowed = joined.exit.take(now, len as u64, bytes_per_s);
        allowed
            .and_then(|()| self.carry(now, len))
            .inspect_err(|why| self.counters.refuse(*why))?;
        if let Some(joined) = self.joined.get_mut(&circuit) {
            joined.bytes += len as u64;
        }
        for (part, response) in response.chunks(HTTP_PART).enumerate() {
            let message = Message::HttpResponse {
                id,
                part: part as u16,
                parts: parts as u16,
                response,
            };
            self.answer(circuit, &message)?;
        }
        Ok(())
    }
}
