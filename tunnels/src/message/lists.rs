//! The lists inside of messages: neighbours, introduction points, and where to meet.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use overlay::wire::{NO_ADDRESS, Reader, WireError, Writer};

use super::encoded::Value;
use crate::Dialect;

/// The most neighbours that are read from a list.
pub const MAX_CANDIDATES: usize = 16;

/// The most introduction points of one answer.
pub const MAX_PEERS: usize = 7;

/// Where somebody learned of an introduction point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// It is not known.
    Unknown,
    /// From the DHT.
    Dht,
    /// From other introduction points.
    Pex,
}

/// A node through which a hidden seeder can be asked for a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntroPoint {
    /// Where it is.
    pub addr: SocketAddr,
    /// Its public key.
    pub node: Vec<u8>,
    /// The public key of the seeder in the swarm.
    pub seeder: Vec<u8>,
    /// How it is known.
    pub source: Source,
}

/// Where a hidden seeder waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendezvous {
    /// The rendezvous point.
    pub addr: SocketAddr,
    /// Its public key.
    pub node: Vec<u8>,
    /// What is to be shown there.
    pub cookie: [u8; 20],
}

impl Source {
    const fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Dht,
            2 => Self::Pex,
            _ => Self::Unknown,
        }
    }
}

/// Packs the public keys of neighbours.
pub fn write_candidates<'a>(dialect: Dialect, keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut w = Writer::new();
    let keys = keys.into_iter().take(MAX_CANDIDATES);
    match dialect {
        Dialect::Classic => Value::List(keys.map(Value::Bytes).collect()).write(&mut w),
        Dialect::Modern => {
            let keys: Vec<&[u8]> = keys.collect();
            w.u8(keys.len() as u8);
            for key in keys {
                w.var_u16(key);
            }
        }
    }
    w.finish()
}

/// The public keys of neighbours, at most [`MAX_CANDIDATES`].
///
/// # Errors
/// [`WireError`].
pub fn read_candidates(dialect: Dialect, list: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
    let mut keys = Vec::new();
    match dialect {
        Dialect::Classic => {
            let Value::List(values) = Value::read(list)? else {
                return Err(Reader::invalid("candidates", 0));
            };
            for value in values.into_iter().take(MAX_CANDIDATES) {
                let Value::Bytes(key) = value else {
                    return Err(Reader::invalid("candidate", 0));
                };
                keys.push(key.to_vec());
            }
        }
        Dialect::Modern => {
            let mut r = Reader::new(list);
            let count = usize::from(r.u8("candidates")?);
            for _ in 0..count.min(MAX_CANDIDATES) {
                keys.push(r.var_u16("candidate")?.to_vec());
            }
        }
    }
    Ok(keys)
}

/// Packs introduction points, at most [`MAX_PEERS`]. The older dialect takes those with IPv4 addresses only.
pub fn write_peers(dialect: Dialect, peers: &[IntroPoint]) -> Vec<u8> {
    let mut w = Writer::new();
    match dialect {
        Dialect::Classic => {
            let v4 = peers.iter().filter_map(|peer| match peer.addr {
                SocketAddr::V4(addr) => Some((peer, addr, addr.ip().to_string())),
                SocketAddr::V6(_) => None,
            });
            let v4: Vec<_> = v4.take(MAX_PEERS).collect();
            let values = v4.iter().map(|(peer, addr, ip)| {
                Value::Tuple(vec![
                    Value::Tuple(vec![Value::Text(ip), Value::Int(addr.port().into())]),
                    Value::Bytes(&peer.node),
                    Value::Bytes(&peer.seeder),
                    Value::Int(peer.source as i64),
                ])
            });
            Value::List(values.collect()).write(&mut w);
        }
        Dialect::Modern => {
            let peers = peers.get(..MAX_PEERS).unwrap_or(peers);
            w.u8(peers.len() as u8);
            for peer in peers {
                w.nested(|w| {
                    w.address(&peer.addr.into())
                        .var_u16(&peer.node)
                        .var_u16(&peer.seeder)
                        .u8(peer.source as u8);
                });
            }
        }
    }
    w.finish()
}

