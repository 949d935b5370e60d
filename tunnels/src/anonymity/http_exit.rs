//! HTTP requests to trackers that an exit sends for others.
//!
//! A request is not passed on as it is: only the path of a GET is taken from it, and asked for anew, at addresses to which the exit
//! may send. What comes back is passed on only if it is what a tracker answers, a bencoded dictionary; where nothing is passed on,
//! the originator is told why ([`NoAnswer`]). Nothing is asked twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::http::{Client, Error, Limits, Policy, Request, Response, Url};
use net::resolve::ip_literal;
use net::{Network, Pool, Task};
use overlay::wire::Address;
use parking_lot::Mutex;
use protocol::bencode;

use crate::home::Home;
use crate::node::Refusal;
use crate::policy::{self, NoAnswer, Traffic, asked_of_tracker};
use crate::{CircuitId, Config, Tunnels};

/// Requests of one circuit that are under way at once, as the original has it.
const MAX_OF_CIRCUIT: usize = 5;

/// Requests of all circuits together.
const MAX_REQUESTS: usize = 64;

/// How long a server may take, look-up and redirects included.
const DEADLINE: Duration = Duration::from_secs(5);

/// What is taken of a reply.
const LIMITS: Limits = Limits {
    head: 16 << 10,
    body: 256 << 10,
    unpacked: 256 << 10,
    redirects: 3,
};

/// See the module.
pub(super) struct HttpExit {
    network: Network,
    pool: Pool,
    under_way: BTreeMap<CircuitId, Vec<Task<()>>>,
}

/// Allows what the exit may send to.
struct Allowed {
    config: Config,
    own: Option<SocketAddr>,
    home: Home,
    /// Why the last address was not allowed.
    why: Arc<Mutex<Refusal>>,
}

impl Allowed {
    fn admits(&self, to: SocketAddr) -> bool {
        let allowed = self
            .config
            .exits_to(Traffic::Http, (self.own, &self.home), to);
        allowed.inspect_err(|why| *self.why.lock() = *why).is_ok()
    }
}

impl Policy for Allowed {
    fn admit(&self, _: &Url, _: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        addresses.retain(|addr| self.admits(*addr));
    }

    fn may_log_in(&self, _: SocketAddr, _: Option<SocketAddr>) -> bool {
        false
    }
}

impl HttpExit {
    pub(super) fn new(network: Network, pool: Pool) -> Self {
        Self {
            network: network.with_cached_names(),
            pool,
            under_way: BTreeMap::new(),
        }
    }

    /// Sends the request of a circuit, and the reply back to its originator, or why there is none.
    pub(super) fn send(
        &mut self,
        tunnels: &Tunnels,
        (circuit, number): (CircuitId, u32),
        to: &Address,
        request: &[u8],
    ) {
        for tasks in self.under_way.values_mut() {
            tasks.retain(|task| !task.is_finished());
        }
        self.under_way.retain(|_, tasks| !tasks.is_empty());
        let all: usize = self.under_way.values().map(Vec::len).sum();
        let of_circuit = self.under_way.get(&circuit).map_or(0, Vec::len);
        if all >= MAX_REQUESTS || of_circuit >= MAX_OF_CIRCUIT {
            return answer(tunnels, (circuit, number), &NoAnswer::Busy.reply());
        }
        let Some((url, agent)) = asked_of_tracker(to, request) else {
            return answer(tunnels, (circuit, number), &NoAnswer::Unsupported.reply());
        };
        if let Err(why) = may_look_up(tunnels, to) {
            tunnels.with(|node, _| node.refuse(why));
            return answer(tunnels, (circuit, number), &NoAnswer::Forbidden.reply());
        }
        let mut request = Request::new(url);
        request.deadline = DEADLINE;
        request.limits = LIMITS;
        let why = Arc::new(Mutex::new(Refusal::Target));
        let allowed = tunnels.with(|node, _| Allowed {
            config: node.config().clone(),
            own: node.addr(),
            home: node.home().clone(),
            why: Arc::clone(&why),
        });
        request.policy = Arc::new(allowed);
        let client = Client::new(self.network.clone(), agent);
        let tunnels = tunnels.downgrade();
        let task = self.pool.spawn(async move {
            let reply = client.get(&request).await;
            let reply = reply.inspect_err(|error| tracing::debug!(%error, "no tracker"));
            let Some(tunnels) = tunnels.upgrade() else {
                return;
            };
            if matches!(reply, Err(Error::Forbidden)) {
                tunnels.with(|node, _| node.refuse(*why.lock()));
            }
            let reply = match reply {
                Ok(reply) => write_reply(&reply).ok_or(NoAnswer::Foreign),
                Err(error) => Err(no_answer(&error)),
            };
            let bytes = reply.unwrap_or_else(NoAnswer::reply);
            answer(&tunnels, (circuit, number), &bytes);
        });
        self.under_way.entry(circuit).or_default().push(task);
    }
}

/// Whether a host may be worth a look-up: addresses and ports are judged without one.
fn may_look_up(tunnels: &Tunnels, to: &Address) -> Result<(), Refusal> {
    let at = match to {
        Address::Ip(at) => Some(*at),
        Address::Host(host, port) => ip_literal(host).map(|ip| SocketAddr::new(ip, *port)),
    };
    match (at, to) {
        (Some(at), _) => tunnels.with(|node, _| node.exits_to(Traffic::Http, at)),
        (None, Address::Host(_, port)) if !policy::is_open(*port) => Err(Refusal::Target),
        (None, _) => Ok(()),
    }
}

fn answer(tunnels: &Tunnels, (circuit, number): (CircuitId, u32), bytes: &[u8]) {
    let answered = tunnels.with(|node, now| node.answer_http(now, circuit, number, bytes));
    if let Err(why) = answered {
        tracing::debug!(%why, "what a tracker says is not passed on");
    }
}

/// What a failure is for who asked.
const fn no_answer(error: &Error) -> NoAnswer {
    match error {
        Error::LookUp(_) | Error::BadUrl => NoAnswer::Unknown,
        Error::Forbidden => NoAnswer::Forbidden,
        Error::Connect(_) | Error::Tls(_) | Error::Truncated => NoAnswer::Unreachable,
        Error::Deadline { .. } => NoAnswer::Late,
        Error::BodyTooLarge { .. } => NoAnswer::TooLong,
        Error::Protocol(_)
        | Error::UnknownEncoding
        | Error::Corrupt
        | Error::BadRedirect
        | Error::TooManyRedirects
        | _ => NoAnswer::Foreign,
    }
}

/// A reply as originators read it, unless it is none of a tracker.
fn write_reply(reply: &Response) -> Option<Vec<u8>> {
    let limits = bencode::Limits::default();
    let value = bencode::decode(&reply.body, &limits).ok()?;
    value.as_dict()?;
    let head = format!(
        "HTTP/1.1 {} Tracker\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        reply.status,
        reply.body.len()
    );
    Some([head.as_bytes(), &reply.body].concat())
}
