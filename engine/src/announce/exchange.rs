//! One request to one tracker, over HTTP or UDP, by each family of addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use net::http::{Client, Guard, HeaderValue, Keep, Request, Response, Url, header};
use net::{Family, Located, Network, Pass, Scope};
use protocol::id::InfoHash;
use protocol::retry_after;
use protocol::tracker::http::{ReplyError, announce_url, parse_announce, parse_scrape, scrape_url};
use protocol::tracker::udp::{Ask, Reply, url_data};
use protocol::tracker::{Announce, AnnounceReply, RetryIn, ScrapeEntry};

use crate::announce::desk::DeskSetup;
use crate::announce::families::Families;
use crate::announce::preferences::Known;
use crate::announce::tracker::{Kind, Tracker};
use crate::announce::udp::Udp;
use crate::peer::driver::now;
use crate::settings::Live;

/// How much longer than the first family the second is waited for.
const SECOND_FAMILY: Duration = Duration::from_secs(5);

/// Why an announce failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The tracker said no.
    #[error("the tracker says: {reason}")]
    Refused {
        /// In its words.
        reason: String,
        /// When to come back (BEP 31).
        retry_in: Option<RetryIn>,
    },
    /// No answer.
    #[error("{0}")]
    Unreachable(String),
    /// It is there, but wants to be left alone.
    #[error("HTTP status {status}; the tracker asks to be left alone for {} s", .pause.as_secs())]
    Busy {
        /// What it answers with.
        status: u16,
        /// For how long.
        pause: Duration,
    },
    /// An answer that cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The address is of no kind that we can speak to, or must not be spoken to.
    #[error("{0}")]
    Unusable(&'static str),
    /// The IP filter holds for trackers, and has its address.
    #[error("the IP filter blocks the tracker's address (the setting trackers.ip_filter)")]
    Filtered,
    /// Its host says in DNS that it runs none that could be asked (BEP 34).
    #[error(
        "the tracker's host says in DNS that it runs no such tracker (BEP 34; the setting trackers.dns_preferences)"
    )]
    NoTracker,
    /// It did not answer others of late, and is asked again after this time.
    #[error("the tracker does not answer; it is tried again in {} s", .0.as_secs())]
    Down(Duration),
    /// Stopped half-way, to be continued.
    #[error("not finished")]
    Unfinished,
}

impl AnnounceError {
    /// Whether the tracker said something.
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unreadable(_))
    }

    /// Whether the tracker may be down.
    pub const fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Busy { .. })
    }
}

/// Makes requests.
pub(crate) struct Exchanges {
    network: Network,
    settings: Live,
    http: Client,
    udp: Udp,
    families: Families,
    /// Which trackers hosts say that they run; nobody is asked where that would tell of what goes through circuits.
    preferences: Option<Known>,
    /// Whether trackers are held to the network's filter.
    pass: Option<Pass>,
}

impl Exchanges {
    /// Asks through the network of a desk, and in its name.
    pub(crate) fn new(desk: DeskSetup) -> Self {
        let live = desk.settings.clone();
        let life = move || live.get().trackers.names_kept;
        let (network, pass) = desk.network.with_cached_names_for(life).with_pass();
        let keep = Keep {
            per_server: desk.settings.get().trackers.max_in_flight_per_host as usize,
            ..Keep::default()
        };
        let exchanges = Self {
            settings: desk.settings,
            http: Client::new(network.clone(), desk.client)
                .keeping(keep)
                .metered(Arc::clone(&desk.meter)),
            udp: Udp::new(network.clone(), desk.pool, (desk.socket, desk.meter)),
            network,
            families: Families::new(desk.families),
            preferences: desk.direct.then(Known::default),
            pass,
        };
        exchanges.retune();
        exchanges
    }

    /// Takes up settings that have changed.
    pub(crate) fn retune(&self) {
        if let Some(pass) = &self.pass {
            pass.open(!self.settings.get().trackers.ip_filter);
        }
    }

    /// Where all requests go.
    pub(crate) const fn network(&self) -> &Network {
        &self.network
    }

