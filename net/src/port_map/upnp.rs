//! UPnP: requests by HTTP to the gateway, once the search has found what it can do.
//!
//! Only the gateway itself is believed and asked, by the address at which the routes have it: answers of others, and URLs
//! that lead elsewhere, are passed over. What it may have given is written down before it is asked for, so that all of it
//! can be given back at the end, whatever was going on then.

mod igd;
mod search;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use protocol::port_mapping::upnp::Offer;
use protocol::port_mapping::upnp::soap::{Call, Reply, Told};
use protocol::port_mapping::{Transport, Wish};
use tokio::time::Instant;

use self::Number::{Again, New};
use self::igd::{Igd, Silent};
use self::search::Search;
use super::{By, CHECK_EVERY, Gateway, Mapped, Round, SHORTEST};
use crate::Network;
use crate::http::Client;

/// For how long ports are asked for at most, in seconds: what others ask for, so that gateways know it.
const LEASE: u32 = 3600;

/// Descriptions that are fetched in one search at most: a gateway may be other devices, too.
const MOST_DESCRIPTIONS: usize = 4;

/// Another has the port.
const CONFLICT: u16 = 718;

/// Nobody has it.
const NO_SUCH_ENTRY: u16 = 714;

/// Asks one gateway by UPnP.
pub(super) struct Upnp {
    network: Network,
    client: Client,
    gateway: Gateway,
    /// For how many seconds ports are asked for.
    lease: u32,
    igd: Option<Igd>,
    held: BTreeMap<(Transport, u16), Held>,
    /// What the gateway may have given, by the number that it knows it by.
    asked: BTreeMap<(Transport, u16), Asked>,
}

/// A port that was given.
#[derive(Clone, Copy, Debug)]
struct Held {
    known_by: u16,
    external: u16,
    /// None where it was given for ever.
    renew_at: Option<Instant>,
}

impl Held {
    /// Whether it is not yet time to ask for it again.
    fn lasts(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}

/// A port that was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    internal: u16,
    /// Whether it was given. While that is not known, it may be somebody else's.
    given: bool,
}

