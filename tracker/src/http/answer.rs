//! What one request is answered.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use protocol::id::InfoHash;
use protocol::tracker::http::server::{AnnounceQuery, parse_announce_query, parse_scrape_query};
use protocol::tracker::http::{PeerForm, encode_scrape};
use protocol::tracker::{AnnounceEvent, ScrapeEntry};
use rand::{Rng, RngExt as _};

use super::reply;
use super::request::Head;
use crate::clock::Moment;
use crate::core::Core;
use crate::policy::Policy;
use crate::swarms::{Announced, Picked};
use crate::udp::report;

/// What holds for one HTTP tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices")]
pub struct HttpRules {
    /// It stands behind a proxy: who asks is the right-most address of `X-Forwarded-For`, and nothing else. Nobody but the proxy
    /// may reach it.
    pub behind_proxy: bool,
    /// Clients that do not say `compact` are answered in the compact form.
    pub compact: bool,
    /// A client that does not say what is left has everything, as Torrust takes it; else it has not.
    pub absent_left_is_none: bool,
    /// Clients are told their address (BEP 24).
    pub external_ip: bool,
    /// Connections are closed behind each answer.
    pub closes: bool,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who(pub IpAddr);

/// Answers requests. One for each thread: it has room that is used again.
#[derive(Debug)]
pub struct HttpAnswerer {
    core: Arc<Core>,
    rules: HttpRules,
    policy: Policy,
    picked: Picked,
    body: Vec<u8>,
    /// The connection closes behind the next answer, whatever its client wishes.
    closes_next: bool,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpAnswer {
    /// Peers.
    Announce,
    /// Numbers.
    Scrape,
    /// A refusal of an announce or a scrape.
    Failure,
    /// That the tracker is well.
    Health,
    /// Another status than 200.
    Status(u16),
}

/// Why an announce or a scrape is refused: the text for the client.
type Failure = String;

impl HttpAnswerer {
    /// An answerer with empty room.
    pub fn new(core: Arc<Core>, rules: HttpRules) -> Self {
        Self {
            policy: **core.policy.load(),
            core,
            rules,
            picked: Picked::default(),
            body: Vec::new(),
            closes_next: false,
        }
    }

    /// Takes the present policy for what is answered next.
    pub fn refresh(&mut self) {
        self.policy = **self.core.policy.load();
    }

    /// Adds the answer to a request to `out`, head and body.
    pub fn answer(
        &mut self,
        head: &Head<'_>,
        who: Who,
        now: Moment,
        rng: &mut impl Rng,
        out: &mut Vec<u8>,
    ) -> HttpAnswer {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        let (answer, kind) = self.decide(head, who, now, rng, &mut body);
        let connection = if self.keeps(head) {
            "keep-alive"
        } else {
            "close"
        };
        write_head(out, answer, [kind, connection], (body.len(), head), rng);
        out.extend_from_slice(&body);
        self.body = body;
        answer
    }

    /// Whether another request may follow this one.
    pub const fn keeps(&self, head: &Head<'_>) -> bool {
        head.keep_alive && !self.rules.closes && !self.closes_next
    }

    /// Says whether the connection of the next request closes behind its answer, though its client and the rules would keep it.
    pub(super) const fn close_next(&mut self, closes: bool) {
        self.closes_next = closes;
    }

