//! Bytes to messages.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddr;

use overlay::wire::{Address, NO_ADDRESS, Reader, WireError};

use super::{Answer, Balance, Kind, Message};
use crate::Dialect;

impl<'a> Message<'a> {
    /// Reads a message of a circuit: its number and its body, without the circuit.
    ///
    /// # Errors
    /// [`WireError`]: an unknown number, too few bytes, too many.
    pub fn read(dialect: Dialect, message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let number = reader.u8("message")?;
        let kind = Kind::of(dialect, number).ok_or(Reader::invalid("message", 0))?;
        Self::read_body(dialect, kind, reader)
    }

    /// Reads the body of a message.
    ///
    /// # Errors
    /// See [`Message::read`].
    pub fn read_body(
        dialect: Dialect,
        kind: Kind,
        mut body: Reader<'a>,
    ) -> Result<Self, WireError> {
        let r = &mut body;
        let message = match kind {
            Kind::Data => Self::Data {
                to: address(dialect, r, "destination")?,
                from: address(dialect, r, "origin")?,
                data: r.rest(),
            },
            Kind::Create => Self::Create {
                id: identifier(dialect, r)?,
                node: r.var_u16("public key")?,
                x: key(r)?,
            },
            Kind::Created => Self::Created(answer(dialect, r)?),
            Kind::Extend => Self::Extend {
                id: identifier(dialect, r)?,
                node: r.var_u16("public key")?,
                x: key(r)?,
                addr: optional_address(dialect, r)?,
            },
            Kind::Extended => Self::Extended(answer(dialect, r)?),
            Kind::Ping => Self::Ping(r.u16("identifier")?),
            Kind::Pong => Self::Pong(r.u16("identifier")?),
            Kind::BalanceRequest => Self::BalanceRequest(identifier(dialect, r)?),
            Kind::RelayBalanceRequest => Self::RelayBalanceRequest,
            Kind::BalanceResponse => Self::BalanceResponse(balance(dialect, r)?),
            Kind::RelayBalanceResponse => Self::RelayBalanceResponse(balance(dialect, r)?),
            Kind::Destroy => return Err(Reader::invalid("message", 0)),
            Kind::TestRequest
            | Kind::TestResponse
            | Kind::SpeedRequest
            | Kind::SpeedResponse
            | Kind::HttpRequest
            | Kind::HttpResponse => Self::read_service(kind, r)?,
            Kind::EstablishIntro
            | Kind::IntroEstablished
            | Kind::EstablishRendezvous
            | Kind::RendezvousEstablished
            | Kind::CreateE2e
            | Kind::CreatedE2e
            | Kind::LinkE2e
            | Kind::LinkedE2e
            | Kind::PeersRequest
            | Kind::PeersResponse => Self::read_hidden(dialect, kind, r)?,
        };
        body.finish()?;
        Ok(message)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "its caller has told the others apart"
    )]
    fn read_service(kind: Kind, r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(match kind {
            Kind::TestRequest => Self::TestRequest {
                id: r.u16("identifier")?,
                size: r.u16("size")?,
                data: r.rest(),
            },
            Kind::TestResponse => Self::TestResponse {
                id: r.u16("identifier")?,
                data: r.rest(),
            },
            Kind::SpeedRequest => Self::SpeedRequest {
                id: r.u32("identifier")?,
                size: r.u16("size")?,
                data: r.rest(),
            },
            Kind::SpeedResponse => Self::SpeedResponse {
                id: r.u32("identifier")?,
                data: r.rest(),
            },
            Kind::HttpRequest => Self::HttpRequest {
                id: r.u32("identifier")?,
                to: r.address("target")?,
                request: r.var_u16("request")?,
            },
            _ => Self::HttpResponse {
                id: r.u32("identifier")?,
                part: r.u16("part")?,
                parts: r.u16("parts")?,
                response: r.var_u16("response")?,
            },
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "its caller has told the others apart"
    )]
    fn read_hidden(dialect: Dialect, kind: Kind, r: &mut Reader<'a>) -> Result<Self, WireError> {
        let id = r.u16("identifier")?;
        Ok(match kind {
            Kind::EstablishIntro => Self::EstablishIntro {
                id,
                info_hash: r.array("info hash")?,
                seeder: r.var_u16("public key")?,
            },
            Kind::IntroEstablished => Self::IntroEstablished(id),
            Kind::EstablishRendezvous => Self::EstablishRendezvous {
                id,
                cookie: r.array("cookie")?,
            },
            Kind::RendezvousEstablished => Self::RendezvousEstablished {
                id,
                addr: node_address(dialect, r)?,
            },
            Kind::CreateE2e => Self::CreateE2e {
                id,
                info_hash: r.array("info hash")?,
                seeder: r.var_u16("public key")?,
                x: key(r)?,
            },
            Kind::CreatedE2e => Self::CreatedE2e(rest_of_answer(id, r)?),
            Kind::LinkE2e => Self::LinkE2e {
                id,
                cookie: r.array("cookie")?,
            },
            Kind::LinkedE2e => Self::LinkedE2e(id),
            Kind::PeersRequest => Self::PeersRequest {
                id,
                info_hash: r.array("info hash")?,
            },
            _ => Self::PeersResponse {
                id,
                info_hash: r.array("info hash")?,
                peers: r.rest(),
            },
        })
    }
}

