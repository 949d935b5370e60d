//! One announce, over HTTP or UDP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use net::http::{Client, HeaderValue, Request, Url};
use net::{DatagramSocket, Network};
use protocol::tracker::http::{ReplyError, announce_url, parse_announce};
use protocol::tracker::udp::{Ask, Exchange, ExchangeError, Family, Reply, Schedule, url_data};
use protocol::tracker::{Announce, AnnounceReply, RetryIn};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::peer::driver::now;

/// How long an HTTP announce may take.
const HTTP_DEADLINE: Duration = Duration::from_secs(30);

/// The largest answer that is read: 30,000 peers.
const MOST_REPLY: usize = 1 << 20;

/// How long a UDP tracker is given: 5, 10 and 20 s. BEP 15 would wait for hours; the next tier is tried sooner.
const UDP_SCHEDULE: Schedule = Schedule {
    base: Duration::from_secs(5),
    last: 2,
};

/// Why an announce failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnnounceError {
    /// The tracker said no.
    #[error("the tracker says: {reason}")]
    Refused {
        /// In its words.
        reason: String,
        /// When to come back (BEP 31).
        retry_in: Option<RetryIn>,
    },
    /// No answer, or none that can be read.
    #[error("{0}")]
    Unreachable(String),
    /// The address is of no kind that we can speak to.
    #[error("not an http, https or udp address")]
    Unusable,
}

/// Makes announces.
#[derive(Clone, Debug)]
pub(crate) struct Exchanges {
    network: Network,
    http: Client,
}

impl Exchanges {
    /// Announces through `network`, in the name of `client`.
    pub(crate) fn new(network: Network, client: &str) -> Self {
        let name = HeaderValue::from_str(client);
        let name = name.unwrap_or_else(|_| HeaderValue::from_static("tribler-rs"));
        Self {
            http: Client::new(network.clone(), name),
            network,
        }
    }

    /// Asks the tracker at `url`; `seed` is that of the transaction ids.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the announce, which the tracker may have heard nevertheless.
    pub(crate) fn announce(
        &self,
        url: &str,
        question: Announce,
        seed: u64,
    ) -> BoxFuture<'static, Result<AnnounceReply, AnnounceError>> {
        let this = self.clone();
        let parsed = Url::parse(url);
        let url = url.to_owned();
        match parsed {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => {
                Box::pin(async move { this.over_http(&url, &question).await })
            }
            Ok(parsed) if parsed.scheme() == "udp" => {
                Box::pin(async move { this.over_udp(&parsed, &url, question, seed).await })
            }
            _ => Box::pin(std::future::ready(Err(AnnounceError::Unusable))),
        }
    }

    async fn over_http(
        &self,
        tracker: &str,
        question: &Announce,
    ) -> Result<AnnounceReply, AnnounceError> {
        let url = announce_url(tracker, question).map_err(|_| AnnounceError::Unusable)?;
        let url = Url::parse(&url).map_err(|_| AnnounceError::Unusable)?;
        let mut request = Request::new(url);
        request.deadline = HTTP_DEADLINE;
        request.limits.body = MOST_REPLY;
        request.limits.unpacked = MOST_REPLY;
        let response = self.http.get(&request).await.map_err(unreachable)?;
        match parse_announce(&response.body) {
            Ok(reply) => Ok(reply),
            Err(ReplyError::Failure { reason, retry_in }) => {
                Err(AnnounceError::Refused { reason, retry_in })
            }
            Err(_) if response.status != 200 => Err(AnnounceError::Unreachable(format!(
                "HTTP status {}",
                response.status
            ))),
            Err(error) => Err(unreachable(error)),
        }
    }

    async fn over_udp(
        &self,
        tracker: &Url,
        text: &str,
        question: Announce,
        seed: u64,
    ) -> Result<AnnounceReply, AnnounceError> {
        let host = tracker.host_str().ok_or(AnnounceError::Unusable)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = tracker.port().ok_or(AnnounceError::Unusable)?;
        let addrs = self.network.lookup(host, port).await.map_err(unreachable)?;
        let mut outcome = Err(AnnounceError::Unreachable(format!("{host} has no address")));
        for addr in addrs {
            outcome = self
                .exchange(addr, question.clone(), url_data(text), seed)
                .await;
            if !matches!(outcome, Err(AnnounceError::Unreachable(_))) {
                break;
            }
        }
        outcome
    }

    async fn exchange(
        &self,
        tracker: SocketAddr,
        question: Announce,
        url_data: Vec<u8>,
        seed: u64,
    ) -> Result<AnnounceReply, AnnounceError> {
        let (any, family) = match tracker {
            SocketAddr::V4(_) => ((Ipv4Addr::UNSPECIFIED, 0).into(), Family::V4),
            SocketAddr::V6(_) => ((Ipv6Addr::UNSPECIFIED, 0).into(), Family::V6),
        };
        let socket: Arc<dyn DatagramSocket> = self.network.datagram(any).map_err(unreachable)?;
        let mut rng = StdRng::seed_from_u64(seed);
        let ask = Ask::Announce(question, url_data);
        let mut exchange = Exchange::new(ask, family, UDP_SCHEDULE, None);
        let mut buffer = vec![0; 16 * 1024];
        loop {
            while let Some(datagram) = exchange.poll_transmit(now(), &mut rng) {
                socket
                    .send_to(&datagram, tracker)
                    .await
                    .map_err(unreachable)?;
            }
            let until = exchange.poll_timeout().map_or_else(now, |(at, _)| at);
            let until = tokio::time::Instant::from_std(until);
            match tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await {
                Ok(Ok((len, from))) if from == tracker => {
                    let datagram = buffer.get(..len).unwrap_or_default();
                    match exchange.handle_datagram(now(), datagram) {
                        Ok(Some(Reply::Announce(reply))) => return Ok(reply),
                        Ok(_) => {}
                        Err(ExchangeError::Refused(reason)) => {
                            return Err(AnnounceError::Refused {
                                reason,
                                retry_in: None,
                            });
                        }
                        Err(error) => return Err(unreachable(error)),
                    }
                }
                Ok(Ok(_)) => {}
                // A refusal by the host; the schedule goes on, as the tracker may come up.
                Ok(Err(error)) => return Err(unreachable(error)),
                Err(_) => exchange.handle_timeout(now()).map_err(unreachable)?,
            }
        }
    }
}

fn unreachable(error: impl std::fmt::Display) -> AnnounceError {
    AnnounceError::Unreachable(error.to_string())
}
