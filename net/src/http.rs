//! A small HTTP client: GET and POST over the dialer.
//!
//! It speaks HTTP/1.1, `http` and `https`, and holds itself to limits that the caller sets, because the servers it asks
//! are named by strangers: one deadline for everything, a largest head, a largest body on the wire and after unpacking,
//! a number of redirects, and a [`Policy`] that is asked about every address and every redirect before a connection is
//! opened. Each request has a connection of its own, unless the client was told to [keep](Client::keeping) them.
//!
//! A reply comes whole ([`Client::get`], [`Client::post`]), or in parts as they arrive ([`Client::open`]), so that a body
//! of any size takes no more room than a part of it.
//!
//! Connections come from the [`Network`] and so does name look-up: source address, proxy, circuit and simulation hold
//! for them too.

mod auth;
mod body;
mod error;
mod exchange;
mod guard;
mod keep;
mod place;
mod request;
mod streaming;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
pub use bytes::Bytes;
pub use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, timeout};
pub use url::Url;

pub use error::{Error, Stage};
pub use guard::Guard;
pub use keep::Keep;
pub use request::{AllowAll, Limits, Policy, Request, Response};
pub use streaming::Streaming;
pub use tls::ClientTls;

use crate::meter::Metered;
use crate::{BoxStream, Family, Located, Meter, Network};
use exchange::{Ask, Connection};
use keep::Shelf;

/// An HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    network: Network,
    tls: ClientTls,
    /// All clones and clients made of this one say the same.
    user_agent: Arc<ArcSwap<HeaderValue>>,
    shelf: Option<Arc<Shelf>>,
    meter: Option<Arc<Meter>>,
}

impl Client {
    /// A client on `network` that calls itself `user_agent`, and trusts the roots of [`ClientTls::default`].
    pub fn new(network: Network, user_agent: HeaderValue) -> Self {
        Self {
            network,
            tls: ClientTls::default(),
            user_agent: Arc::new(ArcSwap::from_pointee(user_agent)),
            shelf: None,
            meter: None,
        }
    }

    /// The same client on another network, which remembers names itself, or does not.
    #[must_use]
    pub fn on(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Calls itself otherwise from now on, as do its clones.
    pub fn rename(&self, user_agent: HeaderValue) {
        self.user_agent.store(Arc::new(user_agent));
    }

    /// The same client with another view of whom to trust.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// The same client, but one that keeps connections for the next request to the same server. What is idle for too
    /// long is closed when a request begins or ends, or by [`tidy`](Self::tidy).
    #[must_use]
    pub fn keeping(mut self, keep: Keep) -> Self {
        self.shelf = Some(Arc::new(Shelf::new(keep)));
        self
    }

    /// The same client, whose bytes are counted: all that goes over its connections, TLS included.
    #[must_use]
    pub fn metered(mut self, meter: Arc<Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Closes kept connections that have been idle for too long; says when the next one will have been.
    pub fn tidy(&self) -> Option<Instant> {
        self.shelf.as_ref()?.tidy(Instant::now())
    }

    /// Closes kept connections to addresses that the network does not talk to any more.
    pub fn sift(&self) {
        if let Some(shelf) = &self.shelf {
            shelf.sift(|peer| self.blocks(peer.ip()));
        }
    }

    /// Whether the network does not talk to a server at this address; one that is known by name alone has the unspecified
    /// address, which is nobody's.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        !ip.is_unspecified() && self.network.blocks(ip)
    }

    /// How many connections are being kept.
    pub fn kept(&self) -> usize {
        self.shelf.as_ref().map_or(0, |shelf| shelf.len())
    }

    /// Gets a URL, following redirects.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A status other than 200 is not an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn get(&self, request: &Request) -> Result<Response, Error> {
        self.whole(request, async |stage| {
            self.follow(request, true, (stage, &mut None)).await
        })
        .await
    }

    /// Sends a body to a URL. Where the reply is a redirect, it is given as it came: nobody is sent on with a body. A
    /// connection that was kept is not used, for what is sent twice may have an effect twice.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A status other than 200 is not an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; the server may have got the body or not.
    pub async fn post(&self, request: &Request, body: Bytes) -> Result<Response, Error> {
        self.whole(request, async |stage| {
            let ask = Ask::Post(body);
            self.fetch_anew(&request.url, request.sent_by, request, (&ask, true), stage)
                .await
        })
        .await
    }