/// The identifier that building messages have in the newer dialect only.
fn identifier(dialect: Dialect, r: &mut Reader<'_>) -> Result<u16, WireError> {
    match dialect {
        Dialect::Classic => Ok(0),
        Dialect::Modern => r.u16("identifier"),
    }
}

fn key(r: &mut Reader<'_>) -> Result<[u8; 32], WireError> {
    let at = r.at();
    let key = r.var_u16("fresh key")?;
    key.try_into().map_err(|_| Reader::invalid("fresh key", at))
}

fn answer<'a>(dialect: Dialect, r: &mut Reader<'a>) -> Result<Answer<'a>, WireError> {
    let id = identifier(dialect, r)?;
    rest_of_answer(id, r)
}

fn rest_of_answer<'a>(id: u16, r: &mut Reader<'a>) -> Result<Answer<'a>, WireError> {
    Ok(Answer {
        id,
        y: key(r)?,
        auth: r.array("code")?,
        list: r.rest(),
    })
}

/// An address of a data cell. The older dialect puts its length in front and knows no IPv6.
fn address(dialect: Dialect, r: &mut Reader<'_>, what: &'static str) -> Result<Address, WireError> {
    match dialect {
        Dialect::Modern => r.address(what),
        Dialect::Classic => {
            let at = r.at();
            let addr = r.nested(what, |r| r.address(what))?;
            match addr {
                Address::Ip(SocketAddr::V6(_)) => Err(Reader::invalid(what, at)),
                Address::Ip(SocketAddr::V4(_)) | Address::Host(..) => Ok(addr),
            }
        }
    }
}

/// The address at the end of a request to extend. That there is none the older dialect says by leaving it out, and the newer
/// one by naming nowhere.
fn optional_address(dialect: Dialect, r: &mut Reader<'_>) -> Result<Option<SocketAddr>, WireError> {
    if dialect == Dialect::Classic && r.is_empty() {
        return Ok(None);
    }
    let at = r.at();
    let addr = node_address(dialect, r)?;
    let nowhere = addr == SocketAddr::from(NO_ADDRESS);
    if nowhere && dialect == Dialect::Classic {
        return Err(Reader::invalid("address", at));
    }
    Ok((!nowhere).then_some(addr))
}

/// The address of a node at the end of a message: 6 bytes in the older dialect and in the first versions of the newer one, with
/// its kind in front in later versions. The length tells which of the newer ones it is.
fn node_address(dialect: Dialect, r: &mut Reader<'_>) -> Result<SocketAddr, WireError> {
    if dialect == Dialect::Classic || r.left() == 6 {
        return r.ipv4("address").map(SocketAddr::from);
    }
    r.ip_address("address")
}

fn balance<'a>(dialect: Dialect, r: &mut Reader<'a>) -> Result<Balance<'a>, WireError> {
    Ok(match dialect {
        Dialect::Classic => Balance::Block(r.rest()),
        Dialect::Modern => Balance::Bytes(r.i64("balance")?),
    })
}
