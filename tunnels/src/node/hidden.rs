//! Hidden peers: introduction points, rendezvous points, and links between two originators.
//!
//! A seeder keeps a circuit to a node that introduces it. A downloader sends its wish there, through a circuit of its own; the
//! seeder builds a circuit to a node where it waits, and answers with the place and a cookie; the downloader builds a
//! circuit there, and the node joins both. What goes through is sealed between the two as well.

use std::time::{Duration, Instant};

use overlay::key::{PublicKey, SecretKey};
use overlay::packet::{Packet, plain};
use overlay::wire::{Address, NO_ADDRESS, Writer};
use rand::RngExt;

use super::{CircuitId, Closed, Event, Kind, Message, Node, Purpose, Reason, Refusal, State};
use crate::hidden::{Contact, Swarm, Task};
use crate::message::{IntroPoint, read_peers, write_peers};

/// How long a seeder, an introduction point or a rendezvous point may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Requests to one seeder that wait for answers at once; what is asked beyond them is one of these once more.
const MAX_CONTACTS: usize = 2;

/// How long it may before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The most swarms. They are our own: what bounds the load of a node is how many of them are tended at once.
pub(crate) const MAX_SWARMS: usize = 4096;

/// The most requests that wait for answers.
const MAX_WAITING: usize = 256;

impl Node {
    /// Takes part in a swarm, by circuits with so many hops. A seeder has a key for this swarm only, which is made here.
    ///
    /// # Errors
    /// [`Refusal::Full`] at 4096 swarms.
    pub fn join_swarm(
        &mut self,
        info_hash: [u8; 20],
        hops: u8,
        seeds: bool,
    ) -> Result<(), Refusal> {
        if self.swarms.len() >= MAX_SWARMS && !self.swarms.contains_key(&info_hash) {
            return Err(Refusal::Full);
        }
        let seeder = seeds.then(|| SecretKey::generate(self.entropy.rng()));
        self.swarms.insert(info_hash, Swarm::new(hops, seeder));
        Ok(())
    }

    /// Who we are in a swarm that we seed.
    pub fn seeder(&self, info_hash: &[u8; 20]) -> Option<PublicKey> {
        let seeder = self.swarms.get(info_hash)?.seeder.as_ref()?;
        Some(seeder.public().clone())
    }

    /// Leaves a swarm, and ends its circuits.
    pub fn leave_swarm(&mut self, info_hash: &[u8; 20]) {
        self.swarms.remove(info_hash);
        self.contacts
            .retain(|_, contact| contact.info_hash != *info_hash);
        let circuits = self.circuits.values();
        let circuits = circuits.filter(|circuit| circuit.task.swarm() == Some(*info_hash));
        let circuits: Vec<CircuitId> = circuits.map(|circuit| circuit.id).collect();
        for id in circuits {
            self.end_circuit(id, Closed::Unneeded, Reason::Unneeded);
        }
    }

    /// Builds a way to a node that introduces us as a seeder; [`Event::Introduced`] tells when it does.
    ///
    /// # Errors
    /// [`Refusal::Unexpected`] unless we seed the swarm; [`Refusal::Unknown`] without nodes to build with, or where all that are known
    /// introduce us already; [`Refusal::TooFast`] where that many were begun lately.
    pub fn introduce(&mut self, now: Instant, info_hash: [u8; 20]) -> Result<CircuitId, Refusal> {
        let swarm = self.swarms.get(&info_hash).ok_or(Refusal::Unexpected)?;
        if swarm.seeder.is_none() {
            return Err(Refusal::Unexpected);
        }
        if !swarm.introductions.has(now) {
            return Err(Refusal::TooFast);
        }
        let hops = swarm.hops.saturating_add(1);
        let point = self
            .introduction_point(&info_hash)
            .ok_or(Refusal::Unknown)?;
        let id = self.create_circuit(now, Purpose::Introduction, hops, Some(point))?;
        if let Some(task) = self.task(id) {
            *task = Task::Introduce(info_hash, None);
        }
        if let Some(swarm) = self.swarms.get_mut(&info_hash) {
            swarm.introductions.take(now);
        }
        Ok(id)
    }

