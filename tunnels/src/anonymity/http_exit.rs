//! HTTP requests to trackers that an exit sends for others.
//!
//! A request is not passed on as it is: only the path of a GET is taken from it, and asked for anew, at addresses to which the exit
//! may send. What comes back is passed on only if it is what a tracker answers, a bencoded dictionary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::http::{Client, HeaderValue, Limits, Policy, Request, Response, Url};
use net::{Network, Pool, Task};
use overlay::wire::Address;
use protocol::bencode;

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
        let Some((url, agent)) = read_request(to, request) else {
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
                let answered = tunnels.with(|node, _| node.answer_http(circuit, number, &bytes));
                if let Err(why) = answered {
                    tracing::debug!(%why, "nobody waits for a tracker any more");
                }
            }
        }));
    }
}

/// What is asked for, and who asks by its own words; `None` unless it is the head of a GET request to a host.
fn read_request(to: &Address, request: &[u8]) -> Option<(Url, HeaderValue)> {
    let text = std::str::from_utf8(request).ok()?;
    let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (Some("GET"), Some(path), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (first.next(), first.next(), first.next(), first.next())
    else {
        return None;
    };
    if !path.starts_with('/') {
        return None;
    }
    let agent = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_agent = name.eq_ignore_ascii_case("user-agent");
        is_agent.then(|| HeaderValue::from_str(value.trim()).ok())?
    });
    // The host is parsed by itself, so that nothing in the path can be taken for a part of it.
    let base = match to {
        Address::Ip(addr) => format!("http://{addr}/"),
        Address::Host(host, port) => format!("http://{host}:{port}/"),
    };
    let base = Url::parse(&base).ok()?;
    let plain = base.path() == "/" && base.query().is_none() && base.username().is_empty();
    if !plain || base.fragment().is_some() || base.password().is_some() {
        return None;
    }
    let mut url = base;
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(p, q)| (p, Some(q)));
    url.set_path(path);
    url.set_query(query);
    Some((url, agent.unwrap_or_else(|| HeaderValue::from_static(""))))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, port: u16) -> Address {
        Address::Host(host.to_owned(), port)
    }

    #[test]
    fn the_path_of_a_request_is_asked_for_at_the_host_that_the_cell_names() {
        let request = b"GET /announce?info_hash=%aa%20&port=1 HTTP/1.1\r\nHost: elsewhere\r\nUser-Agent: x/1\r\n\r\n";
        let (url, agent) = read_request(&host("tracker.example", 6969), request).unwrap();
        let expected = "http://tracker.example:6969/announce?info_hash=%aa%20&port=1";
        assert_eq!(url.as_str(), expected);
        assert_eq!(agent, "x/1");
        let ip = Address::Ip("1.2.3.4:80".parse().unwrap());
        let (url, _) = read_request(&ip, b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(url.as_str(), "http://1.2.3.4/");
        let v6 = Address::Ip("[2001::1]:8080".parse().unwrap());
        let (url, _) = read_request(&v6, b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(url.as_str(), "http://[2001::1]:8080/a");
    }

    #[test]
    fn what_is_no_get_request_to_a_host_is_not_sent() {
        let there = host("tracker.example", 80);
        for request in [
            "",
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET http://other/ HTTP/1.1\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\n\r\n",
        ] {
            assert!(
                read_request(&there, request.as_bytes()).is_none(),
                "{request}"
            );
        }
        let get = b"GET /announce HTTP/1.1\r\n\r\n";
        for strange in ["a/b", "a?b", "a#b", "u:p@a", "", "a b", "[", "u@a"] {
            assert!(read_request(&host(strange, 80), get).is_none(), "{strange}");
        }
        assert!(read_request(&there, b"GET /\xff HTTP/1.1\r\n\r\n").is_none());
    }

    #[test]
    fn nothing_in_a_path_becomes_another_host_or_another_request() {
        for path in [
            "//evil/",
            "/@evil",
            "/\\evil",
            "/../..//evil",
            "/a%0d%0aX:1",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\n\r\n");
            if let Some((url, _)) = read_request(&host("good", 80), request.as_bytes()) {
                assert_eq!(url.host_str(), Some("good"), "{path}");
                assert!(!url.as_str().contains(['\r', '\n']));
            }
        }
    }
}
