//! Circuits of others: joining them, and making them longer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use overlay::key::PublicKey;
use rand::seq::SliceRandom;

use super::{CircuitId, Event, Inner, Message, Node, Reason, Refusal};
use crate::crypto::{Session, answer};
use crate::joined::{Extending, Joined};
use crate::message::{Answer, write_candidates};
use crate::relay::{End, From, Relay};
use crate::{Dialect, Flags, Head, policy};

/// How long a node that is asked for an originator may take.
const JOIN_TIME: Duration = Duration::from_secs(10);

/// How many nodes are asked at most to be the next hop of one circuit, so that nobody has us send requests without end. An
/// originator that waits as long for each as the original has no time for more.
const MAX_ASKED: u8 = 8;

/// How many neighbours of a kind are named to an originator.
const NAMED: usize = 4;

impl Node {
    /// A cell without encryption on a circuit that is not ours and does not end here.
    pub(super) fn on_plain(
        &mut self,
        now: Instant,
        head: Head,
        from: SocketAddr,
        message: Message<'_>,
    ) -> Result<Inner, Refusal> {
        match message {
            Message::Create { id, node, x } => {
                self.on_create(now, head.circuit, from, (id, node, x))?;
            }
            Message::Created(answer) => self.on_created(now, head.circuit, from, answer)?,
            _ => return Err(Refusal::Unexpected),
        }
        Ok(Inner::Done)
    }

    fn on_create(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        from: SocketAddr,
        (id, node, x): (u16, &[u8], [u8; 32]),
    ) -> Result<(), Refusal> {
        if self.config.flags == Flags::default() || self.closing {
            return Err(Refusal::NotOffered);
        }
        if self.is_spent() {
            return Err(Refusal::Spent);
        }
        if self.joined.len() + 2 * self.relays.len() >= self.config.max_joined {
            return Err(Refusal::Full);
        }
        if self.extending.contains_key(&circuit) {
            return Err(Refusal::Loop);
        }
        if !self.joins.take(now, from.ip()) {
            return Err(Refusal::TooFast);
        }
        let key = PublicKey::from_bytes(node).map_err(|_| Refusal::Malformed)?;
        if &key == self.key.public() {
            return Err(Refusal::Loop);
        }
        let dialect = self.config.dialect;
        let ephemeral = self.entropy.ephemeral();
        let agreed = answer(&self.key, &ephemeral, &x);
        let (shared, auth) = agreed.map_err(|_| Refusal::Malformed)?;
        let (offered, names) = self.neighbours(&key);
        let list = write_candidates(dialect, names.iter().map(PublicKey::as_bytes));
        let first = self.entropy.first_counter();
        let counter = self.entropy.answer_counter();
        let joined = Session::joined(dialect, &shared, first, counter, &list);
        let (session, list) = joined.ok_or(Refusal::Malformed)?;
        let created = Message::Created(Answer {
            id,
            y: *ephemeral.public(),
            auth,
            list: &list,
        });
        let packet = self.plain(circuit, &created).ok_or(Refusal::Malformed)?;
        let back = End {
            circuit,
            addr: from,
            key,
        };
        self.joined
            .insert(circuit, Joined::new(now, back, session, offered));
        self.counters.joined += 1;
        self.transmit(from, packet);
        Ok(())
    }

