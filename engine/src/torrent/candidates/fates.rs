//! What becomes of an address: it is dialled, connected to, lost, or banned.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::address::canonical;
use super::index::State;
use super::{Candidates, DialFailure, Ended, Patience, Source, backoff};

impl Candidates {
    /// The address is being dialled.
    pub fn dialing(&mut self, addr: SocketAddr) {
        self.index.set_state(canonical(addr), State::Dialing);
    }

    /// The peer at the address is to be dialled now, whatever became of it before; false where it may not be, or is
    /// being dialled or connected to already.
    pub fn meet(&mut self, addr: SocketAddr, now: Instant) -> bool {
        let addr = canonical(addr);
        self.add(addr, Source::Pex, now);
        let known = self.index.get(addr);
        let idle = known.is_some_and(|known| known.is_idle());
        if idle {
            self.index.set_state(addr, State::Dialing);
        }
        idle
    }

    /// There is a connection to the address, whoever dialled.
    pub fn connected(&mut self, addr: SocketAddr, now: Instant) {
        self.index.update(canonical(addr), |candidate| {
            candidate.state = State::Connected(now);
            candidate.met = true;
            candidate.way.works();
        });
    }

    /// Dialling the address failed.
    pub fn failed(&mut self, addr: SocketAddr, now: Instant, failure: DialFailure) {
        let addr = canonical(addr);
        let recovering = self.is_recovering(now);
        let Patience {
            first,
            most_failures,
        } = self.patience;
        self.index.update(addr, |candidate| {
            let soon = recovering && candidate.is_worth_haste();
            if failure != DialFailure::Offline && !soon {
                candidate.failures = candidate.failures.saturating_add(1);
            }
            if !matches!(failure, DialFailure::Handshake | DialFailure::Offline) {
                candidate.way.is_dead();
            }
            let failures = candidate.failures.max(1);
            let mut pause = backoff::after_failure(candidate.source, failures, failure, first);
            if soon {
                pause = pause.min(backoff::IN_RECOVERY);
            }
            candidate.state = State::Waiting(now + pause);
        });
        let known = self.index.get(addr);
        if most_failures > 0 && known.is_some_and(|known| known.failures >= most_failures) {
            self.forget_idle(addr);
        }
    }

    /// The connection to the address ended.
    pub fn disconnected(&mut self, addr: SocketAddr, now: Instant, ended: Ended) {
        let addr = canonical(addr);
        let recovering = self.is_recovering(now);
        match ended {
            Ended::Banned => self.ban(addr.ip()),
            Ended::SelfConnection => {
                self.index.remove(addr);
                self.ourselves.insert(addr);
            }
            Ended::Renewed => self.index.set_state(addr, State::Ready),
            Ended::Normal
            | Ended::ProtocolError
            | Ended::BothSeeds
            | Ended::Duplicate
            | Ended::Timeout => self.index.update(addr, |candidate| {
                let lasted = match candidate.state {
                    State::Connected(since) => now.saturating_duration_since(since),
                    State::Ready | State::Waiting(_) | State::Dialing => Duration::ZERO,
                };
                candidate.failures = if lasted >= backoff::LASTING {
                    0
                } else {
                    candidate.failures.saturating_add(1)
                };
                let mut pause = backoff::after_end(candidate.source, candidate.failures, ended);
                let broke = matches!(ended, Ended::Normal | Ended::Timeout);
                if recovering && broke && candidate.is_worth_haste() {
                    candidate.failures = 0;
                    pause = pause.min(backoff::IN_RECOVERY);
                }
                candidate.state = State::Waiting(now + pause);
            }),
        }
    }

    /// The other connection to the peer behind the address has ended, the one for which the connection to this address
    /// was given up: it is as if that had ended so now, after a good while.
    pub fn twin_ended(&mut self, addr: SocketAddr, now: Instant, ended: Ended) {
        self.index.update(canonical(addr), |candidate| {
            if let State::Waiting(due) = candidate.state {
                let pause = if ended == Ended::Renewed {
                    Duration::ZERO
                } else {
                    backoff::after_end(candidate.source, 0, ended)
                };
                candidate.state = State::Waiting(due.min(now + pause));
            }
        });
    }

    /// Bans a host: its addresses are forgotten and never taken again.
    pub fn ban(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.banned.insert(ip);
        for addr in self.index.of_host(ip) {
            self.index.remove(addr);
        }
    }
}
