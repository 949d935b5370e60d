//! Requests to a service that forwards ports, and its replies (UPnP Device Architecture, "Control").

use std::fmt::Write as _;
use std::net::IpAddr;

use super::Service;
use super::XmlError;
use crate::port_mapping::Transport;
use crate::xml::Step;

/// The largest reply that is worth reading, in bytes.
pub const MOST_BYTES: usize = 32 * 1024;

/// The type of the body of a request.
pub const CONTENT_TYPE: &str = "text/xml; charset=\"utf-8\"";

/// What the gateway is told that a port is for: whoever looks at its list is to know.
const DESCRIPTION: &str = "tribler-rs";

/// A port that is to be forwarded, from whoever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What travels to it.
    pub transport: Transport,
    /// The port that the world sees; 0 for all that are not forwarded otherwise.
    pub external: u16,
    /// Our address.
    pub client: IpAddr,
    /// Our port.
    pub internal: u16,
    /// For how long, in seconds; 0 for ever.
    pub lease: u32,
}

/// What a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// To forward a port, or another where that is taken; version 2 only.
    AddAny(Mapping),
    /// To forward a port.
    Add(Mapping),
    /// To forward it no longer.
    Delete(Transport, u16),
    /// Whither it forwards a port.
    Entry(Transport, u16),
    /// For the address that the world sees.
    ExternalAddress,
}

/// What a service says: what there is of it depends on what it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The address that the world sees.
    pub external_ip: Option<IpAddr>,
    /// The port that was given, by [`Call::AddAny`].
    pub external: Option<u16>,
    /// Whose address a port is forwarded to, if it is told as an address.
    pub client: Option<IpAddr>,
    /// Which port of theirs.
    pub internal: Option<u16>,
    /// For how many seconds more; 0 for ever.
    pub lease: Option<u32>,
}

/// A reply of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It did what was asked.
    Done(Told),
    /// It refuses, for a reason with this number.
    Refused(u16),
}

/// Why a reply was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SoapError {
    /// It is no XML that is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is neither a reply to this request nor a refusal.
    #[error("the reply is not to the request")]
    NotAReply,
}

impl Call {
    /// Its name in messages.
    const fn name(&self) -> &'static str {
        match self {
            Self::AddAny(_) => "AddAnyPortMapping",
            Self::Add(_) => "AddPortMapping",
            Self::Delete(..) => "DeletePortMapping",
            Self::Entry(..) => "GetSpecificPortMappingEntry",
            Self::ExternalAddress => "GetExternalIPAddress",
        }
    }

    /// The value of the header `SOAPAction` that goes with it.
    pub fn action(&self, service: Service) -> String {
        format!("\"{}#{}\"", service.urn(), self.name())
    }

    /// The body of the request.
    pub fn body(&self, service: Service) -> String {
        let (name, urn) = (self.name(), service.urn());
        let arguments = self.arguments();
        format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
             <u:{name} xmlns:u=\"{urn}\">{arguments}</u:{name}></s:Body></s:Envelope>\r\n"
        )
    }

    /// The arguments, in the order in which the service's description has them: some want it kept.
    fn arguments(&self) -> String {
        let mut out = String::new();
        let mut add = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = write!(out, "<{name}>{value}</{name}>");
        };
        match self {
            Self::AddAny(mapping) | Self::Add(mapping) => {
                let transport = name_of(mapping.transport);
                add("NewRemoteHost", &"");
                add("NewExternalPort", &mapping.external);
                add("NewProtocol", &transport);
                add("NewInternalPort", &mapping.internal);
                add("NewInternalClient", &mapping.client);
                add("NewEnabled", &1);
                let text = format!("{DESCRIPTION} {transport} {}", mapping.internal);
                add("NewPortMappingDescription", &text);
                add("NewLeaseDuration", &mapping.lease);
            }
            Self::Delete(transport, external) | Self::Entry(transport, external) => {
                add("NewRemoteHost", &"");
                add("NewExternalPort", external);
                add("NewProtocol", &name_of(*transport));
            }
            Self::ExternalAddress => {}
        }
        out
    }

    /// Reads the reply to it.
    ///
    /// # Errors
    ///
    /// See [`SoapError`]. A refusal is not an error.
    pub fn read(&self, document: &[u8]) -> Result<Reply, SoapError> {
        let (mut told, mut refused) = (Told::default(), None);
        let (mut answered, mut fault) = (false, false);
        super::read(document, |step| match step {
            Step::Begin(name, _) => {
                fault |= name == "Fault";
                answered |= name.strip_suffix("Response") == Some(self.name());
            }
            Step::End("errorCode", text) if fault => refused = text.parse().ok(),
            Step::End(name, text) if answered => told.note(name, text),
            Step::End(..) => {}
        })?;
        match refused {
            Some(code) => Ok(Reply::Refused(code)),
            // Who does not say why has failed to do it.
            None if fault => Ok(Reply::Refused(ACTION_FAILED)),
            None if answered => Ok(Reply::Done(told)),
            None => Err(SoapError::NotAReply),
        }
    }
}

/// The action failed.
pub const ACTION_FAILED: u16 = 501;

const fn name_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    }
}

impl Told {
    /// Takes an argument of a reply.
    fn note(&mut self, name: &str, text: &str) {
        match name {
            "NewExternalIPAddress" => self.external_ip = address(text),
            "NewReservedPort" => self.external = text.parse().ok(),
            "NewInternalClient" => self.client = address(text),
            "NewInternalPort" => self.internal = text.parse().ok(),
            "NewLeaseDuration" => self.lease = text.parse().ok(),
            _ => {}
        }
    }
}

/// An address that somebody can have.
fn address(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    Some(ip).filter(|ip| !ip.is_unspecified())
}