    /// Asks for introduction points of a swarm: the exit of a circuit, or `point` through one.
    /// [`Event::PeersFound`] has the answer.
    ///
    /// # Errors
    /// [`Refusal::Unexpected`] for a swarm that was not joined; [`Refusal::Unknown`] without a circuit.
    pub fn find_peers(
        &mut self,
        now: Instant,
        info_hash: [u8; 20],
        point: Option<&IntroPoint>,
    ) -> Result<(), Refusal> {
        let circuit = self.circuit_of(&info_hash)?;
        self.find_peers_by(now, circuit, info_hash, point)
    }

    /// As [`Node::find_peers`], whether the swarm was joined or not, by any circuit of `hops` hops.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] without a circuit; [`Refusal::Full`] when too many answers are waited for.
    pub fn survey_peers(
        &mut self,
        now: Instant,
        (info_hash, hops): ([u8; 20], u8),
        point: Option<&IntroPoint>,
    ) -> Result<(), Refusal> {
        let circuit = self.circuit_with(hops)?;
        self.find_peers_by(now, circuit, info_hash, point)
    }

    fn find_peers_by(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        info_hash: [u8; 20],
        point: Option<&IntroPoint>,
    ) -> Result<(), Refusal> {
        if self.lookups.len() >= MAX_WAITING {
            return Err(Refusal::Full);
        }
        let id = self.entropy.identifier();
        self.lookups.insert(id, (info_hash, now + ANSWER_TIME));
        let request = Message::PeersRequest { id, info_hash };
        let last = self
            .circuits
            .get(&circuit)
            .and_then(|circuit| circuit.hops.last());
        let is_last = |point: &IntroPoint| last.is_some_and(|hop| hop.key.as_bytes() == point.node);
        match point {
            Some(point) if !is_last(point) => {
                let number = self.number(Kind::PeersRequest).ok_or(Refusal::Malformed)?;
                let dialect = self.config.dialect;
                let packet = plain(self.prefix, number, |body| {
                    body.u32(circuit.0);
                    let _ = request.write_body(dialect, body);
                });
                self.tunnel(circuit, point.addr.into(), &packet)
            }
            _ => self.say(circuit, &request),
        }
    }

    /// Asks a hidden seeder for a link; [`Event::Linked`] tells when there is one.
    ///
    /// # Errors
    /// As [`Node::find_peers`]; [`Refusal::Malformed`] for keys that cannot be; [`Refusal::TooFast`] where we have gone to that many
    /// seeders of the swarm lately.
    pub fn contact(
        &mut self,
        now: Instant,
        info_hash: [u8; 20],
        point: &IntroPoint,
    ) -> Result<(), Refusal> {
        let circuit = self.circuit_of(&info_hash)?;
        let swarm = self.swarms.get(&info_hash);
        if swarm.is_none_or(|swarm| !swarm.links.has(now)) {
            return Err(Refusal::TooFast);
        }
        if self.contacts.len() >= MAX_WAITING {
            return Err(Refusal::Full);
        }
        let key = PublicKey::from_bytes(&point.seeder).map_err(|_| Refusal::Malformed)?;
        let static_key = key.x25519().ok_or(Refusal::Malformed)?;
        let mut asked: Vec<&mut Contact> = self.contacts.values_mut().collect();
        asked.retain(|contact| contact.seeder == point.seeder);
        let all_asked = asked.len() >= MAX_CONTACTS;
        let oldest = asked.into_iter().min_by_key(|contact| contact.deadline);
        if let Some(contact) = oldest.filter(|_| all_asked) {
            // The seeder knows it again, whichever way it comes, and goes to no other place for it.
            contact.to = point.addr;
            (contact.again, contact.deadline) = (now + ASK_AGAIN, now + ANSWER_TIME);
            let packet = contact.packet.clone();
            return self.tunnel(circuit, point.addr.into(), &packet);
        }
        let id = self.entropy.identifier();
        let ephemeral = self.entropy.ephemeral();
        let create = Message::CreateE2e {
            id,
            info_hash,
            seeder: &point.seeder,
            x: *ephemeral.public(),
        };
        let packet = self.packet(&create).ok_or(Refusal::Malformed)?;
        self.tunnel(circuit, point.addr.into(), &packet)?;
        self.contacts.insert(
            id,
            Contact {
                info_hash,
                seeder: point.seeder.clone(),
                static_key,
                ephemeral,
                packet,
                to: point.addr,
                again: now + ASK_AGAIN,
                deadline: now + ANSWER_TIME,
            },
        );
        Ok(())
    }

