//! The envelope: what every message has.

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::{DecodeError, ErrorCode, MethodKind, Query, Response};
use crate::bencode::{self, Dict, Encoder, Limits, Value};
use crate::tracker::compact;

/// The longest datagram that is read: an item of 1000 bytes with 16 nodes of each family and 40 peers fits.
pub const MAX_DATAGRAM: usize = 4096;

/// The longest transaction id that is answered; deployed nodes use 2 to 8 bytes.
pub const MAX_TRANSACTION: usize = 32;

/// What one datagram may cost to read.
const LIMITS: Limits = Limits {
    depth: 16,
    tokens: 1024,
    bytes: MAX_DATAGRAM,
};

/// What an error without a code counts as.
const GENERIC: i64 = ErrorCode::Generic.number() as i64;

/// A datagram of the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Chosen by who asks, repeated by who answers; at most [`MAX_TRANSACTION`] bytes.
    pub transaction: &'a [u8],
    /// The sender's program, two letters and two bytes of version by custom.
    pub version: Option<&'a [u8]>,
    /// In answers, the receiver's address as the sender sees it (BEP 42).
    pub ip: Option<SocketAddr>,
    /// What it says.
    pub body: Body<'a>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Refuses a query.
    Error(Failure<'a>),
    /// Asks.
    Query(Query<'a>),
    /// Answers.
    Response(Response<'a>),
}

/// Why a query was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// See [`ErrorCode`]; others occur.
    pub code: i64,
    /// Words for people, of any bytes.
    pub text: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a datagram. What the protocol does not name is passed over.
    ///
    /// # Errors
    /// [`DecodeError`]: only [`DecodeError::Query`] is worth an answer.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError<'a>> {
        let value = bencode::decode(datagram, &LIMITS).map_err(DecodeError::Bencode)?;
        let dict = value.as_dict().ok_or(DecodeError::Field("dictionary"))?;
        let [
            arguments,
            error,
            ip,
            method,
            answer,
            read_only,
            transaction,
            version,
            kind,
        ] = dict.get_many([b"a", b"e", b"ip", b"q", b"r", b"ro", b"t", b"v", b"y"]);
        let transaction = transaction
            .and_then(Value::as_bytes)
            .filter(|transaction| transaction.len() <= MAX_TRANSACTION)
            .ok_or(DecodeError::Field("transaction"))?;
        let body = match kind.and_then(Value::as_bytes) {
            Some(b"q") => {
                let read_only = read_only.and_then(Value::as_int);
                let method = method.and_then(Value::as_bytes);
                let query = Query::read(
                    method,
                    arguments.and_then(Value::as_dict),
                    read_only.is_some_and(|flag| flag != 0),
                );
                Body::Query(query.map_err(|(code, why)| DecodeError::Query {
                    transaction,
                    kind: method.and_then(MethodKind::of),
                    code,
                    why,
                })?)
            }
            Some(b"r") => {
                let fields = answer.and_then(Value::as_dict);
                let response = fields.and_then(Response::read);
                Body::Response(response.ok_or(DecodeError::Field("response"))?)
            }
            Some(b"e") => Body::Error(Failure::read(error.and_then(Value::as_list))),
            _ => return Err(DecodeError::Field("kind")),
        };
        Ok(Self {
            transaction,
            version: version.and_then(Value::as_bytes),
            ip: ip.and_then(Value::as_bytes).and_then(compact::peer),
            body,
        })
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::append_to(std::mem::take(out));
        e.begin_dict();
        match &self.body {
            Body::Query(query) => query.write_arguments(e.key(b"a")),
            Body::Error(failure) => failure.write(e.key(b"e")),
            Body::Response(_) => {}
        }
        if let Some(ip) = self.ip {
            write_addr(e.key(b"ip"), ip);
        }
        match &self.body {
            Body::Query(query) => {
                e.key(b"q").bytes(query.method.name());
                if query.read_only {
                    e.key(b"ro").int(1);
                }
            }
            Body::Response(response) => response.write(e.key(b"r")),
            Body::Error(_) => {}
        }
        e.key(b"t").bytes(self.transaction);
        if let Some(version) = self.version {
            e.key(b"v").bytes(version);
        }
        e.key(b"y").bytes(match &self.body {
            Body::Query(_) => b"q",
            Body::Response(_) => b"r",
            Body::Error(_) => b"e",
        });
        e.end();
        *out = e.finish();
    }

    /// The datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.encode(&mut out);
        out
    }
}

impl<'a> Failure<'a> {
    /// A refusal.
    pub const fn new(code: ErrorCode, text: &'a str) -> Self {
        Self {
            code: code.number() as i64,
            text: text.as_bytes(),
        }
    }

    /// A list of code and words; what is not there reads as a generic error.
    fn read(list: Option<bencode::List<'a>>) -> Self {
        let mut elements = list.into_iter().flat_map(bencode::List::iter);
        let code = elements.next().and_then(Value::as_int);
        let text = elements.next().and_then(Value::as_bytes);
        Self {
            code: code.unwrap_or(GENERIC),
            text: text.unwrap_or_default(),
        }
    }

    fn write(&self, e: &mut Encoder) {
        e.begin_list().int(self.code).bytes(self.text).end();
    }
}

/// Writes an address as a string of 6 or 18 bytes.
pub(super) fn write_addr(e: &mut Encoder, addr: SocketAddr) {
    let mut bytes = SmallVec::<[u8; compact::V6_LEN]>::new();
    match addr {
        SocketAddr::V4(v4) => bytes.extend_from_slice(&v4.ip().octets()),
        SocketAddr::V6(v6) => bytes.extend_from_slice(&v6.ip().octets()),
    }
    bytes.extend_from_slice(&addr.port().to_be_bytes());
    e.bytes(&bytes);
}

/// A string of exactly `N` bytes under a key.
pub(super) fn array<'a, const N: usize>(dict: Dict<'a>, key: &[u8]) -> Option<&'a [u8; N]> {
    dict.bytes(key)?.try_into().ok()
}
