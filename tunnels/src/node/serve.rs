//! What a last hop does for hidden peers: introducing seeders, and joining circuits that want to meet.

use std::net::SocketAddr;
use std::time::Instant;

use overlay::key::PublicKey;
use overlay::packet::{Packet, plain};
use overlay::wire::NO_ADDRESS;

use super::{CircuitId, Event, Kind, Message, Node, Refusal};
use crate::Flags;
use crate::message::{IntroPoint, Source, write_peers};
use crate::relay::Relay;

/// The most seeders that one node introduces, and the most that wait at it.
const MAX_SERVED: usize = 1024;

/// The most of them that one circuit brings, so that one originator does not take the places of all; the usual is one.
const MAX_OF_CIRCUIT: usize = 4;

impl Node {
    /// What the originator of a circuit that ends here asks for.
    pub(super) fn on_hidden_request(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        message: Message<'_>,
    ) -> Result<(), Refusal> {
        match message {
            Message::EstablishIntro {
                id,
                info_hash,
                seeder,
            } => {
                match self.introduced.get(seeder) {
                    // It has not heard the answer.
                    Some(known) if *known == (circuit, info_hash) => {
                        return self.answer(circuit, &Message::IntroEstablished(id));
                    }
                    Some(_) => return Err(Refusal::Unexpected),
                    None => {}
                }
                let brought = self.introduced.values().filter(|(of, _)| *of == circuit);
                if self.introduced.len() >= MAX_SERVED || brought.count() >= MAX_OF_CIRCUIT {
                    return Err(Refusal::Full);
                }
                PublicKey::from_bytes(seeder).map_err(|_| Refusal::Malformed)?;
                let seeder = seeder.to_vec();
                self.introduced.insert(seeder.clone(), (circuit, info_hash));
                if let Some(joined) = self.joined.get_mut(&circuit) {
                    joined.introduces = true;
                }
                self.emit(Event::Introduces { info_hash, seeder });
                self.answer(circuit, &Message::IntroEstablished(id))
            }
            Message::EstablishRendezvous { id, cookie } => {
                let addr = self.addr.ok_or(Refusal::NotOffered)?;
                match self.waiting.get(&cookie) {
                    Some(known) if *known == circuit => {
                        return self.answer(circuit, &Message::RendezvousEstablished { id, addr });
                    }
                    Some(_) => return Err(Refusal::Unexpected),
                    None => {}
                }
                let brought = self.waiting.values().filter(|of| **of == circuit);
                if self.waiting.len() >= MAX_SERVED || brought.count() >= MAX_OF_CIRCUIT {
                    return Err(Refusal::Full);
                }
                self.waiting.insert(cookie, circuit);
                self.answer(circuit, &Message::RendezvousEstablished { id, addr })
            }
            Message::LinkE2e { id, cookie } => self.on_link(now, circuit, id, cookie),
            Message::PeersRequest { id, info_hash } => {
                let ours = self.introduces(&info_hash);
                if ours.is_empty() {
                    self.emit(Event::PeersWanted {
                        circuit,
                        id,
                        info_hash,
                    });
                    return Ok(());
                }
                self.answer_peers(circuit, id, info_hash, &ours)
            }
            _ => Err(Refusal::Unexpected),
        }
    }

    /// Joins two circuits that end here.
    fn on_link(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        id: u16,
        cookie: [u8; 20],
    ) -> Result<(), Refusal> {
        let waits = *self.waiting.get(&cookie).ok_or(Refusal::Unexpected)?;
        let used = |id: &CircuitId| self.joined.get(id).is_none_or(|joined| joined.exit.used);
        if waits == circuit || used(&waits) || used(&circuit) {
            return Err(Refusal::Unexpected);
        }
        let (Some(back), Some(on)) = (self.joined.remove(&circuit), self.joined.remove(&waits))
        else {
            return Err(Refusal::Unknown);
        };
        for joined in [&back, &on] {
            if let Some(to) = joined.extending_to() {
                self.extending.remove(&to);
            }
        }
        self.forget_services(circuit);
        self.forget_services(waits);
        self.add_relay(Relay::meeting(
            now,
            (back.back, back.session),
            (on.back, on.session),
        ));
        self.answer(circuit, &Message::LinkedE2e(id))
    }

    /// The seeders of a swarm that are reached through us.
    pub(crate) fn introduces(&self, info_hash: &[u8; 20]) -> Vec<IntroPoint> {
        let Some(addr) = self.addr else {
            return Vec::new();
        };
        let of_swarm = self
            .introduced
            .iter()
            .filter(|(_, (_, hash))| hash == info_hash);
        let points = of_swarm.map(|(seeder, _)| IntroPoint {
            addr,
            node: self.key.public().as_bytes().to_vec(),
            seeder: seeder.clone(),
            source: Source::Pex,
        });
        let mut points: Vec<IntroPoint> = points.collect();
        if !points.is_empty() {
            let others = self.exchanged.get(info_hash).into_iter().flatten();
            points.extend(others.cloned());
        }
        points.truncate(crate::message::MAX_PEERS);
        points
    }

    /// A packet from outside of all circuits: a downloader that wants to reach a seeder whom we introduce, or knows us as
    /// an introduction point and asks for others.
    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        from: SocketAddr,
        kind: Kind,
        packet: &Packet<'_>,
    ) -> Result<(), Refusal> {
        let dialect = self.config.dialect;
        if self.config.flags == Flags::default() {
            return Err(Refusal::NotOffered);
        }
        // Nobody knows who sends it: asking costs more than looking.
        if !self.requests.take(now, from.ip()) {
            return Err(Refusal::TooFast);
        }
        let mut body = packet.body();
        let mut circuit = 0;
        if kind == Kind::PeersRequest {
            circuit = body.u32("circuit").map_err(|_| Refusal::Malformed)?;
        }
        let message = Message::read_body(dialect, kind, body).map_err(|_| Refusal::Malformed)?;
        match &message {
            Message::CreateE2e { seeder, .. } => {
                let (to, _) = *self.introduced.get(*seeder).ok_or(Refusal::Unexpected)?;
                let data = self.packet(&message).ok_or(Refusal::Malformed)?;
                let data = Message::Data {
                    to: NO_ADDRESS.into(),
                    from: from.into(),
                    data: &data,
                };
                self.answer(to, &data)
            }
            Message::PeersRequest { id, info_hash } => {
                let peers = self.introduces(info_hash);
                if peers.is_empty() {
                    return Err(Refusal::Unexpected);
                }
                let number = self.number(Kind::PeersResponse).ok_or(Refusal::Malformed)?;
                let peers = write_peers(dialect, &peers);
                let response = Message::PeersResponse {
                    id: *id,
                    info_hash: *info_hash,
                    peers: &peers,
                };
                let packet = plain(self.prefix, number, |body| {
                    body.u32(circuit);
                    let _ = response.write_body(dialect, body);
                });
                self.transmit(from, packet);
                Ok(())
            }
            _ => Err(Refusal::Unexpected),
        }
    }
}