    /// Whom an originator may extend to through us, a few at random, and the names as they are told: relays first, and who asks
    /// last of them; in the newer dialect behind them exits, of which the first is named twice to mark where they begin.
    fn neighbours(&mut self, asks: &PublicKey) -> (Vec<(PublicKey, SocketAddr)>, Vec<PublicKey>) {
        let both = Flags::EXIT.and(Flags::RELAY);
        let able = self.candidates.iter();
        let able = able.filter(|(_, known)| known.flags.contain(Flags::RELAY));
        let able = able.map(|(key, known)| (key.clone(), known.addr, known.flags.contain(both)));
        let (mut exits, mut relays): (Vec<_>, Vec<_>) = able.partition(|(_, _, exit)| *exit);
        let rng = self.entropy.rng();
        relays.shuffle(rng);
        exits.shuffle(rng);
        relays.sort_by_key(|(key, ..)| key == asks);
        exits.retain(|(key, ..)| key != asks);
        relays.truncate(NAMED);
        exits.truncate(match self.config.dialect {
            Dialect::Classic => 0,
            Dialect::Modern => NAMED,
        });
        let first_exit = exits.first().map(|(key, ..)| key.clone());
        let keys = |list: &[(PublicKey, SocketAddr, bool)]| -> Vec<PublicKey> {
            list.iter().map(|(key, ..)| key.clone()).collect()
        };
        let names = keys(&relays).into_iter().chain(first_exit);
        let names = names.chain(keys(&exits)).collect();
        let offered = relays.into_iter().chain(exits);
        let offered = offered.map(|(key, addr, _)| (key, addr)).collect();
        (offered, names)
    }

    /// A cell of a circuit that ends here.
    pub(super) fn on_joined(
        &mut self,
        now: Instant,
        head: Head,
        message: Message<'_>,
    ) -> Result<Inner, Refusal> {
        let id = head.circuit;
        match message {
            Message::Data { to, data, .. } => return self.on_exit_data(now, id, to, data),
            Message::Extend {
                id: request,
                node,
                x,
                addr,
            } => {
                self.on_extend(now, id, request, (node, x, addr))?;
            }
            Message::Ping(number) => self.answer(id, &Message::Pong(number))?,
            Message::TestRequest { id: test, size, .. } => {
                if !self.config.flags.contain(Flags::SPEED_TEST) {
                    return Err(Refusal::NotOffered);
                }
                let mut data = vec![0; usize::from(size).min(2048)];
                self.carry(now, data.len())?;
                self.entropy.fill(&mut data);
                self.answer(
                    id,
                    &Message::TestResponse {
                        id: test,
                        data: &data,
                    },
                )?;
            }
            Message::SpeedRequest { id: test, size, .. } => {
                if !self.config.flags.contain(Flags::SPEED_TEST) {
                    return Err(Refusal::NotOffered);
                }
                let mut data = vec![0; usize::from(size).min(2048)];
                self.carry(now, data.len())?;
                self.entropy.fill(&mut data);
                self.answer(
                    id,
                    &Message::SpeedResponse {
                        id: test,
                        data: &data,
                    },
                )?;
            }
            Message::HttpRequest {
                id: request_id,
                to,
                request,
            } => {
                self.on_http_request(now, id, request_id, (to, request))?;
            }
            other => self.on_hidden_request(now, id, other)?,
        }
        Ok(Inner::Done)
    }