    /// Asks seeders again that have not answered, perhaps through other circuits.
    pub(super) fn ask_seeders_again(&mut self, now: Instant) {
        let mut again = Vec::new();
        for contact in self.contacts.values_mut() {
            if now >= contact.again {
                contact.again = now + ASK_AGAIN;
                again.push((contact.info_hash, contact.to, contact.packet.clone()));
            }
        }
        for (info_hash, to, packet) in again {
            let circuit = self.circuit_of(&info_hash);
            if let Err(why) = circuit.and_then(|id| self.tunnel(id, to.into(), &packet)) {
                self.counters.refuse(why);
            }
        }
    }

    /// Seeders of a swarm that we are linked with, or soon will be: once for each link, but for those that do not answer.
    pub fn linked_seeders(&self, now: Instant, info_hash: &[u8; 20]) -> Vec<Vec<u8>> {
        let circuits = self.circuits.values();
        let circuits = circuits.filter(|circuit| circuit.may_link(now));
        let links = circuits.filter_map(|circuit| match &circuit.task {
            Task::Link(link) if link.info_hash == *info_hash => Some(link.seeder.clone()),
            _ => None,
        });
        links.collect()
    }

    /// The seeder to whom a circuit leads, or soon will.
    pub(crate) fn link_with(&self, circuit: CircuitId) -> Option<&[u8]> {
        match &self.circuits.get(&circuit)?.task {
            Task::Link(link) => Some(&link.seeder),
            Task::Introduce(..) | Task::Meet(_) | Task::Nothing => None,
        }
    }

    /// Answers [`Event::PeersWanted`].
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the circuit is gone.
    pub fn answer_peers(
        &mut self,
        circuit: CircuitId,
        id: u16,
        info_hash: [u8; 20],
        peers: &[IntroPoint],
    ) -> Result<(), Refusal> {
        let peers = write_peers(self.config.dialect, peers);
        let peers = peers.as_slice();
        self.answer(
            circuit,
            &Message::PeersResponse {
                id,
                info_hash,
                peers,
            },
        )
    }

    fn circuit_of(&mut self, info_hash: &[u8; 20]) -> Result<CircuitId, Refusal> {
        let swarm = self.swarms.get(info_hash).ok_or(Refusal::Unexpected)?;
        let hops = swarm.hops;
        self.circuit_with(hops)
    }

    /// A circuit for data of so many hops, one that answers if there is such a one.
    fn circuit_with(&mut self, hops: u8) -> Result<CircuitId, Refusal> {
        let fit = self.circuits.values().filter(|circuit| {
            let data = circuit.purpose == Purpose::Data && circuit.goal == hops;
            data && circuit.state() == State::Ready
        });
        let (answering, silent): (Vec<_>, Vec<_>) = fit
            .map(|circuit| (circuit.id, circuit.unanswered))
            .partition(|(_, unanswered)| unanswered.is_none());
        let fit = if answering.is_empty() {
            silent
        } else {
            answering
        };
        if fit.is_empty() {
            return Err(Refusal::Unknown);
        }
        let at = self.entropy.rng().random_range(0..fit.len());
        fit.get(at).map(|(id, _)| *id).ok_or(Refusal::Unknown)
    }

    pub(super) fn packet(&self, message: &Message<'_>) -> Option<Vec<u8>> {
        let mut writer = Writer::new();
        writer.raw(self.prefix.as_bytes());
        message.write(self.config.dialect, &mut writer)?;
        Some(writer.finish())
    }

    /// Sends a packet of the community through a circuit.
    pub(super) fn tunnel(
        &mut self,
        circuit: CircuitId,
        to: Address,
        data: &[u8],
    ) -> Result<(), Refusal> {
        let from = NO_ADDRESS.into();
        self.say(circuit, &Message::Data { to, from, data })
    }

    /// A circuit of ours is ready: what it is for begins.
    pub(super) fn on_ready(&mut self, now: Instant, id: CircuitId) {
        let request = self.entropy.identifier();
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        match &mut circuit.task {
            Task::Nothing => return,
            Task::Introduce(_, asked) => *asked = Some(request),
            Task::Meet(meet) => meet.asked = Some(request),
            Task::Link(link) => link.asked = Some(request),
        }
        circuit.answer_by = Some(now + ANSWER_TIME);
        self.ask_for_task(now, id);
    }

