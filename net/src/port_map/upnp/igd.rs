//! A service of the gateway that forwards ports.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::port_mapping::upnp::description::{self, Control};
use protocol::port_mapping::upnp::soap::{self, Call, Reply};
use protocol::port_mapping::upnp::{Service, leads_to};
use url::Url;

use crate::Network;
use crate::http::{Client, HeaderName, HeaderValue, Limits, Policy, Request, header};
use crate::port_map::Gateway;

/// The time for one request. Small gateways write their whole set of rules anew for each port.
const DEADLINE: Duration = Duration::from_secs(8);

/// The largest head of a reply, in bytes.
const MOST_HEAD: usize = 8 * 1024;

/// What the client calls itself.
const USER_AGENT: &str = "tribler-rs UPnP/1.1";

/// The gateway does not answer, or not in a way that is understood.
#[derive(Debug)]
pub(super) struct Silent;

/// A service of the gateway that has answered.
pub(super) struct Igd {
    client: Client,
    gateway: IpAddr,
    control: Control,
    own: IpAddr,
    external_ip: Option<IpAddr>,
}

/// The client by which gateways are asked.
pub(super) fn client(network: Network) -> Client {
    Client::new(network, HeaderValue::from_static(USER_AGENT))
}

impl Igd {
    /// Fetches a description of the gateway, and chooses among the services in it: the first that knows the address that the
    /// world sees, and else the first that answers at all.
    pub(super) async fn open(client: &Client, gateway: Gateway, location: &Url) -> Option<Self> {
        let request = request(location.clone(), gateway.at, description::MOST_BYTES);
        let response = client.get(&request).await;
        let response = response.inspect_err(|error| tracing::debug!(%error, "no description"));
        let response = response.ok().filter(|response| response.status == 200)?;
        let controls = description::read(&response.body, location)
            .inspect_err(|error| tracing::debug!(%error, "no description"))
            .ok()?;
        let own = Some(response.local.ip()).filter(|ip| !ip.is_unspecified());
        let mut best: Option<Self> = None;
        for control in controls {
            if !leads_to(&control.url, gateway.at) {
                tracing::debug!(gateway = %gateway.at, "the gateway is said to be asked elsewhere");
                continue;
            }
            let mut igd = Self {
                client: client.clone(),
                gateway: gateway.at,
                control,
                own: own.unwrap_or(gateway.own),
                external_ip: None,
            };
            if igd.look_up_address().await.is_err() {
                continue;
            }
            if igd.external_ip.is_some() {
                return Some(igd);
            }
            best = best.or(Some(igd));
        }
        best
    }

    /// What it is.
    pub(super) const fn service(&self) -> Service {
        self.control.service
    }

    /// Our address, as the gateway sees it.
    pub(super) const fn own(&self) -> IpAddr {
        self.own
    }

    /// The address that the world sees, if the gateway knows.
    pub(super) const fn external_ip(&self) -> Option<IpAddr> {
        self.external_ip
    }

    /// Asks for the address that the world sees.
    pub(super) async fn look_up_address(&mut self) -> Result<(), Silent> {
        self.external_ip = match self.call(&Call::ExternalAddress).await? {
            Reply::Done(told) => told.external_ip,
            Reply::Refused(_) => None,
        };
        Ok(())
    }

    /// Asks the service.
    pub(super) async fn call(&self, call: &Call) -> Result<Reply, Silent> {
        let Control { service, url } = &self.control;
        let mut request = request(url.clone(), self.gateway, soap::MOST_BYTES);
        let action = HeaderValue::try_from(call.action(*service)).map_err(|_| Silent)?;
        let headers = &mut request.headers;
        headers.insert(HeaderName::from_static("soapaction"), action);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(soap::CONTENT_TYPE),
        );
        let body = Bytes::from(call.body(*service));
        let response = self.client.post(&request, body).await.map_err(|error| {
            tracing::debug!(%error, "the gateway does not answer");
            Silent
        })?;
        call.read(&response.body).map_err(|error| {
            tracing::debug!(%error, status = response.status, "the gateway's answer is of no use");
            Silent
        })
    }
}

/// A request to the gateway, and to nobody else, for at most so many bytes.
fn request(url: Url, gateway: IpAddr, most_bytes: usize) -> Request {
    Request {
        deadline: DEADLINE,
        limits: Limits {
            head: MOST_HEAD,
            body: most_bytes,
            unpacked: most_bytes,
            redirects: 0,
        },
        policy: Arc::new(Only(gateway)),
        ..Request::new(url)
    }
}

/// Lets requests go to one address only.
struct Only(IpAddr);

impl Policy for Only {
    fn admit(&self, _: &Url, _: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        addresses.retain(|address| address.ip() == self.0);
    }

    fn may_follow(&self, _: &Url, _: &Url) -> bool {
        false
    }
}