    /// Has HTTP trackers told another name from now on.
    pub(crate) fn rename(&self, name: &HeaderValue) {
        self.http.rename(name.clone());
    }

    /// Closes connections that nobody used of late; says when to come again.
    pub(crate) fn tidy(&self) -> Option<tokio::time::Instant> {
        self.http.tidy()
    }

    /// The places at which a tracker is asked, one after the other until one answers.
    async fn places(&self, tracker: &Tracker) -> Result<Vec<Tracker>, AnnounceError> {
        let wanted = self.settings.get().trackers.dns_preferences;
        let Some(known) = self.preferences.as_ref().filter(|_| wanted) else {
            return Ok(vec![tracker.clone()]);
        };
        let places = known.places(&self.network, tracker).await;
        if places.is_empty() {
            return Err(AnnounceError::NoTracker);
        }
        Ok(places)
    }

    /// Announces where the tracker's host wants to be asked.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the announce, which the tracker may have heard nevertheless.
    pub(crate) async fn announce(
        &self,
        tracker: &Tracker,
        question: &Announce,
        seed: u64,
    ) -> Result<AnnounceReply, AnnounceError> {
        let mut outcome = Err(AnnounceError::NoTracker);
        for place in self.places(tracker).await? {
            outcome = self.announce_at(&place, question, seed).await;
            if !matches!(&outcome, Err(error) if error.is_silence()) {
                break;
            }
        }
        outcome
    }

    /// Announces by every family that we listen on and the tracker has (BEP 7). The answer is that of all families
    /// together, and of the peers only those that the tracker may name.
    async fn announce_at(
        &self,
        tracker: &Tracker,
        question: &Announce,
        seed: u64,
    ) -> Result<AnnounceReply, AnnounceError> {
        let addrs = self.addresses(tracker, seed).await?;
        let mut ways = self.families.ways(&tracker.place, &addrs, now());
        let mut running: FuturesUnordered<_> = ways
            .iter()
            .map(|family| self.announce_by(tracker, question, (*family, &addrs), seed))
            .collect();
        let mut answer: Option<AnnounceReply> = None;
        let mut failure = None;
        loop {
            let next = match answer {
                None => running.next().await,
                Some(_) => tokio::time::timeout(SECOND_FAMILY, running.next())
                    .await
                    .unwrap_or_default(),
            };
            let Some((way, outcome)) = next else { break };
            if !matches!(&outcome, Err(error) if error.is_silence()) {
                ways.retain(|silent| *silent != way);
            }
            match outcome {
                Ok(reply) => match &mut answer {
                    None => answer = Some(reply),
                    Some(answer) => add(answer, reply),
                },
                // What a tracker says tells more than that it says nothing.
                Err(error) => {
                    let told = failure.filter(|known: &AnnounceError| !known.is_silence());
                    failure = Some(told.unwrap_or(error));
                }
            }
        }
        if answer.is_some() {
            for family in ways.into_iter().flatten() {
                self.families.silent(&tracker.place, family, now());
            }
        }
        let nobody = AnnounceError::Unusable("the tracker has no address");
        answer.ok_or_else(|| failure.unwrap_or(nobody))
    }

    /// Scrapes some torrents (BEP 48) where the tracker's host wants to be asked; those that the tracker does not know may be
    /// missing.
    pub(crate) async fn scrape(
        &self,
        tracker: &Tracker,
        torrents: &[InfoHash],
        seed: u64,
    ) -> Result<BTreeMap<InfoHash, ScrapeEntry>, AnnounceError> {
        let mut outcome = Err(AnnounceError::NoTracker);
        for place in self.places(tracker).await? {
            outcome = self.scrape_at(&place, torrents, seed).await;
            if !matches!(&outcome, Err(error) if error.is_silence()) {
                break;
            }
        }
        outcome
    }

