//! HTTP requests that exits send for us, dressed up as streams: what is written to one is a GET request, and what is read
//! from it the reply, after which it ends.
//!
//! Only the newer dialect has them, and only for trackers: exits pass on nothing but what trackers answer. A stream to a
//! server that wants TLS is refused when the first byte is written, for the exit would have to read along. A request that may have
//! reached its target is not sent again. Where there is no answer, other programs are told why in the words of HTTP, and our own
//! code by an error ([`NoAnswer`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use net::{ByteStream, Pool, Task};
use overlay::wire::Address;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::lanes::{Lane, Lanes};
use crate::policy::NoAnswer;
use crate::{CircuitId, Dialect, Flags, Hop, Purpose, State, Tunnels};

/// The longest request: it has to fit into one cell.
const MAX_REQUEST: usize = 1200;

/// The most parts of a reply, of 1400 bytes each.
const MAX_PARTS: u16 = 512;

/// Replies that are waited for at once.
const MAX_WAITING: usize = 64;

/// How long a reply may take: an exit gives servers 5 s.
const REPLY: Duration = Duration::from_secs(7);

/// Circuits that are tried as long as none has taken the request.
const TRIES: usize = 3;

/// How long a request may take to be written.
const WRITING: Duration = Duration::from_secs(20);

/// A TLS alert (RFC 8446, section 6.2): fatal, access denied.
const TLS_DENIED: &[u8] = &[21, 3, 1, 0, 2, 2, 49];

/// How long is waited for a circuit to an exit that sends requests.
const CIRCUIT: Duration = Duration::from_secs(10);

/// How often it is looked whether there is one.
const LOOK: Duration = Duration::from_millis(100);

/// Replies that are waited for.
#[derive(Default)]
pub(super) struct Requests {
    waiting: Mutex<BTreeMap<u32, Waiting>>,
}

struct Waiting {
    circuit: CircuitId,
    parts: BTreeMap<u16, Vec<u8>>,
    reply: oneshot::Sender<Vec<u8>>,
}

impl Requests {
    /// Waits for a reply through a circuit; says under which number.
    fn expect(&self, circuit: CircuitId) -> Option<(u32, oneshot::Receiver<Vec<u8>>)> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, waiting| !waiting.reply.is_closed());
        if waiting.len() >= MAX_WAITING {
            return None;
        }
        let mut number = rand::random();
        while waiting.contains_key(&number) {
            number = rand::random();
        }
        let (reply, taken) = oneshot::channel();
        let parts = BTreeMap::new();
        let expected = Waiting {
            circuit,
            parts,
            reply,
        };
        waiting.insert(number, expected);
        Some((number, taken))
    }

    /// A circuit is gone, or with `None` all are: what was asked through it gets no reply.
    pub(super) fn closed(&self, circuit: Option<CircuitId>) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, waiting| circuit.is_some_and(|gone| gone != waiting.circuit));
    }

    /// A part of a reply has come.
    pub(super) fn part(
        &self,
        (circuit, number): (CircuitId, u32),
        (part, parts): (u16, u16),
        bytes: Vec<u8>,
    ) {
        let mut waiting = self.waiting.lock();
        let Some(reply) = waiting.get_mut(&number) else {
            return;
        };
        if reply.circuit != circuit || part >= parts || parts > MAX_PARTS {
            return;
        }
        reply.parts.entry(part).or_insert(bytes);
        if reply.parts.len() == usize::from(parts)
            && let Some(whole) = waiting.remove(&number)
        {
            let bytes: Vec<u8> = whole.parts.into_values().flatten().collect();
            let _ = whole.reply.send(bytes);
        }
    }
}

/// What requests go through.
#[derive(Clone)]
pub(super) struct Requester {
    lanes: Weak<Lanes>,
    requests: Arc<Requests>,
    pool: Pool,
}

impl Requester {
    pub(super) fn new(lanes: &Arc<Lanes>, requests: Arc<Requests>, pool: Pool) -> Self {
        Self {
            lanes: Arc::downgrade(lanes),
            requests,
            pool,
        }
    }

    /// A stream for one request. With `tells`, whoever reads it is told by HTTP why there is no answer, and else by an error.
    ///
    /// # Errors
    /// `Unsupported` where no exit is known that sends requests, unless that is told by the stream.
    pub(super) fn open(&self, lane: Arc<Lane>, to: Address, tells: bool) -> io::Result<HttpStream> {
        if !tells {
            let lanes = self.lanes.upgrade().ok_or(io::ErrorKind::NotConnected)?;
            let node = modern(&lanes).ok_or(NO_EXIT)?;
            exits(node).first().ok_or(NO_EXIT)?;
        }
        Ok(HttpStream {
            requester: self.clone(),
            lane,
            to,
            tells,
            stage: Stage::Asking(Vec::new(), Box::pin(sleep(WRITING))),
            reader: None,
        })
    }

