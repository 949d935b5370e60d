//! Datagrams from outside: cells on their way, those that end here, and what else neighbours say.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use overlay::key::PublicKey;
use overlay::packet::{Packet, Proof};
use overlay::wire::Address;

use super::{Closed, Handled, Kind, Message, Node, Reason, Refusal};
use crate::{CircuitId, Dialect, Head};

impl Node {
    /// Takes a datagram that lies at `at` in `buffer`, with [`HEADROOM`](super::HEADROOM) bytes before and [`TAILROOM`](super::TAILROOM) behind it.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        buffer: &mut [u8],
        at: Range<usize>,
    ) -> Handled {
        let done = match buffer.get(at.clone()) {
            Some(packet) if packet.starts_with(self.prefix.as_bytes()) => {
                match Head::read(self.config.dialect, packet) {
                    Some(head) => self.handle_cell(now, from, head, buffer, at),
                    None => self
                        .handle_packet(now, from, packet)
                        .map(|()| Handled::Done),
                }
            }
            _ => Err(Refusal::Alien),
        };
        done.unwrap_or_else(|why| {
            self.counters.refuse(why);
            Handled::Refused(why)
        })
    }

    fn handle_cell(
        &mut self,
        now: Instant,
        from: SocketAddr,
        head: Head,
        buffer: &mut [u8],
        at: Range<usize>,
    ) -> Result<Handled, Refusal> {
        let wire = (self.config.dialect, &self.prefix);
        if let Some((key, side)) = self.routes.get(&head.circuit) {
            let relay = self.relays.get_mut(key).ok_or(Refusal::Unknown)?;
            if relay.end(*side).addr != from {
                return Err(Refusal::WrongAddress);
            }
            let (to, at) = relay.pass(now, wire, (*side, head), buffer, at)?;
            self.carry(now, at.len())?;
            self.counters.relayed += 1;
            return Ok(Handled::Forward { to, at });
        }
        let packet = buffer.get_mut(at.clone()).ok_or(Refusal::Malformed)?;
        let message = Head::len(wire.0)..packet.len();
        let (handled, message) = if let Some(circuit) = self.circuits.get_mut(&head.circuit) {
            if circuit.first.addr != from {
                return Err(Refusal::WrongAddress);
            }
            let len = packet.len() as u64;
            let message = if head.plaintext {
                message
            } else if circuit.hops.is_empty() {
                return Err(Refusal::Unknown);
            } else {
                let message = circuit.open(packet, message)?;
                circuit.heard(now);
                circuit.bytes += len;
                message
            };
            let bytes = packet.get(message.clone()).ok_or(Refusal::Malformed)?;
            let read = read(wire.0, head, bytes)?;
            (self.on_circuit(now, head, read)?, message)
        } else if let Some(joined) = self.joined.get_mut(&head.circuit) {
            if joined.back.addr != from {
                return Err(Refusal::WrongAddress);
            }
            if head.plaintext {
                return Err(Refusal::Plain);
            }
            let len = packet.len() as u64;
            joined
                .session
                .open
                .open(packet.get_mut(message.clone()).ok_or(Refusal::Malformed)?)?;
            let message = message.start + crate::crypto::HEAD..message.end - crate::crypto::TAG;
            joined.last = now;
            joined.bytes += len;
            let bytes = packet.get(message.clone()).ok_or(Refusal::Malformed)?;
            let read = read(wire.0, head, bytes)?;
            (self.on_joined(now, head, read)?, message)
        } else if head.plaintext {
            let bytes = packet.get(message.clone()).ok_or(Refusal::Malformed)?;
            let read = read(wire.0, head, bytes)?;
            (self.on_plain(now, head, from, read)?, message)
        } else {
            return Err(Refusal::Unknown);
        };
        // Payload is the end of its message.
        let end = at.start + message.end;
        Ok(match handled {
            Inner::Done => Handled::Done,
            Inner::Data { from, len } => Handled::Data {
                circuit: head.circuit,
                from,
                at: end.saturating_sub(len)..end,
            },
            Inner::Exit { to, len } => Handled::Exit {
                circuit: head.circuit,
                to,
                at: end.saturating_sub(len)..end,
            },
        })
    }

    /// A packet of the community that is no cell.
    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &[u8],
    ) -> Result<(), Refusal> {
        let packet = Packet::parse(packet).map_err(|_| Refusal::Malformed)?;
        let dialect = self.config.dialect;
        match Kind::of(dialect, packet.message()) {
            Some(Kind::Destroy) => self.on_destroy(now, from, &packet),
            Some(kind @ (Kind::CreateE2e | Kind::PeersRequest)) => {
                self.on_packet(now, from, kind, &packet)
            }
            _ => Err(Refusal::Unexpected),
        }
    }

    fn on_destroy(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &Packet<'_>,
    ) -> Result<(), Refusal> {
        // Whether the address may end the circuit is asked before the signature is checked, which is dear.
        let body = packet.body().rest();
        let key_len = PublicKey::LEN + 2;
        let field = body.get(key_len..).and_then(<[u8]>::first_chunk);
        let circuit = CircuitId(u32::from_be_bytes(*field.ok_or(Refusal::Malformed)?));
        let neighbour = self.neighbour(circuit).ok_or(Refusal::ForeignDestroy)?;
        if neighbour.1 != from {
            return Err(Refusal::ForeignDestroy);
        }
        let signed = packet.open().map_err(|_| Refusal::Malformed)?;
        if signed.key() != neighbour.0 || signed.proof() != Proof::Signature {
            return Err(Refusal::ForeignDestroy);
        }
        let mut body = signed.body();
        let read = body.u32("circuit").and_then(|_| body.u16("reason"));
        read.and_then(|_| body.finish())
            .map_err(|_| Refusal::Malformed)?;
        if self.circuits.contains_key(&circuit) {
            self.doubt_exit(now, circuit);
            self.drop_circuit(circuit, Closed::Destroyed);
        } else if self.joined.contains_key(&circuit) {
            self.drop_joined(circuit);
        } else if let Some((key, side)) = self.routes.get(&circuit).copied() {
            self.drop_relay(key, Some(side), Reason::Forwarded);
        }
        self.counters.destroyed += 1;
        Ok(())
    }

    /// The neighbour on the link of a circuit.
    fn neighbour(&self, circuit: CircuitId) -> Option<(&PublicKey, SocketAddr)> {
        if let Some((key, side)) = self.routes.get(&circuit) {
            let end = self.relays.get(key)?.end(*side);
            return Some((&end.key, end.addr));
        }
        if let Some(circuit) = self.circuits.get(&circuit) {
            return Some((&circuit.first.key, circuit.first.addr));
        }
        let joined = self.joined.get(&circuit)?;
        Some((&joined.back.key, joined.back.addr))
    }
}

/// What a message leads to, before its payload is looked for.
pub(super) enum Inner {
    Done,
    Data { from: Address, len: usize },
    Exit { to: Address, len: usize },
}

/// Reads the message of a cell that is not relayed, and sees to its flags.
fn read(dialect: Dialect, head: Head, bytes: &[u8]) -> Result<Message<'_>, Refusal> {
    let message = Message::read(dialect, bytes).map_err(|_| Refusal::Malformed)?;
    if head.plaintext && !message.kind().may_be_plain() {
        return Err(Refusal::Plain);
    }
    let extends = message.kind() == Kind::Extend;
    if dialect == Dialect::Modern && extends && !head.early {
        return Err(Refusal::NotEarly);
    }
    Ok(message)
}