/// Introduction points, at most [`MAX_PEERS`]; those that are nowhere are left out.
///
/// # Errors
/// [`WireError`].
pub fn read_peers(dialect: Dialect, list: &[u8]) -> Result<Vec<IntroPoint>, WireError> {
    let mut peers = Vec::new();
    match dialect {
        Dialect::Classic => {
            let wrong = Reader::invalid("introduction point", 0);
            let Value::List(values) = Value::read(list)? else {
                return Err(wrong);
            };
            for value in &values {
                let Value::Tuple(fields) = value else {
                    return Err(wrong);
                };
                let [
                    Value::Tuple(addr),
                    Value::Bytes(node),
                    Value::Bytes(seeder),
                    Value::Int(source),
                ] = fields.as_slice()
                else {
                    return Err(wrong);
                };
                peers.push(IntroPoint {
                    addr: classic_address(addr).ok_or(wrong)?.into(),
                    node: node.to_vec(),
                    seeder: seeder.to_vec(),
                    source: Source::from_number(*source),
                });
            }
        }
        Dialect::Modern => {
            let mut r = Reader::new(list);
            for _ in 0..r.u8("introduction points")? {
                peers.push(r.nested("introduction point", |r| {
                    Ok(IntroPoint {
                        addr: r.ip_address("address")?,
                        node: r.var_u16("public key")?.to_vec(),
                        seeder: r.var_u16("public key")?.to_vec(),
                        source: Source::from_number(r.u8("source")?.into()),
                    })
                })?);
            }
            r.finish()?;
        }
    }
    peers.retain(|peer| peer.addr != SocketAddr::from(NO_ADDRESS));
    peers.truncate(MAX_PEERS);
    Ok(peers)
}

/// Packs where to meet. `None` where the older dialect cannot say it.
pub fn write_rendezvous(dialect: Dialect, rendezvous: &Rendezvous) -> Option<Vec<u8>> {
    let mut w = Writer::new();
    match dialect {
        Dialect::Classic => {
            let SocketAddr::V4(addr) = rendezvous.addr else {
                return None;
            };
            let ip = addr.ip().to_string();
            let place = Value::Tuple(vec![
                Value::Text(&ip),
                Value::Int(addr.port().into()),
                Value::Bytes(&rendezvous.node),
            ]);
            Value::Tuple(vec![place, Value::Bytes(&rendezvous.cookie)]).write(&mut w);
        }
        Dialect::Modern => {
            w.nested(|w| {
                w.address(&rendezvous.addr.into())
                    .var_u16(&rendezvous.node)
                    .raw(&rendezvous.cookie);
            });
        }
    }
    Some(w.finish())
}

/// Where to meet.
///
/// # Errors
/// [`WireError`].
pub fn read_rendezvous(dialect: Dialect, bytes: &[u8]) -> Result<Rendezvous, WireError> {
    match dialect {
        Dialect::Classic => {
            let wrong = Reader::invalid("rendezvous point", 0);
            let Value::Tuple(fields) = Value::read(bytes)? else {
                return Err(wrong);
            };
            let [Value::Tuple(place), Value::Bytes(cookie)] = fields.as_slice() else {
                return Err(wrong);
            };
            let [ip, port, Value::Bytes(node)] = place.as_slice() else {
                return Err(wrong);
            };
            let addr = classic_address(&[ip.clone(), port.clone()]).ok_or(wrong)?;
            Ok(Rendezvous {
                addr: addr.into(),
                node: node.to_vec(),
                cookie: (*cookie).try_into().map_err(|_| wrong)?,
            })
        }
        Dialect::Modern => {
            let mut r = Reader::new(bytes);
            let rendezvous = r.nested("rendezvous point", |r| {
                Ok(Rendezvous {
                    addr: r.ip_address("address")?,
                    node: r.var_u16("public key")?.to_vec(),
                    cookie: r.array("cookie")?,
                })
            })?;
            r.finish()?;
            Ok(rendezvous)
        }
    }
}

/// Text and number as an address.
fn classic_address(fields: &[Value<'_>]) -> Option<SocketAddrV4> {
    let [Value::Text(ip), Value::Int(port)] = fields else {
        return None;
    };
    let ip: Ipv4Addr = ip.parse().ok()?;
    Some(SocketAddrV4::new(ip, u16::try_from(*port).ok()?))
}