    /// Has an exit send a request, and another one where that has surely not sent it.
    async fn ask(self, hops: u8, to: Address, request: Vec<u8>) -> Result<Vec<u8>, NoAnswer> {
        let mut tried = BTreeSet::new();
        for _ in 0..TRIES {
            let circuit = match self.circuit(hops, &to, &tried).await {
                Ok(circuit) => circuit,
                Err(_) if !tried.is_empty() => return Err(NoAnswer::Busy),
                Err(why) => return Err(why),
            };
            tried.insert(circuit);
            let expected = self.requests.expect(circuit);
            let (number, reply) = expected.ok_or(NoAnswer::Busy)?;
            if !self.send((circuit, number), &to, &request)? {
                continue;
            }
            let reply = timeout(REPLY, reply).await;
            self.forget((circuit, number));
            let reply = reply.map_err(|_| NoAnswer::Silent)?;
            let reply = reply.map_err(|_| NoAnswer::Ended)?;
            match NoAnswer::read(&reply) {
                None => return Ok(reply),
                Some(why) if why.is_unsent() => {}
                Some(why) => return Err(why),
            }
        }
        Err(NoAnswer::Busy)
    }

    /// Says to the exit what is wanted; false where that could not be said.
    fn send(
        &self,
        (circuit, number): (CircuitId, u32),
        to: &Address,
        request: &[u8],
    ) -> Result<bool, NoAnswer> {
        let lanes = self.lanes.upgrade().ok_or(NoAnswer::NoCircuit)?;
        let node = modern(&lanes).ok_or(NoAnswer::NoCircuit)?;
        let said = node.with(|node, _| node.request_http(circuit, number, to.clone(), request));
        Ok(said.is_ok())
    }

    /// Wants no more parts of a reply.
    fn forget(&self, (circuit, number): (CircuitId, u32)) {
        if let Some(lanes) = self.lanes.upgrade()
            && let Some(node) = modern(&lanes)
        {
            node.with(|node, _| node.end_http(circuit, number));
        }
    }

    /// A circuit whose exit sends requests; one is built where there is none.
    async fn circuit(
        &self,
        hops: u8,
        to: &Address,
        tried: &BTreeSet<CircuitId>,
    ) -> Result<CircuitId, NoAnswer> {
        let until = Instant::now() + CIRCUIT;
        let mut built = None;
        while Instant::now() < until {
            {
                let lanes = self.lanes.upgrade().ok_or(NoAnswer::NoCircuit)?;
                let node = modern(&lanes).ok_or(NoAnswer::NoCircuit)?;
                if let Some(ready) = ready_circuit(node, hops, tried) {
                    node.keep(hops, to, ready);
                    return Ok(ready);
                }
                let gone = |id| node.with(|node, _| node.circuit(id).is_none());
                if built.is_none_or(gone) {
                    built = build(node, hops);
                }
            }
            sleep(LOOK).await;
        }
        Err(NoAnswer::NoCircuit)
    }
}

const NO_EXIT: io::ErrorKind = io::ErrorKind::Unsupported;

fn modern(lanes: &Lanes) -> Option<&Tunnels> {
    let mut nodes = lanes.nodes().iter();
    nodes.find(|node| node.dialect() == Dialect::Modern)
}

/// The exits that send requests.
fn exits(node: &Tunnels) -> Vec<Hop> {
    node.with(|node, _| {
        let able = node.candidates().iter();
        let able = able.filter(|(_, known)| known.flags.contain(Flags::EXIT_HTTP));
        let hops = able.map(|(key, known)| Hop {
            key: key.clone(),
            addr: known.addr,
        });
        hops.collect()
    })
}

fn ready_circuit(node: &Tunnels, hops: u8, tried: &BTreeSet<CircuitId>) -> Option<CircuitId> {
    node.with(|node, _| {
        let mut circuits = node.circuits();
        let fits = circuits.find(|circuit| {
            let of_lane = circuit.purpose == Purpose::Data && circuit.goal == hops;
            let stands = circuit.state == State::Ready && circuit.unanswered.is_none();
            let exit = circuit.hops.last();
            let exit = exit.and_then(|key| node.candidates().get(key));
            let sends = exit.is_some_and(|exit| exit.flags.contain(Flags::EXIT_HTTP));
            of_lane && stands && sends && !tried.contains(&circuit.id)
        });
        fits.map(|circuit| circuit.id)
    })
}

/// Begins a circuit to an exit that sends requests, if one is known.
fn build(node: &Tunnels, hops: u8) -> Option<CircuitId> {
    let mut exits = exits(node);
    if exits.is_empty() {
        return None;
    }
    let exit = exits.swap_remove(rand::random_range(0..exits.len()));
    let begun = node.with(|node, now| node.create_circuit(now, Purpose::Data, hops, Some(exit)));
    begun.ok()
}