    fn decide(
        &mut self,
        head: &Head<'_>,
        who: Who,
        now: Moment,
        rng: &mut impl Rng,
        body: &mut Vec<u8>,
    ) -> (HttpAnswer, &'static str) {
        let (route, key) = match head.path.strip_prefix('/').unwrap_or(head.path) {
            "health_check" => (Route::Health, None),
            path => match path.split_once('/') {
                None => (Route::of(path), None),
                Some((path, key)) => (Route::of(path), Some(key)),
            },
        };
        let answered = match route {
            Route::Unknown => return (HttpAnswer::Status(404), TEXT),
            _ if head.method != "GET" => return (HttpAnswer::Status(405), TEXT),
            Route::Health => {
                body.extend_from_slice(br#"{"status":"Ok"}"#);
                return (HttpAnswer::Health, "application/json");
            }
            Route::Announce => self.announce((head, key), who, now, rng, body),
            Route::Scrape => self.scrape(head, key, now, body),
        };
        let answer = match (answered, route) {
            (Ok(()), Route::Announce) => HttpAnswer::Announce,
            (Ok(()), _) => HttpAnswer::Scrape,
            (Err(reason), _) => {
                body.clear();
                reply::failure(body, &reason);
                HttpAnswer::Failure
            }
        };
        (answer, TEXT)
    }

    fn announce(
        &mut self,
        (head, key): (&Head<'_>, Option<&str>),
        who: Who,
        now: Moment,
        rng: &mut impl Rng,
        body: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let query = parse_announce_query(head.query).map_err(|error| error.to_string())?;
        let announce = &query.announce;
        let checked = self.core.access.check(&announce.info_hash, key, now.unix());
        checked.map_err(|refusal| refusal.to_string())?;
        let ip = self.resolve(head, who)?;
        let addr = match self.core.external_ip {
            Some(external) if ip.is_loopback() && external.is_ipv4() == ip.is_ipv4() => external,
            _ => ip,
        };
        let unknown_is_none = self.rules.absent_left_is_none && !says_left(head);
        let announced = Announced {
            info_hash: announce.info_hash,
            peer_id: announce.peer_id,
            addr: SocketAddr::new(addr, announce.port),
            seeder: announce.left == Some(0) || unknown_is_none,
            stopped: announce.event == AnnounceEvent::Stopped,
            report: report(announce),
            want: self.policy.want(announce.num_want),
            mixed: true,
        };
        self.picked.clear();
        let swarms = &self.core.swarms;
        let standing = swarms.announce(&announced, now.seconds(), rng, &mut self.picked);
        let form = self.form(&query);
        let external_ip = Some(ip).filter(|_| self.rules.external_ip);
        let (policy, picked) = (&self.policy, &self.picked);
        reply::announce(body, policy, &standing, picked, form, external_ip);
        Ok(())
    }

    fn scrape(
        &self,
        head: &Head<'_>,
        key: Option<&str>,
        now: Moment,
        body: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let hashes = parse_scrape_query(head.query).map_err(|error| error.to_string())?;
        // A key that is none is refused; without a good one there are zeros.
        let key_is_good = match self.core.access.check_key(key, now.unix()) {
            Ok(()) => true,
            Err(refusal) if refusal.is_malformed() => return Err(refusal.to_string()),
            Err(_) => false,
        };
        let entry = |hash: InfoHash| {
            let shown = key_is_good && self.core.access.check_torrent(&hash).is_ok();
            let entry = if shown {
                self.core.swarms.scrape(&hash)
            } else {
                ScrapeEntry::default()
            };
            (hash, entry)
        };
        let files: BTreeMap<_, _> = hashes.into_iter().map(entry).collect();
        body.extend_from_slice(&encode_scrape(&files));
        Ok(())
    }

    /// Whose request it is.
    fn resolve(&self, head: &Head<'_>, who: Who) -> Result<IpAddr, Failure> {
        if !self.rules.behind_proxy {
            return Ok(who.0.to_canonical());
        }
        // All but the last address may be the client's own words.
        let last = head
            .forwarded
            .and_then(|line| line.rsplit(|byte| *byte == b',').next());
        let last = last.and_then(|last| str::from_utf8(last.trim_ascii()).ok());
        match last.map(str::parse::<IpAddr>) {
            Some(Ok(ip)) => Ok(ip.to_canonical()),
            Some(Err(_)) | None => Err(NO_FORWARDED.to_owned()),
        }
    }

    const fn form(&self, query: &AnnounceQuery) -> PeerForm {
        match query.compact {
            None if self.rules.compact => PeerForm::Compact,
            _ => query.form(),
        }
    }
}

const NO_FORWARDED: &str = "Error resolving peer IP: missing or invalid the right most X-Forwarded-For IP (mandatory on reverse proxy tracker configuration)";

const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Clone, Copy)]
enum Route {
    Announce,
    Scrape,
    Health,
    Unknown,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "announce" => Self::Announce,
            "scrape" => Self::Scrape,
            _ => Self::Unknown,
        }
    }
}

fn says_left(head: &Head<'_>) -> bool {
    let query = head.query.unwrap_or_default();
    query.split('&').any(|element| {
        let value = element.strip_prefix("left=");
        value.is_some_and(|value| !value.is_empty())
    })
}

fn write_head(
    out: &mut Vec<u8>,
    answer: HttpAnswer,
    [kind, connection]: [&str; 2],
    (len, head): (usize, &Head<'_>),
    rng: &mut impl Rng,
) {
    out.extend_from_slice(match answer {
        HttpAnswer::Status(404) => b"HTTP/1.1 404 Not Found\r\n",
        HttpAnswer::Status(405) => b"HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\n",
        HttpAnswer::Announce
        | HttpAnswer::Scrape
        | HttpAnswer::Failure
        | HttpAnswer::Health
        | HttpAnswer::Status(_) => b"HTTP/1.1 200 OK\r\n".as_slice(),
    });
    for (name, value) in [
        ("content-type: ", kind),
        ("\r\ncontent-length: ", itoa::Buffer::new().format(len)),
        ("\r\nconnection: ", connection),
    ] {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(b"\r\nx-request-id: ");
    if let Some(id) = head.request_id {
        out.extend_from_slice(id.as_bytes());
    } else {
        let digits = b"0123456789abcdef";
        let id: u128 = rng.random();
        out.extend((0..32).map(|at| digits[(id >> (at * 4)) as usize & 15]));
    }
    out.extend_from_slice(b"\r\n\r\n");
}