    async fn scrape_at(
        &self,
        tracker: &Tracker,
        torrents: &[InfoHash],
        seed: u64,
    ) -> Result<BTreeMap<InfoHash, ScrapeEntry>, AnnounceError> {
        match tracker.kind {
            Kind::Http => {
                let url = scrape_url(&tracker.text, torrents);
                let url = url.map_err(|_| AnnounceError::Unusable("the tracker has no scrape"))?;
                let response = self.get(&url, None).await?;
                read(parse_scrape(&response.body), &response)
            }
            Kind::Udp => {
                let addrs = self.addresses(tracker, seed).await?;
                match self
                    .over_udp(&addrs, Ask::Scrape(torrents.to_vec()), seed)
                    .await?
                {
                    (Reply::Scrape(entries), _) => {
                        Ok(torrents.iter().copied().zip(entries).collect())
                    }
                    (Reply::Announce(_), _) => Ok(BTreeMap::new()),
                }
            }
        }
    }

    /// Where the tracker is, as far as it may be asked there. Nowhere, where it is asked over HTTP and looked up at the far
    /// end of the network.
    async fn addresses(
        &self,
        tracker: &Tracker,
        seed: u64,
    ) -> Result<Vec<SocketAddr>, AnnounceError> {
        let (host, port) = (&*tracker.host, tracker.port);
        let found = tokio::time::timeout(self.patience(), self.network.locate(host, port));
        let found = found
            .await
            .map_err(|_| AnnounceError::Unreachable("the host was not found in time".to_owned()))?;
        let found = found.map_err(|error| {
            AnnounceError::Unreachable(format!("the host was not found: {error}"))
        })?;
        let mut addrs = match (found, tracker.kind) {
            (Located::At(addrs), _) => addrs,
            (Located::ByName, Kind::Http) => return Ok(Vec::new()),
            (Located::ByName, Kind::Udp) => vec![self.udp.find((host, port), seed).await?],
        };
        Scope::admit(&mut addrs, None);
        if addrs.is_empty() {
            return Err(AnnounceError::Unusable(
                "the policy forbids the tracker's address",
            ));
        }
        addrs.retain(|addr| !self.network.blocks(addr.ip()));
        if addrs.is_empty() {
            return Err(AnnounceError::Filtered);
        }
        Ok(addrs)
    }

    fn announce_by<'a>(
        &'a self,
        tracker: &'a Tracker,
        question: &'a Announce,
        (family, addrs): (Option<Family>, &'a [SocketAddr]),
        seed: u64,
    ) -> BoxFuture<'a, (Option<Family>, Result<AnnounceReply, AnnounceError>)> {
        let announce = async move {
            let (mut reply, server) = match tracker.kind {
                Kind::Http => {
                    let url = announce_url(&tracker.text, question)
                        .map_err(|_| AnnounceError::Unusable("not an address of a tracker"))?;
                    let response = self.get(&url, family).await?;
                    let reply = read(parse_announce(&response.body), &response)?;
                    (reply, response.peer)
                }
                Kind::Udp => {
                    let wished =
                        |addr: &&SocketAddr| family.is_none_or(|f| f == Family::of(addr.ip()));
                    let addrs: Vec<_> = addrs.iter().filter(wished).copied().collect();
                    let ask = Ask::Announce(question.clone(), url_data(&tracker.text));
                    match self.over_udp(&addrs, ask, seed).await? {
                        (Reply::Announce(reply), server) => (reply, server),
                        (Reply::Scrape(_), server) => (AnnounceReply::default(), server),
                    }
                }
            };
            keep_nameable(&mut reply, server);
            Ok(reply)
        };
        Box::pin(async move { (family, announce.await) })
    }

    /// How long a look-up and how long a request by HTTP may take, redirects included.
    fn patience(&self) -> Duration {
        self.settings.get().trackers.timeout
    }

    async fn get(&self, url: &str, family: Option<Family>) -> Result<Response, AnnounceError> {
        let url = Url::parse(url).map_err(|_| AnnounceError::Unusable("not a URL"))?;
        let mut request = Request::new(url);
        request.deadline = self.patience();
        let most = usize::try_from(self.settings.get().trackers.max_reply.0).unwrap_or(usize::MAX);
        (request.limits.body, request.limits.unpacked) = (most, most);
        request.policy = Arc::new(Guard::TRACKER);
        request.family = family;
        self.http.get(&request).await.map_err(|error| {
            if matches!(error, net::http::Error::Forbidden) {
                AnnounceError::Unusable(
                    "the policy forbids the tracker's address or where it redirects to",
                )
            } else if matches!(error, net::http::Error::BadUrl) {
                AnnounceError::Unusable("not a URL that can be asked")
            } else if error.is_silence() {
                unreachable(error)
            } else {
                AnnounceError::Unreadable(error.to_string())
            }
        })
    }

    /// Asks one address after the other until one answers.
    async fn over_udp(
        &self,
        addrs: &[SocketAddr],
        ask: Ask,
        seed: u64,
    ) -> Result<(Reply, SocketAddr), AnnounceError> {
        let mut outcome = Err(AnnounceError::Unusable("the tracker has no address"));
        let patience = self.settings.get().trackers.udp_timeout;
        for addr in addrs {
            let exchange = self.udp.ask(*addr, ask.clone(), seed);
            let answer = tokio::time::timeout(patience, exchange).await;
            let answer = answer.unwrap_or_else(|_| {
                Err(AnnounceError::Unreachable(
                    "the tracker does not answer".to_owned(),
                ))
            });
            outcome = answer.map(|reply| (reply, *addr));
            if !matches!(&outcome, Err(error) if error.is_silence()) {
                break;
            }
        }
        outcome
    }
}