    /// Receives the whole reply whose head `open` gets, within the request's deadline.
    async fn whole(
        &self,
        request: &Request,
        open: impl AsyncFnOnce(&mut Stage) -> Result<Opened, Error>,
    ) -> Result<Response, Error> {
        let mut stage = Stage::LookUp;
        let work = Box::pin(async {
            let opened = open(&mut stage).await?;
            self.receive(opened, request.limits).await
        });
        let outcome = timeout(request.deadline, work).await;
        self.tidy();
        outcome.unwrap_or(Err(Error::Deadline { stage }))
    }

    /// Receives a body to its end.
    async fn receive(&self, opened: Opened, limits: Limits) -> Result<Response, Error> {
        let Opened {
            response,
            mut connection,
            url,
            origin,
            ..
        } = opened;
        let (head, incoming) = response.into_parts();
        let body = connection.receive(&head.headers, incoming, limits).await?;
        let (local, peer) = (connection.local(), connection.peer());
        self.put_away(connection, origin);
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            url,
            peer,
            local,
        })
    }

    /// Gets a URL, following redirects, as far as the head of the reply; the body is received from what is returned. It
    /// is asked for as it is, not packed. Of the limits those of head and redirects hold; the deadline ends with the head.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A status other than 200 is not an error; a body that is packed all the same is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn open(&self, request: &Request) -> Result<Streaming, Error> {
        self.open_noting(request, &mut None).await
    }

    /// As [`open`](Self::open), and notes in `led` where the last redirect led, whether or not it could be followed: an
    /// error is about that server then.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Self::open).
    pub async fn open_noting(
        &self,
        request: &Request,
        led: &mut Option<Url>,
    ) -> Result<Streaming, Error> {
        let mut stage = Stage::LookUp;
        let work = Box::pin(self.follow(request, false, (&mut stage, led)));
        let outcome = timeout(request.deadline, work).await;
        self.tidy();
        let opened = outcome.unwrap_or(Err(Error::Deadline { stage }))?;
        Streaming::new(self.clone(), opened)
    }

    /// Gets the head of the reply of a URL, or of whatever it redirects to.
    async fn follow(
        &self,
        request: &Request,
        packed: bool,
        (stage, led): (&mut Stage, &mut Option<Url>),
    ) -> Result<Opened, Error> {
        let mut url = request.url.clone();
        let mut sent_by = request.sent_by;
        for _ in 0..=request.limits.redirects {
            let opened = Box::pin(self.fetch(&url, sent_by, request, packed, stage)).await?;
            let response = &opened.response;
            let target = exchange::redirect_target(response.status().as_u16(), response.headers());
            let Some(location) = target else {
                return Ok(opened);
            };
            let next = location
                .to_str()
                .ok()
                .and_then(|location| url.join(location).ok())
                .ok_or(Error::BadRedirect)?;
            *led = Some(next.clone());
            if !request.policy.may_follow(&url, &next) {
                return Err(Error::Forbidden);
            }
            sent_by = Some(opened.connection.peer());
            url = auth::carried_over(&url, next);
            // Nobody reads the body of a redirect, so nobody waits for it.
            if hyper::body::Body::is_end_stream(opened.response.body()) {
                self.put_away(opened.connection, opened.origin);
            }
        }
        Err(Error::TooManyRedirects)
    }

    /// Gets the head of the reply of one URL.
    async fn fetch(
        &self,
        url: &Url,
        sent_by: Option<SocketAddr>,
        request: &Request,
        packed: bool,
        stage: &mut Stage,
    ) -> Result<Opened, Error> {
        exchange::host_and_port(url)?;
        let origin = origin(url, request);
        while let Some(mut connection) = self.shelf.as_ref().and_then(|s| s.take(&origin)) {
            // Policy and filter may judge otherwise than when it was opened.
            let blocked = self.blocks(connection.peer().ip());
            if blocked || !place::may_reuse(&connection, (url, sent_by), request) {
                continue;
            }
            let mut message = self.message(url, request, (&Ask::Get, packed))?;
            place::keep_login(&mut message, &connection, (url, sent_by), request);
            match connection.send(message, stage).await {
                Ok(response) => {
                    return Ok(Opened::new(response, connection, (url, sent_by), origin));
                }
                // The server closed it while nobody looked. A GET may be sent twice.
                Err(Error::Truncated | Error::Protocol(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.fetch_anew(url, sent_by, request, (&Ask::Get, packed), stage)
            .await
    }

    /// Gets the head of the reply of one URL over a new connection.
    async fn fetch_anew(
        &self,
        url: &Url,
        sent_by: Option<SocketAddr>,
        request: &Request,
        ask: (&Ask, bool),
        stage: &mut Stage,
    ) -> Result<Opened, Error> {
        let mut message = self.message(url, request, ask)?;
        let mut connection = self.connect(url, sent_by, request, stage).await?;
        place::keep_login(&mut message, &connection, (url, sent_by), request);
        let response = connection.send(message, stage).await?;
        let origin = origin(url, request);
        Ok(Opened::new(response, connection, (url, sent_by), origin))
    }

    /// A request as it goes out; whether its reply may be packed.
    fn message(
        &self,
        url: &Url,
        request: &Request,
        (ask, packed): (&Ask, bool),
    ) -> Result<exchange::Message, Error> {
        let manner = exchange::Manner {
            keep: self.shelf.is_some(),
            packed,
        };
        exchange::message(url, ask, &request.headers, &self.user_agent.load(), manner)
    }

    /// Opens a connection to the host of a URL.
    async fn connect(
        &self,
        url: &Url,
        sent_by: Option<SocketAddr>,
        request: &Request,
        stage: &mut Stage,
    ) -> Result<Connection, Error> {
        let (host, port) = exchange::host_and_port(url)?;
        let tls = match url.scheme() {
            "https" => Some(self.tls.connector().await?),
            _ => None,
        };
        let stream = self
            .reach((host, port), url, sent_by, request, stage)
            .await?;
        let ends = (stream.local_addr(), stream.peer_addr());
        let stream = Metered::new(stream, self.meter.clone());
        match tls {
            None => Connection::open(stream, ends, request.limits).await,
            Some(tls) => {
                *stage = Stage::Tls;
                let stream = tls.connect(host, stream).await?;
                Connection::open(stream, ends, request.limits).await
            }
        }
    }

    /// Opens a stream to a host, as far as the policy lets us.
    async fn reach(
        &self,
        (host, port): (&str, u16),
        url: &Url,
        sent_by: Option<SocketAddr>,
        request: &Request,
        stage: &mut Stage,
    ) -> Result<BoxStream, Error> {
        *stage = Stage::LookUp;
        let located = self.network.locate(host, port).await;
        let Located::At(mut addrs) = located.map_err(Error::LookUp)? else {
            if let Some(addr) = place::of_name(host, port) {
                let mut addrs = vec![addr];
                request.policy.admit(url, sent_by, &mut addrs);
                if addrs.is_empty() {
                    return Err(Error::Forbidden);
                }
            }
            *stage = Stage::Connect;
            let stream = self.network.dial_name(host, port).await;
            return stream.map_err(Error::Connect);
        };
        request.policy.admit(url, sent_by, &mut addrs);
        let wished = |addr: &SocketAddr| request.family == Some(Family::of(addr.ip()));
        if addrs.iter().any(wished) {
            addrs.retain(wished);
        }
        if addrs.is_empty() {
            return Err(Error::Forbidden);
        }
        *stage = Stage::Connect;
        self.network.dial_any(&addrs).await.map_err(Error::Connect)
    }

    /// Keeps a connection whose reply was read to its end, if it can be used again.
    fn put_away(&self, connection: Connection, origin: keep::Origin) {
        if let Some(shelf) = &self.shelf
            && connection.is_open()
        {
            shelf.put(origin, connection, Instant::now());
        }
    }
}

/// A reply of which the head has come.
struct Opened {
    response: hyper::Response<hyper::body::Incoming>,
    connection: Connection,
    url: Url,
    sent_by: Option<SocketAddr>,
    origin: keep::Origin,
}

impl Opened {
    fn new(
        response: hyper::Response<hyper::body::Incoming>,
        connection: Connection,
        (url, sent_by): (&Url, Option<SocketAddr>),
        origin: keep::Origin,
    ) -> Self {
        Self {
            response,
            connection,
            url: url.clone(),
            sent_by,
            origin,
        }
    }
}

/// The server of a URL, and by which family of addresses it is to be reached.
fn origin(url: &Url, request: &Request) -> keep::Origin {
    (url.origin().ascii_serialization(), request.family)
}

#[cfg(test)]
mod tests;
