//! HTTP requests to trackers that an exit sends for others.
//!
//! A request is not passed on as it is: only the path of a GET is taken from it, and asked for anew, at addresses to which the exit
//! may send. What comes back is passed on only if it is what a tracker answers, a bencoded dictionary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::http::{Client, Limits, Policy, Request, Response, Url};
use net::{Network, Pool, Task};
use overlay::wire::Address;
use protocol::bencode;

use crate::policy::asked_of_tracker;
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
struct Allowed(Config);

impl Policy for Allowed {
    fn admit(&self, _: &Url, _: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        addresses.retain(|addr| self.0.exits_to(*addr));
    }

    fn may_log_in(&self, _: SocketAddr, _: Option<SocketAddr>) -> bool {
        false
    }
}

impl HttpExit {
    pub(super) const fn new(network: Network, pool: Pool) -> Self {
        Self {
            network,
            pool,
            under_way: BTreeMap::new(),
        }
    }

    /// Sends the request of a circuit, and the reply back to its originator; what cannot be done has no answer.
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
        let of_circuit = self.under_way.entry(circuit).or_default();
        if all >= MAX_REQUESTS || of_circuit.len() >= MAX_OF_CIRCUIT {
            return;
        }
        let Some((url, agent)) = asked_of_tracker(to, request) else {
            return;
        };
        let mut request = Request::new(url);
        request.deadline = DEADLINE;
        request.limits = LIMITS;
        request.policy = Arc::new(Allowed(tunnels.with(|node, _| node.config().clone())));
        let client = Client::new(self.network.clone(), agent);
        let tunnels = tunnels.downgrade();
        of_circuit.push(self.pool.spawn(async move {
            let reply = client.get(&request).await;
            let reply = reply.inspect_err(|error| tracing::debug!(%error, "no tracker"));
            if let (Ok(reply), Some(tunnels)) = (reply, tunnels.upgrade())
                && let Some(bytes) = write_reply(&reply)
            {
                let answered =
                    tunnels.with(|node, now| node.answer_http(now, circuit, number, &bytes));
                if let Err(why) = answered {
                    tracing::debug!(%why, "what a tracker says is not passed on");
                }
            }
        }));
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