impl Upnp {
    pub(super) fn new(network: Network, gateway: Gateway, lease: u32) -> Self {
        Self {
            client: igd::client(network.clone()),
            network,
            gateway,
            lease: lease.min(LEASE),
            igd: None,
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Whether it is known where the gateway is asked.
    pub(super) const fn is_found(&self) -> bool {
        self.igd.is_some()
    }

    /// Asks for all ports that are not held, and for those whose time is running out; searches the gateway first where it is
    /// not known, or answers no more where it did.
    pub(super) async fn ask_for_all(&mut self, ports: &[(Transport, u16)]) -> Round {
        if let Some(igd) = &mut self.igd {
            if igd.look_up_address().await.is_ok()
                && let Ok(round) = self.keep(ports).await
                && !round.given.is_empty()
            {
                return round;
            }
            tracing::debug!(gateway = %self.gateway.at, "the gateway does not answer where it did");
            self.igd = None;
        }
        self.igd = self.find().await;
        let round = self.keep(ports).await.unwrap_or_default();
        if round.given.is_empty() {
            self.igd = None;
        }
        round
    }

    /// Searches the gateway, until one of the descriptions that it has names a service that answers.
    async fn find(&self) -> Option<Igd> {
        let at = SocketAddr::new(self.gateway.own, 0);
        let socket = self.network.datagram(at).ok()?;
        let mut search = Search::new(socket, self.gateway.at);
        for _ in 0..MOST_DESCRIPTIONS {
            let location = search.next().await?;
            let found = Igd::open(&self.client, self.gateway, &location).await;
            if let Some(igd) = found {
                return Some(igd);
            }
        }
        None
    }

    /// Asks for what is not held or soon no more, and looks whether the rest is still there.
    async fn keep(&mut self, ports: &[(Transport, u16)]) -> Result<Round, Silent> {
        let mut round = Round::default();
        let Some(igd) = &self.igd else {
            return Ok(round);
        };
        for key in ports {
            let (transport, internal) = *key;
            let before = self.held.get(key).copied();
            let mut held = before.filter(Held::lasts);
            if let Some(port) = held
                && !still_has(igd, transport, internal, port.known_by).await?
            {
                tracing::info!(gateway = %self.gateway.at, %transport, internal, "the gateway has forgotten a port");
                held = None;
            }
            if held.is_none() {
                let number =
                    before.map_or_else(|| New(self.beside(*key)), |held| Again(held.known_by));
                let port = (key.0, key.1, self.lease);
                held = ask(igd, &mut self.asked, port, number).await?;
            }
            let Some(port) = held else {
                self.held.remove(key);
                continue;
            };
            self.held.insert(*key, port);
            let mapped = Mapped {
                transport,
                internal,
                external: port.external,
                ip: igd.external_ip(),
                by: By::Upnp,
            };
            let left = port
                .renew_at
                .map(|at| at.saturating_duration_since(Instant::now()));
            round.add(mapped, left.unwrap_or(CHECK_EVERY));
        }
        Ok(round)
    }

    /// The number that a port is asked for under first: peers expect to find TCP and UDP under the same one.
    fn beside(&self, (transport, internal): (Transport, u16)) -> u16 {
        let mut others = self.held.iter();
        let other = others.find(|((other, port), _)| *other != transport && *port == internal);
        other.map_or(internal, |(_, held)| held.external)
    }

    /// Gives back what the gateway may have given, all at a time.
    pub(super) async fn give_back(&self) {
        let Some(igd) = &self.igd else { return };
        let calls = self.asked.iter().map(|((transport, known_by), asked)| async {
            let (transport, known_by) = (*transport, *known_by);
            let entry = Call::Entry(transport, known_by);
            let ours = asked.given
                || matches!(igd.call(&entry).await, Ok(Reply::Done(told)) if is_ours(igd, &told, asked.internal));
            if ours {
                let _ = igd.call(&Call::Delete(transport, known_by)).await;
            }
        });
        join_all(calls).await;
    }
}

/// The number outside that is asked for.
#[derive(Clone, Copy, Debug)]
enum Number {
    /// One that was given before.
    Again(u16),
    New(u16),
}

/// Asks for one port, in all the ways that its refusals leave open.
async fn ask(
    igd: &Igd,
    all_asked: &mut BTreeMap<(Transport, u16), Asked>,
    (transport, internal, lease): (Transport, u16, u32),
    number: Number,
) -> Result<Option<Held>, Silent> {
    let (Again(external) | New(external)) = number;
    let wish = Wish {
        transport,
        internal,
        external,
        lifetime: lease,
    };
    let mut offer = match number {
        Again(_) => Offer::again(wish, igd.own()),
        New(_) => Offer::new(igd.service(), wish, igd.own()),
    };
    loop {
        let wished = (transport, offer.known_by(&Told::default()));
        let asked = all_asked.entry(wished).or_insert(Asked {
            internal,
            given: false,
        });
        let was_given = asked.given;
        let code = match igd.call(&offer.call()).await? {
            Reply::Done(told) => {
                let known_by = offer.known_by(&told);
                if !was_given && known_by != wished.1 {
                    all_asked.remove(&wished);
                }
                let given = Asked {
                    internal,
                    given: true,
                };
                all_asked.insert((transport, known_by), given);
                match lease_of(igd, transport, internal, known_by).await? {
                    Ok(lease) => {
                        let grant = offer.granted(&told);
                        let lease = lease.unwrap_or(grant.lifetime);
                        let half = Duration::from_secs(u64::from(lease) / 2).max(SHORTEST);
                        return Ok(Some(Held {
                            known_by,
                            external: grant.external,
                            renew_at: (lease > 0).then(|| Instant::now() + half),
                        }));
                    }
                    Err(code) => {
                        all_asked.remove(&(transport, known_by));
                        code
                    }
                }
            }
            Reply::Refused(code) => {
                all_asked.remove(&wished);
                code
            }
        };
        if !offer.refused(code, &mut rand::rng()) {
            tracing::info!(code, %transport, internal, "the gateway refuses a port");
            return Ok(None);
        }
    }
}

/// How long the gateway says that a port is forwarded for, if it does; or what speaks against its being forwarded to us.
async fn lease_of(
    igd: &Igd,
    transport: Transport,
    internal: u16,
    known_by: u16,
) -> Result<Result<Option<u32>, u16>, Silent> {
    Ok(match igd.call(&Call::Entry(transport, known_by)).await? {
        Reply::Done(told) if is_ours(igd, &told, internal) => Ok(told.lease),
        Reply::Done(_) => Err(CONFLICT),
        // Not everyone tells, and some not at once.
        Reply::Refused(_) => Ok(None),
    })
}

/// Whether a gateway still forwards a port to us, as far as it tells.
async fn still_has(
    igd: &Igd,
    transport: Transport,
    internal: u16,
    known_by: u16,
) -> Result<bool, Silent> {
    Ok(match igd.call(&Call::Entry(transport, known_by)).await? {
        Reply::Done(told) => is_ours(igd, &told, internal),
        Reply::Refused(code) => code != NO_SUCH_ENTRY,
    })
}

/// Whether what a gateway tells of a port is that it leads to ours. Some have names in place of addresses.
fn is_ours(igd: &Igd, told: &Told, internal: u16) -> bool {
    told.client.is_none_or(|client| client == igd.own())
        && told.internal.is_none_or(|port| port == internal)
}
