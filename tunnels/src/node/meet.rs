//! How a hidden seeder and a downloader come together at a rendezvous point.

use std::net::SocketAddr;
use std::time::Instant;

use overlay::key::PublicKey;
use overlay::wire::Address;

use super::{CircuitId, Event, Hop, Message, Node, Purpose, Refusal};
use crate::crypto::{Session, Side, answer, conclude};
use crate::hidden::{Link, Meet, Task};
use crate::message::{Answer, Rendezvous, read_rendezvous, write_rendezvous};

/// The most circuits by which a seeder waits for downloaders in one swarm, or is linked with them.
const MAX_MEETINGS: usize = 48;

/// The most links with one seeder: one that is used, and two that are ready to take its place.
pub(crate) const MAX_LINKS: usize = 3;

impl Node {
    /// A downloader wants a link with us.
    pub(super) fn on_wish(
        &mut self,
        now: Instant,
        via: CircuitId,
        origin: Address,
        info_hash: [u8; 20],
        (request, seeder, x): (u16, &[u8], [u8; 32]),
    ) -> Result<(), Refusal> {
        let swarm = self.swarms.get_mut(&info_hash).ok_or(Refusal::Unexpected)?;
        let ours = swarm.seeder.as_ref().ok_or(Refusal::Unexpected)?;
        if ours.public().as_bytes() != seeder {
            return Err(Refusal::Unexpected);
        }
        let hops = swarm.hops;
        let asked_before = self
            .circuits
            .values()
            .find_map(|circuit| match &circuit.task {
                Task::Meet(meet) if meet.info_hash == info_hash && meet.x == x => Some(meet),
                Task::Meet(_) | Task::Introduce(..) | Task::Link(_) | Task::Nothing => None,
            });
        if let Some(meet) = asked_before {
            // It has not heard the answer, if there is one already.
            let answer = meet.answer.clone();
            return answer.map_or(Ok(()), |packet| self.tunnel(via, origin, &packet));
        }
        let swarm = self.swarms.get_mut(&info_hash).ok_or(Refusal::Unexpected)?;
        let meetings = self.circuits.values().filter(
            |circuit| matches!(&circuit.task, Task::Meet(meet) if meet.info_hash == info_hash),
        );
        if meetings.count() >= MAX_MEETINGS {
            return Err(Refusal::Full);
        }
        if !swarm.meetings.take(now) {
            return Err(Refusal::TooFast);
        }
        let meet = Meet {
            info_hash,
            request,
            x,
            via,
            origin,
            cookie: self.entropy.cookie(),
            asked: None,
            answer: None,
        };
        let id = self.create_circuit(now, Purpose::RendezvousSeeder, hops, None)?;
        if let Some(task) = self.task(id) {
            *task = Task::Meet(Box::new(meet));
        }
        Ok(())
    }

    /// A rendezvous point waits for a downloader: tell it where.
    pub(super) fn on_waiting(
        &mut self,
        circuit: CircuitId,
        id: u16,
        addr: SocketAddr,
    ) -> Result<(), Refusal> {
        let dialect = self.config.dialect;
        let ours = self.circuits.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        let node = ours.hops.last().ok_or(Refusal::Unexpected)?.key.clone();
        let Task::Meet(meet) = &mut ours.task else {
            return Err(Refusal::Unexpected);
        };
        if meet.asked != Some(id) {
            return Err(Refusal::Unexpected);
        }
        meet.asked = None;
        ours.answer_by = None;
        let (request, x, via, origin) = (meet.request, meet.x, meet.via, meet.origin.clone());
        let rendezvous = Rendezvous {
            addr,
            node: node.as_bytes().to_vec(),
            cookie: meet.cookie,
        };
        let swarm = self
            .swarms
            .get(&meet.info_hash)
            .ok_or(Refusal::Unexpected)?;
        let seeder = swarm.seeder.clone().ok_or(Refusal::Unexpected)?;
        let ephemeral = self.entropy.ephemeral();
        let agreed = answer(&seeder, &ephemeral, &x);
        let (shared, auth) = agreed.map_err(|_| Refusal::Malformed)?;
        let first = self.entropy.first_counter();
        let session = Session::new(dialect, &shared, Side::Originator, first);
        let mut session = session.ok_or(Refusal::Malformed)?;
        let place = write_rendezvous(dialect, &rendezvous).ok_or(Refusal::Malformed)?;
        let place = session.seal.seal_copy(&place)?;
        let created = Message::CreatedE2e(Answer {
            id: request,
            y: *ephemeral.public(),
            auth,
            list: &place,
        });
        let packet = self.packet(&created).ok_or(Refusal::Malformed)?;
        if let Some(ours) = self.circuits.get_mut(&circuit) {
            ours.end_to_end = Some(session);
            if let Task::Meet(meet) = &mut ours.task {
                meet.answer = Some(packet.clone());
            }
        }
        self.tunnel(via, origin, &packet)
    }

