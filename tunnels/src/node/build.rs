//! Circuits of our own: asking hops to join, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use overlay::key::PublicKey;
use overlay::wire::{Address, NO_ADDRESS};

use super::{
    CircuitId, Closed, Dialect, Event, Hop, Inner, Kind, Message, Node, Purpose, Reason, Refusal,
    State,
};
use crate::alias::Alias;
use crate::circuit::{Asked, Circuit, Joined};
use crate::crypto::{Session, Side, conclude};
use crate::hidden::Task;
use crate::message::{Answer, read_candidates};
use crate::{Head, path};

/// How long a hop may take to join at least, where the one before was fast.
const LEAST_PATIENCE: Duration = Duration::from_millis(1200);

/// How many nodes the last hop of a circuit that is built is asked to pass on to: for datagrams, where one of several exits will do,
/// and for hidden peers.
const MAX_ASKED: (u8, u8) = (3, 2);

impl Node {
    /// Begins a circuit of our own. Hops that are not given are chosen.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when not enough nodes are known, or after [`Node::shut_down`].
    pub fn create_circuit(
        &mut self,
        now: Instant,
        purpose: Purpose,
        goal: u8,
        exit: Option<Hop>,
    ) -> Result<CircuitId, Refusal> {
        if self.closing {
            return Err(Refusal::Unknown);
        }
        let lasting = self.lasting_firsts(purpose);
        let circuits = self.circuits.values();
        let exits = circuits.clone().filter_map(|circuit| circuit.exit.as_ref());
        let alike = self.alike(now, purpose);
        let used = path::Used {
            alike: crowded(alike.clone().map(|it| &it.first), lasting.as_ref()),
            through: alike.flat_map(Circuit::nodes).cloned().collect(),
            firsts: count(circuits.map(|circuit| &circuit.first)),
            exits: count(exits),
            doubted: self.missed(),
            lasting,
        };
        let rng = self.entropy.rng();
        let chosen = path::choose(&self.candidates, purpose, goal, exit, &used, rng);
        let (first, exit, others) = chosen.ok_or(Refusal::Unknown)?;
        let id = self.free_circuit();
        let mut circuit = Circuit::new(now, id, purpose, goal, first.clone(), exit);
        if matches!(
            purpose,
            Purpose::RendezvousSeeder | Purpose::RendezvousDownloader
        ) {
            let alias = self.free_alias();
            circuit.alias = Some(alias);
            self.aliases.insert(alias, id);
        }
        self.circuits.insert(id, circuit);
        self.counters.begun += 1;
        let others = others.into_iter().map(|hop| (hop.key, Some(hop.addr)));
        self.ask_first(now, id, first, others.collect());
        Ok(id)
    }

    /// The circuits of a kind that answer: they stand in for each other.
    pub(super) fn alike(
        &self,
        now: Instant,
        purpose: Purpose,
    ) -> impl Iterator<Item = &Circuit> + Clone {
        let circuits = self.circuits.values();
        circuits.filter(move |it| it.purpose == purpose && !it.is_silent(now))
    }

    /// Where circuits begin, if they are of those that others can have us build.
    pub(super) fn lasting_firsts(&mut self, purpose: Purpose) -> Option<BTreeSet<PublicKey>> {
        if purpose.is_our_wish() {
            return None;
        }
        let circuits = self.circuits.values();
        let circuits = circuits.filter(|circuit| !circuit.purpose.is_our_wish());
        let (circuits, rng) = (circuits.count() + 1, self.entropy.rng());
        Some(self.firsts.of(&self.candidates, circuits, rng))
    }

    /// Ends a circuit of our own.
    pub fn close_circuit(&mut self, id: CircuitId) {
        self.end_circuit(id, Closed::Unneeded, Reason::Unneeded);
    }