/// See the module.
pub(super) struct HttpStream {
    requester: Requester,
    lane: Arc<Lane>,
    to: Address,
    /// Whether it is told by HTTP why there is no answer.
    tells: bool,
    stage: Stage,
    /// Who waits for the reply before it was asked for.
    reader: Option<Waker>,
}

/// A reply to come, and the task that asks for it, which ends with this.
struct Reply {
    taken: oneshot::Receiver<Result<Vec<u8>, NoAnswer>>,
    _task: Task<()>,
}

enum Stage {
    /// The request is being written, until then at the latest.
    Asking(Vec<u8>, Pin<Box<Sleep>>),
    /// The reply is waited for.
    Waiting(Reply),
    /// So much of the reply has been read.
    Reading(Vec<u8>, usize),
}

impl HttpStream {
    fn send(&mut self, request: Vec<u8>) {
        let (done, taken) = oneshot::channel();
        let asked = self
            .requester
            .clone()
            .ask(self.lane.hops, self.to.clone(), request);
        let task = self.requester.pool.spawn(async move {
            let _ = done.send(asked.await);
        });
        self.stage = Stage::Waiting(Reply { taken, _task: task });
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Ends the stream where there is no answer: by these last words, or by an error.
    fn end(&mut self, why: NoAnswer, words: Vec<u8>) -> io::Result<()> {
        if self.tells {
            self.stage = Stage::Reading(words, 0);
            self.wake();
            return Ok(());
        }
        // After a failure there is nothing more to be read.
        self.stage = Stage::Reading(Vec::new(), 0);
        let kind = match why {
            NoAnswer::Unsupported => io::ErrorKind::Unsupported,
            NoAnswer::RequestTooLong => io::ErrorKind::InvalidInput,
            NoAnswer::Forbidden => io::ErrorKind::PermissionDenied,
            NoAnswer::Unknown => io::ErrorKind::HostUnreachable,
            NoAnswer::Unreachable => io::ErrorKind::ConnectionRefused,
            NoAnswer::NoCircuit => io::ErrorKind::NetworkUnreachable,
            NoAnswer::Busy => io::ErrorKind::ResourceBusy,
            NoAnswer::Foreign | NoAnswer::TooLong => io::ErrorKind::InvalidData,
            NoAnswer::Ended => io::ErrorKind::ConnectionReset,
            NoAnswer::Late | NoAnswer::Silent | NoAnswer::Nothing => io::ErrorKind::TimedOut,
        };
        Err(io::Error::new(kind, why))
    }
}

/// Whether these bytes may be the beginning of a request, or are one.
fn is_get(bytes: &[u8]) -> bool {
    const GET: &[u8] = b"GET ";
    let len = bytes.len().min(GET.len());
    bytes.get(..len) == GET.get(..len)
}

/// What is said to who has begun with something else than a request: HTTP to HTTP, an alert to TLS, and nothing to others.
fn last_words(begin: &[u8]) -> Vec<u8> {
    match begin {
        [22, 3, ..] => TLS_DENIED.to_vec(),
        [b'A'..=b'Z', ..] => NoAnswer::Unsupported.reply(),
        _ => Vec::new(),
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut *self;
        let Stage::Asking(request, _) = &mut stream.stage else {
            // Who is told why there is no answer may write on until that is read.
            return Poll::Ready(if stream.tells {
                Ok(bytes.len())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            });
        };
        let room = (MAX_REQUEST + 1).saturating_sub(request.len());
        request.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let ended = if !is_get(request) {
            let words = last_words(request);
            stream.end(NoAnswer::Unsupported, words)
        } else if request.len() > MAX_REQUEST {
            stream.end(NoAnswer::RequestTooLong, NoAnswer::RequestTooLong.reply())
        } else {
            if request.ends_with(b"\r\n\r\n") {
                let request = std::mem::take(request);
                stream.send(request);
            }
            Ok(())
        };
        Poll::Ready(ended.map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        let outcome = match &mut stream.stage {
            Stage::Asking(_, late) => {
                stream.reader = Some(cx.waker().clone());
                ready!(late.as_mut().poll(cx));
                Some(Err(NoAnswer::Nothing))
            }
            Stage::Waiting(reply) => {
                let reply = ready!(Pin::new(&mut reply.taken).poll(cx));
                Some(reply.unwrap_or(Err(NoAnswer::Ended)))
            }
            Stage::Reading(..) => None,
        };
        match outcome {
            Some(Ok(reply)) => stream.stage = Stage::Reading(reply, 0),
            Some(Err(why)) => stream.end(why, why.reply())?,
            None => {}
        }
        if let Stage::Reading(reply, read) = &mut stream.stage {
            let rest = reply.get(*read..).unwrap_or_default();
            let fits = rest.len().min(buf.remaining());
            buf.put_slice(rest.get(..fits).unwrap_or_default());
            *read += fits;
        }
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for HttpStream {
    fn peer_addr(&self) -> SocketAddr {
        match &self.to {
            Address::Ip(addr) => *addr,
            Address::Host(_, port) => (Ipv4Addr::UNSPECIFIED, *port).into(),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot::error::TryRecvError;

    use super::super::lanes::Kept;
    use super::*;

    #[test]
    fn a_reply_is_whole_when_all_its_parts_have_come_by_its_circuit() {
        let requests = Requests::default();
        let (ours, other) = (CircuitId(1), CircuitId(2));
        let (number, mut reply) = requests.expect(ours).unwrap();
        requests.part((other, number), (0, 1), b"forged".to_vec());
        requests.part((ours, number), (2, 2), b"beyond".to_vec());
        requests.part((ours, number), (0, MAX_PARTS + 1), b"too many".to_vec());
        requests.part((ours, number), (1, 2), b"world".to_vec());
        requests.part((ours, number), (1, 2), b"again".to_vec());
        assert!(reply.try_recv().is_err());
        requests.part((ours, number), (0, 2), b"hello ".to_vec());
        assert_eq!(reply.try_recv().unwrap(), b"hello world");
        requests.part((ours, number), (0, 1), b"late".to_vec());
    }

    #[test]
    fn only_so_many_replies_are_waited_for_and_those_given_up_not_at_all() {
        let requests = Requests::default();
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| requests.expect(CircuitId(1)).unwrap())
            .collect();
        assert!(requests.expect(CircuitId(1)).is_none());
        drop(waiting);
        assert!(requests.expect(CircuitId(1)).is_some());
    }

    #[test]
    fn what_was_asked_through_a_circuit_that_ends_gets_no_reply() {
        let requests = Requests::default();
        let (_, mut lost) = requests.expect(CircuitId(1)).unwrap();
        let (number, mut kept) = requests.expect(CircuitId(2)).unwrap();
        requests.closed(Some(CircuitId(1)));
        assert!(matches!(lost.try_recv(), Err(TryRecvError::Closed)));
        requests.part((CircuitId(2), number), (0, 1), b"reply".to_vec());
        assert_eq!(kept.try_recv().unwrap(), b"reply");
        let (_, mut lost) = requests.expect(CircuitId(2)).unwrap();
        requests.closed(None);
        assert!(matches!(lost.try_recv(), Err(TryRecvError::Closed)));
    }

    /// A stream where there is no circuit, nor will there be.
    fn stream(tells: bool) -> HttpStream {
        let lanes = Arc::new(Lanes::new(Vec::new(), (1, 0)));
        let requests = Arc::<Requests>::default();
        HttpStream {
            requester: Requester::new(&lanes, requests, Pool::current()),
            lane: lanes.lane(1, Kept::Used),
            to: Address::Host("tracker.example".to_owned(), 80),
            tells,
            stage: Stage::Asking(Vec::new(), Box::pin(sleep(WRITING))),
            reader: None,
        }
    }

    #[tokio::test]
    async fn after_a_failure_a_stream_is_at_its_end() {
        let mut stream = stream(false);
        let request = b"GET / HTTP/1.1\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let failed = stream.read_u8().await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::NetworkUnreachable);
        let ended = stream.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn other_programs_are_told_what_is_wrong_in_the_words_that_they_know() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_REQUEST));
        for (said, heard) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], &b"HTTP/1.1 503 "[..]),
            (b"POST / HTTP/1.1\r\n\r\nbody", b"HTTP/1.1 501 "),
            (long.as_bytes(), b"HTTP/1.1 414 "),
            (b"\x16\x03\x01\x02\x00", TLS_DENIED),
            (b"\x13BitTorrent protocol", b""),
            (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 408 "),
            (b"", b"HTTP/1.1 408 "),
        ] {
            let mut stream = stream(true);
            stream.write_all(said).await.unwrap();
            let mut told = Vec::new();
            stream.read_to_end(&mut told).await.unwrap();
            let told = String::from_utf8_lossy(&told).into_owned();
            let name = String::from_utf8_lossy(said);
            assert!(told.as_bytes().starts_with(heard), "{name}: {told}");
            assert_eq!(told.is_empty(), heard.is_empty(), "{name}: {told}");
            // What is left to be written is taken.
            stream.write_all(b"rest").await.unwrap();
        }
    }

    #[test]
    fn what_is_no_request_is_known_by_its_first_bytes() {
        assert!(is_get(b"") && is_get(b"GE") && is_get(b"GET / HTTP/1.1"));
        assert!(!is_get(b"\x16\x03\x01") && !is_get(b"POST /") && !is_get(b"GETS"));
    }
}