    /// A seeder waits for us.
    pub(super) fn on_place(&mut self, now: Instant, answer: Answer<'_>) -> Result<(), Refusal> {
        let dialect = self.config.dialect;
        let contact = self.contacts.get(&answer.id).ok_or(Refusal::Unexpected)?;
        let shared = conclude(
            &contact.ephemeral,
            &contact.static_key,
            &answer.y,
            &answer.auth,
        );
        let shared = shared.map_err(|_| Refusal::Forged)?;
        let first = self.entropy.first_counter();
        let session = Session::new(dialect, &shared, Side::Joined, first);
        let mut session = session.ok_or(Refusal::Malformed)?;
        let place = session.open.open_copy(answer.list)?;
        let rendezvous = read_rendezvous(dialect, &place).map_err(|_| Refusal::Malformed)?;
        let key = PublicKey::from_bytes(&rendezvous.node).map_err(|_| Refusal::Malformed)?;
        if key.x25519().is_none() || &key == self.key.public() {
            return Err(Refusal::Loop);
        }
        let Some(contact) = self.contacts.remove(&answer.id) else {
            return Err(Refusal::Unexpected);
        };
        let info_hash = contact.info_hash;
        let links = self.linked_seeders(now, &info_hash).into_iter();
        let links = links.filter(|seeder| *seeder == contact.seeder).count();
        if links + 1 >= MAX_LINKS {
            self.contacts
                .retain(|_, other| other.seeder != contact.seeder);
        }
        if links >= MAX_LINKS {
            return Err(Refusal::Full);
        }
        let swarm = self.swarms.get_mut(&info_hash).ok_or(Refusal::Unexpected)?;
        if !swarm.links.take(now) {
            return Err(Refusal::TooFast);
        }
        let hops = swarm.hops.saturating_add(1);
        let exit = Hop {
            key,
            addr: rendezvous.addr,
        };
        let id = self.create_circuit(now, Purpose::RendezvousDownloader, hops, Some(exit))?;
        if let Some(task) = self.task(id) {
            *task = Task::Link(Box::new(Link {
                info_hash,
                seeder: contact.seeder,
                rendezvous,
                session: Some(session),
                asked: None,
            }));
        }
        Ok(())
    }

    /// Two circuits are joined, says the hop that has joined them.
    pub(super) fn on_linked(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        id: u16,
    ) -> Result<(), Refusal> {
        let ours = self.circuits.get(&circuit).ok_or(Refusal::Unknown)?;
        match &ours.task {
            Task::Link(link) if link.asked == Some(id) => {
                self.on_far_end(now, circuit);
                Ok(())
            }
            _ => Err(Refusal::Unexpected),
        }
    }

    /// The far end of a circuit is there: where it was to be linked, it is.
    pub(super) fn on_far_end(&mut self, now: Instant, circuit: CircuitId) {
        let interval = self.config.ping_interval;
        let Some(ours) = self.circuits.get_mut(&circuit) else {
            return;
        };
        let Task::Link(link) = &mut ours.task else {
            return;
        };
        if link.asked.take().is_none() {
            return;
        }
        let info_hash = link.info_hash;
        if let Some(session) = link.session.take() {
            ours.end_to_end = Some(session);
        }
        ours.answer_by = None;
        ours.linked = true;
        ours.next_ping = now + interval;
        self.emit(Event::Linked { info_hash, circuit });
    }
}