    fn on_extend(
        &mut self,
        now: Instant,
        from: CircuitId,
        request: u16,
        (node, x, addr): (&[u8], [u8; 32], Option<SocketAddr>),
    ) -> Result<(), Refusal> {
        if !self.config.flags.contain(Flags::RELAY) {
            return Err(Refusal::NotOffered);
        }
        let key = PublicKey::from_bytes(node).map_err(|_| Refusal::Malformed)?;
        let joined = self.joined.get(&from).ok_or(Refusal::Unknown)?;
        if now > joined.born + self.config.build_time || joined.exit.used {
            return Err(Refusal::Unexpected);
        }
        if joined.asked >= MAX_ASKED {
            return Err(Refusal::TooFast);
        }
        if &key == self.key.public() || key == joined.back.key || key.x25519().is_none() {
            return Err(Refusal::Loop);
        }
        let mut offered = joined.offered.iter();
        let offered = offered.find(|(known, _)| *known == key);
        let known = || self.candidates.get(&key).map(|known| known.addr);
        let addr = if let Some((_, addr)) = offered {
            *addr
        } else if let (Some(known), Some(_)) = (known(), addr) {
            known
        } else {
            let given = addr.ok_or(Refusal::Unknown)?;
            // Who is in the world sends for strangers to nobody's hosts, be it only a request to join.
            if self.addr.is_some_and(policy::reaches) && !policy::reaches(given) {
                return Err(Refusal::Target);
            }
            given
        };
        if addr.port() == 0 || Some(addr) == self.addr || addr == joined.back.addr {
            return Err(Refusal::Loop);
        }
        if let Some(old) = joined.extending_to() {
            self.extending.remove(&old);
        }
        let to = self.free_circuit();
        let asked = match self.config.dialect {
            Dialect::Classic => 0,
            Dialect::Modern => self.entropy.identifier(),
        };
        let create = Message::Create {
            id: asked,
            node: self.key.public().as_bytes(),
            x,
        };
        let packet = self.plain(to, &create).ok_or(Refusal::Malformed)?;
        let deadline = now + JOIN_TIME;
        if let Some(joined) = self.joined.get_mut(&from) {
            joined.asked += 1;
            joined.extending = Some(Extending {
                to: End {
                    circuit: to,
                    addr,
                    key,
                },
                ids: (request, asked),
                deadline,
            });
        }
        self.extending.insert(to, from);
        self.transmit(addr, packet);
        Ok(())
    }

    /// The node that we asked for an originator has joined.
    fn on_created(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        from: SocketAddr,
        answer: Answer<'_>,
    ) -> Result<(), Refusal> {
        let back = *self.extending.get(&circuit).ok_or(Refusal::Unknown)?;
        let joined = self.joined.get_mut(&back).ok_or(Refusal::Unknown)?;
        let extending = joined.extending.as_ref().ok_or(Refusal::Unexpected)?;
        if extending.to.addr != from {
            return Err(Refusal::WrongAddress);
        }
        if extending.ids.1 != answer.id {
            return Err(Refusal::Unexpected);
        }
        let extended = Message::Extended(Answer {
            id: extending.ids.0,
            ..answer
        });
        self.answer(back, &extended)?;
        let Some(joined) = self.joined.remove(&back) else {
            return Err(Refusal::Unknown);
        };
        self.extending.remove(&circuit);
        self.forget_services(back);
        let Some(extending) = joined.extending else {
            return Err(Refusal::Unexpected);
        };
        let relay = Relay::through(now, joined.back, extending.to, joined.session);
        self.add_relay(relay);
        Ok(())
    }

    pub(super) fn add_relay(&mut self, relay: Relay) {
        let key = self.next_relay;
        self.next_relay += 1;
        self.routes.insert(relay.back.circuit, (key, From::Back));
        self.routes.insert(relay.on.circuit, (key, From::On));
        self.relays.insert(key, relay);
    }

    /// Forgets a relayed circuit, and tells its neighbours but the one that has ended it.
    pub(super) fn drop_relay(&mut self, key: u64, ended_by: Option<From>, reason: Reason) {
        let Some(relay) = self.relays.remove(&key) else {
            return;
        };
        for side in [From::Back, From::On] {
            let end = relay.end(side);
            self.routes.remove(&end.circuit);
            if ended_by != Some(side) {
                self.send_destroy(end.addr, end.circuit, reason);
            }
        }
    }

    /// Forgets a circuit that ends here.
    pub(super) fn drop_joined(&mut self, id: CircuitId) {
        let Some(joined) = self.joined.remove(&id) else {
            return;
        };
        if let Some(to) = joined.extending_to() {
            self.extending.remove(&to);
        }
        self.forget_services(id);
        self.emit(Event::ExitClosed(id));
    }

    /// Forgets what a circuit that ended here was for.
    pub(super) fn forget_services(&mut self, id: CircuitId) {
        self.introduced.retain(|_, (circuit, _)| *circuit != id);
        self.waiting.retain(|_, circuit| *circuit != id);
    }
}
