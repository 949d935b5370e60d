//! Messages to bytes.

use std::net::SocketAddr;

use overlay::wire::{Address, NO_ADDRESS, Writer};

use super::{Answer, Balance, Message};
use crate::Dialect;

impl Message<'_> {
    /// Writes the number and the body of a message, without the circuit. `None` where the dialect does not have it, or an
    /// address of it.
    pub fn write(&self, dialect: Dialect, w: &mut Writer) -> Option<()> {
        w.u8(self.kind().number(dialect)?);
        self.write_body(dialect, w)
    }

    /// The message as bytes.
    pub fn to_bytes(&self, dialect: Dialect) -> Option<Vec<u8>> {
        let mut w = Writer::new();
        self.write(dialect, &mut w)?;
        Some(w.finish())
    }

    /// Writes the body of a message.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other function has the others"
    )]
    pub fn write_body(&self, dialect: Dialect, w: &mut Writer) -> Option<()> {
        let classic = dialect == Dialect::Classic;
        let identifier = |w: &mut Writer, id: u16| {
            if !classic {
                w.u16(id);
            }
        };
        match self {
            Self::Data { to, from, data } => {
                address(dialect, w, to)?;
                address(dialect, w, from)?;
                w.raw(data);
            }
            Self::Create { id, node, x } => {
                identifier(w, *id);
                w.var_u16(node).var_u16(x);
            }
            Self::Created(answer) | Self::Extended(answer) => {
                identifier(w, answer.id);
                rest_of_answer(w, answer);
            }
            Self::Extend { id, node, x, addr } => {
                identifier(w, *id);
                w.var_u16(node).var_u16(x);
                match addr {
                    None if classic => {}
                    _ => node_address(dialect, w, addr.unwrap_or_else(|| NO_ADDRESS.into()))?,
                }
            }
            Self::BalanceRequest(id) => identifier(w, *id),
            Self::RelayBalanceRequest => {}
            Self::BalanceResponse(balance) | Self::RelayBalanceResponse(balance) => {
                match (balance, classic) {
                    (Balance::Block(block), true) => w.raw(block),
                    (Balance::Bytes(bytes), false) => w.i64(*bytes),
                    _ => return None,
                };
            }
            _ => return self.write_fixed(dialect, w),
        }
        Some(())
    }

    /// The messages that have the same layout in both dialects.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other function has the others"
    )]
    fn write_fixed(&self, dialect: Dialect, w: &mut Writer) -> Option<()> {
        match self {
            Self::Ping(id) | Self::Pong(id) | Self::IntroEstablished(id) | Self::LinkedE2e(id) => {
                w.u16(*id);
            }
            Self::EstablishIntro {
                id,
                info_hash,
                seeder,
            } => {
                w.u16(*id).raw(info_hash).var_u16(seeder);
            }
            Self::EstablishRendezvous { id, cookie } | Self::LinkE2e { id, cookie } => {
                w.u16(*id).raw(cookie);
            }
            Self::RendezvousEstablished { id, addr } => {
                w.u16(*id);
                node_address(dialect, w, *addr)?;
            }
            Self::CreateE2e {
                id,
                info_hash,
                seeder,
                x,
            } => {
                w.u16(*id).raw(info_hash).var_u16(seeder).var_u16(x);
            }
            Self::CreatedE2e(answer) => {
                w.u16(answer.id);
                rest_of_answer(w, answer);
            }
            Self::PeersRequest { id, info_hash } => {
                w.u16(*id).raw(info_hash);
            }
            Self::PeersResponse {
                id,
                info_hash,
                peers,
            } => {
                w.u16(*id).raw(info_hash).raw(peers);
            }
            Self::TestRequest { id, size, data } => {
                w.u16(*id).u16(*size).raw(data);
            }
            Self::TestResponse { id, data } => {
                w.u16(*id).raw(data);
            }
            Self::SpeedRequest { id, size, data } => {
                w.u32(*id).u16(*size).raw(data);
            }
            Self::SpeedResponse { id, data } => {
                w.u32(*id).raw(data);
            }
            Self::HttpRequest { id, to, request } => {
                w.u32(*id).address(to).var_u16(request);
            }
            Self::HttpResponse {
                id,
                part,
                parts,
                response,
            } => {
                w.u32(*id).u16(*part).u16(*parts).var_u16(response);
            }
            _ => return None,
        }
        Some(())
    }
}

fn rest_of_answer(w: &mut Writer, answer: &Answer<'_>) {
    w.var_u16(&answer.y).raw(&answer.auth).raw(answer.list);
}

fn address(dialect: Dialect, w: &mut Writer, addr: &Address) -> Option<()> {
    match (dialect, addr) {
        (Dialect::Modern, addr) => w.address(addr),
        (Dialect::Classic, Address::Ip(SocketAddr::V6(_))) => return None,
        (Dialect::Classic, Address::Ip(SocketAddr::V4(_)) | Address::Host(..)) => w.nested(|w| {
            w.address(addr);
        }),
    };
    Some(())
}

fn node_address(dialect: Dialect, w: &mut Writer, addr: SocketAddr) -> Option<()> {
    match (dialect, addr) {
        (Dialect::Modern, addr) => w.address(&addr.into()),
        (Dialect::Classic, SocketAddr::V4(addr)) => w.ipv4(addr),
        (Dialect::Classic, SocketAddr::V6(_)) => return None,
    };
    Some(())
}
