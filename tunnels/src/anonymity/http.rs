//! HTTP requests that exits send for us, dressed up as streams: what is written to one is a GET request, and what is read
//! from it the reply, after which it ends.
//!
//! Only the newer dialect has them, and only for trackers: exits pass on nothing but what trackers answer. A stream to a
//! server that wants TLS is refused when the first byte is written, for the exit would have to read along. A request that may have
//! reached its target is not sent again. Where there is no answer, other programs are told why in the words of HTTP, and our own
//! code by an error ([`NoAnswer`]).

mod builds;
mod replies;
mod stream;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use net::Pool;
use overlay::wire::Address;
use tokio::time::{Instant, sleep, timeout};

use super::lanes::{Lane, Lanes};
use crate::policy::NoAnswer;
use crate::{CircuitId, Dialect, Tunnels};
use builds::Builds;
use replies::Replies;
pub(super) use stream::HttpStream;

/// How long a reply may take: an exit gives servers 5 s.
const REPLY: Duration = Duration::from_secs(7);

/// Circuits that are tried as long as none has taken the request.
const TRIES: usize = 3;

/// How long is waited for a circuit to an exit that sends requests.
const CIRCUIT: Duration = Duration::from_secs(10);

/// How often it is looked whether there is one.
const LOOK: Duration = Duration::from_millis(100);

/// What all requests share.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) replies: Replies,
    builds: Builds,
}

/// What requests go through.
#[derive(Clone)]
pub(super) struct Requester {
    lanes: Weak<Lanes>,
    requests: Arc<Requests>,
    pool: Pool,
}

impl Requester {
    pub(super) fn new(lanes: &Arc<Lanes>, requests: Arc<Requests>, pool: Pool) -> Self {
        Self {
            lanes: Arc::downgrade(lanes),
            requests,
            pool,
        }
    }

    /// A stream for one request. With `tells`, whoever reads it is told by HTTP why there is no answer, and else by an error.
    ///
    /// # Errors
    /// `Unsupported` where no exit is known that sends requests, unless that is told by the stream.
    pub(super) fn open(&self, lane: Arc<Lane>, to: Address, tells: bool) -> io::Result<HttpStream> {
        if !tells {
            let lanes = self.lanes.upgrade().ok_or(io::ErrorKind::NotConnected)?;
            let exits = modern(&lanes).is_some_and(builds::has_exits);
            exits.then_some(()).ok_or(io::ErrorKind::Unsupported)?;
        }
        Ok(HttpStream::new(self.clone(), lane, to, tells))
    }

    /// Has an exit send a request, and another one where that has surely not sent it.
    async fn ask(self, hops: u8, to: Address, request: Vec<u8>) -> Result<Vec<u8>, NoAnswer> {
        let mut tried = BTreeSet::new();
        for _ in 0..TRIES {
            let circuit = match self.circuit(hops, &to, &tried).await {
                Ok(circuit) => circuit,
                Err(_) if !tried.is_empty() => return Err(NoAnswer::Busy),
                Err(why) => return Err(why),
            };
            tried.insert(circuit);
            let expected = self.requests.replies.expect(circuit);
            let (number, reply) = expected.ok_or(NoAnswer::Busy)?;
            let asked = Asked {
                requester: &self,
                circuit,
                number,
            };
            if !asked.send(&to, &request)? {
                continue;
            }
            let reply = timeout(REPLY, reply).await;
            drop(asked);
            let reply = reply.map_err(|_| NoAnswer::Silent)?;
            let reply = reply.map_err(|_| NoAnswer::Ended)?;
            match NoAnswer::read(&reply) {
                None => return Ok(reply),
                Some(why) if why.is_unsent() => {}
                Some(why) => return Err(why),
            }
        }
        Err(NoAnswer::Busy)
    }

    /// A circuit whose exit sends requests; one is built where there is none, for all that wait for one together.
    async fn circuit(
        &self,
        hops: u8,
        to: &Address,
        tried: &BTreeSet<CircuitId>,
    ) -> Result<CircuitId, NoAnswer> {
        let until = Instant::now() + CIRCUIT;
        while Instant::now() < until {
            let found = self.with_node(|node| {
                let ready = self.requests.builds.circuit(node, hops, tried)?;
                node.keep(hops, to, ready);
                Some(ready)
            });
            if let Some(ready) = found.ok_or(NoAnswer::NoCircuit)? {
                return Ok(ready);
            }
            sleep(LOOK).await;
        }
        Err(NoAnswer::NoCircuit)
    }

    /// Does something with the node of the newer dialect, if there is one.
    fn with_node<T>(&self, act: impl FnOnce(&Tunnels) -> T) -> Option<T> {
        let lanes = self.lanes.upgrade()?;
        modern(&lanes).map(act)
    }
}

fn modern(lanes: &Lanes) -> Option<&Tunnels> {
    let mut nodes = lanes.nodes().iter();
    nodes.find(|node| node.dialect() == Dialect::Modern)
}

/// A request, as long as parts of its reply are wanted.
struct Asked<'a> {
    requester: &'a Requester,
    circuit: CircuitId,
    number: u32,
}

impl Asked<'_> {
    /// Says to the exit what is wanted; false where that could not be said.
    fn send(&self, to: &Address, request: &[u8]) -> Result<bool, NoAnswer> {
        let said = self.requester.with_node(|node| {
            node.with(|node, _| node.request_http(self.circuit, self.number, to.clone(), request))
        });
        said.map(|said| said.is_ok()).ok_or(NoAnswer::NoCircuit)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.requester.with_node(|node| {
            node.with(|node, _| node.end_http(self.circuit, self.number));
        });
    }
}
