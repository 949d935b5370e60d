//! PCP and NAT-PMP: datagrams to the gateway.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::port_mapping::{
    self, Answer, Grant, MOST_BYTES, NAT_PMP_ADDRESS, Transport, Wish, read_nat_pmp, read_pcp,
};
use tokio::time::{Instant, timeout_at};

use super::{By, Gateway, Mapped, Round};
use crate::DatagramSocket;

/// The waits for an answer: together 3.5 s, and for both protocols twice that. Who has one answers within milliseconds.
const WAITS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
];

/// The gateway that is asked, and how.
pub(super) struct Talk {
    gateway: Gateway,
    socket: Arc<dyn DatagramSocket>,
    /// The same for every request for a port: who knows it may change the mapping.
    nonce: [u8; 12],
    /// For how many seconds ports are asked for.
    lease: u32,
    speaks: Protocol,
    /// The ports that the gateway may have given, and whether it has said so.
    asked: BTreeMap<(Transport, u16), bool>,
}

/// Which of the two a gateway is asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    NatPmp,
    Pcp,
}

impl From<Protocol> for By {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::NatPmp => Self::NatPmp,
            Protocol::Pcp => Self::Pcp,
        }
    }
}

/// What came of a request for a port.
enum Outcome {
    Granted(Grant),
    Refused,
    /// No answer by either protocol, or none that gives anything.
    Silent,
}

impl Talk {
    pub(super) fn new(gateway: Gateway, socket: Arc<dyn DatagramSocket>, lease: u32) -> Self {
        Self {
            gateway,
            socket,
            nonce: rand::random(),
            lease,
            speaks: Protocol::Pcp,
            asked: BTreeMap::new(),
        }
    }

    /// Asks for all ports; for those that were given, again: who has forgotten them gives them anew.
    pub(super) async fn ask_for_all(&mut self, ports: &[(Transport, u16)]) -> Round {
        let mut round = Round::default();
        for (transport, port) in ports {
            self.asked.entry((*transport, *port)).or_insert(false);
            let wish = Wish {
                transport: *transport,
                internal: *port,
                external: *port,
                lifetime: self.lease,
            };
            let grant = match self.ask(&wish).await {
                Outcome::Granted(grant) => grant,
                // Who does not answer the first time does not know the protocols.
                Outcome::Silent if round.given.is_empty() => break,
                Outcome::Refused | Outcome::Silent => continue,
            };
            self.asked.insert((*transport, *port), true);
            let half = Duration::from_secs(u64::from(grant.lifetime) / 2);
            let mapped = Mapped {
                transport: grant.transport,
                internal: grant.internal,
                external: grant.external,
                ip: grant.ip,
                by: self.speaks.into(),
            };
            round.add(mapped, half);
        }
        if round.given.is_empty() {
            // What it gave once runs out.
            self.asked.clear();
        }
        round
    }

    /// Gives ports back. For the answer only those wait that were given for certain.
    pub(super) async fn give_back(&self) {
        let wishes = self.asked.iter().map(|((transport, port), given)| {
            let wish = Wish {
                transport: *transport,
                internal: *port,
                external: 0,
                lifetime: 0,
            };
            (self.request(&wish), *given)
        });
        let (given, perhaps): (Vec<_>, Vec<_>) = wishes.partition(|(_, given)| *given);
        for (request, _) in perhaps {
            let _ = self
                .socket
                .try_send_to(&request, port_mapping::at(self.gateway.at));
        }
        for (request, _) in given {
            let _ = self.exchange(&request, |_| Some(())).await;
        }
    }

    fn request(&self, wish: &Wish) -> Vec<u8> {
        match self.speaks {
            Protocol::NatPmp => port_mapping::nat_pmp(wish),
            Protocol::Pcp => port_mapping::pcp(wish, self.gateway.own, self.nonce),
        }
    }

    /// Asks for a port by PCP, and by NAT-PMP where that is not known.
    async fn ask(&mut self, wish: &Wish) -> Outcome {
        for _ in 0..2 {
            let (speaks, nonce) = (self.speaks, self.nonce);
            let read = |datagram: &[u8]| {
                let answer = match speaks {
                    Protocol::NatPmp => read_nat_pmp(datagram),
                    Protocol::Pcp => read_pcp(datagram, nonce),
                }?;
                match answer {
                    Answer::Granted(grant) => {
                        let ours =
                            grant.transport == wish.transport && grant.internal == wish.internal;
                        ours.then_some(answer)
                    }
                    Answer::Address(_) => None,
                    Answer::Refused(_) | Answer::WrongVersion => Some(answer),
                }
            };
            match self.exchange(&self.request(wish), read).await {
                Some(Answer::Granted(mut grant)) if grant.external != 0 && grant.lifetime > 0 => {
                    if speaks == Protocol::NatPmp {
                        grant.ip = self.address().await;
                    }
                    return Outcome::Granted(grant);
                }
                Some(Answer::Refused(code)) => {
                    tracing::info!(gateway = %self.gateway.at, code, ?wish, "the gateway refuses a port");
                    return Outcome::Refused;
                }
                // Who is silent to the one may know the other.
                _ => {
                    self.speaks = match speaks {
                        Protocol::NatPmp => Protocol::Pcp,
                        Protocol::Pcp => Protocol::NatPmp,
                    };
                }
            }
        }
        Outcome::Silent
    }

    /// By NAT-PMP: the address that the world sees.
    async fn address(&self) -> Option<IpAddr> {
        let read = |datagram: &[u8]| match read_nat_pmp(datagram)? {
            Answer::Address(ip) => Some(Some(IpAddr::V4(ip)).filter(|ip| !ip.is_unspecified())),
            Answer::Refused(_) | Answer::WrongVersion => Some(None),
            Answer::Granted(_) => None,
        };
        self.exchange(&NAT_PMP_ADDRESS, read).await.flatten()
    }

    /// Sends a request until `read` makes something of an answer.
    async fn exchange<T>(&self, request: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let gateway = port_mapping::at(self.gateway.at);
        let mut buffer = [0; MOST_BYTES];
        for pause in WAITS {
            let until = Instant::now() + pause;
            let sent = timeout_at(until, self.socket.send_to(request, gateway)).await;
            if !matches!(sent, Ok(Ok(()))) {
                tokio::time::sleep_until(until).await;
                continue;
            }
            while let Ok(received) = timeout_at(until, self.socket.recv_from(&mut buffer)).await {
                match received {
                    Ok((len, from)) if from == gateway => {
                        if let Some(read) = read(buffer.get(..len).unwrap_or_default()) {
                            return Some(read);
                        }
                    }
                    Ok(_) => {}
                    // Nobody listens there; the system may say so at once.
                    Err(_) => tokio::time::sleep_until(until).await,
                }
            }
        }
        None
    }
}