    /// Asks again for what a circuit is for. Whoever is behind the hop that is to join two circuits is asked, too: where the two
    /// are joined already and only the word of it was lost, nobody else can tell.
    pub(super) fn ask_again_for_task(&mut self, now: Instant, id: CircuitId) {
        self.ask_for_task(now, id);
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        if let Task::Link(link) = &mut circuit.task {
            if let Some(session) = link.session.take() {
                circuit.end_to_end = Some(session);
            }
            self.ask_whether_there(now, id);
        }
    }

    /// Asks the last hop of a circuit for what the circuit is for, unless it has answered.
    pub(super) fn ask_for_task(&mut self, now: Instant, id: CircuitId) {
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        circuit.ask_again = now + ASK_AGAIN;
        let message = match &circuit.task {
            Task::Introduce(info_hash, Some(request)) => {
                let (info_hash, request) = (*info_hash, *request);
                let swarm = self.swarms.get(&info_hash);
                let Some(seeder) = swarm.and_then(|swarm| swarm.seeder.clone()) else {
                    return;
                };
                let message = Message::EstablishIntro {
                    id: request,
                    info_hash,
                    seeder: seeder.public().as_bytes(),
                };
                self.say(id, &message)
            }
            Task::Meet(meet) => {
                let (Some(request), cookie) = (meet.asked, meet.cookie) else {
                    return;
                };
                let message = Message::EstablishRendezvous {
                    id: request,
                    cookie,
                };
                self.say(id, &message)
            }
            Task::Link(link) => {
                let (Some(request), cookie) = (link.asked, link.rendezvous.cookie) else {
                    return;
                };
                let message = Message::LinkE2e {
                    id: request,
                    cookie,
                };
                self.say(id, &message)
            }
            Task::Introduce(_, None) | Task::Nothing => return,
        };
        if let Err(why) = message {
            self.counters.refuse(why);
        }
    }

    /// What the last hop of a circuit of ours answers.
    pub(super) fn on_hidden_answer(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        message: Message<'_>,
    ) -> Result<(), Refusal> {
        match message {
            Message::IntroEstablished(id) => match self.task(circuit) {
                Some(Task::Introduce(info_hash, asked)) if *asked == Some(id) => {
                    *asked = None;
                    let info_hash = *info_hash;
                    if let Some(ours) = self.circuits.get_mut(&circuit) {
                        ours.answer_by = None;
                    }
                    self.emit(Event::Introduced { info_hash, circuit });
                    Ok(())
                }
                _ => Err(Refusal::Unexpected),
            },
            Message::RendezvousEstablished { id, addr } => self.on_waiting(circuit, id, addr),
            Message::LinkedE2e(id) => self.on_linked(now, circuit, id),
            Message::PeersResponse {
                id,
                info_hash,
                peers,
            } => self.on_peers(id, info_hash, peers),
            _ => Err(Refusal::Unexpected),
        }
    }

    fn on_peers(&mut self, id: u16, info_hash: [u8; 20], peers: &[u8]) -> Result<(), Refusal> {
        let peers = read_peers(self.config.dialect, peers).map_err(|_| Refusal::Malformed)?;
        match self.lookups.get(&id) {
            Some((asked, _)) if *asked == info_hash => {
                self.lookups.remove(&id);
                self.emit(Event::PeersFound { info_hash, peers });
                Ok(())
            }
            _ => Err(Refusal::Unexpected),
        }
    }

    /// A packet of the community has come through a circuit of ours.
    pub(super) fn on_tunnelled(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        from: Address,
        packet: &[u8],
    ) -> Result<(), Refusal> {
        let dialect = self.config.dialect;
        let packet = Packet::parse(packet).map_err(|_| Refusal::Malformed)?;
        let kind = Kind::of(dialect, packet.message()).ok_or(Refusal::Unexpected)?;
        let mut body = packet.body();
        if kind == Kind::PeersResponse {
            body.u32("circuit").map_err(|_| Refusal::Malformed)?;
        }
        let message = Message::read_body(dialect, kind, body).map_err(|_| Refusal::Malformed)?;
        match message {
            Message::CreateE2e {
                id,
                info_hash,
                seeder,
                x,
            } => self.on_wish(now, circuit, from, info_hash, (id, seeder, x)),
            Message::CreatedE2e(answer) => self.on_place(now, answer),
            Message::PeersResponse {
                id,
                info_hash,
                peers,
            } => self.on_peers(id, info_hash, peers),
            _ => Err(Refusal::Unexpected),
        }
    }
}
