//! What time does.

use std::time::{Duration, Instant};

use super::{CircuitId, Closed, Message, Node, Purpose, Reason, State, TICK};
use crate::relay::From;

/// How long a circuit to an introduction point may live.
const INTRODUCTION_AGE: Duration = Duration::from_secs(86_400);

impl Node {
    /// Looks at all deadlines that have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        if self.is_spent() {
            self.leave_others();
        }
        self.tick_circuits(now);
        self.tick_joined(now);
        self.tick_relays(now);
        self.contacts.retain(|_, contact| now < contact.deadline);
        self.ask_seeders_again(now);
        self.lookups.retain(|_, (_, deadline)| now < *deadline);
        self.doubts.retain(|_, (until, _)| now < *until);
    }

    fn tick_circuits(&mut self, now: Instant) {
        let ids: Vec<CircuitId> = self.circuits.keys().copied().collect();
        for id in ids {
            let Some(circuit) = self.circuits.get(&id) else {
                continue;
            };
            let age = now.saturating_duration_since(circuit.born);
            let silence = now.saturating_duration_since(circuit.last);
            let ready = circuit.state() == State::Ready;
            let max_age = match circuit.purpose {
                Purpose::Introduction => INTRODUCTION_AGE,
                _ => self.config.dialect.max_age(),
            };
            let unanswered = circuit.answer_by.is_some_and(|by| now >= by);
            let why = if !ready && age >= self.config.build_time {
                Some(Closed::Slow)
            } else if ready && (silence >= self.config.max_silence || unanswered) {
                Some(Closed::Silent)
            } else if age >= max_age {
                Some(Closed::Old)
            } else if circuit.bytes >= self.config.dialect.max_traffic() {
                Some(Closed::Used)
            } else {
                None
            };
            if let Some(why) = why {
                self.end_circuit(id, why, Reason::Unneeded);
                continue;
            }
            let late = circuit.asked.as_ref();
            if late.is_some_and(|asked| now >= asked.deadline) {
                self.ask_another(now, id);
            }
            let owes = self.circuits.get(&id);
            if owes.is_some_and(|it| it.answer_by.is_some() && now >= it.ask_again) {
                self.ask_again_for_task(now, id);
            }
            self.ping(now, id);
        }
    }

    fn ping(&mut self, now: Instant, id: CircuitId) {
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        let pinged = match circuit.purpose {
            Purpose::RendezvousSeeder => false,
            Purpose::RendezvousDownloader => circuit.linked,
            Purpose::Data | Purpose::Introduction | Purpose::Test => true,
        };
        // Who is suspected is asked twice with each tick, for one answer that was lost means nothing.
        let ready = circuit.state() == State::Ready;
        let asks_again = ready && circuit.unanswered.is_some();
        let due = asks_again || now >= circuit.next_ping || circuit.is_unheard(now);
        if !pinged || circuit.hops.is_empty() || !due {
            return;
        }
        if asks_again {
            self.ask_whether_there(now, id);
        }
        self.ask_whether_there(now, id);
    }

    /// Asks who is at the far end of a circuit whether it is there.
    pub(super) fn ask_whether_there(&mut self, now: Instant, id: CircuitId) {
        let Some(circuit) = self.circuits.get_mut(&id) else {
            return;
        };
        let seldom = if circuit.spare { 2 } else { 1 };
        circuit.next_ping = now + self.config.ping_interval * seldom;
        let number = self.entropy.identifier();
        circuit.pinged(now, number);
        if let Err(why) = self.say(id, &Message::Ping(number)) {
            self.counters.refuse(why);
        }
    }

    fn tick_joined(&mut self, now: Instant) {
        let max_traffic = self.config.dialect.max_traffic();
        let dead = self.joined.iter_mut().filter_map(|(id, joined)| {
            let age = now.saturating_duration_since(joined.born);
            let silence = now.saturating_duration_since(joined.last);
            let max_age = if joined.introduces {
                INTRODUCTION_AGE
            } else {
                self.config.dialect.max_age()
            };
            let late = joined.extending.as_ref();
            if late.is_some_and(|extending| now >= extending.deadline) {
                let extending = joined.extending.take();
                extending.map(|extending| self.extending.remove(&extending.to.circuit));
            }
            let spent = joined.bytes >= max_traffic;
            (silence >= self.config.max_silence || age >= max_age || spent).then_some(*id)
        });
        let dead: Vec<CircuitId> = dead.collect();
        for id in dead {
            self.drop_joined(id);
        }
    }

    fn tick_relays(&mut self, now: Instant) {
        let max_traffic = self.config.dialect.max_traffic();
        let dead = self.relays.iter().filter_map(|(key, relay)| {
            let silence = now.saturating_duration_since(relay.last);
            let age = now.saturating_duration_since(relay.born);
            let spent = relay.bytes >= max_traffic.saturating_mul(2);
            let dead = silence >= self.config.max_silence || age >= INTRODUCTION_AGE || spent;
            dead.then_some((*key, spent))
        });
        let dead: Vec<(u64, bool)> = dead.collect();
        for (key, spent) in dead {
            // Who is silent is gone and needs no word.
            let Some(relay) = self.relays.get(&key) else {
                continue;
            };
            if spent {
                self.drop_relay(key, None, Reason::Unknown);
            } else {
                let ends = [From::Back, From::On].map(|side| relay.end(side).circuit);
                for circuit in ends {
                    self.routes.remove(&circuit);
                }
                self.relays.remove(&key);
            }
        }
    }

    /// Ends everything, and tells the neighbours. Nothing begins after that: neither circuits of its own nor such of others, whose
    /// owners look for others at once and would find it still there.
    pub fn shut_down(&mut self) {
        self.closing = true;
        let circuits: Vec<CircuitId> = self.circuits.keys().copied().collect();
        for id in circuits {
            self.end_circuit(id, Closed::Unneeded, Reason::Shutdown);
        }
        self.leave_others();
    }

    /// Whether as much was carried for others as may be at all.
    pub fn is_spent(&self) -> bool {
        let budget = self.config.budget.as_ref();
        budget.is_some_and(|budget| budget.is_spent())
    }

    /// Ends the circuits of others, and tells the neighbours, so that their owners look for others at once.
    fn leave_others(&mut self) {
        let relays: Vec<u64> = self.relays.keys().copied().collect();
        for key in relays {
            self.drop_relay(key, None, Reason::Shutdown);
        }
        let joined: Vec<CircuitId> = self.joined.keys().copied().collect();
        for id in joined {
            if let Some(joined) = self.joined.get(&id) {
                let to = joined.back.addr;
                self.send_destroy(to, id, Reason::Shutdown);
            }
            self.drop_joined(id);
        }
    }
}