    /// Writes a datagram to `to` into `out` as a cell of a circuit of our own, and says where the cell is to be sent. The
    /// contents of `out` are replaced and its memory is used again.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] unless the circuit is ready for data; [`Refusal::UsedUp`].
    pub fn send_data(
        &mut self,
        circuit: CircuitId,
        to: Address,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<SocketAddr, Refusal> {
        let wire = (self.config.dialect, &self.prefix);
        let circuit = self.circuits.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        if !circuit.carries_data() {
            return Err(Refusal::Unknown);
        }
        circuit.unheard = circuit.unheard.saturating_add(1);
        let from = NO_ADDRESS.into();
        circuit.seal(wire, &Message::Data { to, from, data }, out)
    }

    /// Asks at the next tick whether a circuit still stands.
    pub(crate) fn probe(&mut self, now: Instant, id: CircuitId) {
        if let Some(circuit) = self.circuits.get_mut(&id) {
            circuit.next_ping = now;
        }
    }

    /// A circuit is only kept to take the place of another one, and asked half as often whether it stands; or no more.
    pub(crate) fn set_spare(&mut self, id: CircuitId, spare: bool) {
        if let Some(circuit) = self.circuits.get_mut(&id) {
            circuit.spare = spare;
        }
    }

    /// Tests a circuit: sends ballast and asks for some.
    ///
    /// # Errors
    /// As [`Node::send_data`].
    pub fn test_circuit(
        &mut self,
        circuit: CircuitId,
        send: &[u8],
        receive: u16,
    ) -> Result<u16, Refusal> {
        let id = self.entropy.identifier();
        let (size, data) = (receive, send);
        self.say(circuit, &Message::TestRequest { id, size, data })?;
        Ok(id)
    }

    /// Asks an exit to send an HTTP request to a tracker. Parts of the reply are told until [`Node::end_http`].
    ///
    /// # Errors
    /// As [`Node::send_data`], and [`Refusal::Malformed`] in the older dialect, which has no such request.
    pub fn request_http(
        &mut self,
        circuit: CircuitId,
        id: u32,
        to: Address,
        request: &[u8],
    ) -> Result<(), Refusal> {
        self.say(circuit, &Message::HttpRequest { id, to, request })?;
        if let Some(circuit) = self.circuits.get_mut(&circuit) {
            circuit.requests.insert(id);
        }
        Ok(())
    }

    /// Wants nothing more of a reply to an HTTP request: what comes of it is refused.
    pub fn end_http(&mut self, circuit: CircuitId, id: u32) {
        if let Some(circuit) = self.circuits.get_mut(&circuit) {
            circuit.requests.remove(&id);
        }
    }

    fn ask_first(
        &mut self,
        now: Instant,
        id: CircuitId,
        first: Hop,
        others: Vec<(PublicKey, Option<SocketAddr>)>,
    ) {
        let patience = self.patience(self.first_took);
        let asked = self.asked((now, patience), first.key.clone(), others);
        let create = Message::Create {
            id: asked.id,
            node: self.key.public().as_bytes(),
            x: *asked.ephemeral.public(),
        };
        let packet = self.plain(id, &create);
        if let Some(circuit) = self.circuits.get_mut(&id) {
            circuit.first = first.clone();
            circuit.asked = Some(asked);
            circuit.tries = circuit.tries.saturating_sub(1);
        }
        if let Some(packet) = packet {
            self.transmit(first.addr, packet);
        }
    }

    /// How long a node may take to join where the one before took so long.
    fn patience(&self, took: Option<Duration>) -> Duration {
        let most = self.config.hop_time;
        took.map_or(most, |took| (took * 3).max(LEAST_PATIENCE).min(most))
    }

    fn asked(
        &mut self,
        (now, patience): (Instant, Duration),
        key: PublicKey,
        others: Vec<(PublicKey, Option<SocketAddr>)>,
    ) -> Asked {
        let id = match self.config.dialect {
            Dialect::Classic => 0,
            Dialect::Modern => self.entropy.identifier(),
        };
        Asked {
            key,
            ephemeral: self.entropy.ephemeral(),
            id,
            since: now,
            deadline: now + patience,
            others,
        }
    }

    /// Somebody asked has not answered in time.
    pub(super) fn ask_another(&mut self, now: Instant, id: CircuitId) {
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        let Some(asked) = circuit.asked.take() else {
            return;
        };
        let is_first = circuit.hops.is_empty();
        // Where a hop has passed on what it was asked, and only the answer was lost, whatever else it is asked goes astray.
        let most = if circuit.purpose.is_our_wish() {
            MAX_ASKED.0
        } else {
            MAX_ASKED.1
        };
        let astray = !is_first && circuit.asked_here >= most;
        let tries = if astray { 0 } else { circuit.tries };
        let anew = is_first && circuit.goes_another_way();
        self.doubt_node(now, asked.key);
        let mut others = asked.others;
        if tries == 0 || others.is_empty() || anew {
            self.go_another_way(now, id);
            return;
        }
        let (key, addr) = others.remove(0);
        match (is_first, addr) {
            (true, Some(addr)) => self.ask_first(now, id, Hop { key, addr }, others),
            (true, None) => self.end_circuit(id, Closed::NoHops, Reason::Unneeded),
            (false, addr) => self.ask_next(now, id, key, addr, others),
        }
    }

    /// A circuit cannot be built to its end. If it is one to where somebody waits, another one is, a few times: a node that has
    /// joined, and whose word of it was lost, is reached by another way only.
    fn go_another_way(&mut self, now: Instant, id: CircuitId) {
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        let again = circuit.goes_another_way();
        let (purpose, goal) = (circuit.purpose, circuit.goal);
        // A seeder is free to say where it waits.
        let free = purpose == Purpose::RendezvousSeeder;
        let exit = circuit.exit.clone().filter(|_| !free);
        let (task, ways) = (std::mem::take(&mut circuit.task), circuit.ways);
        self.end_circuit(id, Closed::NoHops, Reason::Unneeded);
        if again
            && let Ok(id) = self.create_circuit(now, purpose, goal, exit)
            && let Some(circuit) = self.circuits.get_mut(&id)
        {
            (circuit.task, circuit.ways) = (task, ways - 1);
        }
    }

    pub(super) fn ask_next(
        &mut self,
        now: Instant,
        id: CircuitId,
        key: PublicKey,
        addr: Option<SocketAddr>,
        others: Vec<(PublicKey, Option<SocketAddr>)>,
    ) {
        let took = self.circuits.get(&id).and_then(|circuit| circuit.took);
        let patience = self.patience(took);
        let asked = self.asked((now, patience), key.clone(), others);
        let extend = Message::Extend {
            id: asked.id,
            node: key.as_bytes(),
            x: *asked.ephemeral.public(),
            addr,
        };
        if let Some(circuit) = self.circuits.get_mut(&id) {
            circuit.asked = Some(asked);
            circuit.asked_here += 1;
            circuit.tries = circuit.tries.saturating_sub(1);
            if let Some(addr) = addr
                && circuit.hops.len() + 1 == usize::from(circuit.goal)
            {
                let key = key.clone();
                circuit.exit = Some(Hop { key, addr });
            }
        }
        if let Err(why) = self.say(id, &extend) {
            self.counters.refuse(why);
        }
    }

    /// A cell of a circuit of our own.
    pub(super) fn on_circuit(
        &mut self,
        now: Instant,
        head: Head,
        message: Message<'_>,
    ) -> Result<Inner, Refusal> {
        let id = head.circuit;
        let circuit = self.circuits.get_mut(&id).ok_or(Refusal::Unknown)?;
        let is_first = circuit.hops.is_empty();
        match message {
            Message::Created(answer) if head.plaintext && is_first => {
                self.on_answer(now, id, answer)?;
            }
            Message::Extended(answer) if !is_first => self.on_answer(now, id, answer)?,
            Message::Pong(number) => {
                if !circuit.ponged(now, number) {
                    return Err(Refusal::Unexpected);
                }
                self.on_far_end(now, id);
            }
            Message::Ping(number) => self.say(id, &Message::Pong(number))?,
            Message::Data { from, data, .. } => {
                let alias = circuit.alias;
                return self.on_data(now, id, alias, from, data);
            }
            Message::TestResponse { id: test, data } => {
                let bytes = data.len();
                self.emit(Event::Tested {
                    circuit: id,
                    id: test,
                    bytes,
                });
            }
            Message::HttpResponse {
                id: request,
                part,
                parts,
                response,
            } => {
                if !circuit.requests.contains(&request) {
                    return Err(Refusal::Unexpected);
                }
                self.emit(Event::HttpPart {
                    circuit: id,
                    id: request,
                    part: (part, parts),
                    response: response.to_vec(),
                });
            }
            other => self.on_hidden_answer(now, id, other)?,
        }
        Ok(Inner::Done)
    }

    /// The node that was asked has joined, or somebody says so.
    fn on_answer(
        &mut self,
        now: Instant,
        id: CircuitId,
        answer: Answer<'_>,
    ) -> Result<(), Refusal> {
        let dialect = self.config.dialect;
        let first_counter = self.entropy.first_counter();
        let circuit = self.circuits.get_mut(&id).ok_or(Refusal::Unknown)?;
        let asked = circuit.asked.as_ref().ok_or(Refusal::Unexpected)?;
        if asked.id != answer.id {
            return Err(Refusal::Unexpected);
        }
        let hop = asked.key.x25519().ok_or(Refusal::Malformed)?;
        let shared = conclude(&asked.ephemeral, &hop, &answer.y, &answer.auth);
        let shared = shared.map_err(|_| Refusal::Forged)?;
        let session = Session::new(dialect, &shared, Side::Originator, first_counter);
        let mut session = session.ok_or(Refusal::Malformed)?;
        // Only who has the lasting key of the hop can have sealed the list.
        let list = session.open_list(answer.list)?;
        let list = read_candidates(dialect, &list).unwrap_or_default();
        let key = asked.key.clone();
        let took = now.saturating_duration_since(asked.since);
        (circuit.took, circuit.asked_here) = (Some(took), 0);
        if circuit.hops.is_empty() {
            // Who was far is waited for the longest.
            let longest = self.first_took.map(|longest| longest * 7 / 8);
            self.first_took = Some(longest.map_or(took, |longest| longest.max(took)));
        }
        circuit.asked = None;
        circuit.hops.push(Joined { key, session });
        circuit.last = now;
        if circuit.state() == State::Ready {
            circuit.next_ping = now + self.config.ping_interval;
            self.emit(Event::Ready(id));
            self.on_ready(now, id);
            return Ok(());
        }
        self.extend(now, id, &list);
        Ok(())
    }

    fn on_data(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        alias: Option<Alias>,
        from: Address,
        data: &[u8],
    ) -> Result<Inner, Refusal> {
        let len = data.len();
        if let Some(alias) = alias {
            let from = alias.addr().into();
            return Ok(Inner::Data { from, len });
        }
        if data.starts_with(self.prefix.as_bytes()) {
            self.on_tunnelled(now, circuit, from, data)?;
            return Ok(Inner::Done);
        }
        Ok(Inner::Data { from, len })
    }

    /// Tells the first hop that a circuit ends, and forgets it.
    pub(super) fn end_circuit(&mut self, id: CircuitId, why: Closed, reason: Reason) {
        if let Some(circuit) = self.circuits.get(&id) {
            let to = circuit.first.addr;
            self.send_destroy(to, id, reason);
            self.drop_circuit(id, why);
        }
    }

    pub(super) fn drop_circuit(&mut self, id: CircuitId, why: Closed) {
        if let Some(circuit) = self.circuits.remove(&id) {
            if let Some(alias) = circuit.alias {
                self.aliases.remove(&alias);
            }
            self.emit(circuit.closed(why));
        }
    }

    /// Whether a circuit of ours waits for something of its own.
    pub(super) fn task(&mut self, id: CircuitId) -> Option<&mut Task> {
        Some(&mut self.circuits.get_mut(&id)?.task)
    }

    /// The number of a message, for packets that are no cells.
    pub(super) const fn number(&self, kind: Kind) -> Option<u8> {
        kind.number(self.config.dialect)
    }
}

/// The nodes at which more circuits begin than at the one of `all` at which the fewest do.
fn crowded<'a>(
    firsts: impl Iterator<Item = &'a Hop>,
    all: Option<&BTreeSet<PublicKey>>,
) -> BTreeSet<PublicKey> {
    let mut times = count(firsts);
    let all = all.into_iter().flatten();
    let fewest = all.map(|key| times.get(key).copied().unwrap_or_default());
    let fewest = fewest.min().unwrap_or_default();
    times.retain(|_, times| *times > fewest);
    times.into_keys().collect()
}

/// How often each node is one of those.
fn count<'a>(hops: impl Iterator<Item = &'a Hop>) -> BTreeMap<PublicKey, usize> {
    hops.fold(BTreeMap::new(), |mut times, hop| {
        *times.entry(hop.key.clone()).or_default() += 1;
        times
    })
}