/// Adds what the tracker said by another family.
fn add(reply: &mut AnnounceReply, other: AnnounceReply) {
    reply.peers.extend(other.peers);
    reply.interval = reply.interval.max(other.interval);
    reply.min_interval = reply.min_interval.max(other.min_interval);
    reply.complete = reply.complete.max(other.complete);
    reply.incomplete = reply.incomplete.max(other.incomplete);
    reply.downloaded = reply.downloaded.max(other.downloaded);
    reply.external_ip = reply.external_ip.or(other.external_ip);
    reply.warning = reply.warning.take().or(other.warning);
    reply.tracker_id = reply.tracker_id.take().or(other.tracker_id);
}

/// Leaves the peers that a tracker at this address may name.
fn keep_nameable(reply: &mut AnnounceReply, server: SocketAddr) {
    let before = reply.peers.len();
    reply.peers.retain(|peer| {
        let mut addrs = vec![peer.addr];
        Scope::admit(&mut addrs, Some(server));
        peer.addr.port() != 0 && !addrs.is_empty()
    });
    let dropped = before - reply.peers.len();
    if dropped > 0 {
        tracing::debug!(%server, dropped, "a tracker named peers where it cannot be");
    }
}

/// What a reply says; one that is none says something by its status.
fn read<T>(parsed: Result<T, ReplyError>, response: &Response) -> Result<T, AnnounceError> {
    let status = response.status;
    match parsed {
        Ok(reply) => Ok(reply),
        Err(ReplyError::Failure { reason, retry_in }) => {
            Err(AnnounceError::Refused { reason, retry_in })
        }
        Err(_) if status == 429 || status >= 500 => Err(match pause(response) {
            Some(pause) => AnnounceError::Busy { status, pause },
            None => AnnounceError::Unreachable(format!("HTTP status {status}")),
        }),
        Err(_) if status != 200 => Err(AnnounceError::Unreadable(format!("HTTP status {status}"))),
        Err(error) => Err(AnnounceError::Unreadable(error.to_string())),
    }
}

/// How long the tracker wants to be left alone, if it says so.
fn pause(response: &Response) -> Option<Duration> {
    let value = |name| response.headers.get(name).map(HeaderValue::as_bytes);
    retry_after::header(value(header::RETRY_AFTER)?, value(header::DATE))
}

pub(crate) fn unreachable(error: impl std::fmt::Display) -> AnnounceError {
    AnnounceError::Unreachable(error.to_string())
}
