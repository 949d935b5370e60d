//! The edge: datagrams that leave for the world, and what comes back.

use std::net::SocketAddr;
use std::time::Instant;

use overlay::wire::{Address, NO_ADDRESS};

use super::{CircuitId, Event, Flags, Inner, Message, Node, Refusal};
use crate::policy::{self, NoAnswer, Traffic};

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
            Address::Ip(addr) => self.may_exit(now, circuit, *addr, data)?,
            // The rest is asked when the name was looked up.
            Address::Host(host, port) => {
                if host.is_empty() || !policy::is_open(*port) {
                    return Err(Refusal::Target);
                }
            }
        }
        Ok(Inner::Exit { to, len })
    }

    /// Whether a datagram may leave for `to`; counts it if so. To be asked about the address of a name.
    ///
    /// # Errors
    /// [`Refusal::Target`] and [`Refusal::Policy`] for what is not reached from here, [`Refusal::SilentTarget`],
    /// [`Refusal::TooFast`], [`Refusal::Spent`], [`Refusal::Full`], [`Refusal::Unknown`].
    pub fn may_exit(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        to: SocketAddr,
        data: &[u8],
    ) -> Result<(), Refusal> {
        if !self.meets(to, data) {
            self.exits_to(Traffic::Udp, to)?;
        }
        let len = data.len();
        let limits = (self.config.max_unanswered, self.config.exit_bytes_per_s);
        let joined = self.joined.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        joined.exit.send(now, to, len, limits)?;
        self.carry(now, len)
    }

    /// Whether a datagram is of hidden peers who meet here, or find each other by circuits that both end here: it goes to a port of
    /// our own, be it that of an exit. Nothing else of this host is reached.
    fn meets(&self, to: SocketAddr, data: &[u8]) -> bool {
        let own = self.addr.filter(|own| own.ip() == to.ip());
        let exits = || self.joined.values().filter_map(|joined| joined.exit.port);
        data.starts_with(self.prefix.as_bytes())
            && own.is_some_and(|own| own.port() == to.port() || exits().any(|it| it == to.port()))
    }

    /// The datagrams of a circuit leave by the socket at this port.
    pub fn set_exit_port(&mut self, circuit: CircuitId, port: u16) {
        if let Some(joined) = self.joined.get_mut(&circuit) {
            joined.exit.port = Some(port);
        }
    }

    /// Whether anything leaves from here for an address.
    ///
    /// # Errors
    /// [`Refusal::Target`], [`Refusal::Policy`].
    pub(crate) fn exits_to(&self, traffic: Traffic, to: SocketAddr) -> Result<(), Refusal> {
        let own = (self.addr, &self.home);
        self.config.exits_to(traffic, own, to)
    }

    /// Counts what was refused elsewhere.
    pub(crate) fn refuse(&mut self, why: Refusal) {
        self.counters.refuse(why);
    }

    /// An originator wants an HTTP request sent.
    pub(super) fn on_http_request(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        id: u32,
        (to, request): (Address, &[u8]),
    ) -> Result<(), Refusal> {
        if !self.config.flags.contain(Flags::EXIT_HTTP) {
            return Err(Refusal::NotOffered);
        }
        let per_s = self.config.exit_http_per_s;
        let joined = self.joined.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        let allowed = joined.exit.ask(now, per_s);
        self.carry(now, request.len())?;
        if let Err(why) = allowed {
            self.answer_http(now, circuit, id, &NoAnswer::Busy.reply())?;
            return Err(why);
        }
        let request = request.to_vec();
        self.emit(Event::HttpWanted {
            circuit,
            id,
            to,
            request,
        });
        Ok(())
    }

    /// Counts bytes that are carried for others, if so many may be.
    pub(super) fn carry(&mut self, now: Instant, len: usize) -> Result<(), Refusal> {
        if let Some(budget) = &self.config.budget
            && !budget.take(now, len)
        {
            return Err(if budget.is_spent() {
                Refusal::Spent
            } else {
                Refusal::TooFast
            });
        }
        self.counters.carried += len as u64;
        Ok(())
    }

    /// Writes a datagram from outside into `out` as a cell to the originator, and says where the cell is to be sent.
    ///
    /// # Errors
    /// [`Refusal::Content`], [`Refusal::Unknown`], [`Refusal::UsedUp`]; [`Refusal::TooFast`] and [`Refusal::Spent`] when so much may not
    /// be carried.
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
        joined.returned += data.len() as u64;
        let message = Message::Data {
            to: NO_ADDRESS.into(),
            from: from.into(),
            data,
        };
        self.seal_back(circuit, &message, out)
    }

    /// Answers [`Event::HttpWanted`].
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the circuit is gone; [`Refusal::Full`] when the reply is longer than 700 KiB;
    /// [`Refusal::TooFast`] and [`Refusal::Spent`] when so much may not be carried now, or any more.
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
            joined.returned += len as u64;
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
